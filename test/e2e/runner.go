package e2e

import (
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/packagefs/packagefs/test/guest"
	"github.com/packagefs/packagefs/test/harness"
)

// A guest that does not end is killed with all its processes, and one whose
// tests die is a failure.
func testKernelRunner(t *testing.T) {
	binary := harness.GuestProgram(t)
	t.Run("hangs", func(t *testing.T) {
		dir := t.TempDir()
		start := time.Now()
		_, err := harness.Guest{Binary: binary, Timeout: 2 * time.Second}.Boot(dir, guest.Hangs)
		if err == nil || !strings.Contains(err.Error(), "killed") || time.Since(start) > harness.Patience {
			t.Errorf("after %v: %v", time.Since(start), err)
		}
		harness.WaitFor(t, "the guest's processes to go", func() error { return harness.NoProcess(dir) })
	})
	t.Run("dies", func(t *testing.T) {
		dir := t.TempDir()
		console, err := harness.Guest{Binary: binary}.Boot(dir, guest.Dies)
		if err == nil {
			t.Errorf("no error; the console says %s", harness.Tail(console, 20))
		}
		outcomes, _, err := harness.ReadOutcomes(filepath.Join(dir, "out"))
		if err != nil || outcomes[guest.Dies.Path("Dies")] == nil || outcomes[guest.Dies.Path("Dies")].Action == "pass" {
			t.Errorf("outcomes are %v, %v", outcomes, err)
		}
	})
}
