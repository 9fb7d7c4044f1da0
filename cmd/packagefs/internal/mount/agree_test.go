package mount

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/hugelgupf/p9/p9"
)

// TestAgree changes files as other clients do, and looks at them through a mount that
// knows what they were. What that trusts at all it trusts for an hour here, so that
// nothing is right because time has passed.
func TestAgree(t *testing.T) {
	const data = "as it was"
	file := item{mode: p9.ModeRegular | 0o644, data: data}
	conf := file // of a package, not changed so far
	conf.edited, conf.qid.Version = true, 1
	dir := item{mode: p9.ModeDirectory | 0o755}
	link := item{mode: p9.ModeSymlink | 0o777, target: data}
	inPlace := func(do func(*item)) func(*memTree) {
		return func(s *memTree) { s.change("d/x", func(i *item) { i.qid.Version = 0; do(i) }) }
	}
	replaced := func(by item) func(*memTree) {
		return func(s *memTree) { s.put("d/x", by) }
	}
	for _, c := range []agreed{
		{"grows", &file, inPlace(func(i *item) { i.data += ", and more" }), "as it was, and more", seen{kind: 'f', data: "as it was, and more"}},
		{"shrinks", &file, inPlace(func(i *item) { i.data = "as" }), "as", seen{kind: 'f', data: "as"}},
		{"mode", &file, inPlace(func(i *item) { i.mode ^= 0o055 }), data, seen{kind: 'f', data: data, mode: 0o611}},
		{"times", &file, inPlace(func(i *item) { i.mtime = 99 }), data, seen{kind: 'f', data: data, mtime: 99}},
		{"another name", &file, inPlace(func(i *item) { i.nlink = 2 }), data, seen{kind: 'f', data: data, nlink: 2}},
		{"attribute", &file, inPlace(func(i *item) { i.xattrs = map[string]string{"user.x": "1"} }), data, seen{kind: 'f', data: data, xattr: "1"}},
		{"first change", &conf, inPlace(func(i *item) { i.data = "edited" }), "edited", seen{kind: 'f', data: "edited"}},
		{"first change of mode", &conf, inPlace(func(i *item) { i.mode ^= 0o055 }), data, seen{kind: 'f', data: data, mode: 0o611}},
		{"package's file gone", &conf, func(s *memTree) { s.remove("d/x") }, data, seen{}},
		{"package's file replaced", &conf, replaced(item{mode: p9.ModeRegular | 0o600, data: "other"}), data, seen{kind: 'f', data: "other", mode: 0o600}},
		{"gone", &file, func(s *memTree) { s.remove("d/x") }, data, seen{}},
		{"replaced", &file, replaced(item{mode: p9.ModeRegular | 0o600, data: "other"}), data, seen{kind: 'f', data: "other", mode: 0o600}},
		{"replaced by a directory", &file, replaced(dir), data, seen{kind: 'd'}},
		{"made", nil, replaced(file), "", seen{kind: 'f', data: data}},
		{"directory made", nil, replaced(dir), "", seen{kind: 'd'}},
		{"directory's mode", &dir, func(s *memTree) { s.change("d/x", func(i *item) { i.mode ^= 0o055 }) }, "", seen{kind: 'd', mode: 0o700}},
		{"directory's attribute", &dir, func(s *memTree) { s.change("d/x", func(i *item) { i.xattrs = map[string]string{"user.x": "1"} }) }, "", seen{kind: 'd', xattr: "1"}},
		{"directory gone", &dir, func(s *memTree) { s.remove("d/x") }, "", seen{}},
		{"directory replaced", &dir, replaced(file), "", seen{kind: 'f', data: data}},
		{"link gone", &link, func(s *memTree) { s.remove("d/x") }, "", seen{}},
		{"link replaced", &link, replaced(item{mode: p9.ModeSymlink | 0o777, target: "elsewhere"}), "", seen{kind: 'l', data: "elsewhere"}},
	} {
		for _, how := range []struct{ stamps, readOnly bool }{{true, false}, {false, false}, {true, true}} {
			if how.readOnly && (c.is == nil || c.is.mode.IsDir()) {
				continue // that may be seen later
			}
			t.Run(fmt.Sprintf("%s/%+v", c.name, how), func(t *testing.T) { c.check(t, how.stamps, how.readOnly) })
		}
	}
}

// agreed is a change of d/x by another client.
type agreed struct {
	name   string
	is     *item // nil for a name that does not exist
	change func(*memTree)
	open   string // what the file has for who opened it before
	want   seen
}

func (c *agreed) check(t *testing.T, stamps, readOnly bool) {
	s := newMemTree()
	if stamps {
		s.depth = 0
	}
	s.put("d", item{mode: p9.ModeDirectory | 0o755, qid: p9.QID{Version: 1}}) // a package has it
	if c.is != nil {
		s.put("d/x", *c.is)
	}
	h := newFakeServer(t, s)
	o := Options{Server: h.addr, ReadOnly: readOnly}
	l, err := newConnection(t.Context(), connector(o, keptDirs))
	if err != nil {
		t.Fatal(err)
	}
	b := newBridge(l, &o)
	b.ttl = time.Hour
	x := filepath.Join(h.mountBridge(b, o), "d/x")

	var open *os.File
	if c.is != nil && c.is.target == "" {
		if open, err = os.Open(x); err != nil {
			t.Fatal(err)
		}
		defer open.Close()
	}
	before := lookAt(t, x)
	if got := lookAt(t, x); got != before {
		t.Fatalf("it is %+v, and then %+v", before, got)
	}
	_, _ = os.Lstat(x) // reading makes the kernel ask again, this does not
	c.change(s)
	if open != nil {
		checkOpen(t, open, c.open, c.want)
	}
	if got := lookAt(t, x); got != c.want.full() {
		t.Errorf("it was %+v and is %+v, want %+v", before, got, c.want.full())
	}
}

// checkOpen looks at what was opened before a change by its descriptor.
func checkOpen(t *testing.T, f *os.File, data string, want seen) {
	t.Helper()
	info, err := f.Stat()
	if want.kind != 'd' && (errors.Is(err, syscall.ESTALE) || errors.Is(err, syscall.ENOENT)) {
		return // a directory that is gone
	}
	if err != nil {
		t.Fatal(err)
	}
	got := seen{kind: want.kind, mode: info.Mode().Perm(), mtime: info.ModTime().Unix(), nlink: uint64(info.Sys().(*syscall.Stat_t).Nlink)}
	if !info.IsDir() {
		buf := make([]byte, 100)
		n, _ := f.ReadAt(buf, 0)
		got.data = string(buf[:n])
		if info.Size() != int64(len(data)) || got.data != data {
			t.Errorf("by descriptor it has size %d and is %q, want %q", info.Size(), got.data, data)
		}
	}
	want.xattr = ""
	if want = want.full(); got.data == want.data && got != want {
		t.Errorf("by descriptor it is %+v, want %+v", got, want)
	}
}

// seen is what a program sees of a name: what it is, 0 for nothing, and more.
type seen struct {
	kind  byte   // f, d or l
	data  string // or target
	xattr string // user.x
	mode  fs.FileMode
	mtime int64
	nlink uint64
}

// full sets what a tree has where nothing else is said.
func (s seen) full() seen {
	if s.kind == 0 {
		return s
	}
	if s.mode == 0 {
		s.mode = map[byte]fs.FileMode{'f': 0o644, 'd': 0o755, 'l': 0o777}[s.kind]
	}
	if s.mtime == 0 {
		s.mtime = 1_500_000_000
	}
	s.nlink = max(s.nlink, 1)
	return s
}

func lookAt(t *testing.T, name string) (s seen) {
	t.Helper()
	info, err := os.Lstat(name)
	if errors.Is(err, fs.ErrNotExist) {
		return s
	}
	if err != nil {
		t.Fatal(err)
	}
	s = seen{kind: 'f', mode: info.Mode().Perm(), mtime: info.ModTime().Unix(), nlink: uint64(info.Sys().(*syscall.Stat_t).Nlink)}
	var size int
	switch {
	case info.IsDir():
		s.kind = 'd'
	case info.Mode()&fs.ModeSymlink != 0:
		s.kind = 'l'
		s.data, err = os.Readlink(name)
		size = len(s.data)
	default:
		s.data = readFile(t, name)
		size = len(s.data)
	}
	if err != nil || int64(size) != info.Size() {
		t.Errorf("%s has size %d, and %d bytes are read, %v", name, info.Size(), size, err)
	}
	if s.kind != 'l' {
		buf := make([]byte, 100)
		n, _ := syscall.Getxattr(name, "user.x", buf)
		s.xattr = string(buf[:max(n, 0)])
	}
	return s
}
