package solver

import (
	"slices"

	"github.com/packagefs/packagefs/pkgindex/pkgmeta"
)

// Rules are what closures must keep to. Whether a package is kept out depends on
// its name and version alone.
type Rules interface {
	// Exclude says whether any package is kept out. If not, Denies and MeetsPin are
	// not asked.
	Exclude() bool

	Denies(ref pkgmeta.Ref) bool   // there is no such package
	MeetsPin(ref pkgmeta.Ref) bool // a pin of its name has that version, or there is none
	Allows(ref pkgmeta.Ref) bool   // it may be shown; where not, it is tried last

	// For the words of a failure: the contexts that deny a package, and the pin that
	// keeps versions of a name out with the context that has it.
	DeniedBy(ref pkgmeta.Ref) string
	PinOf(name string) (version, context string)
}

// A Question is what a closure must keep to, beside what its packages say.
type Question struct {
	Base  string // the architecture that packages which run everywhere count as; see Pool.Base
	Rules Rules  // nil: there are none

	// Shown holds the package that the context shows of a name: closures must
	// agree with it.
	Shown map[string]*pkgmeta.Meta

	// Bounded has packages that Rules do not allow tried last.
	Bounded bool
}

// A policy says which packages closures may go through. It is for one goroutine.
type policy struct {
	Question
	graph *graph
	ruled bool // rules keep some packages out
	known map[int32]bar
}

func (pool *Pool) policy(q Question) *policy {
	return &policy{Question: q, graph: pool.graph(q.Base), ruled: q.Rules != nil && q.Rules.Exclude(), known: make(map[int32]bar)}
}

// A bar is what keeps a package out of closures.
type bar int

const (
	barNone bar = iota
	barDenied
	barPinned
	barShown
)

// bars says what keeps package i out.
func (o *policy) bars(i int32) bar {
	if !o.ruled && len(o.Shown) == 0 {
		return barNone
	}
	p := o.graph.packages[i]
	shown := o.Shown[p.Name]
	switch {
	case shown == p:
		return o.ruledOut(i, false)
	case shown != nil && !coinstallable(shown, p):
		return barShown
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
		switch p := o.graph.packages[i]; {
		case i < o.graph.assumed && o.Rules.Denies(p.Ref):
			b = barDenied
		case !o.Rules.MeetsPin(p.Ref):
			b = barPinned
		}
		o.known[i] = b
	}
	if b == barPinned && !pins {
		return barNone
	}
	return b
}

// candidates returns those of the alternatives that nothing bars, with their tiers.
// Those that the context may not show come after all others.
func (o *policy) candidates(a *alternatives) (packages, tiers []int32) {
	bounded := o.Bounded && o.Rules != nil
	barred := func(i int32) bool { return o.bars(i) != barNone }
	outside := func(i int32) bool { return bounded && i < o.graph.assumed && !o.Rules.Allows(o.graph.packages[i].Ref) }
	if !slices.ContainsFunc(a.packages, barred) && !bounded {
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
