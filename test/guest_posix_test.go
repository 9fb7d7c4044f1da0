//go:build guest

package test

import (
	"fmt"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/packagefs/packagefs/test/posix"
)

// writableMount mounts a context with the kernel's client, to be written to.
func writableMount(t *testing.T, s *Server, context, cache string) string {
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

// The POSIX cases, through two mounts of the kernel's client.
func TestGuestPosix(t *testing.T) {
	data := guestData(t)
	s := posixServer(t, data.Program, runDir(t))
	one, two := writableMount(t, s, posixContext, "none"), writableMount(t, s, posixContext, "none")
	cases := posixDir(t, one)
	posix.Run(t, posix.Mount{Path: cases, Other: filepath.Join(two, filepath.Base(cases)), Cannot: posix.CannotKernel})
}
