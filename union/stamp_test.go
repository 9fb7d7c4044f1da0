package union

import (
	"errors"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/hugelgupf/p9/p9"
	"golang.org/x/sys/unix"

	"github.com/packagefs/packagefs/pkgindex/format/mkpkg"
)

// stampOf returns the stamp of the top of an attach.
func stampOf(t *testing.T, top p9.File) uint64 {
	t.Helper()
	stamp, err := top.(*dirFile).Stamp(true)
	if err != nil || stamp == 0 {
		t.Fatalf("stamp %d, %v", stamp, err)
	}
	return stamp
}

// TestStamp changes a layer in every way, and looks at it in every way.
func TestStamp(t *testing.T) {
	l := newLayered(t, app)
	try := func(what string, changes bool, do func()) {
		t.Helper()
		before := stampOf(t, l.root)
		if again := stampOf(t, attach(t, l.stacker)); again != before {
			t.Errorf("before %s: %d and %d in two attaches", what, before, again)
		}
		do()
		if after := stampOf(t, l.root); (after != before) != changes {
			t.Errorf("%s: stamp %d, then %d", what, before, after)
		}
	}
	check := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	look := func() {
		l.wants("etc/app/app.conf", "default")
		l.gone("etc/app/missing")
		dir := l.at("etc/app")
		defer dir.Close()
		_, _, err := dir.Open(p9.ReadOnly)
		check(err)
		_, err = dir.Readdir(0, 100)
		check(err)
	}
	try("looking", false, look)
	try("the first file of the layer", true, func() { l.write("etc/app/new", "1") })
	try("looking again", false, look)

	f := l.at("etc/app/new")
	_, _, err := f.Open(p9.ReadWrite)
	check(err)
	try("writing to an open file", false, func() {
		_, err := f.WriteAt([]byte("22"), 0)
		check(err)
	})
	f.Close()

	dir := l.at("etc/app")
	conf := l.at("etc/app/app.conf")
	try("copying up", true, func() {
		check(conf.SetAttr(p9.SetAttrMask{Permissions: true}, p9.SetAttr{Permissions: 0o600}))
	})
	try("a directory", true, func() {
		_, err := dir.Mkdir("sub", 0o755, p9.NoUID, p9.NoGID)
		check(err)
	})
	try("a symlink", true, func() {
		_, err := dir.Symlink("new", "link", p9.NoUID, p9.NoGID)
		check(err)
	})
	try("a hard link", true, func() { check(dir.Link(l.at("etc/app/new"), "hard")) })
	try("a name that moves", true, func() { check(dir.RenameAt("new", l.at("etc/app/sub"), "moved")) })
	try("a directory's mode", true, func() {
		check(l.at("etc/app/sub").SetAttr(p9.SetAttrMask{Permissions: true}, p9.SetAttr{Permissions: 0o700}))
	})
	try("a directory's attribute", true, func() { check(l.at("etc/app/sub").SetXattr("user.a", []byte("b"), 0)) })
	try("a name that goes", true, func() { check(dir.UnlinkAt("link", 0)) })
	try("a package's file that goes", true, func() { check(dir.UnlinkAt("app.conf", 0)) })
	try("an edit that is undone", true, func() {
		check((&Stack{Tree: l.stacker.tree, Layers: l.stacker.layers, Own: true}).ResetEdit("/etc/app/app.conf"))
	})

	try("a server that starts again", true, l.reopen)
	if sub, err := l.at("etc").(*dirFile).Stamp(true); sub != 0 || err != nil {
		t.Errorf("a directory that is not the top: %d, %v", sub, err)
	}
	if stamp, err := l.root.(*dirFile).Stamp(false); !errors.Is(err, syscall.EAGAIN) {
		t.Errorf("without waiting, where the disk may be looked at: %d, %v", stamp, err)
	}
}

// TestStampOfTrees changes what is below the layers.
func TestStampOfTrees(t *testing.T) {
	s := newSite(t, app, mkpkg.Spec{Name: "other", Version: "1"})
	stacker := &live{tree: NewTree(s.named("app"), nil)}
	top := attach(t, stacker)
	first := stampOf(t, top)
	if now, err := top.(*dirFile).Stamp(false); now != first || err != nil {
		t.Errorf("without waiting: %d, %v; want %d", now, err, first)
	}
	stacker.tree = NewTree(s.named("app", "other"), stacker.tree)
	second := stampOf(t, top)
	stacker.tree = NewTree(s.named("app"), stacker.tree)
	if third := stampOf(t, top); first == second || second == third {
		t.Errorf("stamps %d, %d, %d", first, second, third)
	}
	stacker.err = syscall.ENOENT
	if stamp, err := top.(*dirFile).Stamp(true); stamp != 0 || err != syscall.ENOENT {
		t.Errorf("a context that is gone: %d, %v", stamp, err)
	}
}

// TestStampFollowsDisk changes directories of a layer behind the server's back.
func TestStampFollowsDisk(t *testing.T) {
	l := newLayered(t, app)
	l.write("etc/app/new", "1")
	l.at("etc/app")
	on := func(path string) string { return filepath.Join(l.dir, "upper", path) }
	for _, change := range []func() error{
		func() error { return os.WriteFile(on("etc/app/behind"), nil, 0o644) },
		func() error { return os.Chmod(on("etc"), 0o711) },
		func() error { return unix.Mknod(on("etc/app/new2"), unix.S_IFIFO|0o600, 0) },
		func() error { return os.RemoveAll(on("etc/app")) },
	} {
		before := stampOf(t, l.root)
		if err := change(); err != nil {
			t.Fatal(err)
		}
		for end := time.Now().Add(20 * time.Second); stampOf(t, l.root) == before; time.Sleep(20 * time.Millisecond) {
			if time.Now().After(end) {
				t.Fatal("the stamp stays the same")
			}
		}
		if _, err := l.root.(*dirFile).Stamp(true); err != nil {
			t.Fatal(err)
		}
	}
	l.gone("etc/app/new")
}
