package union

import (
	"sync/atomic"
	"syscall"

	"github.com/hugelgupf/p9/p9"
	"golang.org/x/sys/unix"
)

// upFile is a handle of what is no directory and in a mutable layer, or may come
// to be: a file that a layer has, or a mutable file of a package.
type upFile struct {
	readOnly

	who *Cred
	dir *dirFile // that it was walked from; where changes of names go
	qid p9.QID

	node  *node // in the layer that takes changes; nil for none
	lower *node // in a layer below, nil for none
	leaf  *leaf // of a package, nil for none

	open atomic.Pointer[openFile] // once open in a layer; leaf is what is open else
}

// fileAt returns a handle of what is no directory. It runs with the layers
// locked.
func (f *dirFile) fileAt(at *mergedDir, end *lookupResult, name string) p9.File {
	m := at.stack.own()
	if end.e != nil && (m == nil || !end.e.mutable(at.path, name)) {
		l := leaf{e: end.e, who: f.who, immutable: m != nil}
		if end.launcher {
			return &launcher{leaf: l, launchers: at.stack.Tree.launchers}
		}
		if late := end.e.lazy(); late != nil {
			content, _ := late.Content(true) // it was there when the name was looked up
			return &lazyFile{leaf: l, content: content}
		}
		return &l
	}
	path := join(at.path, name)
	u := &upFile{who: f.who, qid: at.fileQID(end, name)}
	if m != nil {
		u.node = m.acquire(path)
		u.dir = newDirFile(f.stacker, f.who, at)
	}
	if end.e != nil {
		u.leaf = &leaf{e: end.e, who: f.who}
	} else if m == nil || end.layer > 0 {
		u.lower = at.stack.Layers[end.layer].acquire(path)
	}
	return u
}

// WalkPart clones the handle; there is nothing below it.
func (f *upFile) WalkPart(qids []p9.QID, names []string, _ bool) ([]p9.QID, p9.File, error) {
	if len(names) > 0 {
		return qids, nil, errNotDir
	}
	c := &upFile{who: f.who, qid: f.qid}
	if f.node != nil {
		c.node = f.node.retain()
		_, dir, err := f.dir.Walk(nil)
		if err != nil {
			c.node.release()
			return qids, nil, err
		}
		c.dir = dir.(*dirFile)
	}
	if f.lower != nil {
		c.lower = f.lower.retain()
	}
	if f.leaf != nil {
		c.leaf = &leaf{e: f.leaf.e, who: f.who}
	}
	return qids, c, nil
}

// Walk implements p9.File.
func (f *upFile) Walk(names []string) ([]p9.QID, p9.File, error) { return f.WalkPart(nil, names, true) }

// Close implements p9.File.
func (f *upFile) Close() error {
	if f.node != nil {
		f.node.release()
		f.dir.Close()
	}
	if f.lower != nil {
		f.lower.release()
	}
	if f.leaf != nil {
		f.leaf.Close()
	}
	if o := f.open.Load(); o != nil {
		o.close()
	}
	return nil
}

// layerFile is a file that a layer has: a name in an open directory.
type layerFile struct {
	layer *Mutable
	up    *upDir
	dir   int
	name  string
}

// look calls do with where a layer has the file, its layers locked for looking;
// with nil where only a package has it.
func (f *upFile) look(do func(s *layerFile) error) error {
	if f.node != nil {
		m := f.node.layer
		m.mu.RLock()
		defer m.mu.RUnlock()
		if s, err := f.node.layerFile(f.qid.Path); s != nil || err != nil {
			return s.use(do, err)
		}
	}
	if f.lower != nil {
		m := f.lower.layer
		m.mu.RLock()
		defer m.mu.RUnlock()
		s, err := f.lower.layerFile(0)
		if s == nil && err == nil {
			err = syscall.ESTALE
		}
		return s.use(do, err)
	}
	if f.leaf == nil {
		return syscall.ESTALE
	}
	return do(nil)
}

// use opens the directory for do.
func (s *layerFile) use(do func(s *layerFile) error, err error) error {
	if err != nil {
		return err
	}
	d, err := s.layer.fds.open(s.up)
	if err != nil {
		return err
	}
	defer s.layer.fds.close(d)
	s.dir = d.fd
	return do(s)
}

// layerFile returns where the layer has the file of a node, nil if it has not. ino
// is the file's number, 0 for whatever has the name. It runs with the layer's mu
// locked.
func (n *node) layerFile(ino uint64) (*layerFile, error) {
	parent, name, ok := n.location()
	if !ok {
		return nil, errNoEntry
	}
	up := parent.up.Load()
	if up == nil {
		return nil, nil
	}
	e, ok := up.entries[name]
	switch {
	case !ok:
		return nil, nil
	case e.typ == unix.DT_WHT:
		return nil, errNoEntry
	case e.typ == unix.DT_DIR, ino != 0 && e.ino != ino:
		return nil, syscall.ESTALE // another file has the name
	}
	return &layerFile{layer: n.layer, up: up, name: name}, nil
}

// stat describes the file as a layer has it; with nil if none has.
func (f *upFile) stat() (st *unix.Statx_t, err error) {
	if o := f.open.Load(); o != nil {
		got, err := statFD(o.fd)
		return &got, err
	}
	err = f.look(func(s *layerFile) error {
		if s == nil {
			return nil
		}
		got, err := statName(s.dir, s.name)
		st = &got
		return err
	})
	return st, err
}

// attr is what permissions depend on.
func (f *upFile) attr() (fileAttr, error) {
	st, err := f.stat()
	if err != nil {
		return fileAttr{}, err
	}
	if st == nil {
		i := f.leaf.e.layer.Inode(f.leaf.e.ino)
		return attrOfInode(&i), nil
	}
	return attrOf(st), nil
}

// GetAttr implements p9.File.
func (f *upFile) GetAttr(req p9.AttrMask) (p9.QID, p9.AttrMask, p9.Attr, error) {
	st, err := f.stat()
	if err != nil {
		return p9.QID{}, p9.AttrMask{}, p9.Attr{}, err
	}
	if st == nil {
		q, mask, attr, err := f.leaf.GetAttr(req)
		q.Path = f.qid.Path
		if f.node != nil {
			attr.DataVersion = 0 // a copy with the same path may take its place
		}
		return q, mask, attr, err
	}
	q := f.qid
	q.Version = 0 // it changes
	var attr p9.Attr
	fillStat(&attr, st)
	return q, req, attr, nil
}

// fillStat sets the attributes that a file has on disk.
func fillStat(a *p9.Attr, st *unix.Statx_t) {
	*a = p9.Attr{
		Mode: p9.FileMode(st.Mode), UID: p9.UID(st.Uid), GID: p9.GID(st.Gid), NLink: p9.NLink(st.Nlink),
		Size: st.Size, BlockSize: uint64(st.Blksize), Blocks: st.Blocks,
		ATimeSeconds: uint64(max(st.Atime.Sec, 0)), ATimeNanoSeconds: uint64(st.Atime.Nsec),
		MTimeSeconds: uint64(max(st.Mtime.Sec, 0)), MTimeNanoSeconds: uint64(st.Mtime.Nsec),
		CTimeSeconds: uint64(max(st.Ctime.Sec, 0)), CTimeNanoSeconds: uint64(st.Ctime.Nsec),
		BTimeSeconds: uint64(max(st.Btime.Sec, 0)), BTimeNanoSeconds: uint64(st.Btime.Nsec),
	}
}

// StatFS implements p9.File.
func (f *upFile) StatFS() (p9.FSStat, error) {
	switch {
	case f.node != nil:
		return f.node.layer.statFS()
	case f.lower != nil:
		return f.lower.layer.statFS()
	}
	return f.leaf.StatFS()
}

// Readlink implements p9.File.
func (f *upFile) Readlink() (target string, err error) {
	err = f.look(func(s *layerFile) error {
		if s == nil {
			target, err = f.leaf.Readlink()
			return err
		}
		buf := make([]byte, unix.PathMax)
		n, err := unix.Readlinkat(s.dir, s.name, buf)
		target = string(buf[:max(n, 0)])
		return err
	})
	return target, err
}

// GetXattr implements p9.File.
func (f *upFile) GetXattr(name string) (value []byte, err error) {
	err = f.look(func(s *layerFile) error {
		if s == nil {
			value, err = f.leaf.GetXattr(name)
			return err
		}
		return s.withFD(func(fd int) error {
			value, err = getUserXattr(fd, name)
			return err
		})
	})
	return value, err
}

// ListXattrs implements p9.File.
func (f *upFile) ListXattrs() (names []string, err error) {
	err = f.look(func(s *layerFile) error {
		if s == nil {
			names, err = f.leaf.ListXattrs()
			return err
		}
		return s.withFD(func(fd int) error {
			names, err = listUserXattrs(fd)
			return err
		})
	})
	return names, err
}

// withFD opens the file by O_PATH.
func (s *layerFile) withFD(do func(fd int) error) error {
	fd, err := openName(s.dir, s.name, unix.O_PATH, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	return do(fd)
}
