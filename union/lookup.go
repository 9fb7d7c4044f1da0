package union

import (
	"iter"
	"path"
	"strings"

	"github.com/packagefs/packagefs/pkgindex"
	"github.com/packagefs/packagefs/pkgindex/pkgmeta"
)

// A Candidate is what one package has at a path.
type Candidate struct {
	Package *pkgindex.Package
	Inode   pkgindex.Inode
	Digest  [32]byte // of a regular file
	Target  string   // of a symlink

	// Launcher says that a launcher is served in the place of the file.
	Launcher bool

	// Made says in words what a file is made of that a server adds to trees.
	Made string
}

func candidate(l *pkgindex.Layer, ino pkgindex.InodeID) Candidate {
	c := Candidate{Package: l.Package, Inode: l.Inode(ino)}
	if late := l.Lazy(ino); late != nil {
		content, _ := late.Content(true)
		c.Inode.Size = int64(len(content))
	}
	c.Made = l.MadeOf(ino)
	switch c.Inode.Type {
	case pkgmeta.Regular:
		c.Digest = l.Digest(ino)
	case pkgmeta.Symlink:
		c.Target = l.Target(ino)
	}
	return c
}

// Same says whether two packages have the same file: no conflict, whoever wins.
// The symlink of a path alias conflicts with nothing.
func (c *Candidate) Same(o *Candidate) bool {
	a, b := &c.Inode, &o.Inode
	if aliasLink(a) || aliasLink(b) {
		return true
	}
	if a.Type != b.Type {
		return false
	}
	switch a.Type {
	case pkgmeta.Directory:
		return true
	case pkgmeta.Symlink:
		return c.Target == o.Target
	}
	return a.Size == b.Size && c.Digest == o.Digest && a.Mode == b.Mode && a.UID == b.UID && a.GID == b.GID
}

func aliasLink(i *pkgindex.Inode) bool { return i.Implicit && i.Type == pkgmeta.Symlink }

// DirAttr returns mode, user and group of the directory at p, absolute or relative, as
// the tree's packages make them together. It returns false where there is none.
func (t *Tree) DirAttr(p string) (mode, uid, gid uint32, ok bool) {
	d, e, err := t.find(cleanPath(p), true)
	if err != nil || e != nil {
		return 0, 0, 0, false
	}
	return d.attr.mode, d.attr.uid, d.attr.gid, true
}

// Lookup returns what the tree's packages have at p, absolute or relative, each
// list in the order of the tree: what is served, which for a directory is all
// that contribute, the one whose times it has first, and what that hides. It fails with ENOENT or ENOTDIR where
// the tree has nothing, and may wait for a disk.
func (t *Tree) Lookup(p string) (served, hidden []Candidate, err error) {
	p = cleanPath(p)
	d, e, err := t.find(p, true)
	if err == nil && e != nil {
		err = t.visible(e, true)
	}
	if err != nil {
		return nil, nil, err
	}
	if e == nil {
		for i := range d.from {
			served = append(served, candidate(&d.from[i].layer, d.from[i].ino))
			if i == d.attrs {
				first := served[i]
				copy(served[1:], served[:i])
				served[0] = first
			}
		}
		if p == "" {
			return served, nil, nil
		}
		if d, err = t.parent(d, true); err != nil {
			return nil, nil, err
		}
	} else {
		served = []Candidate{candidate(e.layer, e.ino)}
	}
	for _, c := range d.having(path.Base(p)) {
		isServed := c.Inode.Type == pkgmeta.Directory
		if e != nil {
			isServed = c.Package == e.layer.Package && c == served[0]
		}
		if !isServed {
			hidden = append(hidden, c)
		}
	}
	if e != nil {
		served[0].Launcher, err = t.launched(e, true)
	}
	return served, hidden, err
}

// cleanPath makes a path relative to the top and clean.
func cleanPath(p string) string { return strings.Trim(path.Clean("/"+p), "/") }

// having returns what each contributor has by that name.
func (d *dir) having(name string) []Candidate {
	var all []Candidate
	for i := range d.from {
		c := &d.from[i]
		if ino, ok := c.layer.Find(c.dir, name); ok {
			all = append(all, candidate(&c.layer, ino))
		}
	}
	return all
}

// A Conflict is a path at which packages have different files.
type Conflict struct {
	Path   string // absolute
	Winner Candidate
	Losers []Candidate // of other packages, different from the winner's
}

// Conflicts yields every conflict of the tree in the order of paths. It merges
// the whole tree and may take long. An error ends it.
func (t *Tree) Conflicts() iter.Seq2[Conflict, error] {
	return func(yield func(Conflict, error) bool) {
		d, err := t.top(true)
		if err != nil {
			yield(Conflict{}, err)
			return
		}
		d.conflicts(yield)
	}
}

func (d *dir) conflicts(yield func(Conflict, error) bool) bool {
	l, err := d.merge(true)
	if err != nil {
		return yield(Conflict{}, err)
	}
	for i := range l.entries {
		e := &l.entries[i]
		if e.shared && !d.conflict(e, yield) {
			return false
		}
		if e.dir != nil && !e.dir.conflicts(yield) {
			return false
		}
	}
	return true
}

// conflict yields the conflict at an entry that several contributors have, if
// there is one.
func (d *dir) conflict(e *entry, yield func(Conflict, error) bool) bool {
	c := Conflict{Path: "/" + join(d.path, e.name), Winner: candidate(e.layer, e.ino)}
	for _, other := range d.having(e.name) {
		if other.Package != c.Winner.Package && !c.Winner.Same(&other) {
			c.Losers = append(c.Losers, other)
		}
	}
	return len(c.Losers) == 0 || yield(c, nil)
}
