package guest

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/packagefs/packagefs/test/harness"
	"github.com/packagefs/packagefs/test/posix"
)

// writableMount mounts a context with the kernel's client, to be written to.
func writableMount(t *testing.T, s *harness.Server, context, cache string) string {
	t.Helper()
	at := t.TempDir()
	options := fmt.Sprintf("trans=unix,version=9p2000.L,uname=root,aname=%s,cache=%s,access=user,msize=131072", context, cache)
	if err := unix.Mount(s.Socket(), at, "9p", 0, options); err != nil {
		t.Fatalf("mount -t 9p -o %s: %v", options, err)
	}
	t.Cleanup(func() {
		if err := unix.Unmount(at, 0); err != nil {
			t.Error(err)
		}
	})
	return at
}

// diskDir makes a directory on an ext4 file system in the guest's memory: the
// tmpfs of this kernel has no extended attributes of users.
func diskDir(t *testing.T) string {
	t.Helper()
	dir := runDir(t)
	image, at := filepath.Join(dir, "image"), filepath.Join(dir, "disk")
	if err := os.Mkdir(at, 0o755); err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{
		{"truncate", "-s", "300M", image}, {"mkfs.ext4", "-q", "-b", "4096", image}, {"mount", "-o", "loop", image, at},
	} {
		if _, err := harness.Command(args[0], args[1:]...); err != nil {
			t.Fatal(err)
		}
	}
	t.Cleanup(func() {
		if _, err := harness.Command("umount", at); err != nil {
			t.Error(err)
		}
	})
	return at
}

// The POSIX cases, through two mounts of the kernel's client as packagefs mount
// makes them.
func testPosix(t *testing.T) {
	data := guestData(t)
	s := harness.PosixServer(t, data.Program, diskDir(t))
	one, two := writableMount(t, s, harness.PosixContext, "mmap"), writableMount(t, s, harness.PosixContext, "mmap")
	cases := harness.PosixDir(t, one)
	posix.Run(t, posix.Mount{Path: cases, Other: filepath.Join(two, filepath.Base(cases)), Cannot: posix.CannotKernel(release())})
}
