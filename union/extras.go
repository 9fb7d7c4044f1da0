package union

import (
	"slices"

	"github.com/packagefs/packagefs/pkgindex"
)

// Extras are what a tree shows beside and instead of what its packages have. The
// zero value adds nothing.
type Extras struct {
	Generators []Generator
	Launchers  Launchers // nil: every file is served itself

	// Added are the packages that an attach name adds to a context. They give nobody a
	// right in the layer of the context: what they have cannot be changed, their own
	// directories only root writes in, and those of others they leave as they are.
	Added map[*pkgindex.Package]bool
}

// A Generator adds files to trees that no package has: always the same, or made
// from what is in the tree.
type Generator interface {
	// Generate returns what it adds to t, nil for nothing. It is called once
	// for each tree, when somebody first looks at it, and may wait. What costs
	// much is left to a Lazy, which is made when somebody looks at the file. t
	// has the packages of the tree, and what the generators before this one
	// made; looking at it costs nothing twice, for the tree shares its
	// directories. What is returned counts as the package that comes first, so
	// its files win; a generator that gives way asks t.Vacant. It should be the
	// same package where it is the same as for another tree: the trees then
	// share the directories that it has, beside all those that nothing
	// generated is in.
	Generate(t *Tree) *pkgindex.Package
}

// NewTree is the function NewTree for a tree with extras.
func (x Extras) NewTree(packages []*pkgindex.Package, prev *Tree) *Tree {
	t := NewTree(packages, prev)
	t.generators, t.launchers, t.added = x.Generators, x.Launchers, x.Added
	return t
}

// Launchers returns what decides about launchers in the tree, nil for none.
func (t *Tree) Launchers() Launchers { return t.launchers }

// generate runs the generators and returns what comes before the packages. It
// runs with t.mu locked.
func (t *Tree) generate() []*pkgindex.Package {
	if len(t.generators) == 0 {
		return nil
	}
	var all []*pkgindex.Package
	bare := &Tree{packages: t.packages, prev: t.prev, added: t.added}
	for _, g := range t.generators {
		p := g.Generate(bare)
		if p == nil {
			continue
		}
		all = append(all, p)
		bare = Extras{Added: t.added}.NewTree(slices.Concat(all, t.packages), bare)
	}
	if bare.root != nil {
		t.prev = bare.root.merged()
	} else {
		t.prev = bare.prev
	}
	return all
}
