package e2e

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/packagefs/packagefs/test/harness"
	"golang.org/x/sys/unix"
)

// layerContext has a mutable layer and belongs to nobody but root.
const layerContext = "user:root"

// layerDeb has configuration files.
func layerDeb(t *testing.T, dir string) string {
	t.Helper()
	return harness.MakeDeb(t, dir, harness.DebSpec{
		Name: "layer", Version: "1", Scripts: map[string]string{"conffiles": "/etc/layer/a.conf\n/etc/layer/b.conf\n"},
		Fill: func(tree string) {
			harness.WriteFiles(t, tree, map[string]string{
				"etc/layer/a.conf": "a\n", "etc/layer/b.conf": "b\n", "usr/share/layer/data": "data", "usr/share/layer/sub/more": "more",
			})
		},
	})
}

// changeLayer makes every kind of change below a mount or an overlay.
func changeLayer(t *testing.T, at string) {
	t.Helper()
	in := func(name string) string { return filepath.Join(at, name) }
	harness.Must(t, os.WriteFile(in("etc/layer/a.conf"), []byte("edited\n"), 0))
	harness.Must(t, os.Remove(in("etc/layer/b.conf")))
	harness.Must(t, os.MkdirAll(in("srv/new/deep"), 0o755))
	harness.Must(t, os.WriteFile(in("srv/new/file"), []byte("content"), 0o640))
	harness.Must(t, os.Link(in("srv/new/file"), in("srv/new/link")))
	harness.Must(t, os.Symlink("../file", in("srv/new/deep/symlink")))
	harness.Must(t, unix.Mkfifo(in("srv/new/fifo"), 0o600))
	harness.Must(t, unix.Chown(in("srv/new/file"), 1234, 4321))
	harness.Must(t, unix.Chmod(in("srv/new/file"), 0o2750))
	harness.Must(t, unix.Setxattr(in("srv/new/file"), "user.note", []byte("value"), 0))
	harness.Must(t, os.WriteFile(in("usr/share/layer/added"), []byte("beside a package's"), 0o644))
	harness.Must(t, os.Mkdir(in("srv/gone"), 0o755))
	harness.Must(t, os.Remove(in("srv/gone")))
	harness.Must(t, os.Mkdir(in("srv/old"), 0o755))
	harness.Must(t, os.Rename(in("srv/old"), in("srv/renamed")))
	harness.Must(t, os.WriteFile(in("srv/renamed/inside"), []byte("in"), 0o644))
}

// overlay mounts a kernel overlay until the test ends, or until it is called.
func overlay(t *testing.T, lower, upper string) (at string, umount func()) {
	t.Helper()
	at = t.TempDir()
	work := filepath.Join(filepath.Dir(upper), "kernel-work")
	harness.Must(t, os.MkdirAll(work, 0o755))
	options := fmt.Sprintf("lowerdir=%s,upperdir=%s,workdir=%s,index=off,metacopy=off,redirect_dir=off", lower, upper, work)
	if err := unix.Mount("overlay", at, "overlay", 0, options); err != nil {
		t.Fatalf("mount -t overlay -o %s: %v", options, err)
	}
	done := false
	umount = func() {
		if !done {
			done = true
			if err := unix.Unmount(at, 0); err != nil {
				t.Error(err)
			}
		}
	}
	t.Cleanup(umount)
	return at, umount
}

// setMutable says in the context's file whether it has a layer.
func setMutable(t *testing.T, s *harness.Server, value string) {
	t.Helper()
	harness.WriteFiles(t, s.Contexts, map[string]string{layerContext + ".toml": "mutable = \"" + value + "\"\n"})
	harness.WaitFor(t, "the context file to be read", func() error {
		out, err := exec.Command(s.Binary, "--server", s.Listen[0], "explain", layerContext).CombinedOutput()
		if err == nil && !strings.Contains(string(out), value) {
			err = fmt.Errorf("explain says:\n%s", out)
		}
		return err
	})
}

// A layer is what the kernel's overlayfs has as its upper directory, both ways.
func testFUSELayerIsOverlay(t *testing.T) {
	t.Run("made by the server", func(t *testing.T) {
		s := harness.ServerDir(t, harness.Program(t), t.TempDir())
		layerDeb(t, s.Packages)
		s.StartIndexed(t)
		at := fuseMount(t, s, layerContext)
		changeLayer(t, at)
		want, err := harness.WalkDir(at)
		harness.Must(t, err)
		setMutable(t, s, "none")
		over, _ := overlay(t, fuseMount(t, s, layerContext), filepath.Join(s.State, "mutable", layerContext, "upper"))
		got, err := harness.WalkDir(over)
		harness.Must(t, err)
		harness.CheckSame(t, "the kernel's overlay", harness.WithoutRootAndLinks(want), harness.WithoutRootAndLinks(got))
	})
	t.Run("made by the kernel", func(t *testing.T) {
		s := harness.ServerDir(t, harness.Program(t), t.TempDir())
		layerDeb(t, s.Packages)
		harness.WriteFiles(t, s.Contexts, map[string]string{layerContext + ".toml": "mutable = \"none\"\n"})
		s.StartIndexed(t)
		upper := filepath.Join(s.State, "mutable", layerContext, "upper")
		harness.Must(t, os.MkdirAll(upper, 0o755))
		over, umount := overlay(t, fuseMount(t, s, layerContext), upper)
		changeLayer(t, over)
		want, err := harness.WalkDir(over)
		harness.Must(t, err)
		umount()
		setMutable(t, s, "own")
		got, err := harness.WalkDir(fuseMount(t, s, layerContext))
		harness.Must(t, err)
		harness.CheckSame(t, "the server", harness.WithoutRootAndLinks(want), harness.WithoutRootAndLinks(got))
	})
}

// A full disk below the layer is the writer's trouble alone.
func testFUSELayerDiskFull(t *testing.T) {
	dir := t.TempDir()
	s := harness.ServerDir(t, harness.Program(t), dir)
	layerDeb(t, s.Packages)
	harness.Must(t, os.Mkdir(filepath.Join(s.State, "mutable"), 0o755))
	disk := filepath.Join(s.State, "mutable")
	harness.Must(t, unix.Mount("tmpfs", disk, "tmpfs", 0, "size=4M"))
	t.Cleanup(func() {
		if err := unix.Unmount(disk, unix.MNT_DETACH); err != nil {
			t.Error(err)
		}
	})
	s.StartIndexed(t)
	at, other := fuseMount(t, s, layerContext), fuseMount(t, s, "package:layer")
	harness.Must(t, os.MkdirAll(filepath.Join(at, "srv"), 0o755))
	kept := filepath.Join(at, "srv/kept")
	harness.Must(t, os.WriteFile(kept, []byte("kept"), 0o644))
	big := filepath.Join(at, "srv/big")
	if err := os.WriteFile(big, make([]byte, 8<<20), 0o644); !errors.Is(err, syscall.ENOSPC) {
		t.Errorf("writing more than there is room for: %v, want ENOSPC", err)
	}
	for _, file := range []string{kept, filepath.Join(at, "usr/share/layer/data"), filepath.Join(other, "usr/share/layer/data")} {
		if _, err := os.ReadFile(file); err != nil {
			t.Error(err)
		}
	}
	harness.Must(t, os.Remove(big))
	harness.Must(t, os.WriteFile(filepath.Join(at, "etc/layer/a.conf"), []byte("edited"), 0))
	if err := harness.Holds(kept, "kept"); err != nil {
		t.Error(err)
	}
}

// A layer holds no more than it may.
func testFUSELayerQuota(t *testing.T) {
	s := harness.ServerDir(t, harness.Program(t), t.TempDir())
	layerDeb(t, s.Packages)
	s.Args = []string{"--layer-bytes=1M", "--layer-files=20"}
	s.StartIndexed(t)
	at := fuseMount(t, s, layerContext)
	big := filepath.Join(at, "big")
	if err := os.WriteFile(big, make([]byte, 2<<20), 0o644); !errors.Is(err, syscall.EDQUOT) {
		t.Errorf("too many bytes: %v, want EDQUOT", err)
	}
	harness.Must(t, os.Remove(big))
	// FUSE tells of a close later than close returns.
	harness.WaitFor(t, "the room of the removed file", func() error { return os.WriteFile(big, make([]byte, 1<<20), 0o644) })
	var st unix.Statfs_t
	harness.Must(t, unix.Statfs(at, &st))
	if free := st.Bavail * uint64(st.Bsize); free != 0 {
		t.Errorf("df says that %d bytes are free", free)
	}
	harness.Must(t, os.Truncate(big, 0))
	var err error
	made := 0
	for ; err == nil && made < 30; made++ {
		err = os.Mkdir(filepath.Join(at, fmt.Sprint(made)), 0o755)
	}
	if !errors.Is(err, syscall.EDQUOT) {
		t.Errorf("too many files: %v, want EDQUOT", err)
	}
	harness.Must(t, os.Remove(filepath.Join(at, "0")))
	harness.Must(t, os.Mkdir(filepath.Join(at, "other"), 0o755))
}
