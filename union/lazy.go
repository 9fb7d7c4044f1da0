package union

import (
	"syscall"

	"github.com/hugelgupf/p9/p9"

	"github.com/packagefs/packagefs/pkgindex"
)

// lazy returns the content of a file that is made when somebody looks at it, nil
// for all other files.
func (e *entry) lazy() *pkgindex.Lazy {
	if !e.synthetic {
		return nil
	}
	return e.layer.Lazy(e.ino)
}

// visible fails with errNoEntry where the tree does not show an entry: a program
// that is not for users, or what was to be made and turned out to be nothing. With
// wait unset it fails with errWait instead of making it.
func (t *Tree) visible(e *entry, wait bool) error {
	if e.inner && t.launchers != nil {
		return errNoEntry
	}
	if l := e.lazy(); l != nil {
		content, known := l.Content(wait)
		switch {
		case !known:
			return errWait
		case content == nil:
			return errNoEntry
		}
	}
	return nil
}

// Inner returns the package that has a program at p, absolute or relative, that the
// tree does not show because it is not for users; nil for none.
func (t *Tree) Inner(p string) *pkgindex.Package {
	_, e, err := t.find(cleanPath(p), true)
	if err != nil || e == nil || !e.inner || t.launchers == nil {
		return nil
	}
	return e.layer.Package
}

// lazyFile is a handle of a file whose content is made when somebody looks. By
// the time that there is a handle it is there.
type lazyFile struct {
	leaf
	content []byte
	open    bool
}

// WalkPart clones the handle; there is nothing below it.
func (f *lazyFile) WalkPart(qids []p9.QID, names []string, _ bool) ([]p9.QID, p9.File, error) {
	if len(names) > 0 {
		return qids, nil, errNotDir
	}
	return qids, &lazyFile{leaf: leaf{e: f.e, who: f.who, immutable: f.immutable}, content: f.content}, nil
}

// Walk implements p9.File.
func (f *lazyFile) Walk(names []string) ([]p9.QID, p9.File, error) {
	return f.WalkPart(nil, names, true)
}

// GetAttr implements p9.File.
func (f *lazyFile) GetAttr(req p9.AttrMask) (p9.QID, p9.AttrMask, p9.Attr, error) {
	q, valid, attr, err := f.leaf.GetAttr(req)
	attr.Size = uint64(len(f.content))
	attr.Blocks = (attr.Size + 511) / 512
	return q, valid, attr, err
}

// Open implements p9.File.
func (f *lazyFile) Open(mode p9.OpenFlags) (p9.QID, uint32, error) {
	if err := f.mayOpen(mode); err != nil {
		return p9.QID{}, 0, err
	}
	f.open = true
	return f.e.qid(), 0, nil
}

// ReadAt implements p9.File.
func (f *lazyFile) ReadAt(p []byte, off int64) (int, error) {
	if !f.open {
		return 0, syscall.EBADF
	}
	return readMemory(f.content, p, off)
}

// ReadNow is ReadAt: nothing waits.
func (f *lazyFile) ReadNow(p []byte, off int64) (int, error) {
	n, err := f.ReadAt(p, off)
	if n > 0 {
		err = nil
	}
	return n, err
}
