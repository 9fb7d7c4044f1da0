package guest

import (
	"errors"
	"fmt"
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
	var st unix.Statfs_t
	if err := unix.Statfs(at, &st); err != nil {
		t.Fatal(err)
	}
	if st.Type != unix.V9FS_MAGIC {
		t.Errorf("the file system's type is %#x, want the kernel's 9p", st.Type)
	}
	harness.CheckTree(t, at, wanted(t, "package:kinds"))
}
