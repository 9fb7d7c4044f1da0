package union

import (
	"errors"

	"github.com/packagefs/packagefs/pkgindex"
	"github.com/packagefs/packagefs/pkgindex/pkgmeta"
)

// HasWhole says whether the tree has all files of one of its packages as the package
// has them: none is hidden by a different one of another package. It looks at every
// file of the package at the first call, and may wait.
func (t *Tree) HasWhole(p *pkgindex.Package) (bool, error) {
	if is, ok := t.shown.Load(p); ok {
		return is.(bool), nil
	}
	layers, err := p.Layers()
	if errors.Is(err, pkgindex.ErrGone) {
		return false, nil // it is left out of the tree
	} else if err != nil {
		return false, err
	}
	top, err := t.top(true)
	if err != nil {
		return false, err
	}
	is := true
	for i := range layers {
		if is, err = top.hasWhole(&layers[i], pkgindex.RootDir); err != nil {
			return false, err
		} else if !is {
			break
		}
	}
	t.shown.Store(p, is)
	return is, nil
}

// hasWhole is HasWhole for a directory of a layer that d has merged.
func (d *dir) hasWhole(l *pkgindex.Layer, id pkgindex.DirID) (bool, error) {
	if len(d.from) == 1 && d.from[0].layer.Index == l.Index {
		return true, nil
	}
	list, err := d.merge(true)
	if err != nil {
		return false, err
	}
	for i, hi := l.Entries(id); i < hi; i++ {
		name, ino := l.Entry(i)
		e := list.find(name)
		switch {
		case e == nil:
			return false, nil // not a package of the tree
		case l.Type(ino) == pkgmeta.Directory:
			if e.dir == nil {
				return false, nil
			}
			if is, err := e.dir.hasWhole(l, l.Dir(ino)); err != nil || !is {
				return false, err
			}
		case e.layer.Package != l.Package:
			mine, theirs := candidate(l, ino), candidate(e.layer, e.ino)
			if !mine.Same(&theirs) {
				return false, nil
			}
		}
	}
	return true, nil
}
