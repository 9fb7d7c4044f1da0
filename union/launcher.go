package union

import (
	"io"
	"syscall"

	"github.com/hugelgupf/p9/p9"
	"golang.org/x/sys/unix"

	"github.com/packagefs/packagefs/pkgindex"
)

// Launchers decides of which packages a tree shows launchers in the place of
// programs: one-line scripts that start the program where it finds what it needs.
// Its answers stay the same for as long as it lives.
type Launchers interface {
	// Launched says whether the programs of p are launchers in t. With wait unset
	// it fails with EAGAIN instead of working it out.
	Launched(t *Tree, p *pkgindex.Package, wait bool) (bool, error)

	// Script returns the content of the launchers of p, which no other
	// package has.
	Script(p *pkgindex.Package) string
}

// launched says whether the tree shows an entry as a launcher. It is asked at
// each look: directories know of no launchers, so that trees which differ in them
// alone share all directories.
func (t *Tree) launched(e *entry, wait bool) (bool, error) {
	if t.launchers == nil || !e.program {
		return false, nil
	}
	return t.launchers.Launched(t, e.layer.Package, wait)
}

// mayLaunch says whether there may be launchers in a directory.
func (t *Tree) mayLaunch(l *entryList) bool { return t.launchers != nil && l.programs }

// decided says whether it is known of all in a directory if they are launchers, and
// if they are there.
func (t *Tree) decided(l *entryList) bool {
	if !t.mayLaunch(l) {
		return !l.lazy || l.all.Load() != nil
	}
	_, known := t.lists.Load(l)
	return known
}

// direntList returns all entries of a merged directory as this tree shows them.
func (t *Tree) direntList(l *entryList) (*direntList, error) {
	if !t.mayLaunch(l) {
		return l.direntList(), nil
	}
	if r, ok := t.lists.Load(l); ok {
		return r.(*direntList), nil
	}
	all := make([]dirent, 0, len(l.entries))
	for i := range l.entries {
		e := &l.entries[i]
		if t.visible(e, true) != nil {
			continue
		}
		is, err := t.launched(e, true)
		if err != nil {
			return nil, err
		}
		d := dirent{e.name, e.qid(), e.direntType()}
		if is {
			d.qid = launcherQID(d.qid)
		}
		all = append(all, d)
	}
	r := newDirentList(all)
	t.lists.Store(l, r)
	return r, nil
}

// launcherQID is the qid of the launcher that stands for the program with qid q.
// A client may see both at once, in two contexts, and caches what it reads by
// qid.
func launcherQID(q p9.QID) p9.QID {
	q.Path ^= 0x6c61756e63686572
	q.Version = max(q.Version^0x6c61756e, 1)
	return q
}

// launcher is a handle of a program that is served as a launcher. It has the
// program's times and owner, and its mode without setuid and setgid: it runs
// nothing with somebody else's rights.
type launcher struct {
	leaf
	launchers Launchers

	script string // once opened
}

// WalkPart clones the handle; there is nothing below it.
func (f *launcher) WalkPart(qids []p9.QID, names []string, _ bool) ([]p9.QID, p9.File, error) {
	if len(names) > 0 {
		return qids, nil, errNotDir
	}
	return qids, &launcher{leaf: leaf{e: f.e, who: f.who, immutable: f.immutable}, launchers: f.launchers}, nil
}

// Walk implements p9.File.
func (f *launcher) Walk(names []string) ([]p9.QID, p9.File, error) {
	return f.WalkPart(nil, names, true)
}

// GetAttr implements p9.File.
func (f *launcher) GetAttr(req p9.AttrMask) (p9.QID, p9.AttrMask, p9.Attr, error) {
	q, valid, attr, err := f.leaf.GetAttr(req)
	q = launcherQID(q)
	attr.Mode &^= unix.S_ISUID | unix.S_ISGID
	attr.Size = uint64(len(f.launchers.Script(f.e.layer.Package)))
	attr.Blocks, attr.DataVersion = (attr.Size+511)/512, uint64(q.Version)
	return q, valid, attr, err
}

// Open implements p9.File.
func (f *launcher) Open(mode p9.OpenFlags) (p9.QID, uint32, error) {
	if err := f.mayOpen(mode); err != nil {
		return p9.QID{}, 0, err
	}
	f.script = f.launchers.Script(f.e.layer.Package)
	return launcherQID(f.e.qid()), 0, nil
}

// ReadAt implements p9.File.
func (f *launcher) ReadAt(p []byte, off int64) (int, error) {
	if f.script == "" {
		return 0, syscall.EBADF
	}
	return readMemory(f.script, p, off)
}

// readMemory reads content as io.ReaderAt does.
func readMemory[T string | []byte](content T, p []byte, off int64) (int, error) {
	switch {
	case off < 0:
		return 0, syscall.EINVAL
	case off >= int64(len(content)):
		return 0, io.EOF
	}
	n := copy(p, content[off:])
	if n < len(p) {
		return n, io.EOF
	}
	return n, nil
}

// ReadNow is ReadAt: nothing waits.
func (f *launcher) ReadNow(p []byte, off int64) (int, error) {
	n, err := f.ReadAt(p, off)
	if n > 0 {
		err = nil
	}
	return n, err
}

// GetXattr implements p9.File. The attributes of the program are not the
// launcher's.
func (f *launcher) GetXattr(name string) ([]byte, error) {
	if name == packageXattr || name == launcherXattr {
		return []byte(f.e.layer.Package.Ref.String()), nil
	}
	return nil, syscall.ENODATA
}

// launcherXattr is there on launchers only. It is not listed either.
const launcherXattr = "user.packagefs.launcher"

// ListXattrs implements p9.File.
func (f *launcher) ListXattrs() ([]string, error) { return nil, nil }
