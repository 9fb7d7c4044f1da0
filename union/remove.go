package union

import (
	"syscall"

	"golang.org/x/sys/unix"
)

// UnlinkAt implements p9.File.
func (f *dirFile) UnlinkAt(name string, flags uint32) error {
	return f.change(func(at *mergedDir) error { return at.unlink(f.who, name, flags&unix.AT_REMOVEDIR != 0) })
}

// Remove implements p9.File.
func (f *upFile) Remove() error {
	if f.node == nil {
		return syscall.EROFS
	}
	return f.change(func(at *mergedDir, name string) error { return at.unlink(f.who, name, false) })
}

// Remove implements p9.File.
func (f *dirFile) Remove() error {
	return f.change(func(at *mergedDir) error {
		if at.path == "" {
			return syscall.EBUSY
		}
		parent, err := at.stack.at(above(at.path), true)
		if err != nil {
			return err
		}
		return parent.unlink(f.who, at.path[len(join(parent.path, "x"))-1:], true)
	})
}

// unlink removes a name. It runs with the stack locked for changes.
func (p *mergedDir) unlink(who *Cred, name string, isDir bool) error {
	f, err := p.look(name, true)
	if err != nil {
		return err
	}
	if !p.may(who, mayWrite|maySearch) {
		return syscall.EACCES
	}
	if err := p.maySticky(who, &f); err != nil {
		return err
	}
	switch {
	case isDir && f.at == nil:
		return errNotDir
	case !isDir && f.at != nil:
		return syscall.EISDIR
	case f.at != nil:
		if err := f.at.removable(); err != nil {
			return err
		}
	case f.e != nil && !f.e.mutable(p.path, name):
		return syscall.EPERM
	}
	return p.erase(&f, name)
}

// maySticky keeps those who own neither the directory nor what is in it from
// taking it out of a sticky one.
func (p *mergedDir) maySticky(who *Cred, f *lookupResult) error {
	dir := p.attr()
	if dir.mode&unix.S_ISVTX == 0 || who.owns(dir) {
		return nil
	}
	a, err := p.resultAttr(f)
	if err == nil && !who.owns(a) {
		err = syscall.EPERM
	}
	return err
}

// resultAttr is what permissions for f depend on.
func (p *mergedDir) resultAttr(f *lookupResult) (fileAttr, error) {
	switch {
	case f.at != nil:
		return f.at.attr(), nil
	case f.e != nil:
		i := f.e.layer.Inode(f.e.ino)
		return attrOfInode(&i), nil
	}
	var a fileAttr
	m := p.stack.Layers[f.layer]
	d, err := m.fds.open(f.up)
	if err != nil {
		return a, err
	}
	defer m.fds.close(d)
	st, err := statName(d.fd, f.name)
	return attrOf(&st), err
}

// removable fails unless the directory is empty. A directory of a package that
// nobody marked as mutable goes only with the mutable files that were in it.
func (p *mergedDir) removable() error {
	r, err := p.read()
	switch {
	case err != nil:
		return err
	case len(r.all) > 0:
		return syscall.ENOTEMPTY
	case p.mutable():
		return nil
	}
	l, err := p.dir.merge(true)
	if err == nil && len(l.entries) == 0 {
		err = syscall.EPERM
	}
	return err
}

// erase takes away what a name stands for. Where there is something below the
// layer a mark takes its place in the same step.
func (p *mergedDir) erase(f *lookupResult, name string) error {
	m := p.stack.own()
	_, err := p.lookBelow(name)
	mark := err == nil
	if err != nil && err != errNoEntry {
		return err
	}
	up, err := m.ensureDir(p)
	if err != nil {
		return err
	}
	_, have := up.entries[name]
	switch {
	case !have:
		err = m.mark(up, name)
	case f.at == nil && !mark:
		err = m.withDir(up, func(dir int) error { return m.unlinkName(dir, name, up.entries[name].ino) })
	default:
		err = m.takeOut(up, name, mark)
	}
	if err != nil {
		return err
	}
	if mark {
		up.entries[name] = upEntry{typ: unix.DT_WHT}
	} else {
		delete(up.entries, name)
	}
	up.node.remove(name)
	if f.at != nil {
		m.shape.Add(1)
	}
	return nil
}

// unlinkName unlinks a file of the layer.
func (m *Mutable) unlinkName(dir int, name string, ino uint64) error {
	st, err := statName(dir, name)
	if err != nil {
		return err
	}
	if err := unix.Unlinkat(dir, name, 0); err != nil {
		return err
	}
	m.unlinked(ino, &st)
	return nil
}

// mark deletes a name that only what is below the layer has.
func (m *Mutable) mark(up *upDir, name string) error {
	if err := m.grow(0, 1); err != nil {
		return err
	}
	temp := m.tempName()
	err := unix.Mknodat(m.work, temp, unix.S_IFCHR, 0)
	if err == nil {
		err = m.withDir(up, func(dir int) error {
			return unix.Renameat2(m.work, temp, dir, name, unix.RENAME_NOREPLACE)
		})
	}
	if err != nil {
		m.shrink(0, 1)
		m.discard(temp)
	}
	return err
}

// takeOut moves a name of the layer to work and removes it there. With mark set
// the name is marked as deleted in the same step.
func (m *Mutable) takeOut(up *upDir, name string, mark bool) error {
	temp := m.tempName()
	flags := uint(unix.RENAME_NOREPLACE)
	if mark {
		flags |= unix.RENAME_WHITEOUT
	}
	ino := up.entries[name].ino
	var st unix.Statx_t
	err := m.withDir(up, func(dir int) (err error) {
		if st, err = statName(dir, name); err != nil {
			return err
		}
		return m.renameOut(dir, name, m.work, temp, flags)
	})
	if err != nil {
		return err
	}
	if st.Mode&unix.S_IFMT == unix.S_IFDIR {
		m.shrink(0, 1+m.marksIn(up.node.known(name)))
	} else {
		m.unlinked(ino, &st)
	}
	if mark {
		m.forceGrow(1)
	}
	m.discard(temp)
	return nil
}

// renameOut is renameat2. Where the file system cannot leave a mark behind in
// the same step, it comes right after.
func (m *Mutable) renameOut(dir int, name string, to int, newName string, flags uint) error {
	err := unix.Renameat2(dir, name, to, newName, flags)
	if err != unix.EINVAL || flags&unix.RENAME_WHITEOUT == 0 {
		return err
	}
	if err := unix.Renameat2(dir, name, to, newName, flags&^unix.RENAME_WHITEOUT); err != nil {
		return err
	}
	return unix.Mknodat(dir, name, unix.S_IFCHR, 0)
}

// marksIn counts the marks in a directory that is empty otherwise.
func (m *Mutable) marksIn(n *node) uint64 {
	if n == nil {
		return 0
	}
	if up := n.up.Load(); up != nil {
		return uint64(len(up.entries))
	}
	return 0
}

// forceGrow counts names that no limit stops: they are needed to delete.
func (m *Mutable) forceGrow(files uint64) {
	m.usage.mu.Lock()
	m.usage.files += files
	m.usage.mu.Unlock()
}
