package mount

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/hugelgupf/p9/p9"

	"github.com/packagefs/packagefs/server/p9l/client"
)

func TestTree(t *testing.T) {
	t.Run("engine", func(t *testing.T) { testTree(t, false) })
	t.Run("foreign server", func(t *testing.T) { testTree(t, true) })
}

func testTree(t *testing.T, foreign bool) {
	s := newMemTree()
	s.dir("usr")
	s.dir("usr/bin")
	s.file("usr/bin/prog", "#!/bin/sh\n").mode |= 0o4111
	s.file("usr/empty", "")
	s.link("usr/link", "bin/prog")
	a := s.file("usr/one", "twice")
	b := s.put("usr/two", *a)
	a.nlink, b.nlink = 2, 2
	s.put("usr/mutable", item{mode: p9.ModeRegular | 0o600, data: "changes"})
	point := startFakeServer(&fakeServer{t: t, tree: s, foreign: foreign}).mountIt(keptDirs)

	var got []string
	err := filepath.WalkDir(point, func(p string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		fi, err := os.Lstat(p)
		if err != nil {
			return err
		}
		st := fi.Sys().(*syscall.Stat_t)
		line := fmt.Sprintf("%s %v %d %d:%d %d %d", strings.TrimPrefix(p, point), d.Type(), st.Mode, st.Uid, st.Gid, fi.Size(), fi.ModTime().Unix())
		switch {
		case fi.Mode().IsRegular():
			line += fmt.Sprintf(" %d %q", st.Nlink, readFile(t, p))
		case fi.Mode()&fs.ModeSymlink != 0:
			target, err := os.Readlink(p)
			line += fmt.Sprintf(" %q %v", target, err)
		}
		got = append(got, line)
		return nil
	})
	want := []string{
		" d--------- 16877 7:8 0 1500000000",
		"/usr d--------- 16877 7:8 0 1500000000",
		"/usr/bin d--------- 16877 7:8 0 1500000000",
		`/usr/bin/prog ---------- 35309 7:8 10 1500000000 1 "#!/bin/sh\n"`,
		`/usr/empty ---------- 33188 7:8 0 1500000000 1 ""`,
		`/usr/link L--------- 41471 7:8 8 1500000000 "bin/prog" <nil>`,
		`/usr/mutable ---------- 33152 7:8 7 1500000000 1 "changes"`,
		`/usr/one ---------- 33188 7:8 5 1500000000 2 "twice"`,
		`/usr/two ---------- 33188 7:8 5 1500000000 2 "twice"`,
	}
	if err != nil || !slices.Equal(got, want) {
		t.Errorf("%v, tree:\n%s\nwant:\n%s", err, strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	one, _ := os.Stat(filepath.Join(point, "usr/one"))
	two, _ := os.Stat(filepath.Join(point, "usr/two"))
	if !os.SameFile(one, two) {
		t.Error("the names of a hard link are different files")
	}
	if ino := one.Sys().(*syscall.Stat_t).Ino; ino != a.qid.Path {
		t.Errorf("inode number %d, want qid.path %d", ino, a.qid.Path)
	}
	var st syscall.Statfs_t
	if err := syscall.Statfs(point, &st); err != nil || st.Files != 77 || st.Namelen != 255 {
		t.Errorf("statfs %+v, %v", st, err)
	}
	if _, err := os.Stat(filepath.Join(point, strings.Repeat("n", 256))); !errors.Is(err, syscall.ENAMETOOLONG) {
		t.Errorf("a long name: %v", err)
	}
	if err := os.WriteFile(filepath.Join(point, "new"), nil, 0o644); !errors.Is(err, syscall.ENOSYS) {
		t.Errorf("create: %v, want what the server says, ENOSYS", err)
	}
}

// TestKept shows that an immutable file is read from the server once.
func TestKept(t *testing.T) {
	s := newMemTree()
	s.file("kept", strings.Repeat("k", 300_000))
	point := newFakeServer(t, s).mountIt(keptDirs)
	name := filepath.Join(point, "kept")
	first := readFile(t, name)
	reads := s.reads.Load()
	if reads == 0 {
		t.Fatal("the server was not asked")
	}
	for range 5 {
		if readFile(t, name) != first {
			t.Fatal("different content")
		}
	}
	if n := s.reads.Load(); n != reads {
		t.Errorf("%d more reads of a file that cannot change", n-reads)
	}
}

// TestLive changes the tree under the mount.
func TestLive(t *testing.T) {
	s := newMemTree()
	s.dir("d")
	s.file("d/stays", "1")
	s.file("d/replaced", "old")
	mutable := item{mode: p9.ModeRegular | 0o644, data: "before"}
	mutable.qid.Path = s.put("d/mutable", mutable).qid.Path
	point := newFakeServer(t, s).mountIt(keptDirs)
	at := func(name string) string { return filepath.Join(point, "d", name) }

	old, err := os.Open(at("replaced"))
	if err != nil {
		t.Fatal(err)
	}
	defer old.Close()
	for name, want := range map[string]string{"stays": "1", "replaced": "old", "mutable": "before"} {
		if got := readFile(t, at(name)); got != want {
			t.Errorf("%s is %q", name, got)
		}
	}
	if _, err := os.Stat(at("later")); !errors.Is(err, fs.ErrNotExist) {
		t.Fatal(err)
	}

	s.file("d/later", "came")
	s.file("d/replaced", "new")
	mutable.data = "after it was changed"
	s.put("d/mutable", mutable)
	s.remove("d/stays")
	s.dir("d/stays")
	s.file("d/stays/in", "a directory now")

	read := func(name, want string) func() bool {
		return func() bool { b, err := os.ReadFile(at(name)); return err == nil && string(b) == want }
	}
	soon(t, "the new file is there", read("later", "came"))
	soon(t, "the file is replaced", read("replaced", "new"))
	soon(t, "the mutable file has changed", read("mutable", mutable.data))
	soon(t, "the file is a directory", read("stays/in", "a directory now"))
	list, err := os.ReadDir(filepath.Join(point, "d"))
	if err != nil || len(list) != 4 {
		t.Errorf("list %v, %v", list, err)
	}
	if b, err := io.ReadAll(old); string(b) != "old" || err != nil {
		t.Errorf("the file that was open reads %q, %v", b, err)
	}
	s.remove("d/later")
	soon(t, "the file is gone", func() bool { _, err := os.Stat(at("later")); return errors.Is(err, fs.ErrNotExist) })
}

// TestSameQID has one qid at several places: the directories of equal trees,
// and a mutable file with a copy of its own in each.
func TestSameQID(t *testing.T) {
	s := newMemTree()
	etc := p9.QID{Path: 1000}
	conf := p9.QID{Path: 1001}
	for _, user := range []string{"alice", "bob"} {
		s.dir(user)
		s.put(user+"/etc", item{mode: p9.ModeDirectory | 0o755, qid: etc})
		s.put(user+"/etc/conf", item{mode: p9.ModeRegular | 0o644, qid: conf, data: user})
		s.file(user+"/etc/of-"+user, "")
	}
	point := newFakeServer(t, s).mountIt(keptDirs)
	for range 3 {
		for _, user := range []string{"alice", "bob"} {
			dir := filepath.Join(point, user, "etc")
			list, err := os.ReadDir(dir)
			if err != nil || len(list) != 2 || list[1].Name() != "of-"+user {
				t.Errorf("%s sees %v, %v", user, list, err)
			}
			if got := readFile(t, filepath.Join(dir, "conf")); got != user {
				t.Errorf("%s reads %q", user, got)
			}
		}
	}
}

// TestFidsBounded visits more directories than fids are kept, with many
// goroutines.
func TestFidsBounded(t *testing.T) {
	s := newMemTree()
	const dirs, files, kept = 60, 40, 10
	for i := range dirs {
		dir := fmt.Sprintf("d%02d", i)
		s.dir(dir)
		s.dir(dir + "/sub")
		for j := range files {
			s.file(fmt.Sprintf("%s/sub/f%02d", dir, j), dir)
		}
	}
	point := newFakeServer(t, s).mountIt(kept)
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			count := 0
			err := filepath.WalkDir(point, func(p string, d fs.DirEntry, err error) error {
				if err != nil {
					return err
				}
				if _, err := d.Info(); err != nil {
					return err
				}
				count++
				if !d.IsDir() && count%7 == 0 {
					if got, want := readFile(t, p), filepath.Base(filepath.Dir(filepath.Dir(p))); got != want {
						t.Errorf("%s is %q", p, got)
					}
				}
				return nil
			})
			if want := 1 + dirs*(2+files); err != nil || count != want {
				t.Errorf("%d files, %v; want %d", count, err, want)
			}
		})
	}
	wg.Wait()
	soon(t, "no more fids than directories kept, and the root", func() bool { return s.live.Load() <= kept+1 })
}

func TestBigRead(t *testing.T) {
	s := newMemTree()
	var b strings.Builder
	for i := range 500_000 {
		fmt.Fprintf(&b, "%09d\n", i)
	}
	data := b.String()
	s.file("big", data)
	point := newFakeServer(t, s).mountIt(keptDirs)
	f, err := os.Open(filepath.Join(point, "big"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for _, at := range []int{4_000_000, 17, 0, len(data) - 3} {
		p := make([]byte, 1_300_000)
		n, err := f.ReadAt(p, int64(at))
		want := data[at:min(at+len(p), len(data))]
		if string(p[:n]) != want || err != nil && !errors.Is(err, io.EOF) {
			t.Errorf("at %d: %d bytes, %v; want %d", at, n, err, len(want))
		}
	}
	if readFile(t, f.Name()) != data {
		t.Error("the whole file is different")
	}
}

// TestRestart stops the server and starts it again, with something changed.
func TestRestart(t *testing.T) {
	s := newMemTree()
	s.dir("d")
	long := strings.Repeat("x", 3_000_000)
	s.file("d/same", long)
	s.file("d/other", long)
	s.put("d/mutable", item{mode: p9.ModeRegular | 0o644, data: long})
	h := newFakeServer(t, s)
	point, _ := h.mountConnection(keptDirs, 20*time.Second)
	open := map[string]*os.File{}
	for _, name := range []string{"same", "other", "mutable"} {
		f, err := os.Open(filepath.Join(point, "d", name))
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		open[name] = f
	}
	h.stop()
	s.file("d/other", strings.Repeat("y", len(long)))
	done := make(chan struct{})
	go func() { // waits for the server
		defer close(done)
		if list, err := os.ReadDir(filepath.Join(point, "d")); err != nil || len(list) != 3 {
			t.Errorf("list %v, %v", list, err)
		}
	}()
	h.start()
	<-done
	if b, err := io.ReadAll(open["same"]); string(b) != long || err != nil {
		t.Errorf("an open file that stayed: %d bytes, %v", len(b), err)
	}
	for _, name := range []string{"other", "mutable"} {
		if b, err := io.ReadAll(open[name]); !errors.Is(err, syscall.ESTALE) {
			t.Errorf("%s: %d bytes, %v, want ESTALE", name, len(b), err)
		}
	}
	soon(t, "a file opened now has the content of now", func() bool {
		return strings.HasPrefix(readFile(t, filepath.Join(point, "d/other")), "y")
	})
}

// TestServerGone has a server that does not come back at first.
func TestServerGone(t *testing.T) {
	s := newMemTree()
	s.file("f", "content")
	h := newFakeServer(t, s)
	point, l := h.mountConnection(keptDirs, 10*time.Millisecond)
	before, err := l.get(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	h.stop()
	<-before.conn.Dead()
	if _, err := os.ReadFile(filepath.Join(point, "f")); !errors.Is(err, syscall.EHOSTDOWN) {
		t.Errorf("%v, want EHOSTDOWN", err)
	}
	h.start()
	soon(t, "the file is back", func() bool {
		b, err := os.ReadFile(filepath.Join(point, "f"))
		return err == nil && string(b) == "content"
	})
}

func TestXattrs(t *testing.T) {
	s := newMemTree()
	s.dir("d").xattrs = map[string]string{"trusted.of-dir": "1"}
	s.file("has", "").xattrs = map[string]string{"user.a": "one", "user.b": ""}
	s.file("plain", "")
	s.file("told", "").xattrs = map[string]string{"user.packagefs.package": "p=1"}
	s.put("mutable", item{mode: p9.ModeRegular | 0o644})
	point := newFakeServer(t, s).mountIt(keptDirs)
	at := func(name string) string { return filepath.Join(point, name) }
	buf := make([]byte, 100)

	for _, c := range []struct {
		file, name, value string
		err               error
	}{
		{"has", "user.a", "one", nil}, {"has", "user.b", "", nil}, {"has", "user.c", "", syscall.ENODATA},
		{"d", "trusted.of-dir", "1", nil}, {"d", "user.a", "", syscall.ENODATA},
		{"told", "user.a", "", syscall.ENODATA}, {"told", "user.packagefs.package", "p=1", nil}, {"plain", "user.packagefs.package", "", syscall.ENODATA},
		{"plain", "user.a", "", syscall.ENODATA}, {"mutable", "user.a", "", syscall.ENODATA},
	} {
		n, err := syscall.Getxattr(at(c.file), c.name, buf)
		if !errors.Is(err, c.err) || string(buf[:max(n, 0)]) != c.value {
			t.Errorf("getxattr %s %s: %q, %v", c.file, c.name, buf[:max(n, 0)], err)
		}
	}
	for file, want := range map[string]string{"has": "user.a\x00user.b\x00", "plain": "", "told": "", "mutable": "", "d": "trusted.of-dir\x00"} {
		n, err := syscall.Listxattr(at(file), buf)
		if err != nil || string(buf[:max(n, 0)]) != want {
			t.Errorf("listxattr %s: %q, %v", file, buf[:max(n, 0)], err)
		}
	}
	if n, err := syscall.Getxattr(at("has"), "user.a", nil); n != 3 || err != nil {
		t.Errorf("length of user.a: %d, %v", n, err)
	}
	if _, err := syscall.Getxattr(at("has"), "user.a", make([]byte, 2)); !errors.Is(err, syscall.ERANGE) {
		t.Errorf("too small a buffer: %v", err)
	}
	asked := s.xattrs.Load()
	for range 5 {
		_, _ = syscall.Getxattr(at("plain"), "security.capability", buf)
	}
	if n := s.xattrs.Load(); n != asked {
		t.Errorf("%d more questions about an immutable file without attributes", n-asked)
	}
}

// TestInterrupt kills a program that waits for a server that is gone.
func TestInterrupt(t *testing.T) {
	s := newMemTree()
	s.file("f", "content")
	h := newFakeServer(t, s)
	point, l := h.mountConnection(keptDirs, time.Hour)
	h.stop()
	cat := exec.Command("cat", filepath.Join(point, "f"))
	if err := cat.Start(); err != nil {
		t.Fatal(err)
	}
	soon(t, "the program waits", func() bool {
		l.mu.Lock()
		defer l.mu.Unlock()
		return l.next != nil
	})
	if err := cat.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	if err := cat.Wait(); err == nil {
		t.Error("the program read a file of no server")
	}
}

// TestManyAtOnce uses one mount from many goroutines while the server is
// stopped and started, and the tree changes.
func TestManyAtOnce(t *testing.T) {
	s := newMemTree()
	for i := range 20 {
		s.dir(fmt.Sprint(i))
		for j := range 10 {
			s.file(fmt.Sprintf("%d/%d", i, j), strings.Repeat(fmt.Sprint(i), 10_000))
		}
	}
	h := newFakeServer(t, s)
	point, _ := h.mountConnection(5, 20*time.Second)
	var wg sync.WaitGroup
	for g := range 8 {
		wg.Go(func() {
			for n := range 150 {
				i, j := (n*7+g)%20, n%10
				got, err := os.ReadFile(filepath.Join(point, fmt.Sprint(i), fmt.Sprint(j)))
				if want := strings.Repeat(fmt.Sprint(i), 10_000); err != nil || string(got) != want {
					t.Errorf("%d/%d: %d bytes, %v", i, j, len(got), err)
				}
			}
		})
	}
	for i := range 5 {
		s.file(fmt.Sprintf("new-%d", i), "")
		h.stop()
		h.start()
		time.Sleep(50 * time.Millisecond)
	}
	wg.Wait()
}

func TestKernelOptions(t *testing.T) {
	ctx := t.Context()
	for _, c := range []struct {
		o               Options
		source, options string
	}{
		{
			Options{Server: client.Addr{Network: "unix", Address: "/run/x"}, Context: "package:hello"},
			"/run/x", "version=9p2000.L,uname=root,trans=unix,aname=package:hello,access=user,cache=mmap,msize=131072,negtimeout=1000",
		},
		{
			Options{Server: client.Addr{Network: "tcp", Address: "127.0.0.1:5640"}, MessageSize: 8192, Cache: "loose", Access: "any"},
			"127.0.0.1", "version=9p2000.L,uname=root,trans=tcp,port=5640,privport,access=any,cache=loose,msize=8192,negtimeout=1000",
		},
	} {
		source, options, err := c.o.kernel(ctx)
		if source != c.source || options != c.options || err != nil {
			t.Errorf("%+v: %q %q, %v", c.o, source, options, err)
		}
	}
	long := Options{Server: client.Addr{Network: "unix", Address: "/" + strings.Repeat("x", 120)}}
	if _, _, err := long.kernel(ctx); err == nil {
		t.Error("a socket path that the kernel cannot take is taken")
	}
}
