package pkgindex_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/packagefs/packagefs/pkgindex/format/mkpkg"
)

// stage makes a staging directory of that name with files: name, content, ….
func (s *shop) stage(name string, files map[string][]byte) {
	s.Helper()
	s.must(os.Mkdir(s.path(name), 0o755))
	for file, data := range files {
		s.must(os.WriteFile(filepath.Join(s.path(name), file), data, 0o644))
	}
}

// hidden lists what a package directory has beside package files.
func (s *shop) hidden() string {
	s.Helper()
	left, err := filepath.Glob(filepath.Join(s.dir, ".*"))
	s.must(err)
	return strings.Join(left, " ")
}

func named(name string) mkpkg.Spec {
	return mkpkg.Spec{Name: name, Files: []mkpkg.File{{Path: "usr/bin/" + name, Body: name}}}
}

func TestInstall(t *testing.T) {
	s := newShop(t)
	a, b, c := deb(t, named("a")), deb(t, named("b")), deb(t, named("c"))
	install := func(name, want string) {
		t.Helper()
		steps := 0
		refs, err := s.store.Install(context.Background(), name, func(done, total int) { steps++ })
		if err != nil {
			refs = nil
		}
		if got := fmt.Sprint(refs, " ", err); !strings.Contains(got, want) || want == "" {
			t.Errorf("%s: %s; want %s", name, got, want)
		}
		if left := s.hidden(); left != "" {
			t.Errorf("%s: left behind: %s", name, left)
		}
		if err == nil && steps != len(refs) {
			t.Errorf("%s: %d steps for %d packages", name, steps, len(refs))
		}
	}
	generation := s.store.Set().Generation
	s.stage(".install-1", map[string][]byte{"a.deb": a, "b.deb": b})
	install(".install-1", "[a=1.0-1 b=1.0-1] <nil>")
	if now := s.store.Set().Generation; now != generation+1 {
		t.Errorf("%d generations", now-generation)
	}
	s.expect("both", "a=1.0-1 b=1.0-1")

	s.stage(".install-2", map[string][]byte{"c.deb": c, "bad.deb": []byte("nonsense")})
	install(".install-2", "bad.deb: bad.deb is not a package file")
	s.expect("one of two is bad", "a=1.0-1 b=1.0-1")
	s.stage(".install-3", map[string][]byte{"c.deb": c, "a2.deb": a})
	install(".install-3", "a2.deb: a=1.0-1 (all) is installed already, from "+s.path("a.deb"))
	s.stage(".install-4", map[string][]byte{"c.deb": c, "d.deb": c})
	install(".install-4", "d.deb: c=1.0-1 (all) is in c.deb as well")
	s.stage(".install-5", map[string][]byte{"a.deb": c})
	install(".install-5", "a file of that name in the package directory already")
	s.stage(".install-6", nil)
	install(".install-6", "there is no package file")
	s.stage(".install-7", map[string][]byte{".hidden": c})
	install(".install-7", "files of such names")
	s.stage(".install-8", map[string][]byte{"c.deb": c})
	s.must(os.Symlink("c.deb", s.path(".install-8/d.deb")))
	install(".install-8", "d.deb: not a regular file")
	install(".install-9", "does not exist")
	install("a.deb", "is not the name of a directory that begins with .install-")
	install(".install-/../x", "is not the name")
	s.expect("after all that", "a=1.0-1 b=1.0-1")
	for _, dir := range []string{"index", "payload"} {
		if left, err := os.ReadDir(filepath.Join(s.state, dir)); err != nil || len(left) != 2 {
			t.Errorf("%s: %v, %v", dir, left, err)
		}
	}
	s.restart()
	s.expect("started again", "a=1.0-1 b=1.0-1")

	s.must(s.store.Remove(context.Background(), []string{s.path("a.deb"), s.path("b.deb")}))
	s.expect("removed", "")
	if left, err := os.ReadDir(s.dir); err != nil || len(left) > 0 {
		t.Errorf("left: %v, %v", left, err)
	}
}

// TestInstallSigned: signatures are asked for before anything is decided.
func TestInstallSigned(t *testing.T) {
	s := &shop{T: t, dir: t.TempDir(), state: t.TempDir(), trust: t.TempDir(), require: true}
	public, key := signer(t)
	s.trustKey(public, "me.pub")
	s.start()
	a := deb(t, named("a"))
	s.stage(".install-1", map[string][]byte{"a.deb": a})
	if _, err := s.store.Install(context.Background(), ".install-1", nil); err == nil || !strings.Contains(err.Error(), "not signed") {
		t.Errorf("unsigned: %v", err)
	}
	s.stage(".install-2", map[string][]byte{"a.deb": a})
	s.sign(key, ".install-2/a.deb", a)
	if _, err := s.store.Install(context.Background(), ".install-2", nil); err != nil {
		t.Errorf("signed: %v", err)
	}
	s.expect("signed", "a=1.0-1")
	s.must(s.store.Remove(context.Background(), []string{s.path("a.deb")}))
	if left, err := os.ReadDir(s.dir); err != nil || len(left) > 0 {
		t.Errorf("left: %v, %v", left, err)
	}
}

// TestLeftovers: a start ends what was decided and undoes what was not.
func TestLeftovers(t *testing.T) {
	s := newShop(t)
	a, b := deb(t, named("a")), deb(t, named("b"))
	s.write("a.deb", a)
	s.stop()
	s.stage(".installed-1", map[string][]byte{"b.deb": b})
	s.start()
	s.expect("decided to install", "a=1.0-1 b=1.0-1")
	s.stop()
	s.stage(".remove-1", nil)
	s.must(os.Rename(s.path("a.deb"), s.path(".remove-1/a.deb")))
	s.start()
	s.expect("not decided to remove", "a=1.0-1 b=1.0-1")
	s.stop()
	s.stage(".remove-2", map[string][]byte{"a.deb": []byte("older")})
	s.start()
	s.expect("not decided to remove, and another came", "a=1.0-1 b=1.0-1")
	s.stop()
	s.stage(".removed-1", nil)
	s.must(os.Rename(s.path("a.deb"), s.path(".removed-1/a.deb")))
	s.stage(".install-1", map[string][]byte{"c.deb": a})
	s.stage(".install-2", map[string][]byte{"d.deb": a})
	held, err := os.Open(s.path(".install-2"))
	s.must(err)
	defer held.Close()
	s.must(unix.Flock(int(held.Fd()), unix.LOCK_EX))
	s.start()
	s.expect("decided to remove, not to install", "b=1.0-1")
	if left := s.hidden(); left != s.path(".install-2") {
		t.Errorf("left behind: %s", left)
	}
	if refs, err := s.store.Install(context.Background(), ".install-2", nil); err != nil || len(refs) != 1 {
		t.Errorf("what somebody had begun: %v, %v", refs, err)
	}
	s.expect("installed", "a=1.0-1 b=1.0-1")
}

// TestInstallGivenUp: an install that is given up leaves nothing.
func TestInstallGivenUp(t *testing.T) {
	s := newShop(t)
	s.stage(".install-1", map[string][]byte{"a.deb": deb(t, named("a"))})
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := s.store.Install(ctx, ".install-1", nil); err == nil {
		t.Error("installed all the same")
	}
	s.expect("given up", "")
	if left := s.hidden(); left != "" {
		t.Errorf("left behind: %s", left)
	}
}
