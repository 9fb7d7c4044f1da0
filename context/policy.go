package context

import (
	"slices"

	"github.com/packagefs/packagefs/pkgindex"
)

// A policy says which packages closures may go through. It is for one goroutine.
type policy struct {
	*graph
	rules *rules

	// fixed holds the package that the context shows of a name: closures must
	// agree with it.
	fixed map[string]*pkgindex.Package

	// bounded has candidates that rules do not allow tried last.
	bounded bool

	ruled bool // rules keep some packages out
	known map[int32]bar
}

func newPolicy(g *graph, r *rules, fixed map[string]*pkgindex.Package, bounded bool) *policy {
	return &policy{graph: g, rules: r, fixed: fixed, bounded: bounded, ruled: r.bars(), known: make(map[int32]bar)}
}

// A bar is what keeps a package out of closures.
type bar int

const (
	barNone bar = iota
	barDenied
	barPinned
	barFixed
)

// bars says what keeps package i out.
func (o *policy) bars(i int32) bar {
	if !o.ruled && len(o.fixed) == 0 {
		return barNone
	}
	p := o.packages[i]
	shown := o.fixed[p.Name]
	switch {
	case shown == p:
		return o.ruledOut(i, false)
	case shown != nil && !coinstallable(shown, p):
		return barFixed
	}
	return o.ruledOut(i, shown == nil)
}

// ruledOut says whether rules keep package i out. What the root file system has
// is there whether it is denied or not.
func (o *policy) ruledOut(i int32, pins bool) bar {
	if !o.ruled {
		return barNone
	}
	b, ok := o.known[i]
	if !ok {
		switch p := o.packages[i]; {
		case i < o.assumed && o.rules.denies(p):
			b = barDenied
		case !o.rules.pinned(p):
			b = barPinned
		}
		o.known[i] = b
	}
	if b == barPinned && !pins {
		return barNone
	}
	return b
}

// admitted returns those of the alternatives that nothing bars, with their tiers.
// Those that the context may not show come after all others.
func (o *policy) admitted(a *alternatives) (packages, tiers []int32) {
	barred := func(i int32) bool { return o.bars(i) != barNone }
	outside := func(i int32) bool { return o.bounded && i < o.assumed && !o.rules.allows(o.packages[i]) }
	if !slices.ContainsFunc(a.packages, barred) && !o.bounded {
		return a.packages, a.tiers
	}
	for _, last := range [...]bool{false, true} {
		for at, i := range a.packages {
			if barred(i) || outside(i) != last {
				continue
			}
			tier := a.tier(at)
			if last {
				tier += int32(len(a.packages)) // beyond those of the first round
			}
			packages, tiers = append(packages, i), append(tiers, tier)
		}
	}
	return packages, tiers
}
