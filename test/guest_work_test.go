//go:build guest

package test

import (
	"testing"

	"github.com/packagefs/packagefs/test/fsx"
)

// workMounts mounts a context with a mutable layer twice, as packagefs mount
// does.
func workMounts(t *testing.T) (at, other string) {
	t.Helper()
	s := ServerDir(t, guestData(t).Program, diskDir(t))
	s.Start(t)
	return writableMount(t, s, "user:root", "mmap"), writableMount(t, s, "user:root", "mmap")
}

func TestGuestDbench(t *testing.T) {
	at, _ := workMounts(t)
	checkDbench(t, at)
}

// The kernel's client keeps pages that were mapped, and does not hear of what
// another client writes there: maps are for one mount alone.
func TestGuestRandom(t *testing.T) {
	at, other := workMounts(t)
	checkRandom(t, fsx.Run{Count: 1500, Dir: at, Other: other}, fsx.Run{Count: 1500, Dir: at, Maps: true})
}

// What configure does takes the guest ten minutes, so that was done outside.
func TestGuestBuild(t *testing.T) {
	at, other := workMounts(t)
	checkBuild(t, guestData(t).Source, at, other, []string{"make"})
}
