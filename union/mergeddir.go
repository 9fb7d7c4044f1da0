package union

import (
	"encoding/binary"
	"hash/fnv"
	"strings"

	"github.com/hugelgupf/p9/p9"
	"golang.org/x/sys/unix"

	"github.com/packagefs/packagefs/pkgindex"
)

// A Stack is what an attach shows: mutable layers over the tree of packages. What is
// exported of it does not change; what the layers hold does.
type Stack struct {
	Tree   *Tree
	Layers []*Mutable // the upper ones first
	Own    bool       // Layers[0] takes changes; else there is no place for them

	// Turn is another number after each change of what is above, also of one back to
	// what was: see Stamp. Whose Stack never changes back may leave it 0.
	Turn uint64

	large listings
}

// own returns the layer that takes changes, nil for none.
func (s *Stack) own() *Mutable {
	if s.Own {
		return s.Layers[0]
	}
	return nil
}

// epoch differs after a directory of a layer came, went or moved.
func (s *Stack) epoch() (sum uint64) {
	for _, m := range s.Layers {
		sum += m.shape.Load()
	}
	return sum
}

// rlock locks the layers for looking. With wait unset it fails where that could
// take long. The caller gives them back by runlock.
func (s *Stack) rlock(wait bool) bool {
	for i, m := range s.Layers {
		if wait {
			m.mu.RLock()
		} else if !m.mu.TryRLock() {
			for _, m := range s.Layers[:i] {
				m.mu.RUnlock()
			}
			return false
		}
	}
	return true
}

func (s *Stack) runlock() {
	for _, m := range s.Layers {
		m.mu.RUnlock()
	}
}

// lock locks the upper layer for changes and the others for looking.
func (s *Stack) lock() {
	s.Layers[0].mu.Lock()
	s.Layers[0].changes++
	for _, m := range s.Layers[1:] {
		m.mu.RLock()
	}
}

func (s *Stack) unlock() {
	for _, m := range s.Layers[1:] {
		m.mu.RUnlock()
	}
	s.Layers[0].mu.Unlock()
}

// A mergedDir is a directory as a stack has it, of layers and packages. It holds until the stack's epoch
// changes, and is looked at with the layers locked.
type mergedDir struct {
	stack *Stack
	epoch uint64
	path  string  // relative and clean; "" for the root
	ups   []upRef // what layers have of it, the upper ones first
	dir   *dir    // what packages have of it, nil for nothing
}

// upRef is a directory of one of the layers of a stack.
type upRef struct {
	layer int
	dir   *upDir
}

// top returns the root.
func (s *Stack) top(wait bool) (*mergedDir, error) {
	p := &mergedDir{stack: s, epoch: s.epoch()}
	for i, m := range s.Layers {
		up, err := m.upTop(wait)
		if err != nil {
			return nil, err
		}
		if up != nil {
			p.ups = append(p.ups, upRef{i, up})
			if up.opaque {
				return p, nil
			}
		}
	}
	var err error
	p.dir, err = s.Tree.top(wait)
	return p, err
}

// at returns a directory by its path, relative and clean.
func (s *Stack) at(path string, wait bool) (*mergedDir, error) {
	p, err := s.top(wait)
	for path != "" && err == nil {
		var name string
		name, path, _ = strings.Cut(path, "/")
		var f lookupResult
		if f, err = p.look(name, wait); err != nil {
			return nil, err
		}
		if f.at == nil {
			return nil, errNotDir
		}
		p = f.at
	}
	return p, err
}

// lookupResult is what a name in a mergedDir stands for.
type lookupResult struct {
	at       *mergedDir // of a directory
	e        *entry     // of a file of a package
	launcher bool       // the file is served as one

	// Of a file of a layer, or else 0.
	layer int
	up    *upDir // that has it
	name  string // in up
	ent   upEntry
}

// A staleDir says that it is time to compare a directory with the disk.
type staleDir struct {
	layer *Mutable
	dir   *upDir
}

func (*staleDir) Error() string { return "directory must be looked at again" }

func (p *mergedDir) stale(u upRef) error { return &staleDir{p.stack.Layers[u.layer], u.dir} }

// look looks a name up.
func (p *mergedDir) look(name string, wait bool) (lookupResult, error) {
	return p.lookFrom(0, name, wait)
}

// lookBelow looks up what there would be without the layer that takes changes.
func (p *mergedDir) lookBelow(name string) (lookupResult, error) { return p.lookFrom(1, name, true) }

// lookFrom looks a name up without the layers above from. It fails with
// errNoEntry.
func (p *mergedDir) lookFrom(from int, name string, wait bool) (lookupResult, error) {
	var ups []upRef
	through := p.dir != nil
	for _, u := range p.ups {
		if u.layer < from {
			continue
		}
		if u.dir.stale() {
			return lookupResult{}, p.stale(u)
		}
		e, ok := u.dir.entries[name]
		if !ok {
			continue
		}
		if e.typ != unix.DT_DIR {
			if len(ups) == 0 && e.typ == unix.DT_WHT {
				return lookupResult{}, errNoEntry
			}
			if len(ups) == 0 {
				return lookupResult{layer: u.layer, up: u.dir, name: name, ent: e}, nil
			}
			through = false
			break
		}
		c, err := p.stack.Layers[u.layer].child(u.dir, name, wait)
		if err != nil {
			return lookupResult{}, err
		}
		ups = append(ups, upRef{u.layer, c})
		if c.opaque {
			through = false
			break
		}
	}
	var below *dir
	if through {
		e, err := p.dir.child(name, wait)
		switch {
		case err == nil && e.dir != nil:
			below = e.dir
		case err == nil && len(ups) == 0:
			if err := p.stack.Tree.visible(e, wait); err != nil {
				return lookupResult{}, err
			}
			is, err := p.stack.Tree.launched(e, wait)
			return lookupResult{e: e, launcher: is}, err
		case err != nil && err != errNoEntry:
			return lookupResult{}, err
		}
	}
	if len(ups) == 0 && below == nil {
		return lookupResult{}, errNoEntry
	}
	at := &mergedDir{stack: p.stack, epoch: p.epoch, ups: ups, dir: below}
	if below != nil {
		at.path = below.path
	} else {
		at.path = strings.Clone(join(p.path, name)) // the caller's name does not stay
	}
	return lookupResult{at: at}, nil
}

// qid identifies the directory: by its path where packages have it, by its
// inode where only layers do.
func (p *mergedDir) qid() p9.QID {
	if len(p.ups) == 0 {
		return p.dir.qid
	}
	h := fnv.New32a()
	var b [4]byte
	for _, u := range p.ups {
		binary.LittleEndian.PutUint32(b[:], u.dir.version)
		h.Write(b[:])
	}
	q := p9.QID{Type: p9.TypeDir, Path: p.ups[0].dir.ino, Version: max(h.Sum32(), 1)}
	switch {
	case p.dir != nil:
		q.Path, q.Version = p.dir.qid.Path, max(q.Version^p.dir.qid.Version, 1)
	case p.path == "":
		q.Path = pathIno("")
	}
	return q
}

// fileQID identifies what is no directory. What can be copied up has one number
// before and after it, and another one with each layer that it may be copied to.
func (p *mergedDir) fileQID(f *lookupResult, name string) (q p9.QID) {
	m := p.stack.own()
	if f.e != nil {
		q = f.e.qid()
		if f.launcher {
			return launcherQID(q)
		}
		if m != nil && f.e.mutable(p.path, name) {
			q.Path = m.saltIno(q.Path)
		}
		return q
	}
	q.Path = f.ent.ino
	if m != nil && f.layer > 0 {
		q.Path = m.saltIno(q.Path)
	}
	if f.ent.typ == unix.DT_LNK {
		q.Type = p9.TypeSymlink
	}
	return q
}

// mutable says whether users may change the file, which is that name in dir. They do
// so in the layer of a context, where a package that the attach name adds has no say.
func (e *entry) mutable(dir, name string) bool {
	return !e.added && e.layer.Package.MutableIn(dir, name, e.layer.Inode(e.ino))
}

// may says whether who has a permission for the directory.
func (p *mergedDir) may(who *Cred, permission uint32) bool {
	return who.root() || who.may(p.attr(), permission)
}

// attr is what permissions for the directory depend on.
func (p *mergedDir) attr() fileAttr {
	if len(p.ups) > 0 {
		return p.ups[0].dir.inode
	}
	return p.dir.attr
}

func attrOfInode(i *pkgindex.Inode) fileAttr { return fileAttr{i.Mode, i.UID, i.GID} }

// own returns what the layer that takes changes has of the directory, nil for
// nothing.
func (p *mergedDir) own() *upDir {
	if p.stack.Own && len(p.ups) > 0 && p.ups[0].layer == 0 {
		return p.ups[0].dir
	}
	return nil
}
