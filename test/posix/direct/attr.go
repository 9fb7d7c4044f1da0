package direct

import (
	"syscall"

	"github.com/hugelgupf/p9/p9"
	"golang.org/x/sys/unix"

	"github.com/packagefs/packagefs/server/p9l/client"
	"github.com/packagefs/packagefs/server/p9l/wire"
)

// on calls do with a fid of what a path leads to, through a symlink at its end if
// follow is set.
func (c *calls) on(path string, follow bool, do func(*client.Fid) error) error {
	p, slashed, err := c.find(path)
	if err != nil {
		return err
	}
	var fid *client.Fid
	if follow || slashed {
		p, fid, err = c.follow(p, new(int))
	} else {
		fid, _, _, err = c.walk(p)
	}
	if p.dir != nil {
		p.dir.Clunk()
	}
	if err != nil {
		return err
	}
	defer fid.Clunk()
	return do(fid)
}

// status makes a stat of what fid is.
func status(fid *client.Fid, st *unix.Stat_t) error {
	qid, a, err := fid.GetAttr(never)
	if err != nil {
		return err
	}
	*st = unix.Stat_t{
		Ino: qid.Path, Mode: uint32(a.Mode), Uid: uint32(a.UID), Gid: uint32(a.GID), Size: int64(a.Size), Blocks: int64(a.Blocks),
		Atim: unix.Timespec{Sec: int64(a.ATimeSeconds), Nsec: int64(a.ATimeNanoSeconds)},
		Mtim: unix.Timespec{Sec: int64(a.MTimeSeconds), Nsec: int64(a.MTimeNanoSeconds)},
		Ctim: unix.Timespec{Sec: int64(a.CTimeSeconds), Nsec: int64(a.CTimeNanoSeconds)},
	}
	setNumber(&st.Nlink, uint64(a.NLink))
	return nil
}

// setNumber sets a number whose type depends on the machine.
func setNumber[T uint32 | uint64](to *T, n uint64) { *to = T(n) }

func (c *calls) Stat(path string, st *unix.Stat_t) error {
	return c.on(path, true, func(fid *client.Fid) error { return status(fid, st) })
}

func (c *calls) Lstat(path string, st *unix.Stat_t) error {
	return c.on(path, false, func(fid *client.Fid) error { return status(fid, st) })
}

func (c *calls) Fstat(fd int, st *unix.Stat_t) error {
	o, err := c.s.file(fd)
	if err != nil {
		return err
	}
	return status(o.fid, st)
}

func (c *calls) Statfs(path string, st *unix.Statfs_t) error {
	return c.on(path, true, func(fid *client.Fid) error {
		s, err := fid.StatFS(never)
		*st = unix.Statfs_t{Bsize: int64(s.BlockSize), Blocks: s.Blocks, Bfree: s.BlocksFree, Bavail: s.BlocksAvailable, Namelen: int64(s.NameLength)}
		return err
	})
}

// Access asks nobody: 9P has no message for it.
func (c *calls) Access(string, uint32) error { return syscall.ENOSYS }

// set sets attributes of what a path leads to.
func (c *calls) set(path string, mask uint32, a p9.SetAttr) error {
	return c.on(path, true, func(fid *client.Fid) error { return fid.SetAttr(never, mask, a) })
}

func (c *calls) Chmod(path string, mode uint32) error {
	return c.set(path, wire.SetMode, p9.SetAttr{Permissions: p9.FileMode(mode)})
}

func (c *calls) Fchmod(fd int, mode uint32) error {
	return c.setOpen(fd, wire.SetMode, p9.SetAttr{Permissions: p9.FileMode(mode)})
}

func (c *calls) Chown(path string, uid, gid int) error {
	var mask uint32
	if uid >= 0 {
		mask |= wire.SetUID
	}
	if gid >= 0 {
		mask |= wire.SetGID
	}
	return c.set(path, mask, p9.SetAttr{UID: p9.UID(uid), GID: p9.GID(gid)})
}

func (c *calls) Truncate(path string, size int64) error {
	return c.set(path, wire.SetSize, p9.SetAttr{Size: uint64(size)})
}

func (c *calls) Ftruncate(fd int, size int64) error {
	return c.setOpen(fd, wire.SetSize, p9.SetAttr{Size: uint64(size)})
}

func (c *calls) UtimesNano(path string, times []unix.Timespec, flags int) error {
	mask, a := timesSet(times)
	return c.on(path, flags&unix.AT_SYMLINK_NOFOLLOW == 0, func(fid *client.Fid) error { return fid.SetAttr(never, mask, a) })
}

func (c *calls) Futimes(fd int, times []unix.Timeval) error {
	var exact []unix.Timespec
	for _, t := range times {
		exact = append(exact, unix.NsecToTimespec(unix.TimevalToNsec(t)))
	}
	mask, a := timesSet(exact)
	return c.setOpen(fd, mask, a)
}

// timesSet says which times are to be set; none are the server's now.
func timesSet(times []unix.Timespec) (mask uint32, a p9.SetAttr) {
	if times == nil {
		return wire.SetATime | wire.SetMTime, a
	}
	if t := times[0]; t.Nsec != unix.UTIME_OMIT {
		mask |= wire.SetATime | wire.SetATimeExact
		a.ATimeSeconds, a.ATimeNanoSeconds = uint64(t.Sec), uint64(t.Nsec)
	}
	if t := times[1]; t.Nsec != unix.UTIME_OMIT {
		mask |= wire.SetMTime | wire.SetMTimeExact
		a.MTimeSeconds, a.MTimeNanoSeconds = uint64(t.Sec), uint64(t.Nsec)
	}
	return mask, a
}

func (c *calls) Setxattr(path, name string, value []byte, flags int) error {
	return c.on(path, true, func(fid *client.Fid) error { return fid.SetXattr(never, name, value, uint32(flags)) })
}

func (c *calls) Removexattr(path, name string) error {
	return c.on(path, true, func(fid *client.Fid) error { return fid.RemoveXattr(never, name) })
}

func (c *calls) Getxattr(path, name string, p []byte) (int, error) {
	return c.xattr(path, true, name, p)
}

func (c *calls) Lgetxattr(path, name string, p []byte) (int, error) {
	return c.xattr(path, false, name, p)
}

func (c *calls) Listxattr(path string, p []byte) (int, error) { return c.xattr(path, true, "", p) }

func (c *calls) xattr(path string, follow bool, name string, p []byte) (n int, err error) {
	err = c.on(path, follow, func(fid *client.Fid) error {
		value, err := fid.Xattr(never, name)
		if n = len(value); err == nil && p != nil && copy(p, value) < n {
			err = syscall.ERANGE
		}
		return err
	})
	return n, err
}
