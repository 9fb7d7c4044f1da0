package union

import (
	"errors"
	"fmt"
	"io"
	"iter"
	"path"
	"strings"

	"github.com/packagefs/packagefs/pkgindex"
	"github.com/packagefs/packagefs/pkgindex/pkgmeta"
	"github.com/packagefs/packagefs/pkgindex/pkgpath"
)

// A File is what a tree has at a path where it has no directory: what Generators
// look at. Whether a tree shows a launcher in its place is another question.
type File struct {
	Path  string // relative and clean
	Layer *pkgindex.Layer
	Ino   pkgindex.InodeID
}

// Package is the one that has the file.
func (f File) Package() *pkgindex.Package { return f.Layer.Package }

// Type tells a symlink from a regular file.
func (f File) Type() pkgmeta.FileType { return f.Layer.Type(f.Ino) }

// File returns what is at p, relative and clean, without following a symlink at
// its end. It returns false where there is nothing, a directory, or what is made
// when somebody looks at it.
func (t *Tree) File(p string) (File, bool) {
	_, e, err := t.find(p, true)
	if err != nil || e == nil || e.lazy() != nil {
		return File{}, false
	}
	return File{p, e.layer, e.ino}, true
}

// Files yields what is in a directory, relative and clean, by name; of what is no
// directory only. A directory that is not there has nothing.
func (t *Tree) Files(dir string) iter.Seq2[string, File] {
	return func(yield func(string, File) bool) {
		d, e, err := t.find(dir, true)
		if err != nil || e != nil {
			return
		}
		l, err := d.merge(true)
		if err != nil {
			return
		}
		for i := range l.entries {
			e := &l.entries[i]
			if e.dir == nil && e.lazy() == nil && !yield(e.name, File{join(dir, e.name), e.layer, e.ino}) {
				return
			}
		}
	}
}

// Vacant says whether something can be added to the tree at p, relative and clean,
// without taking the place of anything: there is nothing at p, and nothing but
// directories above it.
func (t *Tree) Vacant(p string) bool {
	d, err := t.top(true)
	for err == nil {
		var name string
		var e *entry
		name, p, _ = strings.Cut(p, "/")
		if e, err = d.child(name, true); err == nil && (e.dir == nil || p == "") {
			return false
		}
		if err == nil {
			d = e.dir
		}
	}
	return err == errNoEntry
}

// maxHops is how many symlinks Follow follows, as Linux does.
const maxHops = 40

// Follow returns the file that p, relative and clean, leads to when symlinks are
// followed within the tree. It returns false where that is nothing or a
// directory.
func (t *Tree) Follow(p string) (File, bool) {
	d, e := t.follow(p)
	if d == nil || e == nil || e.lazy() != nil {
		return File{}, false
	}
	return File{join(d.path, e.name), e.layer, e.ino}, true
}

// FollowDir returns the path of the directory that p leads to, likewise.
func (t *Tree) FollowDir(p string) (string, bool) {
	d, e := t.follow(p)
	if d == nil || e != nil {
		return "", false
	}
	return d.path, true
}

// follow returns a directory and nil, or what is no directory together with the
// directory that has it; nil for nothing.
func (t *Tree) follow(p string) (*dir, *entry) {
	for range maxHops {
		d, e, rest, err := t.walk(p)
		switch {
		case err != nil:
			return nil, nil
		case e == nil:
			return d, nil
		case e.layer.Type(e.ino) != pkgmeta.Symlink:
			if rest != "" {
				return nil, nil
			}
			return d, e
		}
		p = cleanPath(pkgpath.Leads(join(d.path, e.name), e.layer.Target(e.ino)) + "/" + rest)
	}
	return nil, nil
}

// walk goes along p to the first name that stands for no directory, and returns
// it with what follows.
func (t *Tree) walk(p string) (d *dir, e *entry, rest string, err error) {
	d, err = t.top(true)
	for p != "" && err == nil {
		var name string
		name, p, _ = strings.Cut(p, "/")
		if e, err = d.child(name, true); err == nil {
			if e.dir == nil {
				return d, e, p, nil
			}
			d = e.dir
		}
	}
	return d, nil, "", err
}

var (
	errTooLarge = errors.New("larger than it may be")
	errNoFile   = errors.New("not a regular file")
)

// Read returns the content of a regular file, which it fails to do for one of more
// than most bytes.
func (f File) Read(most int64) ([]byte, error) {
	if f.Layer.Inode(f.Ino).Size > most {
		return nil, fmt.Errorf("read /%s of %s: %w", f.Path, f.Package().Ref, errTooLarge)
	}
	return f.Head(most)
}

// Head returns the beginning of a regular file, most bytes of it.
func (f File) Head(most int64) ([]byte, error) {
	if f.Type() != pkgmeta.Regular {
		return nil, fmt.Errorf("read /%s of %s: %w", f.Path, f.Package().Ref, errNoFile)
	}
	payload, err := f.Package().Payload()
	if err != nil {
		return nil, err
	}
	defer payload.Close()
	b := make([]byte, min(most, f.Layer.Inode(f.Ino).Size))
	if n, err := payload.ReadAt(b, f.Layer.Offset(f.Ino)); n < len(b) {
		return nil, fmt.Errorf("read /%s of %s: %w", f.Path, f.Package().Ref, errors.Join(io.ErrUnexpectedEOF, err))
	}
	return b, nil
}

// Base is the last name of the file's path.
func (f File) Base() string { return path.Base(f.Path) }
