package union

import (
	"syscall"

	"github.com/hugelgupf/p9/p9"
	"golang.org/x/sys/unix"
)

// A wrapper is a p9.File around one of this package.
type wrapper interface{ Unwrap() p9.File }

// dirOf returns the directory that a file given by a caller is.
func dirOf(file p9.File) (*dirFile, error) {
	if w, ok := file.(wrapper); ok {
		file = w.Unwrap()
	}
	if d, ok := file.(*dirFile); ok {
		return d, nil
	}
	return nil, syscall.EXDEV
}

// RenameAt implements p9.File.
func (f *dirFile) RenameAt(name string, to p9.File, newName string) error {
	t, err := dirOf(to)
	if err != nil {
		return err
	}
	return f.rename(t, newName, func(at *mergedDir) (*mergedDir, string, error) { return at, name, nil })
}

// Rename implements p9.File.
func (f *dirFile) Rename(to p9.File, newName string) error {
	t, err := dirOf(to)
	if err != nil {
		return err
	}
	return f.rename(t, newName, func(at *mergedDir) (*mergedDir, string, error) {
		if at.path == "" {
			return nil, "", syscall.EBUSY
		}
		parent, err := at.stack.at(above(at.path), true)
		if err != nil {
			return nil, "", err
		}
		return parent, at.path[len(join(parent.path, "x"))-1:], nil
	})
}

// Rename implements p9.File.
func (f *upFile) Rename(to p9.File, newName string) error {
	if f.node == nil {
		return syscall.EROFS
	}
	t, err := dirOf(to)
	if err != nil {
		return err
	}
	return f.dir.rename(t, newName, func(at *mergedDir) (*mergedDir, string, error) {
		parent, name, ok := f.node.location()
		if !ok {
			return nil, "", errNoEntry
		}
		path, ok := parent.path()
		if !ok {
			return nil, "", errNoEntry
		}
		at, err := at.stack.at(path, true)
		return at, name, err
	})
}

// rename gives what from names, in a directory of f's context, another name in
// t. Files that are to be copied up first are so before the locks are taken.
func (f *dirFile) rename(t *dirFile, newName string, from func(at *mergedDir) (*mergedDir, string, error)) error {
	if len(newName) > maxName {
		return syscall.ENAMETOOLONG
	}
	for {
		var missing *upFile
		err := f.change(func(at *mergedDir) error {
			if err := t.sameContext(at.stack); err != nil {
				return err
			}
			to, err := t.locate(at.stack, true)
			if err != nil {
				return err
			}
			dir, name, err := from(at)
			if err != nil {
				return err
			}
			r := &renaming{who: f.who, from: dir, name: name, to: to, newName: newName}
			if err := r.check(); err != nil || r.same {
				return err
			}
			if missing, err = f.uncopied(dir, name, &r.source); err != nil || missing != nil {
				return err
			}
			return r.run()
		})
		if missing == nil {
			return err
		}
		err = missing.copyUp()
		missing.Close()
		if err != nil {
			return err
		}
	}
}

// sameContext fails with EXDEV unless the directory is one of the same context as s.
func (f *dirFile) sameContext(s *Stack) error {
	own, err := f.stacker.Stack(true)
	if err == nil && (own.own() != s.own() || own.Tree != s.Tree) {
		err = syscall.EXDEV
	}
	return err
}

// uncopied returns a handle of a file, at or below a name, that the layer has no
// copy of. It fails with EPERM if one of them is immutable.
func (f *dirFile) uncopied(at *mergedDir, name string, s *lookupResult) (*upFile, error) {
	switch {
	case s.e != nil && !s.e.mutable(at.path, name):
		return nil, syscall.EPERM
	case s.e != nil, s.at == nil && s.layer > 0:
		return f.fileAt(at, s, name).(*upFile), nil
	case s.at == nil || s.at.dir == nil && len(s.at.ups) == 1:
		return nil, nil
	}
	if s.at.dir != nil {
		if err := s.at.allMutable(); err != nil {
			return nil, err
		}
	}
	r, err := s.at.read()
	if err != nil {
		return nil, err
	}
	for i := range r.all {
		child, err := s.at.look(r.all[i].Name, true)
		if err != nil {
			return nil, err
		}
		if missing, err := f.uncopied(s.at, r.all[i].Name, &child); missing != nil || err != nil {
			return missing, err
		}
	}
	_, err = at.stack.own().ensureDir(s.at)
	return nil, err
}

// allMutable fails with EPERM if the directory has, or had, an immutable file of
// a package, or nothing that would say that it may be changed.
func (p *mergedDir) allMutable() error {
	l, err := p.dir.merge(true)
	if err != nil {
		return err
	}
	if len(l.entries) == 0 && !p.mutable() {
		return syscall.EPERM
	}
	for i := range l.entries {
		e := &l.entries[i]
		if e.dir == nil && !e.mutable(p.path, e.name) {
			return syscall.EPERM
		}
	}
	return nil
}

// A renaming is a rename under way. It runs with the stack locked for changes.
type renaming struct {
	who           *Cred
	from, to      *mergedDir
	name, newName string

	source lookupResult
	target lookupResult // if there
	there  bool
	same   bool // both names are of one file: nothing is to be done
}

// check decides whether the rename may be.
func (r *renaming) check() (err error) {
	if r.source, err = r.from.look(r.name, true); err != nil {
		return err
	}
	r.target, err = r.to.look(r.newName, true)
	if err != nil && err != errNoEntry {
		return err
	}
	r.there = err == nil
	s, t := &r.source, &r.target
	if s.at != nil {
		inside := r.to.path == s.at.path || len(r.to.path) > len(s.at.path) && r.to.path[:len(s.at.path)+1] == s.at.path+"/"
		if inside {
			return syscall.EINVAL
		}
	}
	if !r.from.may(r.who, mayWrite|maySearch) || !r.to.may(r.who, mayWrite|maySearch) {
		return syscall.EACCES
	}
	if err := r.from.maySticky(r.who, s); err != nil {
		return err
	}
	if s.at != nil && r.from.path != r.to.path && !s.at.may(r.who, mayWrite) {
		return syscall.EACCES
	}
	if s.e != nil && !s.e.mutable(r.from.path, r.name) {
		return syscall.EPERM
	}
	if r.from.path == r.to.path && r.name == r.newName {
		r.same = true
		return nil
	}
	if !r.there {
		return nil
	}
	if s.up != nil && t.up != nil && s.layer == t.layer && s.ent.ino == t.ent.ino {
		r.same = true
		return nil
	}
	return r.checkTarget()
}

// checkTarget decides whether what has the new name may go.
func (r *renaming) checkTarget() error {
	s, t := &r.source, &r.target
	if err := r.to.maySticky(r.who, t); err != nil {
		return err
	}
	switch {
	case s.at != nil && t.at == nil:
		return errNotDir
	case s.at == nil && t.at != nil:
		return syscall.EISDIR
	case t.at != nil:
		return t.at.removable()
	case t.e != nil && !t.e.mutable(r.to.path, r.newName):
		return syscall.EPERM
	}
	return nil
}

// run renames. The layer has all of the source.
func (r *renaming) run() error {
	m := r.from.stack.own()
	_, err := r.from.lookBelow(r.name)
	mark := err == nil
	if err != nil && err != errNoEntry {
		return err
	}
	_, err = r.to.lookBelow(r.newName)
	hides := err == nil
	if err != nil && err != errNoEntry {
		return err
	}
	from, err := m.ensureDir(r.from)
	if err != nil {
		return err
	}
	to, err := m.ensureDir(r.to)
	if err != nil {
		return err
	}
	if r.source.at != nil && (hides || r.source.at.dir != nil) {
		if err := m.hideBelow(from, r.name); err != nil {
			return err
		}
	}
	if err := m.move(from, r.name, to, r.newName, mark); err != nil {
		return err
	}
	e := from.entries[r.name]
	if mark {
		from.entries[r.name] = upEntry{typ: unix.DT_WHT}
	} else {
		delete(from.entries, r.name)
	}
	to.entries[r.newName] = e
	to.node.remove(r.newName)
	from.node.move(r.name, to.node, r.newName)
	if e.typ == unix.DT_DIR {
		m.shape.Add(1)
	}
	return nil
}

// hideBelow makes a directory of the layer opaque.
func (m *Mutable) hideBelow(up *upDir, name string) error {
	c, err := m.child(up, name, true)
	if err != nil {
		return err
	}
	return m.withDir(c, func(dir int) error {
		if err := m.setOwn(dir, m.names.overlay+"opaque", []byte{'y'}); err != nil {
			return err
		}
		c.opaque = true
		return nil
	})
}

// move renames on disk, in one step that replaces what has the new name.
func (m *Mutable) move(from *upDir, name string, to *upDir, newName string, mark bool) error {
	old, replaces := to.entries[newName]
	return m.withDir(from, func(dir int) error {
		return m.withDir(to, func(toDir int) error {
			var st unix.Statx_t
			var err error
			if replaces {
				if st, err = statName(toDir, newName); err != nil {
					return err
				}
			}
			if replaces && from.entries[name].typ == unix.DT_DIR {
				err = m.exchange(dir, name, toDir, newName, mark)
			} else {
				flags := uint(0)
				if mark {
					flags = unix.RENAME_WHITEOUT
				}
				err = m.renameOut(dir, name, toDir, newName, flags)
			}
			if err != nil {
				return err
			}
			switch {
			case replaces && old.typ == unix.DT_DIR:
				m.shrink(0, 1+m.marksIn(to.node.known(newName)))
			case replaces && old.typ == unix.DT_WHT:
				m.shrink(0, 1)
			case replaces:
				m.unlinked(old.ino, &st)
			}
			if mark {
				m.forceGrow(1)
			}
			return nil
		})
	})
}

// exchange renames a directory to a name that a mark has, or a directory with
// nothing but marks, and removes that.
func (m *Mutable) exchange(dir int, name string, toDir int, newName string, mark bool) error {
	if err := unix.Renameat2(dir, name, toDir, newName, unix.RENAME_EXCHANGE); err != nil {
		return err
	}
	temp := m.tempName()
	flags := uint(0)
	if mark {
		flags = unix.RENAME_WHITEOUT
	}
	err := m.renameOut(dir, name, m.work, temp, flags)
	m.discard(temp)
	return err
}
