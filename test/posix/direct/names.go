package direct

import (
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/packagefs/packagefs/server/p9l/client"
	"github.com/packagefs/packagefs/test/posix"
)

// in calls do with the directory that a path ends in, and the name there.
func (c *calls) in(path string, do func(dir *client.Fid, name string) error) error {
	p, _, err := c.find(path)
	if err != nil {
		return err
	}
	defer p.dir.Clunk()
	return do(p.dir, p.name)
}

func (c *calls) gid() uint32 { return uint32(c.user.GID) }

func (c *calls) Mkdir(path string, mode uint32) error {
	return c.in(path, func(dir *client.Fid, name string) error {
		_, err := dir.Mkdir(never, name, c.masked(mode), c.gid())
		return err
	})
}

func (c *calls) Mknod(path string, mode uint32, dev int) error {
	return c.in(path, func(dir *client.Fid, name string) error {
		_, err := dir.Mknod(never, name, c.masked(mode), unix.Major(uint64(dev)), unix.Minor(uint64(dev)), c.gid())
		return err
	})
}

func (c *calls) Mkfifo(path string, mode uint32) error { return c.Mknod(path, unix.S_IFIFO|mode, 0) }

func (c *calls) Symlink(target, path string) error {
	return c.in(path, func(dir *client.Fid, name string) error {
		_, err := dir.Symlink(never, name, target, c.gid())
		return err
	})
}

func (c *calls) Readlink(path string) (target string, err error) {
	err = c.on(path, false, func(fid *client.Fid) error {
		target, err = fid.Readlink(never)
		return err
	})
	return target, err
}

func (c *calls) Link(path, name string) error {
	return c.on(path, false, func(target *client.Fid) error {
		return c.in(name, func(dir *client.Fid, name string) error { return dir.Link(never, target, name) })
	})
}

func (c *calls) Unlink(path string) error {
	return c.in(path, func(dir *client.Fid, name string) error { return dir.UnlinkAt(never, name, false) })
}

func (c *calls) Rmdir(path string) error {
	return c.in(path, func(dir *client.Fid, name string) error { return dir.UnlinkAt(never, name, true) })
}

func (c *calls) Rename(from, to string) error {
	return c.in(from, func(dir *client.Fid, name string) error {
		return c.in(to, func(toDir *client.Fid, newName string) error {
			if dir.Conn() != toDir.Conn() {
				return syscall.EXDEV
			}
			return dir.RenameAt(never, name, toDir, newName)
		})
	})
}

// Renameat2 has no flags: 9P has none.
func (c *calls) Renameat2(from, to string, flags uint) error {
	if flags != 0 {
		return syscall.ENOSYS
	}
	return c.Rename(from, to)
}

func (c *calls) Run(string) (int, error) { return 0, syscall.ENOSYS }

func (c *calls) Getdents(fd int) (entries []posix.Entry, err error) {
	o, err := c.s.file(fd)
	if err != nil {
		return nil, err
	}
	for {
		list, err := o.fid.Readdir(never, o.entry)
		if err != nil || len(list) == 0 {
			return nil, err
		}
		for _, d := range list {
			o.entry = d.Offset
			if d.Name != "." && d.Name != ".." {
				entries = append(entries, posix.Entry{Name: d.Name, Type: uint8(d.Type), Ino: d.QID.Path})
			}
		}
		if len(entries) > 0 {
			return entries, nil
		}
	}
}

func (c *calls) Rewind(fd int) error {
	o, err := c.s.file(fd)
	if err != nil {
		return err
	}
	o.entry = 0
	return nil
}
