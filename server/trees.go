package server

import (
	"encoding/binary"
	"slices"
	"sync"
	"weak"

	"github.com/packagefs/packagefs/context"
	"github.com/packagefs/packagefs/pkgindex"
	"github.com/packagefs/packagefs/server/generate"
	"github.com/packagefs/packagefs/union"
)

// trees makes the trees of views, and shares those that something is attached to.
type trees struct {
	packages   *pkgindex.Store
	program    union.Generator // of every tree
	generated  *generate.Set
	generators []union.Generator // of trees without alternatives

	mu      sync.Mutex // guards what follows
	sweepAt int        // length of known at which those that are gone are taken out
	known   map[treeKey]weak.Pointer[union.Tree]
}

func newTrees(packages *pkgindex.Store, program union.Generator, generated *generate.Set) *trees {
	return &trees{
		packages: packages, program: program, generated: generated,
		generators: append([]union.Generator{program}, generated.For(nil, nil)...),
		known:      make(map[treeKey]weak.Pointer[union.Tree]),
	}
}

// of returns the tree of a view. Contexts with equal views share it, as
// long as one of them is attached to; prev is the tree that it comes after.
func (ts *trees) of(v *context.View, prev *union.Tree) *union.Tree {
	key := ts.keyOf(v)
	ts.mu.Lock()
	defer ts.mu.Unlock()
	known := ts.known[key].Value()
	extras := ts.extrasFor(v, key, known)
	if known != nil && slices.Equal(known.Packages(), v.Packages) && known.Launchers() == extras.Launchers {
		return known
	}
	if known != nil {
		prev = known
	}
	t := extras.NewTree(v.Packages, prev)
	if len(ts.known) >= ts.sweepAt {
		for key, p := range ts.known {
			if p.Value() == nil {
				delete(ts.known, key)
			}
		}
		ts.sweepAt = max(minSweep, 2*len(ts.known))
	}
	ts.known[key] = weak.Make(t)
	return t
}

// A treeKey tells the trees of one generation apart.
type treeKey struct {
	view      string // View.Key
	launchers bool   // there may be some
	added     string // which of the packages the attach name adds

	// Alternatives that override files declare, nil for none, and what tells
	// apart which packages are preferred there.
	alternatives *pkgindex.Alternatives
	preferred    string
}

func (ts *trees) keyOf(v *context.View) treeKey {
	key := treeKey{view: v.Key, launchers: v.Closures != nil, alternatives: ts.packages.Set().Alternatives}
	if key.alternatives != nil {
		key.preferred = idsOf(v.Preferred)
	}
	if v.Added != nil {
		key.added = idsOf(slices.DeleteFunc(slices.Clone(v.Packages), func(p *pkgindex.Package) bool { return !v.Added[p] }))
	}
	return key
}

func idsOf(packages []*pkgindex.Package) string {
	var ids []byte
	for _, p := range packages {
		ids = binary.LittleEndian.AppendUint64(ids, p.ID)
	}
	return string(ids)
}

// generatorsFor returns what makes files for the trees of a view, with its key.
func (ts *trees) generatorsFor(v *context.View, key treeKey) []union.Generator {
	if key.alternatives == nil {
		return ts.generators
	}
	return append([]union.Generator{ts.program}, ts.generated.For(key.alternatives, v.Preferred)...)
}

// live counts the trees that something is attached to.
func (ts *trees) live() int {
	ts.mu.Lock()
	defer ts.mu.Unlock()
	n := 0
	for _, p := range ts.known {
		if p.Value() != nil {
			n++
		}
	}
	return n
}

// minSweep is how many keys of trees that are gone may gather, at least.
const minSweep = 1024

// extrasFor returns what the trees of a view, with its key, have beside its packages. prev is
// what the last tree of the view has, or nil.
func (ts *trees) extrasFor(v *context.View, key treeKey, prev *union.Tree) union.Extras {
	x := union.Extras{Generators: ts.generatorsFor(v, key), Added: v.Added}
	if v.Closures == nil {
		return x
	}
	if prev != nil {
		last, ok := prev.Launchers().(*launchers)
		if ok && last.closures == v.Closures && slices.Equal(last.view, v.Packages) {
			x.Launchers = last
			return x
		}
	}
	x.Launchers = newLaunchers(v.Closures, v.Packages)
	return x
}
