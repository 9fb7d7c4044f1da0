package guest

import (
	"testing"

	"github.com/packagefs/packagefs/test/fsx"
	"github.com/packagefs/packagefs/test/harness"
)

// workMounts mounts a context with a mutable layer twice, as packagefs mount
// does.
func workMounts(t *testing.T) (at, other string) {
	t.Helper()
	s := harness.ServerDir(t, guestData(t).Program, diskDir(t))
	s.Start(t)
	return writableMount(t, s, "user:root", "mmap"), writableMount(t, s, "user:root", "mmap")
}

func testDbench(t *testing.T) {
	at, _ := workMounts(t)
	harness.CheckDbench(t, at)
}

// The kernel's client keeps pages that were mapped, and does not hear of what
// another client writes there: maps are for one mount alone.
func testRandom(t *testing.T) {
	at, other := workMounts(t)
	harness.CheckRandom(t, fsx.Run{Count: 1500, Dir: at, Other: other}, fsx.Run{Count: 1500, Dir: at, Maps: true})
}

// What configure does takes the guest ten minutes, so that was done outside.
func testBuild(t *testing.T) {
	at, other := workMounts(t)
	harness.CheckBuild(t, guestData(t).Source, at, other, []string{"make"})
}
