package context

import (
	"runtime"
	"slices"
	"sync"

	"github.com/packagefs/packagefs/pkgindex"
)

// universe is a Set, and what the root file system has, with what is worked out
// of them once. It is immutable for those who use it.
type universe struct {
	set    *pkgindex.Set
	native string          // the architecture that comes first
	scheme pkgindex.Scheme // the one that most packages have

	relations func() *relations

	mu     sync.Mutex        // guards graphs
	graphs map[string]*graph // by base architecture
}

// newUniverse takes the machine's architecture, or "" for the one this program
// was built for. Where no package is for that machine, the server is there for
// others: then the architecture that most packages have comes first.
func newUniverse(set *pkgindex.Set, assumed []*pkgindex.Package, machine string) *universe {
	if machine == "" {
		machine = runtime.GOARCH
	}
	u := &universe{set: set, native: architecture(machine), graphs: make(map[string]*graph)}
	u.relations = sync.OnceValue(func() *relations { return newRelations(set.Packages, assumed) })
	arches := make(map[string]int)
	schemes := make(map[pkgindex.Scheme]int)
	for _, p := range set.Packages {
		arches[architecture(p.Architecture)]++
		schemes[p.Scheme]++
	}
	delete(arches, anyArchitecture)
	if arches[u.native] == 0 && len(arches) > 0 {
		u.native = mostOf(arches)
	}
	u.scheme = mostOf(schemes)
	return u
}

// base is the architecture that packages which run everywhere count as in the
// context of root.
func (u *universe) base(root *pkgindex.Package) string {
	if independent(root) {
		return u.native
	}
	return architecture(root.Architecture)
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

// architecture gives the names that the formats have for one architecture one
// spelling, Debian's.
func architecture(s string) string {
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

func independent(p *pkgindex.Package) bool { return architecture(p.Architecture) == anyArchitecture }

// named calls yield with all packages of each name, by name.
func (u *universe) named(yield func([]*pkgindex.Package) bool) {
	rest := u.set.Packages
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
func (u *universe) sorted(ps []*pkgindex.Package, keep func(*pkgindex.Package) bool) []*pkgindex.Package {
	var out []*pkgindex.Package
	for _, p := range ps {
		if keep(p) {
			out = append(out, p)
		}
	}
	if len(out) > 1 {
		slices.SortStableFunc(out, func(a, b *pkgindex.Package) int { return u.rank(a) - u.rank(b) })
	}
	return out
}

func (u *universe) rank(p *pkgindex.Package) int {
	rank := 0
	if !independent(p) && architecture(p.Architecture) != u.native {
		rank += 2
	}
	if p.Scheme != u.scheme {
		rank++
	}
	return rank
}

// coinstallable says whether two packages of one name can be there together. Any
// two rpms of one version can, for two architectures.
func coinstallable(a, b *pkgindex.Package) bool {
	same := a.MultiArch == "same" && b.MultiArch == "same" || a.Scheme == pkgindex.RpmScheme
	return same && a.Version == b.Version && a.Scheme == b.Scheme &&
		architecture(a.Architecture) != architecture(b.Architecture)
}

// meetsArchitecture says whether p is of an architecture that a relation of from
// admits; base stands for the architecture of packages that run on every one. What
// rpms need of one architecture has it in its name, as in libc.so.6()(64bit).
func (u *universe) meetsArchitecture(from *pkgindex.Package, t pkgindex.Term, p *pkgindex.Package, base string) bool {
	if independent(p) || from.Scheme == pkgindex.RpmScheme && p.Scheme == pkgindex.RpmScheme {
		return true
	}
	have, want := architecture(p.Architecture), architecture(from.Architecture)
	if want == anyArchitecture {
		want = base
	}
	switch t.Arch {
	case "":
		return have == want || p.MultiArch == "foreign"
	case "any":
		return have == want || p.MultiArch == "foreign" || p.MultiArch == "allowed"
	case "native":
		return have == u.native
	}
	return have == architecture(t.Arch)
}

// meetsVersion says whether that version fulfils the term. Versions of different
// schemes are not comparable.
func meetsVersion(from *pkgindex.Package, t pkgindex.Term, scheme pkgindex.Scheme, version string) bool {
	if t.Op == pkgindex.OpAny {
		return true
	}
	return scheme == from.Scheme && scheme.Satisfies(version, t.Op, t.Version)
}

// provides says whether p carries the term by one of its Provides.
func provides(from *pkgindex.Package, t pkgindex.Term, p *pkgindex.Package) bool {
	return slices.ContainsFunc(p.Provides, func(v pkgindex.Term) bool {
		return v.Name == t.Name && meetsVersion(from, t, p.Scheme, v.Version)
	})
}
