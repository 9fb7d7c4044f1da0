package union

import "github.com/packagefs/packagefs/pkgindex"

// Extras are what a tree shows beside and instead of what its packages have. The
// zero value adds nothing.
type Extras struct {
	Generators []Generator
	Launchers  Launchers // nil: every file is served itself
}

// A Generator adds files to trees that no package has: always the same, or made
// from what is in the tree.
type Generator interface {
	// Generate returns what it adds to t, nil for nothing. It is called once
	// for each tree, when somebody first looks at it, and may wait. t has the
	// packages of the tree and nothing that is generated; looking at it costs
	// nothing twice, for the tree shares its directories. What is returned
	// counts as the package that comes first, so its files win. It should be
	// the same package where it is the same as for another tree: where no
	// generator looks at t, the trees then share the directories that it has,
	// beside all those that nothing generated is in.
	Generate(t *Tree) *pkgindex.Package
}

// NewTree is the function NewTree for a tree with extras.
func (x Extras) NewTree(packages []*pkgindex.Package, prev *Tree) *Tree {
	t := NewTree(packages, prev)
	t.generators, t.launchers = x.Generators, x.Launchers
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
	bare := &Tree{packages: t.packages, prev: t.prev}
	var all []*pkgindex.Package
	for _, g := range t.generators {
		if p := g.Generate(bare); p != nil {
			all = append(all, p)
		}
	}
	if bare.root != nil {
		t.prev = bare.root.merged()
	}
	return all
}
