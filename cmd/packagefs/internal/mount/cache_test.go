package mount

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/hanwen/go-fuse/v2/fuse"
	"github.com/hugelgupf/p9/p9"
)

// expired is longer than the kernel trusts names.
const expired = shortTTL + shortTTL/2

// contextsTree has two contexts with the same program, and a file that changes.
func contextsTree() *memTree {
	s := newMemTree()
	s.depth = 1
	lib := s.file("one/usr/lib/lib.so", strings.Repeat("l", 100_000))
	for _, name := range []string{"one", "two"} {
		for _, dir := range []string{"", "/usr", "/usr/bin", "/usr/lib"} {
			s.dir(name + dir)
		}
		s.put(name+"/usr/lib/lib.so", *lib)
		s.file(name+"/usr/bin/prog", "program of "+name)
		s.put(name+"/usr/lib/mutable", item{mode: p9.ModeRegular | 0o644, data: "before"})
	}
	return s
}

// start looks at what the start of a program looks at.
func start(t *testing.T, top string) {
	t.Helper()
	for _, name := range []string{"usr/bin/prog", "usr/lib/lib.so"} {
		readFile(t, filepath.Join(top, name))
		if _, err := syscall.Getxattr(filepath.Join(top, name), "security.capability", nil); !errors.Is(err, syscall.ENODATA) {
			t.Errorf("getxattr %s: %v", name, err)
		}
	}
	for _, name := range []string{"usr/lib64", "usr/bin/missing", "usr/lib/lib.so.1"} {
		if _, err := os.Stat(filepath.Join(top, name)); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if list, err := os.ReadDir(filepath.Join(top, "usr")); err != nil || len(list) != 2 {
		t.Errorf("list %v, %v", list, err)
	}
	for _, dir := range []string{"", "usr", "usr/bin"} {
		if _, err := syscall.Getxattr(filepath.Join(top, dir), "trusted.overlay.opaque", nil); !errors.Is(err, syscall.ENODATA) {
			t.Errorf("getxattr %q: %v", dir, err)
		}
	}
	var st syscall.Statfs_t
	if err := syscall.Statfs(top, &st); err != nil || st.Files != 77 {
		t.Errorf("statfs %+v, %v", st, err)
	}
}

// TestSecondStart counts what the start of a program asks the server when the
// kernel has forgotten all names.
func TestSecondStart(t *testing.T) {
	h := newFakeServer(t, contextsTree())
	point, _ := h.mountWith(Options{Context: "contexts", ReadOnly: true}, keptDirs, lostGrace)
	before := h.requests()
	for _, name := range []string{"one", "two"} {
		start(t, filepath.Join(point, name))
	}
	first := h.requests() - before
	time.Sleep(recentLife) // then the last fids of that are given up
	for range 3 {
		time.Sleep(expired)
		before := h.requests()
		start(t, filepath.Join(point, "one"))
		// A walk to the context, its attributes with the stamp, and the fid's end;
		// those again if it took longer than the kernel trusts names.
		if n := h.requests() - before; n < 3 || n > 6 || n > first/4 {
			t.Errorf("%d requests; the first start of two programs needed %d", n, first)
		}
	}
}

// TestSecondStartInTree is the same on a mount of one tree.
func TestSecondStartInTree(t *testing.T) {
	s := contextsTree()
	s.depth = 0
	h := newFakeServer(t, s)
	point, _ := h.mountWith(Options{Context: "all", ReadOnly: true}, keptDirs, lostGrace)
	start(t, filepath.Join(point, "one"))
	time.Sleep(recentLife + expired)
	before := h.requests()
	start(t, filepath.Join(point, "one"))
	// The stamp, and what the server says of its file system.
	if n := h.requests() - before; n < 2 || n > 3 {
		t.Errorf("%d requests", n)
	}
}

// TestCacheIsLive changes everything that is cached.
func TestCacheIsLive(t *testing.T) {
	for name, o := range map[string]Options{
		"contexts":  {Context: "contexts", ReadOnly: true},
		"writable":  {Context: "/contexts"},
		"one tree":  {Context: "all", ReadOnly: true},
		"no stamps": {Context: "contexts", ReadOnly: true},
	} {
		t.Run(name, func(t *testing.T) {
			s := contextsTree()
			switch name {
			case "one tree":
				s.depth = 0
			case "no stamps":
				s.depth = -1
			}
			h := newFakeServer(t, s)
			point, _ := h.mountWith(o, keptDirs, lostGrace)
			at := func(name string) string { return filepath.Join(point, name) }
			for range 2 {
				start(t, at("one"))
				start(t, at("two"))
				time.Sleep(expired)
			}
			open, err := os.Open(at("one/usr/bin/prog"))
			if err != nil {
				t.Fatal(err)
			}
			defer open.Close()
			is := func(name, want string) func() bool {
				return func() bool { b, err := os.ReadFile(at(name)); return err == nil && string(b) == want }
			}
			gone := func(name string) func() bool {
				return func() bool { _, err := os.Stat(at(name)); return errors.Is(err, fs.ErrNotExist) }
			}

			s.file("one/usr/bin/missing", "came")
			soon(t, "a file comes", is("one/usr/bin/missing", "came"))
			if list, err := os.ReadDir(at("one/usr/bin")); err != nil || len(list) != 2 {
				t.Errorf("list %v, %v", list, err)
			}
			s.file("one/usr/bin/prog", "another program")
			soon(t, "a file is replaced", is("one/usr/bin/prog", "another program"))
			if got := readFile(t, at("two/usr/bin/prog")); got != "program of two" {
				t.Errorf("the other context has %q", got)
			}
			if b, err := io.ReadAll(open); string(b) != "program of one" || err != nil {
				t.Errorf("the file that was open reads %q, %v", b, err)
			}
			s.put("one/usr/lib/mutable", item{mode: p9.ModeRegular | 0o644, data: "after it was changed"})
			soon(t, "a mutable file changes", is("one/usr/lib/mutable", "after it was changed"))
			s.put("one/usr", item{mode: p9.ModeDirectory | 0o700, qid: p9.QID{Path: s.items["one/usr"].qid.Path}})
			soon(t, "a directory's mode changes", func() bool {
				info, err := os.Stat(at("one/usr"))
				return err == nil && info.Mode().Perm() == 0o700
			})
			s.remove("one/usr/bin/missing")
			soon(t, "a file goes", gone("one/usr/bin/missing"))
			soon(t, "a list is short again", func() bool {
				list, err := os.ReadDir(at("one/usr/bin"))
				return err == nil && len(list) == 1
			})
			s.file("one/usr/lib64", "a file")
			soon(t, "a missing name becomes a file", is("one/usr/lib64", "a file"))
			s.dir("one/usr/lib64")
			s.file("one/usr/lib64/in", "in")
			soon(t, "a file becomes a directory", is("one/usr/lib64/in", "in"))

			for _, path := range []string{"two/usr/bin/prog", "two/usr/bin", "two/usr/lib/lib.so", "two/usr/lib", "two/usr/lib/mutable", "two/usr", "two"} {
				s.remove(path)
			}
			soon(t, "a context goes", gone("two"))
			soon(t, "what is in it goes", gone("two/usr/bin/prog"))
			s.dir("two")
			s.file("two/usr", "again")
			soon(t, "the context comes again", is("two/usr", "again"))
		})
	}
}

// TestCacheOverRestart has another tree after the server was started again.
func TestCacheOverRestart(t *testing.T) {
	s := contextsTree()
	h := newFakeServer(t, s)
	point, _ := h.mountWith(Options{Context: "contexts", ReadOnly: true}, keptDirs, 20*time.Second)
	prog := filepath.Join(point, "one/usr/bin/prog")
	start(t, filepath.Join(point, "one"))
	for i := range 3 {
		h.stop()
		want := fmt.Sprintf("program %d", i)
		s.file("one/usr/bin/prog", want)
		s.mu.Lock()
		s.born += 1 << 32
		s.mu.Unlock()
		h.start()
		soon(t, want, func() bool { b, err := os.ReadFile(prog); return err == nil && string(b) == want })
	}
}

// TestCacheBounded caches more names than there is room for.
func TestCacheBounded(t *testing.T) {
	b := &bridge{inodes: newInodes(p9.QID{Type: p9.TypeDir}), readOnly: true}
	root := b.inode(1)
	for i := range 3 * maxCachedNames {
		b.cacheName(dentry{root, fmt.Sprint(i)}, cachedName{stamp: 1, none: true})
		if n := len(b.names); n == 0 || n > maxCachedNames {
			t.Fatalf("%d names", n)
		}
		if m, ok := b.cachedName(dentry{root, fmt.Sprint(i)}, 1); !ok || !m.none {
			t.Fatal("the last name is not cached")
		}
	}
	for i := range 10 {
		n := b.acquire(root, fmt.Sprint(i), p9.QID{Type: p9.TypeDir, Path: uint64(i) + 2}, b.attrOf(root), 1)
		b.cacheList(n, &entryList{stamp: 1, entries: make([]fuse.DirEntry, maxListed/4)})
		if b.listed > maxListed || b.cachedList(n, 1) == nil {
			t.Fatalf("%d names in lists", b.listed)
		}
		if i%2 == 0 {
			b.forget(n.id, 1)
		}
	}
	for _, n := range b.byID {
		b.forget(n.id, 1)
	}
	if b.listed != 0 {
		t.Errorf("%d names in lists of directories that are forgotten", b.listed)
	}
}

// TestOpenedFids keeps files open at the server that are not in use, until the tree
// changes, and not too many.
func TestOpenedFids(t *testing.T) {
	s := contextsTree()
	const files = openedMax + 50
	for i := range files {
		s.file(fmt.Sprintf("one/usr/lib/%d", i), "content")
	}
	h := newFakeServer(t, s)
	point, _ := h.mountWith(Options{Context: "contexts", ReadOnly: true}, keptDirs, lostGrace)
	for i := range files {
		if i%50 == 0 {
			time.Sleep(expired) // another question about the stamp
		}
		readFile(t, filepath.Join(point, "one/usr/lib", fmt.Sprint(i)))
	}
	const dirs = 4 // with the top
	soon(t, "as many files are open as may be", func() bool { return s.live.Load() == openedMax+dirs })
	s.remove("one/usr/lib/0")
	soon(t, "a file goes", func() bool {
		_, err := os.Stat(filepath.Join(point, "one/usr/lib/0"))
		return errors.Is(err, fs.ErrNotExist)
	})
	soon(t, "no file is open", func() bool { return s.live.Load() <= dirs })
}

// TestManyStarts starts programs from many goroutines while the tree changes.
func TestManyStarts(t *testing.T) {
	s := contextsTree()
	h := newFakeServer(t, s)
	point, _ := h.mountWith(Options{Context: "contexts", ReadOnly: true}, 3, 20*time.Second)
	done := make(chan struct{})
	var wg sync.WaitGroup
	for g := range 6 {
		wg.Go(func() {
			for {
				select {
				case <-done:
					return
				default:
				}
				start(t, filepath.Join(point, []string{"one", "two"}[g%2]))
			}
		})
	}
	prog := filepath.Join(point, "one/usr/bin/extra")
	for i := range 4 {
		want := fmt.Sprint(i)
		s.file("one/usr/bin/extra", want)
		soon(t, "the file of now", func() bool { b, err := os.ReadFile(prog); return err == nil && string(b) == want })
	}
	close(done)
	wg.Wait()
}
