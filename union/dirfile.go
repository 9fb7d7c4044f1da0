package union

import (
	"sync/atomic"
	"syscall"

	"github.com/hugelgupf/p9/p9"

	"github.com/packagefs/packagefs/pkgindex"
)

// A Source names the tree that an attach shows at the moment. An error is what
// every look at a directory answers until it is gone.
type Source interface {
	// Tree returns the current tree. With wait unset it fails with EAGAIN
	// instead of waiting for a disk or for long computation.
	Tree(wait bool) (*Tree, error)
}

// Attach returns the top of what source shows, for who is to be checked against
// modes and owners; nil is checked against nothing.
func Attach(source Source, who *Cred) (p9.File, error) {
	t, err := source.Tree(true)
	if err != nil {
		return nil, err
	}
	d, err := t.top(true)
	if err != nil {
		return nil, err
	}
	return newDirFile(source, who, &place{t, d}), nil
}

// place is a directory in a tree.
type place struct {
	tree *Tree
	dir  *dir
}

// dirFile is a handle of a directory. It follows its path from tree to tree.
type dirFile struct {
	readOnly

	source Source
	who    *Cred
	at     atomic.Pointer[place]
	opened atomic.Pointer[listing] // what Readdir goes through, so that offsets keep their meaning
}

func newDirFile(source Source, who *Cred, at *place) *dirFile {
	f := &dirFile{source: source, who: who}
	f.at.Store(at)
	return f
}

// now returns the directory in the current tree.
func (f *dirFile) now(wait bool) (*place, error) {
	at := f.at.Load()
	t, err := f.source.Tree(wait)
	if err != nil {
		return nil, err
	}
	if t == at.tree {
		return at, nil
	}
	d, e, err := t.find(at.dir.path, wait)
	if err != nil {
		return nil, err
	}
	if e != nil {
		return nil, errNotDir
	}
	at = &place{t, d}
	f.at.Store(at)
	return at, nil
}

// WalkPart walks as many of names as there are; see server.PartWalker.
func (f *dirFile) WalkPart(qids []p9.QID, names []string, wait bool) ([]p9.QID, p9.File, error) {
	have := len(qids)
	qids, to, err := f.walk(qids, names, wait)
	if len(qids) > have && err != nil && err != errWait {
		return qids, nil, nil // the names so far are the answer
	}
	return qids, to, err
}

// walk appends the qids of the names up to one that fails.
func (f *dirFile) walk(qids []p9.QID, names []string, wait bool) ([]p9.QID, p9.File, error) {
	at, err := f.now(wait)
	if err != nil {
		return qids, nil, err
	}
	d, end := at.dir, (*entry)(nil)
	for _, name := range names {
		switch {
		case end != nil:
			err = errNotDir
		case !f.who.mayDir(d, maySearch):
			err = syscall.EACCES
		case name == "..":
			d, err = at.tree.parent(d, wait)
		default:
			if end, err = d.child(name, wait); err == nil && end.dir != nil {
				d, end = end.dir, nil
			}
		}
		if err != nil {
			return qids, nil, err
		}
		if end != nil {
			qids = append(qids, end.qid())
		} else {
			qids = append(qids, d.qid)
		}
	}
	if end != nil {
		return qids, &leaf{e: end, who: f.who}, nil
	}
	if d != at.dir {
		at = &place{at.tree, d}
	}
	return qids, newDirFile(f.source, f.who, at), nil
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
	at, err := f.now(false)
	return err == nil && at.dir.list.Load() != nil
}

// GetAttr implements p9.File.
func (f *dirFile) GetAttr(req p9.AttrMask) (p9.QID, p9.AttrMask, p9.Attr, error) {
	at, err := f.now(true)
	if err != nil {
		return p9.QID{}, p9.AttrMask{}, p9.Attr{}, err
	}
	d := at.dir
	attr := p9.Attr{
		Mode: p9.ModeDirectory | 0o755, NLink: 1, Size: blockSize, BlockSize: blockSize,
		Blocks: blockSize / 512, DataVersion: uint64(d.qid.Version),
	}
	if d.attrs >= 0 {
		c := &d.from[d.attrs]
		fill(&attr, c.layer.Inode(c.ino))
	}
	return d.qid, req, attr, nil
}

// StatFS implements p9.File.
func (f *dirFile) StatFS() (p9.FSStat, error) {
	files, bytes := f.at.Load().tree.usage()
	return statFS(files, bytes), nil
}

// Open implements p9.File.
func (f *dirFile) Open(mode p9.OpenFlags) (p9.QID, uint32, error) {
	if mode.Mode() != p9.ReadOnly {
		return p9.QID{}, 0, syscall.EISDIR
	}
	at, err := f.now(true)
	if err != nil {
		return p9.QID{}, 0, err
	}
	if !f.who.mayDir(at.dir, mayRead) {
		return p9.QID{}, 0, syscall.EACCES
	}
	l, err := at.dir.merge(true)
	if err != nil {
		return p9.QID{}, 0, err
	}
	f.opened.Store(l)
	return at.dir.qid, 0, nil
}

// Readdir implements p9.File. Offsets count entries. A directory that is read
// from its beginning again shows what it holds then.
func (f *dirFile) Readdir(offset uint64, count uint32) (p9.Dirents, error) {
	if offset == 0 {
		at, err := f.now(true)
		if err != nil {
			return nil, err
		}
		l, err := at.dir.merge(true)
		if err != nil {
			return nil, err
		}
		f.opened.Store(l)
	}
	l := f.opened.Load()
	if l == nil {
		return nil, syscall.EBADF
	}
	all := l.readdir()
	if offset >= uint64(len(all)) {
		return nil, nil
	}
	all = all[offset:]
	return all[:min(uint64(count), uint64(len(all)))], nil
}

// readdir returns all entries. The caller must not change them.
func (l *listing) readdir() p9.Dirents {
	if all := l.dirents.Load(); all != nil {
		return *all
	}
	all := make(p9.Dirents, len(l.entries))
	for i := range l.entries {
		q := l.entries[i].qid()
		all[i] = p9.Dirent{QID: q, Type: q.Type, Offset: uint64(i + 1), Name: l.entries[i].name}
	}
	l.dirents.Store(&all)
	return all
}

// DirentType tells fifos from files; 0 leaves it to the qid.
func (f *dirFile) DirentType(d *p9.Dirent) uint8 {
	if l := f.opened.Load(); l != nil && l.special {
		if e := l.find(d.Name); e != nil && e.layer.Type(e.ino) == pkgindex.Fifo {
			return syscall.DT_FIFO
		}
	}
	return 0
}

// GetXattr implements p9.File.
func (f *dirFile) GetXattr(name string) ([]byte, error) {
	at, err := f.now(true)
	if err != nil {
		return nil, err
	}
	if at.dir.attrs < 0 {
		return nil, syscall.ENODATA
	}
	c := &at.dir.from[at.dir.attrs]
	return getXattr(&c.layer, c.ino, name)
}

// ListXattrs implements p9.File.
func (f *dirFile) ListXattrs() ([]string, error) {
	at, err := f.now(true)
	if err != nil || at.dir.attrs < 0 {
		return nil, err
	}
	c := &at.dir.from[at.dir.attrs]
	return listXattrs(&c.layer, c.ino), nil
}
