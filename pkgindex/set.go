package pkgindex

import (
	"cmp"
	"slices"
	"strings"

	"github.com/packagefs/packagefs/pkgindex/relation"
)

// A Rejected package file is set aside: nothing of it is served.
type Rejected struct {
	File   string // base name
	Reason string // what is wrong with it, and what to do
}

// A Set is one generation of the installed packages. It is immutable.
type Set struct {
	Generation uint64
	Packages   []*Package // by name, then newest first, then architecture
	Rejected   []Rejected // by file name
	Pending    int        // package files seen but not yet read

	// Alternatives are those of all override files; the same pointer in another
	// Set says that they are the same there.
	Alternatives *Alternatives

	provided []provided // by name, then in the order of Packages
}

type provided struct {
	name string
	pkg  *Package
}

// NewSet sorts packages and rejected, which it takes as its own.
func NewSet(generation uint64, packages []*Package, rejected []Rejected) *Set {
	s := &Set{Generation: generation, Packages: packages, Rejected: rejected}
	slices.SortFunc(s.Packages, comparePackages)
	slices.SortFunc(s.Rejected, func(a, b Rejected) int { return strings.Compare(a.File, b.File) })
	for _, p := range s.Packages {
		s.provided = appendProvided(s.provided, p)
	}
	slices.SortFunc(s.provided, compareProvided)
	return s
}

// with returns the set of the next generation, in which removed are gone and
// added are there. It costs what they cost, and a copy of the slices.
func (s *Set) with(added, removed []*Package) *Set {
	next := &Set{Generation: s.Generation + 1, Rejected: s.Rejected, Pending: s.Pending, Alternatives: s.Alternatives}
	var addedNames []provided
	for _, p := range added {
		addedNames = appendProvided(addedNames, p)
	}
	added = slices.SortedFunc(slices.Values(added), comparePackages)
	slices.SortFunc(addedNames, compareProvided)
	gone := make(map[*Package]bool, len(removed))
	for _, p := range removed {
		gone[p] = true
	}
	next.Packages = mergeSorted(s.Packages, added, func(p *Package) bool { return gone[p] }, comparePackages)
	next.provided = mergeSorted(s.provided, addedNames, func(p provided) bool { return gone[p.pkg] }, compareProvided)
	return next
}

// mergeSorted returns old without what drop names, merged with added.
func mergeSorted[T any](old, added []T, drop func(T) bool, compare func(a, b T) int) []T {
	out := make([]T, 0, len(old)+len(added))
	for _, o := range old {
		for len(added) > 0 && compare(added[0], o) < 0 {
			out, added = append(out, added[0]), added[1:]
		}
		if !drop(o) {
			out = append(out, o)
		}
	}
	return append(out, added...)
}

func appendProvided(to []provided, p *Package) []provided {
	for i, t := range p.Provides {
		if slices.ContainsFunc(p.Provides[:i], func(o relation.Term) bool { return o.Name == t.Name }) {
			continue
		}
		to = append(to, provided{t.Name, p})
	}
	return to
}

// comparePackages orders by name, newest first, architecture, format, file.
// Versions of different schemes are not comparable: each scheme's stand
// together.
func comparePackages(a, b *Package) int {
	if c := strings.Compare(a.Name, b.Name); c != 0 {
		return c
	}
	if c := strings.Compare(string(a.Scheme), string(b.Scheme)); c != 0 {
		return c
	}
	return cmp.Or(
		-a.Scheme.Compare(a.Version, b.Version),
		strings.Compare(a.Architecture, b.Architecture),
		strings.Compare(string(a.Format), string(b.Format)),
		strings.Compare(a.Version, b.Version),
		strings.Compare(a.File, b.File),
	)
}

func compareProvided(a, b provided) int {
	return cmp.Or(strings.Compare(a.name, b.name), comparePackages(a.pkg, b.pkg))
}

// Named returns the packages of that name, newest first. The caller must not
// change the slice.
func (s *Set) Named(name string) []*Package {
	lo, _ := slices.BinarySearchFunc(s.Packages, name, func(p *Package, name string) int { return strings.Compare(p.Name, name) })
	hi := lo
	for hi < len(s.Packages) && s.Packages[hi].Name == name {
		hi++
	}
	return s.Packages[lo:hi]
}

// Providing returns the packages that have name among their Provides, by name
// and newest first. A package does not provide its own name here.
func (s *Set) Providing(name string) []*Package {
	lo, _ := slices.BinarySearchFunc(s.provided, name, func(p provided, name string) int { return strings.Compare(p.name, name) })
	var out []*Package
	for ; lo < len(s.provided) && s.provided[lo].name == name; lo++ {
		out = append(out, s.provided[lo].pkg)
	}
	return out
}
