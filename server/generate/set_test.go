package generate

import (
	stdcontext "context"
	"debug/elf"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/packagefs/packagefs/pkgindex"
	"github.com/packagefs/packagefs/pkgindex/format/mkpkg"
	"github.com/packagefs/packagefs/pkgindex/pkgmeta"
	"github.com/packagefs/packagefs/union"
)

// shop is a package directory with a store that follows it.
type shop struct {
	*testing.T
	dir   string
	store *pkgindex.Store
}

func newShop(t *testing.T, specs ...mkpkg.Spec) *shop {
	s := &shop{T: t, dir: t.TempDir()}
	for _, spec := range specs {
		s.install(spec)
	}
	store, err := pkgindex.Open(pkgindex.Config{Packages: []string{s.dir}, State: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	s.store = store
	ctx, cancel := stdcontext.WithCancel(stdcontext.Background())
	ended := make(chan struct{})
	go func() { store.Run(ctx); close(ended) }()
	t.Cleanup(func() { cancel(); <-ended })
	s.settle()
	return s
}

func (s *shop) install(spec mkpkg.Spec) {
	s.Helper()
	tmp := filepath.Join(s.TempDir(), "x")
	f, err := os.Create(tmp)
	if err != nil {
		s.Fatal(err)
	}
	err = errors.Join(mkpkg.Deb(f, spec), f.Close(), os.Rename(tmp, filepath.Join(s.dir, spec.Name+".deb")))
	if err != nil {
		s.Fatal(err)
	}
}

func (s *shop) settle() {
	s.Helper()
	if err := s.store.Settle(stdcontext.Background()); err != nil {
		s.Fatal(err)
	}
}

// tree returns the tree of the packages with these names, in this order.
func (s *shop) tree(generators []union.Generator, prev *union.Tree, names ...string) *union.Tree {
	s.Helper()
	var packages []*pkgindex.Package
	for _, name := range names {
		named := s.store.Set().Named(name)
		if len(named) == 0 {
			s.Fatalf("%s is not installed", name)
		}
		packages = append(packages, named...)
	}
	return union.Extras{Generators: generators}.NewTree(packages, prev)
}

// at returns what a tree has at a path: the content, or "-> " and a target.
func (s *shop) at(t *union.Tree, path string) string {
	s.Helper()
	served, _, err := t.Lookup(path)
	if err != nil {
		return err.Error()
	}
	if served[0].Inode.Type == pkgmeta.Symlink {
		return "-> " + served[0].Target
	}
	layers, err := served[0].Package.Layers()
	if err != nil {
		s.Fatal(err)
	}
	l := &layers[0]
	ino, _ := l.Lookup(path)
	if late := l.Lazy(ino); late != nil {
		content, _ := late.Content(true)
		return string(content)
	}
	content := make([]byte, l.Inode(ino).Size)
	payload, err := served[0].Package.Payload()
	if err != nil {
		s.Fatal(err)
	}
	defer payload.Close()
	if _, err := payload.ReadAt(content, l.Offset(ino)); err != nil {
		s.Fatal(err)
	}
	return string(content)
}

func object(path, soname string) mkpkg.File {
	return mkpkg.File{Path: path, Body: mkpkg.SharedObject(elf.EM_X86_64, soname)}
}

// readCache reads a cache as the loader's documentation has it, and checks that
// the loader's search finds each name.
func readCache(t *testing.T, cache string) (lines []string) {
	t.Helper()
	if cache == "" {
		return nil
	}
	b, le := []byte(cache), binary.LittleEndian
	if string(b[:20]) != "glibc-ld.so.cache1.1" || b[28] != 2 {
		t.Fatalf("no cache: %q", cache[:min(len(cache), 48)])
	}
	n, size := int(le.Uint32(b[20:])), int(le.Uint32(b[24:]))
	if 48+24*n+size != len(b) {
		t.Fatalf("%d entries and %d bytes of text make no %d bytes", n, size, len(b))
	}
	text := func(at int) string {
		off := le.Uint32(b[at:])
		s, _, ok := strings.Cut(cache[off:], "\x00")
		if !ok {
			t.Fatalf("a text has no end at %d", off)
		}
		return s
	}
	var names []string
	for i := range n {
		e := 48 + 24*i
		names = append(names, text(e+4))
		lines = append(lines, fmt.Sprintf("%s=%s %#x", text(e+4), text(e+8), le.Uint32(b[e:])))
	}
	for _, want := range names {
		lo, hi, found := 0, n-1, false
		for lo <= hi && !found {
			mid := (lo + hi) / 2
			switch c := compareSonames(want, names[mid]); {
			case c == 0:
				found = true
			case c < 0:
				lo = mid + 1
			default:
				hi = mid - 1
			}
		}
		if !found {
			t.Errorf("a search does not find %s in %q", want, names)
		}
	}
	return lines
}

// TestLinkerCache tells in stories which libraries the loader finds.
func TestLinkerCache(t *testing.T) {
	long := strings.Repeat("9", 20)
	s := newShop(t,
		mkpkg.Spec{Name: "one", Files: []mkpkg.File{
			object("usr/lib/x86_64-linux-gnu/libone.so.1.2", "libone.so.1"), {Path: "usr/lib/x86_64-linux-gnu/libone.so.1", Target: "libone.so.1.2"},
			{Path: "usr/lib/x86_64-linux-gnu/libone.so", Target: "libone.so.1.2"}}},
		mkpkg.Spec{Name: "unlinked", Files: []mkpkg.File{object("lib/libun.so.1.9", "libun.so.1"), object("lib/libun.so.1.10", "libun.so.1")}},
		mkpkg.Spec{Name: "nameless", Files: []mkpkg.File{object("usr/lib/libnone.so", ""), object("usr/lib/ld-odd.so.2", "ld-odd.so.2"), object("usr/lib/other.so", "other.so")}},
		mkpkg.Spec{Name: "odd", Files: []mkpkg.File{object("opt/odd/lib/libodd.so.3", "libodd.so.3"), object("opt/odd/lib/libone.so.1", "libone.so.1")}},
		mkpkg.Spec{Name: "conf", Files: []mkpkg.File{{Path: "etc/ld.so.conf.d/odd.conf", Body: "# libraries\n/opt/odd/lib # here\n/nowhere\nrelative\n"}}},
		mkpkg.Spec{Name: "main", Files: []mkpkg.File{{Path: "etc/ld.so.conf", Body: "include /etc/ld.so.conf.d/*.conf ld.so.conf\ninclude more/*\n/lib"}, {Path: "etc/more/x", Body: "/opt/odd/lib"}}},
		mkpkg.Spec{Name: "bad", Files: []mkpkg.File{
			{Path: "usr/lib/libtext.so", Body: "INPUT ( x )"}, object("usr/lib/libslash.so", "../../etc/x"), object("usr/lib/libbig.so."+long, "libbig.so."+long),
			{Path: "usr/lib/libloop.so", Target: "libloop.so"}, {Path: "usr/lib/libdir.so/", Mode: 0o755}, {Path: "usr/lib/libarm.so.1", Body: mkpkg.SharedObject(elf.EM_ARM, "libarm.so.1")},
		}},
		mkpkg.Spec{Name: "arm", Files: []mkpkg.File{{Path: "usr/lib/aarch64-linux-gnu/libone.so.1", Body: mkpkg.SharedObject(elf.EM_AARCH64, "libone.so.1")}}},
		mkpkg.Spec{Name: "elsewhere", Files: []mkpkg.File{{Path: "usr/lib/libelse.so.1", Target: "/usr/share/else/libelse.so.1"}, object("usr/share/else/libelse.so.1", "libelse.so.1")}},
		mkpkg.Spec{Name: "plugin", Files: []mkpkg.File{object("usr/lib/app/libplugin.so", "libplugin.so")}},
		mkpkg.Spec{Name: "own", Files: []mkpkg.File{{Path: "etc/ld.so.cache", Body: "the package's own"}}},
	)
	g := (&Set{}).For(nil, nil)
	const one = "libone.so.1=/usr/lib/x86_64-linux-gnu/libone.so.1 0x303"
	for _, c := range []struct{ packages, want string }{
		{"one", one},
		{"unlinked", "libun.so.1=/usr/lib/libun.so.1.10 0x303"},
		{"nameless", "libnone.so=/usr/lib/libnone.so 0x303\nld-odd.so.2=/usr/lib/ld-odd.so.2 0x303"},
		{"odd", "no such file or directory"},
		{"odd conf", "libone.so.1=/opt/odd/lib/libone.so.1 0x303\nlibodd.so.3=/opt/odd/lib/libodd.so.3 0x303"},
		{"one odd conf", "libone.so.1=/opt/odd/lib/libone.so.1 0x303\n" + one + "\nlibodd.so.3=/opt/odd/lib/libodd.so.3 0x303"},
		{"one odd main", "libone.so.1=/opt/odd/lib/libone.so.1 0x303\n" + one + "\nlibodd.so.3=/opt/odd/lib/libodd.so.3 0x303"},
		{"bad", "no such file or directory"},
		{"bad one", one},
		{"one arm", "libone.so.1=/usr/lib/aarch64-linux-gnu/libone.so.1 0xa03\n" + one},
		{"elsewhere", "libelse.so.1=/usr/lib/libelse.so.1 0x303"},
		{"plugin", "no such file or directory"},
	} {
		got := s.at(s.tree(g, nil, strings.Fields(c.packages)...), "etc/ld.so.cache")
		if strings.HasPrefix(got, cacheMagic) {
			got = strings.Join(readCache(t, got), "\n")
		}
		if got != c.want {
			t.Errorf("%s: got\n%s\nwant\n%s", c.packages, got, c.want)
		}
	}
	if got := s.at(s.tree(g, nil, "one", "own"), "etc/ld.so.cache"); got != "the package's own" {
		t.Errorf("beside a package's own it is %q", got)
	}
	// Nothing is left in trees that have nothing to find.
	if _, ok := s.tree(g, nil, "plugin", "bad").FollowDir("etc"); ok {
		t.Error("a tree without libraries has a directory for their cache")
	}
	served, _, err := s.tree(g, nil, "one", "odd", "conf").Lookup("etc/ld.so.cache")
	if err != nil || served[0].Made != "finds the shared libraries of conf=1.0-1, odd=1.0-1, one=1.0-1" {
		t.Errorf("it is made of %q, %v", served[0].Made, err)
	}
}

// TestKept has trees share what is the same, over generations and with others.
func TestKept(t *testing.T) {
	s := newShop(t, mkpkg.Spec{Name: "one", Files: []mkpkg.File{object("usr/lib/libone.so.1", "libone.so.1"), {Path: "usr/bin/sh", Body: "sh", Mode: 0o755}}},
		mkpkg.Spec{Name: "data", Files: []mkpkg.File{{Path: "usr/share/data", Body: "data"}}})
	set := &Set{}
	made := func(tree *union.Tree, path string) *pkgindex.Package {
		served, _, err := tree.Lookup(path)
		if err != nil {
			t.Fatal(err)
		}
		return served[0].Package
	}
	first := s.tree(set.For(nil, nil), nil, "one")
	next := s.tree(set.For(nil, nil), first, "one", "data")
	for _, path := range []string{"etc/shells", "etc/ld.so.cache"} {
		if p := made(first, path); !p.Synthetic() || made(next, path) != p {
			t.Errorf("%s is made anew for a tree in which nothing of it is different", path)
		}
	}
	if n := len(set.kept); n != 2 {
		t.Errorf("%d packages are kept, want 2", n)
	}
}

// TestOff leaves away what is not wanted.
func TestOff(t *testing.T) {
	s := newShop(t, mkpkg.Spec{Name: "one", Files: []mkpkg.File{object("usr/lib/libone.so.1", "libone.so.1"), {Path: "usr/bin/sh", Body: "sh", Mode: 0o755}}})
	if got := strings.Join(Names(), " "); got != "alternatives services shells info ld.so.cache" {
		t.Errorf("generators: %s", got)
	}
	for _, c := range []struct {
		off           []string
		shells, cache bool
	}{{nil, true, true}, {[]string{"shells"}, false, true}, {[]string{"ld.so.cache"}, true, false}, {Names(), false, false}} {
		tree := s.tree((&Set{Off: c.off}).For(nil, nil), nil, "one")
		_, _, shells := tree.Lookup("etc/shells")
		_, _, cache := tree.Lookup("etc/ld.so.cache")
		if (shells == nil) != c.shells || (cache == nil) != c.cache {
			t.Errorf("without %q: shells %v, cache %v", c.off, shells, cache)
		}
	}
}

// TestFailures keeps what goes wrong in a generator from the tree and from the
// other generators, and tells of it once.
func TestFailures(t *testing.T) {
	s := newShop(t, mkpkg.Spec{Name: "one", Files: []mkpkg.File{{Path: "usr/bin/sh", Body: "sh", Mode: 0o755}}})
	var told []string
	set := &Set{Failed: func(name, reason string) { told = append(told, name+": "+reason) }}
	bad := []union.Generator{
		&generator{set, "panics", func(*union.Tree) ([]file, error) { panic("at once") }},
		&generator{set, "fails", func(*union.Tree) ([]file, error) { return nil, errors.New("cannot") }},
		&generator{set, "panics late", func(*union.Tree) ([]file, error) {
			return []file{{path: "etc/a", late: func() ([]byte, string, error) { panic("later") }}}, nil
		}},
		&generator{set, "fails late", func(*union.Tree) ([]file, error) {
			return []file{{path: "etc/b", late: func() ([]byte, string, error) { return []byte("half"), "", errors.New("cannot either") }}}, nil
		}},
	}
	for range 2 {
		tree := s.tree(slices.Concat(bad, set.For(nil, nil)), nil, "one")
		for _, path := range []string{"etc/a", "etc/b"} {
			if got := s.at(tree, path); got != "no such file or directory" {
				t.Errorf("%s is %q", path, got)
			}
		}
		if got := s.at(tree, "etc/shells"); !strings.HasSuffix(got, "/bin/sh\n/usr/bin/sh\n") {
			t.Errorf("the shells are %q", got)
		}
	}
	want := []string{"panics: panic: at once", "fails: cannot", "panics late: panic: later", "fails late: cannot either"}
	if !slices.Equal(told, want) {
		t.Errorf("told of %q, want %q", told, want)
	}
}

// TestCompareSonames orders names as the loader does.
func TestCompareSonames(t *testing.T) {
	ordered := []string{"a", "libc.so", "libc.so.6", "libc.so.10", "libc.so.10.1", "libc1", "libm.so.6"}
	for i, a := range ordered {
		for j, b := range ordered {
			if got := compareSonames(a, b); (got < 0) != (i < j) || (got > 0) != (i > j) {
				t.Errorf("%s and %s: %d", a, b, got)
			}
		}
	}
	for name, want := range map[string]bool{"libc.so.6": true, "": false, "a/b": false, "lib\x01": false, "libé.so": false, "lib0123456789": false, "lib012345678.9": true} {
		if usableName(name) != want {
			t.Errorf("%q is usable: %v", name, !want)
		}
	}
}
