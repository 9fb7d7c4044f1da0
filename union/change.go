package union

import (
	"os"
	"syscall"

	"github.com/hugelgupf/p9/p9"
	"golang.org/x/sys/unix"
)

const maxName = 255

// change calls do with the directory as it is now, the layers locked for
// changes. It fails with EROFS where there is no layer that takes them.
func (f *dirFile) change(do func(at *mergedDir) error) error {
	for {
		s, err := f.stacker.Stack(true)
		if err != nil {
			return err
		}
		m := s.own()
		if m == nil {
			return syscall.EROFS
		}
		if m.there.Load() {
			if err := m.count(); err != nil {
				return err
			}
		}
		s.lock()
		at, err := f.locate(s, true)
		if err == nil {
			err = do(at)
		}
		s.unlock()
		if _, stale := err.(*staleDir); !stale {
			return err
		}
		if err := freshenStale(err, true); err != errRetry {
			return err
		}
	}
}

// change calls do with where the file is now, the layers locked for changes.
func (f *upFile) change(do func(at *mergedDir, name string) error) error {
	return f.dir.change(func(at *mergedDir) error {
		parent, name, ok := f.node.location()
		if !ok {
			return errNoEntry
		}
		path, ok := parent.path()
		if !ok {
			return errNoEntry
		}
		at, err := at.stack.at(path, true)
		if err != nil {
			return err
		}
		return do(at, name)
	})
}

// An adding is the making of a new name.
type adding struct {
	f    *dirFile
	name string
	dir  bool // it is to be a directory
	make func(m *Mutable, dir int, name string, group uint32, inherit bool) error
	made *unix.Statx_t // by make: what it made, if that is known to be new; else it is looked at
}

// run makes the name, and returns what came of it.
func (a *adding) run() (e upEntry, err error) {
	err = a.f.change(func(at *mergedDir) error {
		e, err = a.at(at)
		return err
	})
	return e, err
}

func (a *adding) at(at *mergedDir) (upEntry, error) {
	if len(a.name) > maxName {
		return upEntry{}, syscall.ENAMETOOLONG
	}
	if _, err := at.look(a.name, true); err == nil {
		return upEntry{}, syscall.EEXIST
	} else if err != errNoEntry {
		return upEntry{}, err
	}
	if !at.may(a.f.who, mayWrite|maySearch) {
		return upEntry{}, syscall.EACCES
	}
	m := at.stack.own()
	up, err := m.ensureDir(at)
	if err != nil {
		return upEntry{}, err
	}
	if err := m.grow(0, 1); err != nil {
		return upEntry{}, err
	}
	var e upEntry
	err = m.withDir(up, func(dir int) error {
		if err := a.put(m, up, dir); err != nil {
			return err
		}
		if a.made != nil {
			e = newEntry(a.made)
			return nil
		}
		e, err = m.entryOf(dir, a.name)
		return err
	})
	if err != nil {
		m.shrink(0, 1)
		return upEntry{}, err
	}
	if up.entries[a.name].typ == unix.DT_WHT {
		m.shrink(0, 1)
	}
	up.entries[a.name] = e
	if a.dir {
		m.shape.Add(1)
	}
	return e, nil
}

// put makes the name on disk. Where it was marked as deleted it is made in work
// and takes the place of the mark in one step; a directory hides what was there.
func (a *adding) put(m *Mutable, up *upDir, dir int) error {
	group, inherit := up.inode.gid, up.inode.mode&unix.S_ISGID != 0
	if up.entries[a.name].typ != unix.DT_WHT {
		return a.make(m, dir, a.name, group, inherit)
	}
	temp := m.tempName()
	err := a.make(m, m.work, temp, group, inherit)
	switch {
	case err != nil:
	case a.dir:
		if err = m.setOpaque(temp); err == nil {
			err = unix.Renameat2(m.work, temp, dir, a.name, unix.RENAME_EXCHANGE)
		}
		m.discard(temp)
		return err
	default:
		err = unix.Renameat(m.work, temp, dir, a.name)
	}
	if err != nil {
		m.discard(temp)
	}
	return err
}

// setOpaque marks a directory in work as hiding what is below the layer.
func (m *Mutable) setOpaque(temp string) error {
	fd, err := openName(m.work, temp, unix.O_PATH, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	return m.setOwn(fd, m.names.overlay+"opaque", []byte{'y'})
}

// owner returns whose a new file is: that of who makes it, and the group that
// they say if they are in it; a directory with setgid gives its group to what is
// made in it.
func (c *Cred) owner(uid p9.UID, gid p9.GID, group uint32, inherit bool) (uint32, uint32) {
	u, g := uint32(uid), uint32(gid)
	if c != nil {
		u = c.UID
	}
	if u == uint32(p9.NoUID) {
		u = uint32(os.Geteuid())
	}
	switch {
	case inherit:
		g = group
	case g == uint32(p9.NoGID) && c != nil && len(c.GIDs) > 0, !c.in(g) && len(c.GIDs) > 0:
		g = c.GIDs[0]
	case g == uint32(p9.NoGID):
		g = uint32(os.Getegid())
	}
	return u, g
}

// finish gives a new file its owner and mode. It returns what the file was before.
func finish(fd int, mode, uid, gid uint32) (unix.Statx_t, error) {
	st, err := statFD(fd)
	if err != nil {
		return st, err
	}
	if st.Uid != uid || st.Gid != gid {
		if err := chown(fd, uid, gid); err != nil {
			return st, err
		}
	}
	if mode&unix.S_ISGID == 0 && mode&unix.S_ISUID == 0 && uint32(st.Mode)&07777 == mode {
		return st, nil
	}
	return st, unix.Chmod(procPath(fd), mode)
}

// finishName is finish for a name.
func finishName(dir int, name string, mode, uid, gid uint32) error {
	fd, err := openName(dir, name, unix.O_PATH, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	if mode == noMode {
		return chown(fd, uid, gid)
	}
	_, err = finish(fd, mode, uid, gid)
	return err
}

// noMode is that of a symlink.
const noMode = ^uint32(0)

// Create implements p9.File.
func (f *dirFile) Create(name string, flags p9.OpenFlags, mode p9.FileMode, uid p9.UID, gid p9.GID) (p9.File, p9.QID, uint32, error) {
	for {
		file, err := f.create(name, flags, mode, uid, gid)
		if err == syscall.EEXIST && flags&unix.O_EXCL == 0 {
			if file, err = f.openExisting(name, flags); err == errNoEntry {
				continue // it went between the two
			}
		}
		if err != nil {
			return nil, p9.QID{}, 0, err
		}
		if u, ok := file.(*upFile); ok {
			return u, u.qid, 0, nil // Open and create have seen to it
		}
		q, _, _, err := file.GetAttr(p9.AttrMask{})
		if err != nil {
			file.Close()
			return nil, p9.QID{}, 0, err
		}
		return file, q, 0, nil
	}
}

// openExisting opens what has the name already.
func (f *dirFile) openExisting(name string, flags p9.OpenFlags) (p9.File, error) {
	_, file, err := f.Walk([]string{name})
	if err != nil {
		return nil, err
	}
	if q, _, attr, err := file.GetAttr(p9.AttrMask{}); err != nil || !attr.Mode.IsRegular() {
		file.Close()
		if err == nil && q.Type == p9.TypeDir {
			err = syscall.EISDIR
		} else if err == nil {
			err = syscall.ENXIO
		}
		return nil, err
	}
	if _, _, err := file.Open(flags &^ (unix.O_CREAT | unix.O_EXCL)); err != nil {
		file.Close()
		return nil, err
	}
	return file, nil
}

// create makes a new file and opens it.
func (f *dirFile) create(name string, flags p9.OpenFlags, mode p9.FileMode, uid p9.UID, gid p9.GID) (file p9.File, err error) {
	fd := -1
	var counted *Mutable // among whose open files it has a place already
	osFlags := int(flags)&(unix.O_ACCMODE|passedFlags) | unix.O_CREAT | unix.O_EXCL
	a := &adding{f: f, name: name}
	a.make = func(m *Mutable, dir int, name string, group uint32, inherit bool) error {
		if counted == nil {
			if err := m.files.take(f.who); err != nil {
				return err
			}
			counted = m
		}
		u, g := f.who.owner(uid, gid, group, inherit)
		if fd >= 0 {
			unix.Close(fd) // of an attempt before
		}
		if fd, err = openName(dir, name, osFlags, uint32(mode)&0o777); err != nil {
			fd = -1
			return err
		}
		bits := uint32(mode) & 07777
		if !f.who.in(g) {
			bits &^= unix.S_ISGID
		}
		st, err := finish(fd, bits, u, g)
		st.Mode = st.Mode&^07777 | uint16(bits)
		a.made = &st
		return err
	}
	err = f.change(func(at *mergedDir) error {
		e, err := a.at(at)
		if err != nil {
			return err
		}
		u := f.fileAt(at, &lookupResult{layer: 0, up: at.own(), ent: e}, name).(*upFile)
		o, err := u.node.layer.opened(fd, a.made, e.ino, osFlags, f.who)
		u.open.Store(o)
		fd, counted = -1, nil
		file = u
		return err
	})
	if fd >= 0 {
		unix.Close(fd)
	}
	if counted != nil {
		counted.files.give(f.who)
	}
	if err != nil && file != nil {
		file.Close()
	}
	return file, err
}

// Mkdir implements p9.File.
func (f *dirFile) Mkdir(name string, mode p9.FileMode, uid p9.UID, gid p9.GID) (p9.QID, error) {
	a := &adding{f: f, name: name, dir: true}
	a.make = func(_ *Mutable, dir int, name string, group uint32, inherit bool) error {
		u, g := f.who.owner(uid, gid, group, inherit)
		bits := uint32(mode) & 0o1777
		if inherit {
			bits |= unix.S_ISGID
		}
		if err := unix.Mkdirat(dir, name, bits&0o777); err != nil {
			return err
		}
		return finishName(dir, name, bits, u, g)
	}
	e, err := a.run()
	return p9.QID{Type: p9.TypeDir, Path: e.ino, Version: 1}, err
}

// Symlink implements p9.File.
func (f *dirFile) Symlink(target, name string, uid p9.UID, gid p9.GID) (p9.QID, error) {
	a := &adding{f: f, name: name}
	a.make = func(_ *Mutable, dir int, name string, group uint32, inherit bool) error {
		u, g := f.who.owner(uid, gid, group, inherit)
		if err := unix.Symlinkat(target, dir, name); err != nil {
			return err
		}
		return finishName(dir, name, noMode, u, g)
	}
	e, err := a.run()
	return p9.QID{Type: p9.TypeSymlink, Path: e.ino}, err
}

// Mknod implements p9.File. Devices are refused: one that is marked 0/0 deletes
// a name, and the others would be those of the server's machine.
func (f *dirFile) Mknod(name string, mode p9.FileMode, _, _ uint32, uid p9.UID, gid p9.GID) (p9.QID, error) {
	typ := uint32(mode) & unix.S_IFMT
	switch typ {
	case 0:
		typ = unix.S_IFREG
	case unix.S_IFREG, unix.S_IFIFO, unix.S_IFSOCK:
	default:
		return p9.QID{}, syscall.EPERM
	}
	a := &adding{f: f, name: name}
	a.make = func(_ *Mutable, dir int, name string, group uint32, inherit bool) error {
		u, g := f.who.owner(uid, gid, group, inherit)
		if err := unix.Mknodat(dir, name, typ|uint32(mode)&0o777, 0); err != nil {
			return err
		}
		return finishName(dir, name, uint32(mode)&07777, u, g)
	}
	e, err := a.run()
	return p9.QID{Path: e.ino}, err
}

// Link implements p9.File.
func (f *dirFile) Link(target p9.File, name string) error {
	s, err := f.stacker.Stack(true)
	if err != nil {
		return err
	}
	t, ok := target.(*upFile)
	switch {
	case !s.Own:
		return syscall.EROFS
	case !ok:
		if _, dir := target.(*dirFile); dir {
			return syscall.EPERM
		}
		if l, ok := target.(interface{ refuse() error }); ok {
			return l.refuse()
		}
		return syscall.EXDEV
	case t.node == nil:
		return syscall.EROFS
	}
	if err := t.copyUp(); err != nil {
		return err
	}
	a := &adding{f: f, name: name}
	a.make = func(m *Mutable, dir int, name string, _ uint32, _ bool) error {
		if m != t.node.layer {
			return syscall.EXDEV
		}
		s, err := t.node.layerFile(t.qid.Path)
		if s == nil && err == nil {
			err = syscall.ESTALE
		}
		return s.use(func(s *layerFile) error {
			return unix.Linkat(s.dir, s.name, dir, name, 0)
		}, err)
	}
	_, err = a.run()
	return err
}

// SetAttr implements p9.File. A directory of a package keeps owner and mode; its
// times change with what is in it anyway.
func (f *dirFile) SetAttr(valid p9.SetAttrMask, attr p9.SetAttr) error {
	if valid.Size {
		return syscall.EISDIR
	}
	return f.changeAttr(valid.Permissions || valid.UID || valid.GID, func(have fileAttr) error {
		return f.who.maySet(have, valid, attr, false)
	}, func(fd int, have fileAttr) error {
		if err := setAttr(f.who, fd, have, valid, attr); err != nil {
			return err
		}
		return setTimes(fd, valid, attr)
	})
}

// SetXattr implements p9.File.
func (f *dirFile) SetXattr(name string, value []byte, flags p9.XattrFlags) error {
	return f.changeAttr(true, func(have fileAttr) error { return f.who.maySetXattr(have, name) },
		func(fd int, _ fileAttr) error { return unix.Setxattr(procPath(fd), name, value, int(flags)) })
}

// RemoveXattr implements p9.File.
func (f *dirFile) RemoveXattr(name string) error {
	return f.changeAttr(true, func(have fileAttr) error { return f.who.maySetXattr(have, name) },
		func(fd int, _ fileAttr) error { return unix.Removexattr(procPath(fd), name) })
}

// changeAttr changes attributes of the directory, which have must allow; of a
// package's directory it may change what is not kept.
func (f *dirFile) changeAttr(kept bool, may func(have fileAttr) error, change func(fd int, have fileAttr) error) error {
	return f.change(func(at *mergedDir) error {
		have := at.attr()
		if err := may(have); err != nil {
			return err
		}
		if kept && !at.mutable() {
			return syscall.EPERM
		}
		m := at.stack.own()
		up, err := m.ensureDir(at)
		if err != nil {
			return err
		}
		return m.withDir(up, func(dir int) error { return change(dir, have) })
	})
}

// mutable says whether users may change the directory itself: where a package
// has it, if each that has says so.
func (p *mergedDir) mutable() bool {
	if p.dir == nil {
		return true
	}
	for i := range p.dir.from {
		c := &p.dir.from[i]
		if c.added || !c.layer.Package.MutableIn(p.path, "", c.layer.Inode(c.ino)) {
			return false
		}
	}
	return p.path != ""
}
