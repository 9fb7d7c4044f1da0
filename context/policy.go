package context

import (
	"slices"

	"github.com/packagefs/packagefs/pkgindex"
)

// A policy says which packages closures may go through.
type policy struct {
	*universe
	rules *rules

	// fixed holds the package that the context shows of a name: closures must
	// agree with it.
	fixed map[string]*pkgindex.Package

	// bounded has candidates that rules do not allow tried last.
	bounded bool

	// base is the architecture that packages which run everywhere count as.
	base string

	known map[*pkgindex.Package][][]*pkgindex.Package // see candidatesOf
}

// candidatesOf returns the candidates of each clause of p. It works them out
// once.
func (o *policy) candidatesOf(p *pkgindex.Package) [][]*pkgindex.Package {
	known, ok := o.known[p]
	if !ok {
		known = make([][]*pkgindex.Package, len(p.Depends))
		for i, clause := range p.Depends {
			known[i] = o.candidates(p, clause)
		}
		if o.known == nil {
			o.known = make(map[*pkgindex.Package][][]*pkgindex.Package)
		}
		o.known[p] = known
	}
	return known
}

// A bar is what keeps a package out of closures.
type bar int

const (
	barNone bar = iota
	barDenied
	barPinned
	barFixed
)

// bars says what keeps p out.
func (o *policy) bars(p *pkgindex.Package) bar {
	shown := o.fixed[p.Name]
	switch {
	case o.rules.denies(p):
		return barDenied
	case shown == p:
		return barNone
	case shown != nil && !coinstallable(shown, p):
		return barFixed
	case shown == nil && !o.rules.pinned(p):
		return barPinned
	}
	return barNone
}

// carries says whether p, by its name or by what it provides, fulfils the term
// of from.
func (o *policy) carries(from *pkgindex.Package, t pkgindex.Term, p *pkgindex.Package) bool {
	if !o.meetsArchitecture(from, t, p, o.base) {
		return false
	}
	return p.Name == t.Name && meetsVersion(from, t, p.Scheme, p.Version) || provides(from, t, p)
}

// candidates returns the packages that fulfil the clause of from, the preferred
// first: by alternative, then the one of that name before those that provide it,
// then from's own scheme and architecture, then newest. Those that the context
// may not show come after all others.
func (o *policy) candidates(from *pkgindex.Package, clause pkgindex.Clause) []*pkgindex.Package {
	var out []*pkgindex.Package
	for _, t := range clause {
		for _, some := range [][]*pkgindex.Package{o.set.Named(t.Name), o.set.Providing(t.Name)} {
			start := len(out)
			for _, p := range some {
				if o.carries(from, t, p) && o.bars(p) == barNone && !slices.Contains(out, p) {
					out = append(out, p)
				}
			}
			slices.SortStableFunc(out[start:], func(a, b *pkgindex.Package) int { return o.distance(from, a) - o.distance(from, b) })
		}
	}
	if o.bounded && len(out) > 1 {
		slices.SortStableFunc(out, func(a, b *pkgindex.Package) int { return o.outside(a) - o.outside(b) })
	}
	return out
}

// distance says how far p is from from's scheme and architecture.
func (o *policy) distance(from, p *pkgindex.Package) int {
	d := 0
	if p.Scheme != from.Scheme {
		d += 2
	}
	want := architecture(from.Architecture)
	if want == anyArchitecture {
		want = o.base
	}
	if !independent(p) && architecture(p.Architecture) != want {
		d++
	}
	return d
}

func (o *policy) outside(p *pkgindex.Package) int {
	if o.rules.allows(p) {
		return 0
	}
	return 1
}

// objects says whether the conflict term of from is against p. Without an
// architecture it is against all of them.
func objects(from *pkgindex.Package, t pkgindex.Term, p *pkgindex.Package) bool {
	if p.Name == from.Name || t.Arch != "" && t.Arch != "any" && architecture(t.Arch) != architecture(p.Architecture) {
		return false
	}
	return p.Name == t.Name && meetsVersion(from, t, p.Scheme, p.Version) || provides(from, t, p)
}
