package context

import (
	"slices"

	"github.com/packagefs/packagefs/context/solver"
	"github.com/packagefs/packagefs/pkgindex"
	"github.com/packagefs/packagefs/pkgindex/pkgmeta"
)

// A catalog is a Set, and the pool that closures of its packages are found in. It
// is immutable for those who use it.
type catalog struct {
	set  *pkgindex.Set
	pool *solver.Pool
}

func newCatalog(set *pkgindex.Set, assumed []*pkgindex.Package, machine string) *catalog {
	return &catalog{set, solver.NewPool(metas(set.Packages), metas(assumed), machine)}
}

// metas is what packages say of themselves.
func metas(packages []*pkgindex.Package) []*pkgmeta.Meta {
	out := make([]*pkgmeta.Meta, len(packages))
	for i, p := range packages {
		out[i] = &p.Meta
	}
	return out
}

// named calls yield with all packages of each name, by name.
func (c *catalog) named(yield func([]*pkgindex.Package) bool) {
	rest := c.set.Packages
	for len(rest) > 0 {
		n := 1
		for n < len(rest) && rest[n].Name == rest[0].Name {
			n++
		}
		if !yield(rest[:n]) {
			return
		}
		rest = rest[n:]
	}
}

// sorted returns those of ps, all of one name, that keep holds for, the one to
// show first: own architecture, then the usual scheme, then the Set's order,
// which is newest first.
func (c *catalog) sorted(ps []*pkgindex.Package, keep func(pkgmeta.Ref) bool) []*pkgindex.Package {
	var out []*pkgindex.Package
	for _, p := range ps {
		if keep(p.Ref) {
			out = append(out, p)
		}
	}
	if len(out) > 1 {
		slices.SortStableFunc(out, func(a, b *pkgindex.Package) int { return c.pool.Rank(&a.Meta) - c.pool.Rank(&b.Meta) })
	}
	return out
}
