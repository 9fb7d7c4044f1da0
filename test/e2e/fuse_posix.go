package e2e

import (
	"path/filepath"
	"testing"

	"github.com/packagefs/packagefs/test/harness"
	"github.com/packagefs/packagefs/test/posix"
)

// The POSIX cases, through two FUSE mounts of one context.
func testFUSEPosix(t *testing.T) {
	s := harness.PosixServer(t, harness.Program(t), t.TempDir())
	one, two := fuseMount(t, s, harness.PosixContext), fuseMount(t, s, harness.PosixContext)
	dir := harness.PosixDir(t, one)
	posix.Run(t, posix.Mount{Path: dir, Other: filepath.Join(two, filepath.Base(dir)), Cannot: posix.CannotFUSE})
}
