package posix

import (
	"testing"

	"golang.org/x/sys/unix"
)

// TestLocal shows that the cases are right, on a file system of the kernel's.
func TestLocal(t *testing.T) {
	dir := t.TempDir()
	// The users of the cases come through.
	for _, p := range []string{dir, dir + "/.."} {
		if err := unix.Chmod(p, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if len(Cases()) < 150 {
		t.Errorf("%d cases, want 150 at least", len(Cases()))
	}
	Run(t, Mount{Path: dir, Other: dir, Cannot: map[string]string{
		"device cannot be made": "a local file system has devices",
	}})
}
