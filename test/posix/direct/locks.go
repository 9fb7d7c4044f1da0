package direct

import (
	"fmt"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/packagefs/packagefs/server/p9l/client"
	"github.com/packagefs/packagefs/server/p9l/wire"
)

// lockPoll is how long who waits for a lock waits before asking again: a server
// tells nobody when one is free.
const lockPoll = 5 * time.Millisecond

// lock makes the lock of a descriptor, which is its owner.
func lock(fd int, l *unix.Flock_t) client.Lock {
	to := client.Lock{Type: wire.LockUnlock, Start: uint64(l.Start), Length: uint64(l.Len), Owner: fmt.Sprint(fd)}
	switch l.Type {
	case unix.F_RDLCK:
		to.Type = wire.LockRead
	case unix.F_WRLCK:
		to.Type = wire.LockWrite
	}
	return to
}

func (c *calls) FcntlFlock(fd, cmd int, l *unix.Flock_t) error {
	o, err := c.s.file(fd)
	if err != nil {
		return err
	}
	switch cmd {
	case unix.F_OFD_SETLK:
		return o.fid.Lock(never, lock(fd, l))
	case unix.F_GETLK:
		found, err := o.fid.GetLock(never, lock(fd, l))
		types := map[uint8]int16{wire.LockRead: unix.F_RDLCK, wire.LockWrite: unix.F_WRLCK, wire.LockUnlock: unix.F_UNLCK}
		*l = unix.Flock_t{Type: types[found.Type], Start: int64(found.Start), Len: int64(found.Length), Pid: int32(found.PID)}
		return err
	}
	return syscall.EINVAL
}

func (c *calls) Flock(fd, how int) error {
	o, err := c.s.file(fd)
	if err != nil {
		return err
	}
	whole := unix.Flock_t{Type: unix.F_UNLCK}
	switch how &^ unix.LOCK_NB {
	case unix.LOCK_SH:
		whole.Type = unix.F_RDLCK
	case unix.LOCK_EX:
		whole.Type = unix.F_WRLCK
	}
	for {
		err := o.fid.Lock(never, lock(fd, &whole))
		if err != syscall.EAGAIN || how&unix.LOCK_NB != 0 {
			return err
		}
		time.Sleep(lockPoll)
	}
}
