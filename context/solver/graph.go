package solver

import (
	"cmp"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/packagefs/packagefs/pkgindex/pkgmeta"
	"github.com/packagefs/packagefs/pkgindex/relation"
	"github.com/packagefs/packagefs/pkgindex/version"
)

// relations finds packages by number: those of the Pool in their order, and behind
// them what the root file system has.
type relations struct {
	packages []*pkgmeta.Meta
	assumed  int32 // the number of the first of the root file system
	number   map[*pkgmeta.Meta]int32
	byName   map[string][]int32
	byWhat   map[string][]int32 // by what they provide
	byTarget map[string][]int32 // by the names that their conflicts are about

	spare sync.Pool // of *slots
}

func newRelations(packages, assumed []*pkgmeta.Meta) *relations {
	n := len(packages) + len(assumed)
	r := &relations{
		packages: slices.Concat(packages, assumed),
		assumed:  int32(len(packages)),
		number:   make(map[*pkgmeta.Meta]int32, n),
		byName:   make(map[string][]int32, n),
		byWhat:   make(map[string][]int32),
		byTarget: make(map[string][]int32),
	}
	add := func(to map[string][]int32, name string, i int32) {
		if list := to[name]; len(list) == 0 || list[len(list)-1] != i {
			to[name] = append(list, i)
		}
	}
	for at, p := range r.packages {
		i := int32(at)
		r.number[p] = i
		add(r.byName, p.Name, i)
		for _, t := range p.Provides {
			add(r.byWhat, t.Name, i)
		}
		for _, t := range p.Conflicts {
			add(r.byTarget, t.Name, i)
		}
	}
	r.spare.New = func() any { return &slots{make([]int32, n), make([]int32, n), 0} }
	return r
}

// slots are what a solver keeps for each package of the Pool: the number of
// its variable, and a stamp. There are no variables when nobody has them.
type slots struct {
	variable []int32 // from 1; 0: none
	stamp    []int32
	last     int32 // the last stamp that was used
}

// fresh returns a stamp that no package has.
func (s *slots) fresh() int32 {
	if s.last == 1<<31-1 {
		clear(s.stamp)
		s.last = 0
	}
	s.last++
	return s.last
}

// A graph has what packages need and what they cannot be with, all by number.
// Packages that run everywhere count as one base architecture in it. What is not
// barred by rules is the same for all contexts; so it is worked out when first
// asked for, and kept.
type graph struct {
	*relations
	native string
	base   string
	nodes  []atomic.Pointer[node]
}

type node struct {
	needs   []alternatives // of each clause of Depends
	against []int32        // packages that cannot be there at the same time, ascending
}

// alternatives are the packages that fulfil a clause, the preferred first.
type alternatives struct {
	packages []int32
	tiers    []int32 // of equal tiers none is preferred by the clause; nil: all differ
	sole     bool    // all are versions of one name
}

// tier says which of the alternatives stand equal.
func (a *alternatives) tier(i int) int32 {
	if a.tiers == nil {
		return int32(i)
	}
	return a.tiers[i]
}

// graph returns the graph for a base architecture.
func (pool *Pool) graph(base string) *graph {
	r := pool.relations()
	pool.mu.Lock()
	defer pool.mu.Unlock()
	g := pool.graphs[base]
	if g == nil {
		g = &graph{r, pool.native, base, make([]atomic.Pointer[node], len(r.packages))}
		pool.graphs[base] = g
	}
	return g
}

// node may be called by several goroutines at once.
func (g *graph) node(i int32) *node {
	if n := g.nodes[i].Load(); n != nil {
		return n
	}
	p := g.packages[i]
	n := &node{against: g.adversaries(i)}
	if i < g.assumed { // what the root file system has there, has what it needs there
		n.needs = make([]alternatives, len(p.Depends))
		for at, clause := range p.Depends {
			n.needs[at] = g.alternatives(p, clause)
		}
	}
	g.nodes[i].Store(n)
	return n
}

// carries says whether p, by its name or by what it provides, fulfils the term
// of from.
func (g *graph) carries(from *pkgmeta.Meta, t relation.Term, p *pkgmeta.Meta) bool {
	if !g.meetsArchitecture(from, t, p) {
		return false
	}
	return p.Name == t.Name && MeetsVersion(from, t, p.Scheme, p.Version) || provides(from, t, p)
}

// meetsArchitecture says whether p is of an architecture that a relation of from
// admits. What rpms need of one architecture has it in its name, as in
// libc.so.6()(64bit).
func (g *graph) meetsArchitecture(from *pkgmeta.Meta, t relation.Term, p *pkgmeta.Meta) bool {
	if independent(p) || from.Scheme == version.Rpm && p.Scheme == version.Rpm {
		return true
	}
	have, want := Architecture(p.Architecture), Architecture(from.Architecture)
	if want == anyArchitecture {
		want = g.base
	}
	switch t.Arch {
	case "":
		return have == want || p.MultiArch == "foreign"
	case "any":
		return have == want || p.MultiArch == "foreign" || p.MultiArch == "allowed"
	case "native":
		return have == g.native
	}
	return have == Architecture(t.Arch)
}

// An option is a package on its way into alternatives.
type option struct {
	pkg      int32
	distance int
	class    int // of options, ascending; those with a name are never of one class
}

// alternatives returns the packages that fulfil the clause of from, the preferred
// first: names that the root file system has, then by the order of the clause,
// then the one of that name before those that provide it, then from's own scheme
// and architecture, then newest. Those that provide a name stand equal.
func (g *graph) alternatives(from *pkgmeta.Meta, clause relation.Clause) alternatives {
	var options []option
	for i, t := range clause {
		options = g.extend(options, from, t, g.byName[t.Name], 2*i)
		options = g.extend(options, from, t, g.byWhat[t.Name], 2*i+1)
	}
	var here []string // names that the root file system has
	a := alternatives{sole: true}
	for _, o := range options {
		name := g.packages[o.pkg].Name
		a.sole = a.sole && name == g.packages[options[0].pkg].Name
		if o.pkg >= g.assumed {
			here = append(here, name)
		}
	}
	isHere := func(o option) bool { return len(here) > 0 && slices.Contains(here, g.packages[o.pkg].Name) }
	if len(here) > 0 {
		slices.SortStableFunc(options, func(x, y option) int {
			switch hx, hy := isHere(x), isHere(y); {
			case hx == hy:
				return 0
			case hx:
				return -1
			}
			return 1
		})
	}
	a.packages, a.tiers = make([]int32, len(options)), make([]int32, len(options))
	tier := int32(-1)
	for i, o := range options {
		if i == 0 || o.class%2 == 0 || o.class != options[i-1].class || o.distance != options[i-1].distance || isHere(o) != isHere(options[i-1]) {
			tier++
		}
		a.packages[i], a.tiers[i] = o.pkg, tier
	}
	if int(tier) == len(options)-1 {
		a.tiers = nil
	}
	return a
}

// extend appends those of some that carry the term and are not there yet: the
// nearest to from first, and of those of one name the newest, and of one version
// what the root file system has.
func (g *graph) extend(to []option, from *pkgmeta.Meta, t relation.Term, some []int32, class int) []option {
	start := len(to)
	for _, i := range some {
		if g.carries(from, t, g.packages[i]) && !slices.ContainsFunc(to, func(o option) bool { return o.pkg == i }) {
			to = append(to, option{i, g.distance(from, i), class})
		}
	}
	if len(to) > start+1 {
		slices.SortStableFunc(to[start:], func(x, y option) int {
			p, q := g.packages[x.pkg], g.packages[y.pkg]
			if x.distance != y.distance || p.Name != q.Name || p.Scheme != q.Scheme {
				return cmp.Or(x.distance-y.distance, strings.Compare(p.Name, q.Name), strings.Compare(string(p.Scheme), string(q.Scheme)))
			}
			return cmp.Or(p.Scheme.Compare(q.Version, p.Version), g.own(x.pkg)-g.own(y.pkg))
		})
	}
	return to
}

// own is 0 for what the root file system has, and 1 for packages of the Pool.
func (g *graph) own(i int32) int {
	if i < g.assumed {
		return 1
	}
	return 0
}

// distance says how far a package is from from's scheme and architecture.
func (g *graph) distance(from *pkgmeta.Meta, i int32) int {
	p, d := g.packages[i], 0
	if p.Scheme != from.Scheme {
		d += 2
	}
	want := Architecture(from.Architecture)
	if want == anyArchitecture {
		want = g.base
	}
	if !independent(p) && Architecture(p.Architecture) != want {
		d++
	}
	return d
}

// adversaries returns the packages that package i cannot be together with: other
// versions of its name, what it conflicts with, and what conflicts with it.
func (g *graph) adversaries(i int32) []int32 {
	p := g.packages[i]
	var out []int32
	for _, j := range g.byName[p.Name] {
		if j != i && !coinstallable(g.packages[j], p) {
			out = append(out, j)
		}
	}
	for _, t := range p.Conflicts {
		for _, some := range [...][]int32{g.byName[t.Name], g.byWhat[t.Name]} {
			for _, j := range some {
				if g.objects(p, t, g.packages[j]) {
					out = append(out, j)
				}
			}
		}
	}
	check := func(name string) {
		for _, j := range g.byTarget[name] {
			if g.objectsTo(g.packages[j], p, name) {
				out = append(out, j)
			}
		}
	}
	check(p.Name)
	for _, t := range p.Provides {
		check(t.Name)
	}
	slices.Sort(out)
	return slices.Clip(slices.Compact(out))
}

// objectsTo says whether a conflict of from that is about name is against p.
func (g *graph) objectsTo(from, p *pkgmeta.Meta, name string) bool {
	return slices.ContainsFunc(from.Conflicts, func(t relation.Term) bool {
		return t.Name == name && g.objects(from, t, p)
	})
}

// objects says whether the conflict term of from is against p. Without an
// architecture it is against all of them. A package never conflicts with itself,
// nor with another of its name, by what they provide.
func (g *graph) objects(from *pkgmeta.Meta, t relation.Term, p *pkgmeta.Meta) bool {
	if p.Name == from.Name {
		return false
	}
	if t.Arch != "" && t.Arch != "any" {
		have := Architecture(p.Architecture)
		if have == anyArchitecture {
			have = g.native
		}
		if want := t.Arch; want != "native" && have != Architecture(want) || want == "native" && have != g.native {
			return false
		}
	}
	return p.Name == t.Name && MeetsVersion(from, t, p.Scheme, p.Version) || provides(from, t, p)
}
