package solver

import (
	"runtime"
	"slices"
	"sync"

	"github.com/packagefs/packagefs/pkgindex/pkgmeta"
	"github.com/packagefs/packagefs/pkgindex/relation"
	"github.com/packagefs/packagefs/pkgindex/version"
)

// A Pool has the packages that closures are made of, and what is worked out of
// them once. It is for any number of goroutines.
type Pool struct {
	native    string         // the architecture that comes first
	scheme    version.Scheme // the one that most packages have
	relations func() *relations

	mu     sync.Mutex        // guards graphs
	graphs map[string]*graph // by base architecture
}

// NewPool takes packages by name, of one name the newest first, and behind them
// what the root file system has: that meets needs, and has what it needs. machine
// is the architecture that comes first, in any format's spelling, or "" for the one
// this program was built for. Where no package is for that machine, the server is
// there for others: then the architecture that most packages have comes first.
func NewPool(packages, assumed []*pkgmeta.Meta, machine string) *Pool {
	if machine == "" {
		machine = runtime.GOARCH
	}
	pool := &Pool{native: Architecture(machine), graphs: make(map[string]*graph)}
	pool.relations = sync.OnceValue(func() *relations { return newRelations(packages, assumed) })
	arches := make(map[string]int)
	schemes := make(map[version.Scheme]int)
	for _, p := range packages {
		arches[Architecture(p.Architecture)]++
		schemes[p.Scheme]++
	}
	delete(arches, anyArchitecture)
	if arches[pool.native] == 0 && len(arches) > 0 {
		pool.native = mostOf(arches)
	}
	pool.scheme = mostOf(schemes)
	return pool
}

// Native is the architecture that comes first, in Debian's spelling.
func (pool *Pool) Native() string { return pool.native }

// Base is the architecture that packages which run everywhere count as in the
// context of root.
func (pool *Pool) Base(root *pkgmeta.Meta) string {
	if independent(root) {
		return pool.native
	}
	return Architecture(root.Architecture)
}

// Rank orders packages of one name that rules say nothing about: 0 for those of the
// architecture that comes first and the scheme that most packages have, more for
// others.
func (pool *Pool) Rank(p *pkgmeta.Meta) int {
	rank := 0
	if !independent(p) && Architecture(p.Architecture) != pool.native {
		rank += 2
	}
	if p.Scheme != pool.scheme {
		rank++
	}
	return rank
}

// mostOf returns the key with the highest count, of equals the lowest key.
func mostOf[K ~string](counts map[K]int) (most K) {
	found := false
	for k, n := range counts {
		if !found || n > counts[most] || n == counts[most] && k < most {
			most, found = k, true
		}
	}
	return most
}

// anyArchitecture stands for packages that run on every machine.
const anyArchitecture = "all"

// Architecture gives the names that the formats have for one architecture one
// spelling, Debian's.
func Architecture(s string) string {
	switch s {
	case "", "all", "noarch", "any":
		return anyArchitecture
	case "x86_64":
		return "amd64"
	case "386", "x86", "i486", "i586", "i686":
		return "i386"
	case "aarch64":
		return "arm64"
	case "arm", "armv7", "armv7h", "armv7hl", "armv7hnl":
		return "armhf"
	case "ppc64le":
		return "ppc64el"
	case "loongarch64":
		return "loong64"
	case "mips64le":
		return "mips64el"
	}
	return s
}

func independent(p *pkgmeta.Meta) bool { return Architecture(p.Architecture) == anyArchitecture }

// coinstallable says whether two packages of one name can be there together. Any
// two rpms of one version can, for two architectures.
func coinstallable(a, b *pkgmeta.Meta) bool {
	same := a.MultiArch == "same" && b.MultiArch == "same" || a.Scheme == version.Rpm
	return same && a.Version == b.Version && a.Scheme == b.Scheme &&
		Architecture(a.Architecture) != Architecture(b.Architecture)
}

// MeetsVersion says whether that version fulfils the term. Versions of different
// schemes are not comparable.
func MeetsVersion(from *pkgmeta.Meta, t relation.Term, scheme version.Scheme, have string) bool {
	if t.Op == version.OpAny {
		return true
	}
	return scheme == from.Scheme && scheme.Satisfies(have, t.Op, t.Version)
}

// provides says whether p carries the term by one of its Provides.
func provides(from *pkgmeta.Meta, t relation.Term, p *pkgmeta.Meta) bool {
	return slices.ContainsFunc(p.Provides, func(v relation.Term) bool {
		return v.Name == t.Name && MeetsVersion(from, t, p.Scheme, v.Version)
	})
}
