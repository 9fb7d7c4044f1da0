package union

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"os"
	"path/filepath"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/packagefs/packagefs/pkgindex"
	"github.com/packagefs/packagefs/pkgindex/pkgmeta"
)

// An EditState says how an edited file stands to the packages of now.
type EditState string

const (
	Edited   EditState = "edited"   // the package's file is what the copy was made of
	Outdated EditState = "outdated" // the package's file has changed since
	Orphaned EditState = "orphaned" // no package has the file any more
	Deleted  EditState = "deleted"  // the package's file is there and hidden
)

// An Edit is a file of a package that a layer has its own copy of, or hides.
type Edit struct {
	Path   string // absolute
	State  EditState
	Origin *Origin           // of what is not Deleted
	Now    *pkgindex.Package // that has the file now; nil if Orphaned

	same bool // the copy is what the package has now
}

// Edits lists the edited files of the stack's own layer in the order of paths.
// Copies that are what the packages have now are dropped first.
func (s *Stack) Edits() ([]Edit, error) {
	m := s.own()
	if m == nil || !m.there.Load() {
		return nil, nil
	}
	begun, quiet := m.copying.quiet()
	all, err := s.edits()
	if err != nil {
		return nil, err
	}
	kept := all[:0]
	for _, e := range all {
		if !e.same {
			kept = append(kept, e)
			continue
		}
		if err := s.ResetEdit(e.Path); err != nil && !errors.Is(err, syscall.ENOENT) {
			return nil, err
		}
	}
	if quiet {
		m.sweepBase(kept, begun)
	}
	return kept, nil
}

// UnusedBases lists what was kept to compare later versions with, of files that
// are not edited any more. Edits removes it.
func (s *Stack) UnusedBases() ([]string, error) {
	m := s.own()
	if m == nil || !m.there.Load() {
		return nil, nil
	}
	all, err := s.edits()
	if err != nil {
		return nil, err
	}
	return m.unusedBases(all), nil
}

// edits lists, comparing what the layer has in memory with the disk first.
func (s *Stack) edits() (all []Edit, err error) {
	for {
		all = nil
		s.rlock(true)
		top, err := s.top(true)
		if err == nil {
			err = top.edits(&all)
		}
		s.runlock()
		if err = freshenStale(err, true); err != errRetry {
			return all, err
		}
	}
}

// edits runs with the layers locked.
func (p *mergedDir) edits(all *[]Edit) error {
	up := p.own()
	if up == nil {
		return nil
	}
	r, err := p.readAll()
	if err != nil {
		return err
	}
	for _, name := range r {
		e := up.entries[name]
		switch e.typ {
		case unix.DT_DIR:
			f, err := p.look(name, true)
			if err != nil {
				return err
			}
			if err := f.at.edits(all); err != nil {
				return err
			}
		case unix.DT_REG, unix.DT_WHT:
			edit, err := p.edit(up, name, e)
			if err != nil {
				return err
			}
			if edit != nil {
				*all = append(*all, *edit)
			}
		}
	}
	return nil
}

// edit describes one name of the layer, nil if it is no file of a package.
func (p *mergedDir) edit(up *upDir, name string, e upEntry) (*Edit, error) {
	edit := &Edit{Path: "/" + join(p.path, name)}
	below, err := p.lookBelow(name)
	if err != nil && err != errNoEntry {
		return nil, err
	}
	if below.e != nil {
		edit.Now = below.e.layer.Package
	}
	if e.typ == unix.DT_WHT {
		edit.State = Deleted
		if below.e == nil {
			return nil, nil
		}
		return edit, nil
	}
	s := &layerFile{layer: p.stack.own(), up: up, name: name}
	err = s.use(func(s *layerFile) error {
		if edit.Origin, err = s.origin(); err != nil || edit.Origin == nil {
			return err
		}
		edit.State, edit.same, err = s.compare(edit.Origin, below.e)
		return err
	}, nil)
	if err != nil || edit.Origin == nil {
		return nil, err
	}
	return edit, nil
}

// origin returns what the file was copied from, nil if it was not.
func (s *layerFile) origin() (o *Origin, err error) {
	err = s.withFD(func(fd int) error {
		value, err := getXattrFD(fd, s.layer.names.own+originName)
		if noXattr(err) {
			return nil
		}
		if err == nil {
			o, err = parseOrigin(value)
		}
		return err
	})
	return o, err
}

// compare says how a copy stands to what a package has now, and whether it is
// the same in content, mode and owner.
func (s *layerFile) compare(o *Origin, now *entry) (EditState, bool, error) {
	if now == nil || now.layer.Type(now.ino) != pkgmeta.Regular {
		return Orphaned, false, nil
	}
	digest, inode := now.layer.Digest(now.ino), now.layer.Inode(now.ino)
	state := Edited
	if digest != o.Digest {
		state = Outdated
	}
	st, err := statName(s.dir, s.name)
	if err != nil || state == Edited || int64(st.Size) != inode.Size || attrOf(&st) != attrOfInode(&inode) || s.inUse() {
		return state, false, err
	}
	content, err := s.read(inode.Size)
	return state, err == nil && sha256.Sum256(content) == digest, err
}

// inUse says whether somebody has the file open for writing.
func (s *layerFile) inUse() bool {
	s.layer.usage.mu.Lock()
	defer s.layer.usage.mu.Unlock()
	return s.layer.usage.open[s.up.entries[s.name].ino] != nil
}

// read returns the content of a file of at most limit bytes.
func (s *layerFile) read(limit int64) ([]byte, error) {
	fd, err := openName(s.dir, s.name, unix.O_RDONLY, 0)
	if err != nil {
		return nil, err
	}
	f := os.NewFile(uintptr(fd), s.name)
	defer f.Close()
	content, err := io.ReadAll(io.LimitReader(f, limit+1))
	if err == nil && int64(len(content)) > limit {
		err = syscall.EFBIG
	}
	return content, bare(err)
}

// Texts are the three versions of an edited file.
type Texts struct {
	Base   []byte // what was edited; nil if it was not kept
	Mine   []byte // the copy
	Theirs []byte // the package's now; nil if there is none
	Origin Origin
	Now    *pkgindex.Package // that Theirs is from
}

// EditTexts returns the versions of the edited file at path. It fails with
// ENOENT for what is not edited, and with EFBIG for what is too large to
// compare.
func (s *Stack) EditTexts(path string) (t Texts, err error) {
	err = s.withEdit(path, false, func(p *mergedDir, name string, sp *layerFile) error {
		o, err := sp.origin()
		if err == nil && o == nil {
			err = syscall.ENOENT
		}
		if err != nil {
			return err
		}
		t.Origin = *o
		if t.Mine, err = sp.read(maxBase); err != nil {
			return err
		}
		base := filepath.Join(sp.layer.path, "base", hex.EncodeToString(o.Digest[:]))
		if t.Base, err = os.ReadFile(base); err != nil && !errors.Is(err, os.ErrNotExist) {
			return bare(err)
		}
		below, err := p.lookBelow(name)
		if err == errNoEntry || err == nil && (below.e == nil || below.e.layer.Type(below.e.ino) != pkgmeta.Regular) {
			return nil
		}
		if err != nil {
			return err
		}
		t.Now = below.e.layer.Package
		t.Theirs, err = below.e.content()
		return err
	})
	return t, err
}

// content returns a package's file.
func (e *entry) content() ([]byte, error) {
	c := e.copySource()
	if c.size > maxBase {
		return nil, syscall.EFBIG
	}
	r, err := c.open()
	if err != nil {
		return nil, err
	}
	defer r.Close()
	return io.ReadAll(r)
}

// withEdit calls do with the directory of what the own layer has at path, the stack
// locked; for changes if change is set.
func (s *Stack) withEdit(path string, change bool, do func(p *mergedDir, name string, sp *layerFile) error) error {
	m := s.own()
	if m == nil || !m.there.Load() {
		return errNoEntry
	}
	if err := m.count(); err != nil {
		return err
	}
	path = cleanPath(path)
	for {
		if change {
			s.lock()
		} else {
			s.rlock(true)
		}
		p, err := s.at(above(path), true)
		if err == nil {
			up, name := p.own(), filepath.Base(path)
			if up == nil {
				err = errNoEntry
			} else if e, ok := up.entries[name]; !ok || e.typ != unix.DT_REG && e.typ != unix.DT_WHT {
				err = errNoEntry
			} else {
				sp := &layerFile{layer: m, up: up, name: name}
				err = sp.use(func(sp *layerFile) error { return do(p, name, sp) }, nil)
			}
		}
		if change {
			s.unlock()
		} else {
			s.runlock()
		}
		if err = freshenStale(err, true); err != errRetry {
			return err
		}
	}
}

// ResetEdit makes the path follow the packages again: the copy goes, or what
// hides the file.
func (s *Stack) ResetEdit(path string) error {
	return s.withEdit(path, true, func(p *mergedDir, name string, sp *layerFile) error {
		m, e := sp.layer, sp.up.entries[name]
		if _, err := p.lookBelow(name); err != nil {
			return err
		}
		err := m.withDir(sp.up, func(dir int) error {
			if e.typ == unix.DT_WHT {
				m.shrink(0, 1)
				return unix.Unlinkat(dir, name, 0)
			}
			return m.unlinkName(dir, name, e.ino)
		})
		if err == nil {
			delete(sp.up.entries, name)
			sp.up.node.remove(name)
		}
		return err
	})
}

// KeepEdit notes that the copy stays although the package's file has changed:
// from now on it counts as made of that.
func (s *Stack) KeepEdit(path string) error { return s.MergeEdit(path, nil) }

// MergeEdit replaces the content of a copy, unless it is nil, and notes that it
// is made of the package's file of now.
func (s *Stack) MergeEdit(path string, content []byte) error {
	return s.withEdit(path, true, func(p *mergedDir, name string, sp *layerFile) error {
		below, err := p.lookBelow(name)
		if err != nil {
			return err
		}
		e := sp.up.entries[name]
		if e.typ != unix.DT_REG || below.e == nil {
			return errNoEntry
		}
		theirs := below.e.copySource()
		c, err := sp.copySource()
		if err != nil {
			return err
		}
		c.ino, c.origin = e.ino, theirs.origin
		old := c.size
		if content != nil {
			c.size = int64(len(content))
			c.open = func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(content)), nil }
		}
		return sp.replace(&c, &theirs, uint64(old))
	})
}

// replace puts a new copy in the place of the old one, in one step.
func (s *layerFile) replace(c, theirs *copySource, old uint64) error {
	m := s.layer
	m.copying.begin()
	defer m.copying.end()
	if err := m.keepBaseOf(theirs); err != nil {
		return err
	}
	temp := m.tempName()
	plain := *c
	plain.origin = nil // what is copied is not what the package has
	err := m.copy(temp, &plain)
	if err == nil {
		var fd int
		if fd, err = openName(m.work, temp, unix.O_PATH, 0); err == nil {
			err = m.recordOrigin(fd, c.origin)
			unix.Close(fd)
		}
	}
	if err == nil {
		err = m.withDir(s.up, func(dir int) error { return unix.Renameat(m.work, temp, dir, s.name) })
	}
	if err != nil {
		m.discard(temp)
		return err
	}
	m.shrink(old, 0)
	return m.grow(uint64(c.size), 0)
}

// keepBaseOf keeps what a package has now, to compare later versions with.
func (m *Mutable) keepBaseOf(c *copySource) error {
	if c.size > maxBase {
		return nil
	}
	r, err := c.open()
	if err != nil {
		return err
	}
	defer r.Close()
	content, err := io.ReadAll(r)
	if err != nil {
		return err
	}
	return bare(m.keepBase(bytes.NewReader(content), c))
}

// sweepBase removes what no edit was made of, unless copies were begun since there
// were as many as the caller has seen.
func (m *Mutable) sweepBase(edits []Edit, begun uint64) {
	m.copying.mu.Lock()
	defer m.copying.mu.Unlock()
	if m.copying.begun != begun {
		return
	}
	for _, base := range m.unusedBases(edits) {
		os.Remove(base)
	}
}

// unusedBases lists what none of edits was made of.
func (m *Mutable) unusedBases(edits []Edit) []string {
	used := make(map[string]bool)
	for _, e := range edits {
		if e.Origin != nil {
			used[hex.EncodeToString(e.Origin.Digest[:])] = true
		}
	}
	list, err := os.ReadDir(filepath.Join(m.path, "base"))
	if err != nil || len(list) <= len(used) {
		return nil
	}
	var unused []string
	for _, e := range list {
		if !used[e.Name()] {
			unused = append(unused, filepath.Join(m.path, "base", e.Name()))
		}
	}
	return unused
}
