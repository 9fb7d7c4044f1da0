//go:build e2e

package test

import (
	"path/filepath"
	"testing"

	"github.com/packagefs/packagefs/test/posix"
)

// The POSIX cases, through two FUSE mounts of one context.
func TestFUSEPosix(t *testing.T) {
	s := posixServer(t, get(t, program), t.TempDir())
	one, two := fuseMount(t, s, posixContext), fuseMount(t, s, posixContext)
	dir := posixDir(t, one)
	posix.Run(t, posix.Mount{Path: dir, Other: filepath.Join(two, filepath.Base(dir)), Cannot: posix.CannotFUSE})
}
