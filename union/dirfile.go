package union

import (
	"errors"
	"path"
	"sync"
	"sync/atomic"
	"syscall"

	"github.com/hugelgupf/p9/p9"
	"golang.org/x/sys/unix"
)

// A Stacker names what an attach shows at the moment. An error is what every
// look at a directory answers until it is gone.
type Stacker interface {
	// Stack returns the current stack, the same one as long as it is the same.
	// With wait unset it fails with EAGAIN instead of waiting for a disk or
	// for long computation.
	Stack(wait bool) (*Stack, error)
}

// Attach returns the top of what stacker shows, for who is to be checked against
// modes and owners; nil is checked against nothing.
func Attach(stacker Stacker, who *Cred) (p9.File, error) {
	s, err := stacker.Stack(true)
	if err != nil {
		return nil, err
	}
	s.rlock(true)
	defer s.runlock()
	at, err := s.top(true)
	if err != nil {
		return nil, err
	}
	return newDirFile(stacker, who, at), nil
}

// dirFile is a handle of a directory. It follows its path from tree to tree, and
// its node where that is renamed.
type dirFile struct {
	readOnly

	stacker Stacker
	who     *Cred
	at      atomic.Pointer[mergedDir]
	opened  atomic.Pointer[direntList] // what Readdir goes through, so that offsets keep their meaning

	mu   sync.Mutex // guards node
	node *node      // nil while there is no layer that takes changes
}

// newDirFile runs with the layers of the directory locked.
func newDirFile(stacker Stacker, who *Cred, at *mergedDir) *dirFile {
	f := &dirFile{stacker: stacker, who: who}
	f.at.Store(at)
	if m := at.stack.own(); m != nil {
		f.node = m.acquire(at.path)
	}
	return f
}

// Close implements p9.File.
func (f *dirFile) Close() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.node != nil {
		f.node.release()
		f.node = nil
	}
	return nil
}

// path returns where the directory is. It runs with the layers of s locked.
func (f *dirFile) path(s *Stack) (string, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	where := f.at.Load().path
	if f.node != nil {
		var ok bool
		if where, ok = f.node.path(); !ok {
			return "", errNoEntry
		}
	}
	if m := s.own(); m != nil && (f.node == nil || f.node.layer != m) {
		if f.node != nil {
			f.node.release()
		}
		f.node = m.acquire(where)
	}
	return where, nil
}

// locate returns the directory in s, whose layers are locked.
func (f *dirFile) locate(s *Stack, wait bool) (*mergedDir, error) {
	at := f.at.Load()
	if at.stack == s && at.epoch == s.epoch() {
		return at, nil
	}
	where, err := f.path(s)
	if err != nil {
		return nil, err
	}
	if at, err = s.at(where, wait); err != nil {
		return nil, err
	}
	f.at.Store(at)
	return at, nil
}

// look calls do with the directory as it is now, its layers locked for looking.
func (f *dirFile) look(wait bool, do func(at *mergedDir) error) error {
	for {
		s, err := f.stacker.Stack(wait)
		if err != nil {
			return err
		}
		if !s.rlock(wait) {
			return errWait
		}
		at, err := f.locate(s, wait)
		if err == nil {
			err = do(at)
		}
		s.runlock()
		if err = freshenStale(err, wait); err != errRetry {
			return err
		}
	}
}

// errRetry says that what failed may succeed now.
const errRetry = syscall.ERESTART

// freshenStale compares the directory that err is about with the disk; other errors it
// returns. No layer is locked.
func freshenStale(err error, wait bool) error {
	var stale *staleDir
	switch {
	case !errors.As(err, &stale):
		return err
	case !wait:
		return errWait
	}
	stale.layer.mu.Lock()
	defer stale.layer.mu.Unlock()
	if err := stale.layer.freshen(stale.dir); err != nil {
		return err
	}
	return errRetry
}

// WalkPart walks as many of names as there are; see p9l.PartWalker.
func (f *dirFile) WalkPart(qids []p9.QID, names []string, wait bool) ([]p9.QID, p9.File, error) {
	have := len(qids)
	qids, to, err := f.walk(qids, names, wait)
	if len(qids) > have && err != nil && err != errWait {
		return qids, nil, nil // the names so far are the answer
	}
	return qids, to, err
}

// walk appends the qids of the names up to one that fails.
func (f *dirFile) walk(qids []p9.QID, names []string, wait bool) (_ []p9.QID, to p9.File, err error) {
	have := len(qids)
	err = f.look(wait, func(at *mergedDir) error {
		qids = qids[:have]
		var end lookupResult
		for _, name := range names {
			switch {
			case end.up != nil || end.e != nil:
				return errNotDir
			case !at.may(f.who, maySearch):
				return syscall.EACCES
			case name == "..":
				if at, err = at.stack.at(above(at.path), wait); err != nil {
					return err
				}
			default:
				if end, err = at.look(name, wait); err != nil {
					return err
				}
				if end.at != nil {
					at = end.at
				}
			}
			if end.up != nil || end.e != nil {
				qids = append(qids, at.fileQID(&end, name))
			} else {
				qids = append(qids, at.qid())
			}
		}
		if end.up != nil || end.e != nil {
			to = f.fileAt(at, &end, names[len(names)-1])
		} else {
			to = newDirFile(f.stacker, f.who, at)
		}
		return nil
	})
	return qids, to, err
}

// above is the path of the directory above.
func above(p string) string {
	if p = path.Dir(p); p == "." {
		return ""
	}
	return p
}

// Walk implements p9.File.
func (f *dirFile) Walk(names []string) ([]p9.QID, p9.File, error) {
	qids, to, err := f.walk(nil, names, true)
	if err != nil {
		return nil, nil, err
	}
	return qids, to, nil
}

// Ready says whether the other calls answer without a disk.
func (f *dirFile) Ready() bool {
	ready := false
	err := f.look(false, func(at *mergedDir) error {
		m := at.stack.own()
		if len(at.ups) == 0 {
			l := at.dir.list.Load()
			ready = l != nil && at.stack.Tree.decided(l) && (m == nil || m.counted())
		}
		return nil
	})
	return err == nil && ready
}

// GetAttr implements p9.File.
func (f *dirFile) GetAttr(req p9.AttrMask) (q p9.QID, _ p9.AttrMask, attr p9.Attr, err error) {
	err = f.look(true, func(at *mergedDir) error {
		q = at.qid()
		if len(at.ups) == 0 {
			at.dir.fill(&attr)
			return nil
		}
		err := at.upAttr(&attr)
		if at.dir != nil {
			attr.DataVersion = uint64(q.Version)
		}
		return err
	})
	return q, req, attr, err
}

// fill sets the attributes of a merged directory.
func (d *dir) fill(attr *p9.Attr) {
	*attr = p9.Attr{
		Mode: p9.ModeDirectory | 0o755, NLink: 1, Size: blockSize, BlockSize: blockSize,
		Blocks: blockSize / 512, DataVersion: uint64(d.qid.Version),
	}
	if d.attrs >= 0 {
		c := &d.from[d.attrs]
		fill(attr, c.layer.Inode(c.ino))
	}
	attr.Mode = p9.ModeDirectory | p9.FileMode(d.attr.mode)
	attr.UID, attr.GID = p9.UID(d.attr.uid), p9.GID(d.attr.gid)
}

// upAttr sets the attributes of a directory that layers have. Only where
// nothing is merged the count of links says how many directories are in it.
func (p *mergedDir) upAttr(attr *p9.Attr) error {
	m, up := p.stack.Layers[p.ups[0].layer], p.ups[0].dir
	d, err := m.fds.open(up)
	if err != nil {
		return err
	}
	defer m.fds.close(d)
	st, err := statFD(d.fd)
	if err != nil {
		return err
	}
	fillStat(attr, &st)
	if p.dir != nil || len(p.ups) > 1 {
		attr.NLink = 1
	}
	return nil
}

// StatFS implements p9.File.
func (f *dirFile) StatFS() (st p9.FSStat, err error) {
	err = f.look(true, func(at *mergedDir) error {
		if m := at.stack.own(); m != nil {
			st, err = m.statFS()
			return err
		}
		st = statFS(at.stack.Tree.usage())
		return nil
	})
	return st, err
}

// Open implements p9.File.
func (f *dirFile) Open(mode p9.OpenFlags) (q p9.QID, _ uint32, err error) {
	if mode.Mode() != p9.ReadOnly {
		return p9.QID{}, 0, syscall.EISDIR
	}
	err = f.look(true, func(at *mergedDir) error {
		if !at.may(f.who, mayRead) {
			return syscall.EACCES
		}
		r, err := at.read()
		if err != nil {
			return err
		}
		q = at.qid()
		f.opened.Store(r)
		return nil
	})
	return q, 0, err
}

// Readdir implements p9.File. Offsets count entries. A directory that is read
// from its beginning again shows what it holds then.
func (f *dirFile) Readdir(offset uint64, count uint32) (p9.Dirents, error) {
	if offset == 0 {
		err := f.look(true, func(at *mergedDir) error {
			r, err := at.read()
			if err == nil {
				f.opened.Store(r)
			}
			return err
		})
		if err != nil && err != errNoEntry { // a directory that was removed is empty
			return nil, err
		}
	}
	r := f.opened.Load()
	if r == nil {
		return nil, syscall.EBADF
	}
	all := r.all
	if offset >= uint64(len(all)) {
		return nil, nil
	}
	all = all[offset:]
	return all[:min(uint64(count), uint64(len(all)))], nil
}

// DirentType tells what qids do not; 0 leaves it to the qid.
func (f *dirFile) DirentType(d *p9.Dirent) uint8 {
	if r := f.opened.Load(); r != nil && r.types != nil && d.Offset <= uint64(len(r.types)) {
		return r.types[d.Offset-1]
	}
	return 0
}

// GetXattr implements p9.File.
func (f *dirFile) GetXattr(name string) (value []byte, err error) {
	err = f.look(true, func(at *mergedDir) error {
		if len(at.ups) > 0 {
			value, err = at.upXattr(name)
			return err
		}
		if at.dir.attrs < 0 {
			return syscall.ENODATA
		}
		c := &at.dir.from[at.dir.attrs]
		value, err = getXattr(&c.layer, c.ino, name)
		return err
	})
	return value, err
}

// ListXattrs implements p9.File.
func (f *dirFile) ListXattrs() (names []string, err error) {
	err = f.look(true, func(at *mergedDir) error {
		if len(at.ups) > 0 {
			names, err = at.upXattrs()
			return err
		}
		if at.dir.attrs >= 0 {
			c := &at.dir.from[at.dir.attrs]
			names = listXattrs(&c.layer, c.ino)
		}
		return nil
	})
	return names, err
}

// FSync implements p9.File. Directories above may be new, too. The disk is waited
// for with nothing locked.
func (f *dirFile) FSync() error {
	var open []int
	defer func() {
		for _, fd := range open {
			unix.Close(fd)
		}
	}()
	err := f.look(true, func(at *mergedDir) error {
		for up := at.own(); up != nil; {
			fd, err := at.stack.own().openDir(up)
			if err != nil {
				return err
			}
			open = append(open, fd)
			parent, _, ok := up.node.location()
			if !ok {
				return nil
			}
			up = parent.up.Load()
		}
		return nil
	})
	for _, fd := range open {
		err = errors.Join(err, retry(func() error { return unix.Fsync(fd) }))
	}
	return err
}

// openDir opens a directory of the layer for more than names.
func (m *Mutable) openDir(up *upDir) (int, error) {
	d, err := m.fds.open(up)
	if err != nil {
		return -1, err
	}
	defer m.fds.close(d)
	return openName(d.fd, ".", unix.O_RDONLY|unix.O_DIRECTORY, 0)
}
