package union

import (
	"strings"
	"syscall"

	"github.com/hugelgupf/p9/p9"
	"golang.org/x/sys/unix"
)

// SetAttr implements p9.File.
func (f *upFile) SetAttr(valid p9.SetAttrMask, attr p9.SetAttr) error {
	if f.node == nil {
		return syscall.EROFS
	}
	have, err := f.attr()
	if err != nil {
		return err
	}
	if err := f.who.maySet(have, valid, attr, f.open.Load().writes()); err != nil {
		return err
	}
	return f.withCopy(func(fd int) error {
		if err := setAttr(f.who, fd, have, valid, attr); err != nil {
			return err
		}
		if valid.Size {
			if err := f.setSize(attr.Size); err != nil {
				return err
			}
		}
		return setTimes(fd, valid, attr)
	})
}

// withCopy calls do with a descriptor of the layer's own copy of the file.
func (f *upFile) withCopy(do func(fd int) error) error {
	if o := f.open.Load(); o != nil && o.layer == f.node.layer {
		return do(o.fd)
	}
	if err := f.copyUp(); err != nil {
		return err
	}
	var fd int
	err := f.look(func(s *layerFile) (err error) {
		if s == nil {
			return syscall.ESTALE
		}
		fd, err = openName(s.dir, s.name, unix.O_PATH, 0)
		return err
	})
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	return do(fd)
}

// setSize truncates or extends the layer's copy. The permissions were checked.
func (f *upFile) setSize(size uint64) error {
	if o := f.open.Load(); o.writes() {
		return o.truncate(size)
	}
	return f.look(func(s *layerFile) error {
		if s == nil {
			return syscall.ESTALE
		}
		o, err := s.open(f.qid.Path, unix.O_WRONLY, nil)
		if err == syscall.ENXIO {
			return syscall.EINVAL
		}
		if err != nil {
			return err
		}
		defer o.close()
		return o.truncate(size)
	})
}

// maySet says whether c may set attributes of a file that has those of have.
// writes says that the file is open for writing.
func (c *Cred) maySet(have fileAttr, valid p9.SetAttrMask, attr p9.SetAttr, writes bool) error {
	switch {
	case c.root():
		return nil
	case valid.Size && !writes && !c.may(have, mayWrite):
		return syscall.EACCES
	case valid.Permissions && !c.owns(have) && !c.dropsIDs(have, uint32(attr.Permissions)),
		valid.UID && (!c.owns(have) || uint32(attr.UID) != have.uid),
		valid.GID && (!c.owns(have) || !c.in(uint32(attr.GID)) && uint32(attr.GID) != have.gid):
		return syscall.EPERM
	case (valid.ATime && valid.ATimeNotSystemTime || valid.MTime && valid.MTimeNotSystemTime) && !c.owns(have):
		return syscall.EPERM
	case (valid.ATime || valid.MTime) && !valid.Size && !c.owns(have) && !c.may(have, mayWrite):
		return syscall.EACCES
	}
	return nil
}

// dropsIDs says whether a mode only takes setuid and setgid away, as a client's
// kernel does before it writes for somebody who may.
func (c *Cred) dropsIDs(have fileAttr, mode uint32) bool {
	const ids = unix.S_ISUID | unix.S_ISGID
	return mode&^ids == have.mode&^ids && mode&^have.mode == 0 && c.may(have, mayWrite)
}

// setAttr sets owner and mode of an open file, which may be one of O_PATH.
func setAttr(who *Cred, fd int, have fileAttr, valid p9.SetAttrMask, attr p9.SetAttr) error {
	uid, gid := -1, -1
	if valid.UID {
		uid = int(attr.UID)
	}
	if valid.GID {
		gid = int(attr.GID)
		have.gid = uint32(attr.GID)
	}
	if uid >= 0 || gid >= 0 {
		if err := unix.Fchownat(fd, "", uid, gid, unix.AT_EMPTY_PATH); err != nil {
			return err
		}
	}
	if valid.Permissions {
		mode := uint32(attr.Permissions) & 07777
		if !who.in(have.gid) {
			mode &^= unix.S_ISGID
		}
		if err := unix.Chmod(procPath(fd), mode); err != nil {
			return err
		}
	}
	return nil
}

// setTimes sets the times of an open file, which may be one of O_PATH.
func setTimes(fd int, valid p9.SetAttrMask, attr p9.SetAttr) error {
	if !valid.ATime && !valid.MTime {
		return nil
	}
	ts := []unix.Timespec{
		timeSpec(valid.ATime, valid.ATimeNotSystemTime, attr.ATimeSeconds, attr.ATimeNanoSeconds),
		timeSpec(valid.MTime, valid.MTimeNotSystemTime, attr.MTimeSeconds, attr.MTimeNanoSeconds),
	}
	return unix.UtimesNanoAt(fd, "", ts, unix.AT_EMPTY_PATH)
}

func timeSpec(set, exact bool, sec, nsec uint64) unix.Timespec {
	switch {
	case !set:
		return unix.Timespec{Nsec: unix.UTIME_OMIT}
	case !exact:
		return unix.Timespec{Nsec: unix.UTIME_NOW}
	}
	return unix.Timespec{Sec: int64(sec), Nsec: int64(nsec)}
}

// SetXattr implements p9.File.
func (f *upFile) SetXattr(name string, value []byte, flags p9.XattrFlags) error {
	return f.changeXattr(name, func(fd int) error {
		return unix.Setxattr(procPath(fd), name, value, int(flags))
	})
}

// RemoveXattr implements p9.File.
func (f *upFile) RemoveXattr(name string) error {
	return f.changeXattr(name, func(fd int) error { return unix.Removexattr(procPath(fd), name) })
}

func (f *upFile) changeXattr(name string, change func(fd int) error) error {
	if f.node == nil {
		return syscall.EROFS
	}
	have, err := f.attr()
	if err != nil {
		return err
	}
	if err := f.who.maySetXattr(have, name); err != nil {
		return err
	}
	return f.withCopy(change)
}

// maySetXattr says whether c may set an attribute of that name.
func (c *Cred) maySetXattr(have fileAttr, name string) error {
	switch {
	case private(name):
		return syscall.EPERM
	case strings.HasPrefix(name, "user."):
		if !c.may(have, mayWrite) {
			return syscall.EACCES
		}
		return nil
	case strings.HasPrefix(name, "security."), strings.HasPrefix(name, "trusted."):
		if !c.root() {
			return syscall.EPERM
		}
		return nil
	}
	return syscall.EOPNOTSUPP
}

// getUserXattr returns an attribute of an open file that is not the layer's own.
func getUserXattr(fd int, name string) ([]byte, error) {
	if private(name) {
		return nil, syscall.ENODATA
	}
	return getXattrFD(fd, name)
}

// listUserXattrs returns the names of the attributes of an open file that are
// not the layer's own. Access control lists are not served.
func listUserXattrs(fd int) ([]string, error) {
	all, err := listXattrFD(fd)
	names := all[:0]
	for _, name := range all {
		if !private(name) && !strings.HasPrefix(name, "system.") {
			names = append(names, name)
		}
	}
	return names, err
}

// upXattr returns an attribute of a directory that a layer has.
func (p *mergedDir) upXattr(name string) (value []byte, err error) {
	m := p.stack.Layers[p.ups[0].layer]
	d, err := m.fds.open(p.ups[0].dir)
	if err != nil {
		return nil, err
	}
	defer m.fds.close(d)
	return getUserXattr(d.fd, name)
}

func (p *mergedDir) upXattrs() ([]string, error) {
	m := p.stack.Layers[p.ups[0].layer]
	d, err := m.fds.open(p.ups[0].dir)
	if err != nil {
		return nil, err
	}
	defer m.fds.close(d)
	return listUserXattrs(d.fd)
}
