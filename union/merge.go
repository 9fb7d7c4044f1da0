package union

import (
	"cmp"
	"encoding/binary"
	"hash/fnv"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/hugelgupf/p9/p9"

	"github.com/packagefs/packagefs/pkgindex"
	"github.com/packagefs/packagefs/pkgindex/pkgmeta"
)

// A contributor is a directory of one package that takes part in a merged one.
type contributor struct {
	layer pkgindex.Layer
	dir   pkgindex.DirID
	ino   pkgindex.InodeID
	added bool // by the attach name, to a context: see decide
}

func equalContributors(c, o contributor) bool {
	return c.layer.Index == o.layer.Index && c.layer.Package == o.layer.Package && c.dir == o.dir && c.added == o.added
}

// dir is a merged directory. Trees share it.
type dir struct {
	path  string        // relative and clean; "" for the root
	qid   p9.QID        // its version differs where other packages contribute
	from  []contributor // in the order of the tree
	attr  fileAttr      // owner and mode
	attrs int           // which of from has the directory's other attributes, -1 for none

	mu   sync.Mutex // guards the merging and prev
	prev *dir       // the merged directory at this path in an earlier tree, until this one is merged
	list atomic.Pointer[entryList]
}

// pathIno is the inode number of the directory at a path.
func pathIno(path string) uint64 {
	h := fnv.New64a()
	h.Write([]byte{'/'})
	h.Write([]byte(path))
	return h.Sum64()
}

// newDir returns a directory that is not yet merged.
func newDir(path string, from []contributor, prev *dir) *dir {
	d := &dir{path: path, from: from, prev: prev}
	d.qid = p9.QID{Type: p9.TypeDir, Path: pathIno(path)}
	h := fnv.New64a()
	var b [13]byte
	for i := range from {
		c := &from[i]
		binary.LittleEndian.PutUint64(b[:], c.layer.Ino(c.ino))
		binary.LittleEndian.PutUint32(b[8:], c.layer.Stamp())
		if b[12] = 0; c.added {
			b[12] = 1
		}
		h.Write(b[:])
	}
	d.attrs = best(from)
	d.attr = d.decide()
	sum := h.Sum64()
	d.qid.Version = max(uint32(sum)^uint32(sum>>32), 1) // 0 stands for a file that changes
	return d
}

// best returns whose attributes come first, -1 for nobody's.
func best(from []contributor) int {
	at := -1
	for i := range from {
		if at < 0 || from[i].rank() > from[at].rank() {
			at = i
		}
	}
	return at
}

// rank says whose attributes a merged directory has, beside owner and mode: what a
// package file has itself comes before what only had to be there for something below
// it, and that before what had to be there for something generated.
func (c *contributor) rank() int {
	switch {
	case !c.layer.Inode(c.ino).Implicit:
		return 2
	case !c.layer.Package.Synthetic():
		return 1
	}
	return 0
}

// merged returns d if it was merged, else the merged directory of an earlier
// tree that it would share from, or nil.
func (d *dir) merged() *dir {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.list.Load() != nil {
		return d
	}
	return d.prev
}

// entryList is what is in a merged directory.
type entryList struct {
	entries  []entry // by name
	programs bool    // there are some among them, or some that are not for users
	lazy     bool    // there are some among them whose content is made when somebody looks
	all      atomic.Pointer[direntList]
	mutable  atomic.Int32 // whether users may change one of its files: 1 if so, -1 if not, 0 until somebody asks
}

// anyMutable says whether users may change one of the files in dir.
func (l *entryList) anyMutable(dir string) bool {
	known := l.mutable.Load()
	if known == 0 {
		known = -1
		if slices.ContainsFunc(l.entries, func(e entry) bool { return e.dir == nil && e.mutable(dir, e.name) }) {
			known = 1
		}
		l.mutable.Store(known)
	}
	return known > 0
}

// entry is one name, as the contributor has it that wins.
type entry struct {
	name      string
	layer     *pkgindex.Layer
	ino       pkgindex.InodeID
	dir       *dir // of a directory, else nil
	shared    bool // more contributors have the name
	program   bool // a tree may show it as a launcher
	inner     bool // a tree with launchers does not show it
	synthetic bool // of a package that a server adds
	added     bool // of a package that the attach name adds
}

func (e *entry) qid() p9.QID {
	if e.dir != nil {
		return e.dir.qid
	}
	q := p9.QID{Path: e.layer.Ino(e.ino), Version: e.layer.Version(e.ino)}
	if e.layer.Type(e.ino) == pkgmeta.Symlink {
		q.Type = p9.TypeSymlink
	}
	return q
}

// find returns nil where there is no such name.
func (l *entryList) find(name string) *entry {
	lo, hi := 0, len(l.entries)
	for lo < hi {
		mid := int(uint(lo+hi) >> 1)
		switch c := strings.Compare(l.entries[mid].name, name); {
		case c == 0:
			return &l.entries[mid]
		case c < 0:
			lo = mid + 1
		default:
			hi = mid
		}
	}
	return nil
}

// child looks a name up.
func (d *dir) child(name string, wait bool) (*entry, error) {
	l := d.list.Load()
	if l == nil {
		var err error
		if l, err = d.merge(wait); err != nil {
			return nil, err
		}
	}
	if e := l.find(name); e != nil {
		return e, nil
	}
	return nil, errNoEntry
}

// mergeAtOnce is how many entries are merged without leaving it to a worker.
const mergeAtOnce = 1024

// merge returns the entries, computing it at the first call. With wait unset it
// fails with errWait where that takes long or somebody else is at it.
func (d *dir) merge(wait bool) (*entryList, error) {
	if l := d.list.Load(); l != nil {
		return l, nil
	}
	if wait {
		d.mu.Lock()
	} else if !d.mu.TryLock() {
		return nil, errWait
	}
	defer d.mu.Unlock()
	if l := d.list.Load(); l != nil {
		return l, nil
	}
	if !wait && d.size() > mergeAtOnce {
		return nil, errWait
	}
	var before *entryList
	if d.prev != nil {
		before = d.prev.list.Load()
	}
	l := d.compute(before)
	d.list.Store(l)
	d.prev = nil
	return l, nil
}

// size is how many entries the contributors have together.
func (d *dir) size() int {
	n := 0
	for i := range d.from {
		lo, hi := d.from[i].layer.Entries(d.from[i].dir)
		n += int(hi - lo)
	}
	return n
}

// named is one name of one contributor.
type named struct {
	name string
	from int
	ino  pkgindex.InodeID
}

// names returns the names of all contributors, by name and within a name in the
// order of the tree, and how many different ones there are.
func (d *dir) names() (names []named, distinct int) {
	names = make([]named, 0, d.size())
	for i := range d.from {
		c := &d.from[i]
		for e, hi := c.layer.Entries(c.dir); e < hi; e++ {
			name, ino := c.layer.Entry(e)
			names = append(names, named{name, i, ino})
		}
	}
	if len(d.from) > 1 {
		slices.SortFunc(names, func(a, b named) int {
			return cmp.Or(strings.Compare(a.name, b.name), cmp.Compare(a.from, b.from))
		})
	}
	for i := range names {
		if i == 0 || names[i].name != names[i-1].name {
			distinct++
		}
	}
	return names, distinct
}

// compute makes the list of entries. It shares directories with before, which is the
// list of an earlier tree or nil.
func (d *dir) compute(before *entryList) *entryList {
	names, distinct := d.names()
	l := &entryList{entries: make([]entry, 0, distinct)}
	for len(names) > 0 {
		n := 1
		for n < len(names) && names[n].name == names[0].name {
			n++
		}
		e := d.mergeName(names[:n], before)
		l.entries, l.programs = append(l.entries, e), l.programs || e.program || e.inner
		l.lazy = l.lazy || e.lazy() != nil
		names = names[n:]
	}
	return l
}

// mergeName decides one name, which group has in the order of the tree. The
// symlink of a path alias gives way to whatever else a package has there.
func (d *dir) mergeName(group []named, before *entryList) entry {
	win := group[0]
	for _, n := range group {
		if l := &d.from[n.from].layer; l.Type(n.ino) != pkgmeta.Symlink || !l.Inode(n.ino).Implicit {
			win = n
			break
		}
	}
	e := entry{name: win.name, layer: &d.from[win.from].layer, ino: win.ino, shared: len(group) > 1}
	e.synthetic, e.added = e.layer.Package.Synthetic(), d.from[win.from].added
	if e.layer.Type(e.ino) != pkgmeta.Directory {
		inode := e.layer.Inode(e.ino)
		e.program, e.inner = e.layer.Package.Program(d.path, e.name, inode), e.layer.Package.Inner(d.path, e.name, inode)
		return e
	}
	from := make([]contributor, 0, len(group))
	for _, n := range group {
		if l := d.from[n.from].layer; l.Type(n.ino) == pkgmeta.Directory {
			from = append(from, contributor{layer: l, dir: l.Dir(n.ino), ino: n.ino, added: d.from[n.from].added})
		}
	}
	var prev *dir
	if before != nil {
		if old := before.find(e.name); old != nil && old.dir != nil {
			if slices.EqualFunc(old.dir.from, from, equalContributors) {
				e.dir = old.dir
				return e
			}
			prev = old.dir.merged()
		}
	}
	e.dir = newDir(join(d.path, e.name), from, prev)
	return e
}
