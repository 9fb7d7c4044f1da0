package pkgindex_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/packagefs/packagefs/pkgindex"
	"github.com/packagefs/packagefs/pkgindex/format/mkpkg"
	"github.com/packagefs/packagefs/pkgindex/pkgmeta"
)

// shop is a package directory, and the store that follows it.
type shop struct {
	*testing.T
	dir, state string
	trust      string // of Config
	require    bool   // likewise
	store      *pkgindex.Store
	stop       func()
	onDamage   func(pkgindex.FileDamage)
}

func newShop(t *testing.T) *shop {
	s := &shop{T: t, dir: t.TempDir(), state: t.TempDir()}
	s.start()
	return s
}

func (s *shop) start() {
	s.Helper()
	store, err := pkgindex.Open(pkgindex.Config{
		Packages: []string{s.dir}, State: s.state, Trust: s.trust, RequireSignatures: s.require, OnDamage: s.onDamage,
	})
	if err != nil {
		s.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() { store.Run(ctx); close(ended) }()
	s.store, s.stop = store, func() { cancel(); <-ended }
	s.Cleanup(s.stop)
}

func (s *shop) restart() {
	s.Helper()
	s.stop()
	s.start()
}

// stock waits until all is settled and lists what is live, and what is set
// aside behind an exclamation mark.
func (s *shop) stock() string {
	s.Helper()
	if err := s.store.Settle(context.Background()); err != nil {
		s.Fatal(err)
	}
	var out []string
	for _, p := range s.store.Set().Packages {
		out = append(out, p.Ref.String())
	}
	for _, r := range s.store.Set().Rejected {
		out = append(out, "!"+r.File)
	}
	return strings.Join(out, " ")
}

func (s *shop) expect(when, want string) {
	s.Helper()
	if got := s.stock(); got != want {
		s.Errorf("%s: got %q, want %q (%v)", when, got, want, s.store.Set().Rejected)
	}
}

func (s *shop) must(err error) {
	s.Helper()
	if err != nil {
		s.Fatal(err)
	}
}

func deb(t *testing.T, spec mkpkg.Spec) []byte {
	t.Helper()
	var b strings.Builder
	if err := mkpkg.Deb(&b, spec); err != nil {
		t.Fatal(err)
	}
	return []byte(b.String())
}

func hello(version, body string) mkpkg.Spec {
	return mkpkg.Spec{Name: "hello", Version: version, Files: []mkpkg.File{{Path: "usr/bin/hello", Body: body, Mode: 0o755}}}
}

func (s *shop) write(name string, data []byte) {
	s.Helper()
	s.must(os.WriteFile(filepath.Join(s.dir, name), data, 0o600))
}

func (s *shop) path(name string) string { return filepath.Join(s.dir, name) }

// read returns the content of a file of the one package of that name.
func (s *shop) read(name, path string) string {
	s.Helper()
	ps := s.store.Set().Named(name)
	if len(ps) != 1 {
		s.Fatalf("%d packages are named %s", len(ps), name)
	}
	layers, err := ps[0].Layers()
	s.must(err)
	for _, l := range layers {
		if ino, ok := l.Lookup(path); ok {
			if l.Type(ino) == pkgmeta.Symlink {
				return "-> " + l.Target(ino)
			}
			payload, err := ps[0].Payload()
			s.must(err)
			defer payload.Close()
			b := make([]byte, l.Inode(ino).Size)
			_, err = payload.ReadAt(b, l.Offset(ino))
			s.must(err)
			return string(b)
		}
	}
	s.Fatalf("%s has no %s", name, path)
	return ""
}

// TestStore takes package files through what administrators do to them.
func TestStore(t *testing.T) {
	s := newShop(t)
	s.expect("empty", "")
	one, two := deb(t, hello("1", "one")), deb(t, hello("2", "two"))

	s.write("a.deb", one)
	s.expect("copied in", "hello=1")
	if got := s.read("hello", "usr/bin/hello"); got != "one" {
		t.Errorf("got %q", got)
	}
	s.must(os.Rename(s.path("a.deb"), s.path("b.deb")))
	s.expect("renamed", "hello=1")
	s.write("b.deb", two)
	s.expect("written over", "hello=2")
	s.write("c.deb", one)
	s.expect("another version beside it", "hello=2 hello=1")
	s.write("d.deb", one)
	s.expect("the same once more", "hello=2 hello=1 !d.deb")
	s.must(os.Remove(s.path("c.deb")))
	s.expect("the twin takes over", "hello=2 hello=1")
	s.must(os.Link(s.path("d.deb"), s.path("e.deb")))
	s.expect("hard link", "hello=2 hello=1 !e.deb")
	s.must(os.Remove(s.path("d.deb")))
	s.must(os.Remove(s.path("e.deb")))
	s.must(os.Rename(s.path("b.deb"), s.path(".b.deb")))
	s.expect("all gone or hidden", "")
	outside := filepath.Join(t.TempDir(), "x")
	s.must(os.WriteFile(outside, one, 0o600))
	s.must(os.Rename(outside, s.path("f.deb")))
	s.expect("renamed in", "hello=1")
	for _, name := range []string{"g.deb.part", ".g.deb", "g.deb~", "f.deb.minisig"} {
		s.write(name, []byte("no package"))
	}
	s.must(os.Mkdir(s.path("sub"), 0o700))
	s.expect("what is no package file is ignored", "hello=1")
	s.write("README", []byte("no package"))
	s.expect("what might be one is not", "hello=1 !README")
}

// TestRestart stops the store, and starts it over what happened meanwhile.
func TestRestart(t *testing.T) {
	s := newShop(t)
	s.write("a.deb", deb(t, hello("1", "one")))
	s.expect("first", "hello=1")
	index := s.cached("index")
	s.restart()
	if got := s.store.Set(); len(got.Packages) != 1 {
		t.Errorf("before anything is settled there are %d packages", len(got.Packages))
	}
	s.expect("again", "hello=1")
	if got := s.cached("index"); !slices.Equal(got, index) {
		t.Errorf("the index was made again: %v, was %v", got, index)
	}

	s.stop()
	s.write("b.deb", deb(t, hello("2", "two")))
	s.must(os.Remove(s.path("a.deb")))
	s.start()
	s.expect("another came and the first went", "hello=2")
	if got := s.cached("payload"); len(got) != 1 {
		t.Errorf("payloads are left: %v", got)
	}
}

// cached lists index or payload with their inode numbers.
func (s *shop) cached(what string) (out []string) {
	s.Helper()
	entries, err := os.ReadDir(filepath.Join(s.state, what))
	s.must(err)
	for _, e := range entries {
		info, err := e.Info()
		s.must(err)
		out = append(out, fmt.Sprint(e.Name(), info.ModTime().UnixNano()))
	}
	return out
}

// TestCorruptCache damages index and payload: they are made again.
func TestCorruptCache(t *testing.T) {
	damage := map[string]func(path string) error{
		"cut":     func(path string) error { return os.Truncate(path, 60) },
		"emptied": func(path string) error { return os.Truncate(path, 0) },
		"removed": os.Remove,
		"flipped": func(path string) error {
			b, err := os.ReadFile(path)
			if err == nil {
				b[len(b)-1] ^= 1
				err = os.WriteFile(path, b, 0o600)
			}
			return err
		},
	}
	for what, do := range damage {
		for _, folder := range []string{"index", "payload"} {
			if folder == "payload" && what == "flipped" {
				continue // found by verifying, not by starting
			}
			t.Run(folder+" "+what, func(t *testing.T) {
				s := newShop(t)
				s.write("a.deb", deb(t, hello("1", strings.Repeat("long ", 50))))
				s.expect("first", "hello=1")
				s.stop()
				names, err := filepath.Glob(filepath.Join(s.state, folder, "*"))
				s.must(err)
				if len(names) != 1 {
					t.Fatal(names)
				}
				s.must(do(names[0]))
				s.start()
				s.expect("after", "hello=1")
				if p := s.store.Set().Named("hello"); len(p) == 1 {
					p[0].Layers() // finds a body that was flipped
				}
				s.waitFor(func() bool {
					p := s.store.Set().Named("hello")
					if len(p) != 1 {
						return false
					}
					_, err := p[0].Layers()
					return err == nil
				})
				if got := s.read("hello", "usr/bin/hello"); got != strings.Repeat("long ", 50) {
					t.Errorf("got %q", got)
				}
			})
		}
	}
}

// waitFor settles until ok.
func (s *shop) waitFor(ok func() bool) {
	s.Helper()
	for end := time.Now().Add(30 * time.Second); time.Now().Before(end); time.Sleep(time.Millisecond) {
		if s.stock(); ok() {
			return
		}
	}
	s.Fatal("it does not come")
}

// TestBeingWritten holds a package file open while the store looks.
func TestBeingWritten(t *testing.T) {
	s := newShop(t)
	data := deb(t, hello("1", "one"))
	f, err := os.Create(s.path("a.deb"))
	s.must(err)
	_, err = f.Write(data[:len(data)/2])
	s.must(err)
	s.waitFor(func() bool { return len(s.store.Set().Rejected) == 1 })
	if got := s.store.Set().Rejected[0]; got.File != "a.deb" || !strings.Contains(got.Reason, "still being") {
		t.Errorf("got %+v", got)
	}
	_, err = f.Write(data[len(data)/2:])
	s.must(err)
	s.must(f.Close())
	s.waitFor(func() bool { return len(s.store.Set().Packages) == 1 })
	s.expect("closed", "hello=1")
}

func TestOverrides(t *testing.T) {
	s := newShop(t)
	spec := hello("1", "one")
	spec.Depends = []string{"libc6 (>= 2.36) | musl", "debconf"}
	s.write("a.deb", deb(t, spec))
	s.expect("first", "hello=1")
	override := filepath.Join(s.state, "overrides", "hello.toml")
	write := func(text string) {
		t.Helper()
		s.must(os.WriteFile(override+".tmp", []byte(text), 0o600))
		s.must(os.Rename(override+".tmp", override))
	}

	write(`
links = { "/bin/hi" = "hello", "/usr/bin/hello" = "hullo" }
mutable = ["/usr/**"]
provides = ["greeter (= 2)", "hi"]
depends = ["libfoo | libbar"]
drop-depends = ["debconf", "musl"]
`)
	s.waitFor(func() bool { return s.store.Set().Named("hello")[0].Override != "" })
	p := s.store.Set().Named("hello")[0]
	if got := fmt.Sprint(p.Depends, p.Provides); got != "[libfoo | libbar] [greeter (= 2) hi]" {
		t.Errorf("got %s", got)
	}
	for path, want := range map[string]string{"usr/bin/hi": "-> hello", "usr/bin/hello": "-> hullo", "bin": "-> usr/bin"} {
		if got := s.read("hello", path); got != want {
			t.Errorf("%s: got %q, want %q", path, got, want)
		}
	}
	if !p.Mutable("usr/bin/x", pkgindex.Inode{}) || p.Mutable("etc/x", pkgindex.Inode{}) {
		t.Error("the mutable globs do not hold")
	}
	if len(s.store.Set().Providing("greeter")) != 1 {
		t.Error("what the override provides is not found")
	}

	for _, bad := range []string{
		`colour = "red"`, `links = { "relative" = "x" }`, `links = { "/a" = "" }`, `links = { "/a" = "b", "/a/b" = "c" }`,
		`mutable = ["etc/**"]`, `mutable = ["/[" ]`, `depends = ["a (> "]`, `provides = ["a | b"]`, `= =`,
		`links = { "/a/../b" = "x" }`,
	} {
		write(bad)
		s.expect(bad, "hello=1 !overrides/hello.toml")
		if got := s.read("hello", "usr/bin/hi"); got != "-> hello" {
			t.Errorf("%s: the last good meaning is lost", bad)
		}
	}
	f, err := os.OpenFile(override, os.O_WRONLY|os.O_TRUNC, 0)
	s.must(err)
	s.expect("an override that is being written", "hello=1 !overrides/hello.toml")
	if got := s.read("hello", "usr/bin/hi"); got != "-> hello" {
		t.Error("half of an override is taken for the whole")
	}
	_, err = f.WriteString("= =")
	s.must(err)
	s.must(f.Close())
	s.restart()
	s.expect("a bad override at the start", "hello=1 !overrides/hello.toml")
	s.must(os.Remove(override))
	s.waitFor(func() bool { return len(s.store.Set().Rejected) == 0 && s.store.Set().Named("hello")[0].Override == "" })
	if got := s.read("hello", "usr/bin/hello"); got != "one" {
		t.Errorf("got %q", got)
	}
	s.must(os.WriteFile(filepath.Join(s.state, "overrides", "hello=9.toml"), []byte(`provides = ["nine"]`), 0o600))
	s.write("b.deb", deb(t, hello("9", "nine")))
	s.waitFor(func() bool { return len(s.store.Set().Providing("nine")) == 1 })
	if p := s.store.Set().Providing("nine")[0]; p.Version != "9" {
		t.Errorf("an override for one version is on %s", p.Ref)
	}
}

// TestDirectoryGone takes the package directory away and brings it back.
func TestDirectoryGone(t *testing.T) {
	s := newShop(t)
	s.write("a.deb", deb(t, hello("1", "one")))
	s.expect("first", "hello=1")
	away := filepath.Join(t.TempDir(), "away")
	s.must(os.Rename(s.dir, away))
	if len(s.store.Set().Packages) != 1 {
		t.Error("packages go with their directory")
	}
	s.must(os.Rename(away, s.dir))
	s.write("b.deb", deb(t, hello("2", "two")))
	s.waitFor(func() bool { return len(s.store.Set().Packages) == 2 })
}

func TestOneServerAState(t *testing.T) {
	s := newShop(t)
	_, err := pkgindex.Open(pkgindex.Config{Packages: []string{s.dir}, State: s.state})
	if err == nil || !strings.Contains(err.Error(), "in use by another server") {
		t.Errorf("got %v", err)
	}
	_, err = pkgindex.Open(pkgindex.Config{Packages: []string{filepath.Join(s.dir, "none")}, State: t.TempDir()})
	if err == nil || !strings.Contains(err.Error(), "make it") {
		t.Errorf("got %v", err)
	}
}

// TestSymlinkToSecret: as mallory, who may write the package directory but not read
// the secret: lay a symlink to it there. The server, who may, does not read it, and
// tells nothing of it; nor of one that lies there as it is.
func TestSymlinkToSecret(t *testing.T) {
	s := newShop(t)
	secret := filepath.Join(t.TempDir(), "secret")
	s.must(os.WriteFile(secret, []byte("root:$6$hash:"), 0o600))
	s.must(os.Symlink(secret, s.path("a.deb")))
	s.must(os.Link(secret, s.path("b.deb")))
	whole := filepath.Join(t.TempDir(), "whole.deb")
	s.must(os.WriteFile(whole, deb(t, hello("1", "one")), 0o600))
	s.must(os.Symlink(whole, s.path("c.deb")))
	s.expect("symlinks", "!a.deb !b.deb !c.deb")
	for _, r := range s.store.Set().Rejected {
		if strings.Contains(r.Reason, "root") {
			t.Errorf("%s: %s", r.File, r.Reason)
		}
		if r.File != "b.deb" && !strings.Contains(r.Reason, "it is a symlink, and those are not followed; put the file itself here") {
			t.Errorf("%s: %s", r.File, r.Reason)
		}
	}
}

// TestTooManyRelations: 400,000 relations are a fault of the package and not of the
// disk, and its author is told what is too large.
func TestTooManyRelations(t *testing.T) {
	s := newShop(t)
	spec := hello("1", "one")
	for i := range 400_000 {
		spec.Depends = append(spec.Depends, fmt.Sprintf("p%d", i))
	}
	s.write("a.deb", deb(t, spec))
	s.expect("many relations", "!a.deb")
	if reason := s.store.Set().Rejected[0].Reason; !strings.Contains(reason, "its metadata is too large") || !strings.Contains(reason, "400000 relations") || strings.Contains(reason, "state directory") {
		t.Errorf("reason: %s", reason)
	}
}
