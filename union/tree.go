package union

import (
	"errors"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"syscall"

	"github.com/packagefs/packagefs/pkgindex"
)

const (
	errWait    = syscall.EAGAIN
	errNoEntry = syscall.ENOENT
	errNotDir  = syscall.ENOTDIR
)

// A Tree is the merged tree of an ordered list of packages.
type Tree struct {
	id         uint64 // another one for each tree, also of other runs
	packages   []*pkgindex.Package
	generators []Generator
	launchers  Launchers // nil for none
	added      map[*pkgindex.Package]bool

	lists sync.Map // of directories with launchers: *entryList → *direntList
	shown sync.Map // *pkgindex.Package → bool: see HasWhole

	mu   sync.Mutex // guards what follows
	root *dir       // nil until looked at
	prev *dir       // the root of an earlier tree, until there is a root

	usage func() (files, bytes uint64)
}

// NewTree returns the tree of packages, the first of which wins. It shares
// directories with prev, the tree that it comes after, which may be nil.
func NewTree(packages []*pkgindex.Package, prev *Tree) *Tree {
	t := &Tree{id: rand.Uint64(), packages: packages}
	t.usage = sync.OnceValues(t.count)
	if prev != nil {
		prev.mu.Lock()
		if t.prev = prev.prev; prev.root != nil {
			t.prev = prev.root.merged()
		}
		prev.mu.Unlock()
	}
	return t
}

// Packages returns the packages of the tree in their order. The caller must not
// change the slice.
func (t *Tree) Packages() []*pkgindex.Package { return t.packages }

func (t *Tree) count() (files, bytes uint64) {
	for _, p := range t.packages {
		f, b := p.Counts()
		files += uint64(f)
		bytes += uint64(b)
	}
	return files, bytes
}

// top returns the root, for which it reads the packages' indexes at the first
// call. Where the index of a package cannot be read it fails, lest a file seem not to
// be there: the store makes the index again, and with it the next generation. A
// package that was removed meanwhile is left out. With wait unset it fails with
// errWait where a disk would have to be read.
func (t *Tree) top(wait bool) (*dir, error) {
	if wait {
		t.mu.Lock()
	} else if !t.mu.TryLock() {
		return nil, errWait
	}
	defer t.mu.Unlock()
	if t.root != nil {
		return t.root, nil
	}
	if !wait && len(t.generators) > 0 {
		return nil, errWait
	}
	from := make([]contributor, 0, len(t.packages))
	for _, p := range slices.Concat(t.generate(), t.packages) {
		if !wait && !p.Loaded() {
			return nil, errWait
		}
		layers, err := p.Layers()
		if errors.Is(err, pkgindex.ErrGone) {
			continue
		} else if err != nil {
			return nil, err
		}
		for _, l := range layers {
			from = append(from, contributor{layer: l, dir: pkgindex.RootDir, added: t.added[p]})
		}
	}
	if t.prev != nil && slices.EqualFunc(t.prev.from, from, equalContributors) {
		t.root = t.prev
	} else {
		t.root = newDir("", from, t.prev)
	}
	t.prev = nil
	return t.root, nil
}

// find follows a relative clean path. It returns a directory and nil, or what
// is no directory together with the directory that has it.
func (t *Tree) find(path string, wait bool) (*dir, *entry, error) {
	d, err := t.top(wait)
	for path != "" && err == nil {
		var name string
		var e *entry
		name, path, _ = strings.Cut(path, "/")
		if e, err = d.child(name, wait); err != nil {
			break
		}
		if e.dir == nil {
			if path != "" {
				err = errNotDir
			}
			return d, e, err
		}
		d = e.dir
	}
	return d, nil, err
}

// parent returns the directory above d, which for the root is the root.
func (t *Tree) parent(d *dir, wait bool) (*dir, error) {
	i := strings.LastIndexByte(d.path, '/')
	above, _, err := t.find(d.path[:max(i, 0)], wait)
	return above, err
}

func join(dir, name string) string {
	if dir == "" {
		return name
	}
	return dir + "/" + name
}
