package posix

import (
	"unsafe"

	"golang.org/x/sys/unix"
)

// setGroups sets the groups of this thread alone; those of package syscall are
// for all threads.
func setGroups(groups []uint32) error {
	_, _, e := unix.RawSyscall(unix.SYS_SETGROUPS, uintptr(len(groups)), uintptr(unsafe.Pointer(unsafe.SliceData(groups))), 0)
	if e != 0 {
		return e
	}
	return nil
}
