package guest

import (
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/packagefs/packagefs/test/harness"
	"golang.org/x/sys/unix"
)

var (
	cacheModes = []string{"none", "loose", "mmap"}
	msizes     = []int{8 << 10, 512 << 10}
)

// Every way to mount shows the trees that the oracle says.
func testTreesUnix(t *testing.T) {
	guestTrees(t, func(t *testing.T, s *harness.Server, context, options string) string {
		return mountUnix(t, s, context, options)
	})
}

func testTreesTCP(t *testing.T) {
	guestTrees(t, func(t *testing.T, s *harness.Server, context, options string) string {
		return mountTCP(t, context, options)
	})
}

func guestTrees(t *testing.T, mount func(t *testing.T, s *harness.Server, context, options string) string) {
	const small, python, big = "package:kinds", "package:python3.11-minimal", "package:exim4-daemon-light"
	s := guestServer(t, small, python, big)
	for _, cache := range cacheModes {
		for _, msize := range msizes {
			for _, context := range []string{small, python} {
				t.Run(fmt.Sprintf("%s %d %s", cache, msize, context), func(t *testing.T) {
					at := mount(t, s, context, fmt.Sprintf("cache=%s,msize=%d,access=user", cache, msize))
					harness.CheckTree(t, at, wanted(t, context))
				})
			}
		}
	}
	t.Run("big", func(t *testing.T) {
		at := mount(t, s, big, "cache=loose,msize=524288,access=client")
		harness.CheckTree(t, at, wanted(t, big))
	})
}

// A context that cannot be attached to fails the mount with an errno that
// tells why.
func testAttachErrors(t *testing.T) {
	s := guestServer(t, "package:kinds")
	for context, want := range map[string]error{
		"package:no-such-package": unix.ENOPKG,
		"package:kinds=9":         unix.ENOPKG,
		"user:no-such-user":       unix.ENOENT,
		"group:no-such-group":     unix.ENOENT,
		"no-such-kind:x":          unix.EINVAL,
		"../etc":                  unix.EINVAL,
	} {
		at := runDir(t)
		err := unix.Mount(s.Socket(), at, "9p", 0, "trans=unix,version=9p2000.L,aname="+context)
		if !errors.Is(err, want) {
			t.Errorf("mount of %q: %v, want %v", context, err, want)
		}
		if err == nil {
			_ = unix.Unmount(at, 0)
		}
	}
}

// packagefs mount uses the kernel's client where there is one.
func testMountCommand(t *testing.T) {
	s := guestServer(t, "package:kinds")
	at := harness.MountCommand(t, s, "package:kinds", runDir(t))
	checkFileSystem(t, at, unix.V9FS_MAGIC)
	harness.CheckTree(t, at, wanted(t, "package:kinds"))
}

// Without -c it is the user's own context, which has every package here; and run
// mounts the directory of contexts.
func testMountOwn(t *testing.T) {
	s := guestServer(t, "package:kinds")
	at := runDir(t)
	for _, c := range []struct {
		args  []string
		point string
		magic int64
	}{
		{[]string{"mount", at}, at, unix.V9FS_MAGIC},
		{[]string{"mount", "--kernel", at}, at, unix.V9FS_MAGIC},
		{[]string{"mount", "--kernel", "--union", "/opt"}, "/opt", unix.OVERLAYFS_SUPER_MAGIC},
	} {
		if out, err := s.Run(c.args...); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
		checkMounted(t, s, c.point, c.magic)
	}
	out, err := s.Run("run", "-p", "kinds", "--", "cat", "/opt/kinds/one", "/proc/self/mountinfo")
	if err != nil || !strings.HasPrefix(out, "1") || !strings.Contains(out, "/contexts ro,nosuid,nodev,relatime - 9p ") {
		t.Errorf("in a context, of the kernel's client: %v: %s", err, out)
	}
}

// What the kernel's client does not take, it is not asked for twice: FUSE mounts the
// tree, and who wants to know is told why.
func testMountRefused(t *testing.T) {
	s := guestServer(t, "package:kinds")
	refused := []string{"-s", s.Listen[0], "-c", "package:kinds", "mount", "--cache=no-such-mode"}
	mount := func(args ...string) (string, error) {
		return harness.Command(s.Binary, append(slices.Clone(refused), args...)...)
	}
	at := runDir(t)
	for _, c := range []struct {
		args  []string
		point string
		magic int64
	}{
		{[]string{at}, at, unix.FUSE_SUPER_MAGIC},
		{[]string{"--union", "/opt"}, "/opt", unix.OVERLAYFS_SUPER_MAGIC},
	} {
		out, err := mount(c.args...)
		if err != nil {
			t.Fatal(err)
		}
		for _, part := range []string{"cache=no-such-mode", "the kernel's 9P client refuses", "FUSE is used in its place", "with FUSE\n"} {
			if !strings.Contains(out, part) {
				t.Errorf("mount %v does not say %q: %s", c.args, part, out)
			}
		}
		checkMounted(t, s, c.point, c.magic)
	}
	if out, err := mount("--kernel", at); err == nil {
		t.Errorf("an option that the kernel's client refuses is taken: %s", out)
	}
}

// checkMounted looks at the package kinds, on a mount of its tree or of its /opt, and
// takes the mount away.
func checkMounted(t *testing.T, s *harness.Server, at string, magic int64) {
	t.Helper()
	checkFileSystem(t, at, magic)
	if err := harness.Holds(filepath.Join(at, strings.TrimPrefix("/opt/kinds/one", at)), "1"); err != nil {
		t.Error(err)
	}
	if out, err := s.Run("umount", at); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
}

func checkFileSystem(t *testing.T, at string, magic int64) {
	t.Helper()
	var st unix.Statfs_t
	if err := unix.Statfs(at, &st); err != nil || st.Type != magic {
		t.Errorf("the file system's type at %s is %#x, want %#x: %v", at, st.Type, magic, err)
	}
}
