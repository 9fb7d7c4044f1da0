package context

import (
	"slices"

	"github.com/packagefs/packagefs/pkgindex"
)

// closure is what the rest of the package sees of the resolver: an answer to
// which packages must be there so that each root has what it needs.
type closure struct {
	chosen []*choice // roots first, each behind the one that needs it
	failed []failedRoot
}

type failedRoot struct {
	root   *pkgindex.Package
	reason string // in words, for administrators
}

// A choice is a package in a closure, and why it is there.
type choice struct {
	pkg    *pkgindex.Package
	by     *choice // nil for a root
	clause pkgindex.Clause
	level  int // in a story: how many decisions had been taken
}

// searchLimit is how many dead ends one search may meet. Whether packages can be
// there together is a question that nobody knows a method for that is never slow;
// archives that people use are answered after a few dead ends, and this bounds
// what others cost.
const searchLimit = 500_000

// resolve finds one consistent closure of roots under a policy. It prefers, at
// each step: what is needed anyway; then, where versions of one name are the
// choice, the newest; then the order of alternatives; then, of those that provide
// one virtual package, the one that brings the fewest packages, and the first by
// name. A root that cannot be there together with those in front of it is left
// out and told of. Where a closure exists it is found.
func resolve(o *policy, roots []*pkgindex.Package) *closure {
	s := newSolver(o, solverLimits{dead: searchLimit})
	defer s.release()
	c := &closure{}
	var accepted []int32
	rest := make([]int32, len(roots))
	for i, p := range roots {
		rest[i] = o.number[p]
	}
	for step := len(rest); ; {
		step = min(step, len(rest))
		_, how := s.solve(slices.Concat(accepted, rest[:step]))
		switch {
		case how == found:
			accepted, rest = append(accepted, rest[:step]...), rest[step:]
			step *= 2
		case step > 1:
			step /= 2
		default:
			c.failed = append(c.failed, failedRoot{o.packages[rest[0]], o.why(accepted, rest[0], how)})
			rest = rest[1:]
			step = 1
		}
		if len(rest) == 0 {
			if how != found {
				s.solve(accepted)
			}
			c.chosen = s.closure(accepted)
			return c
		}
	}
}

// closure follows the needs of roots through what the search found to be there,
// and leaves out what no need turned out to be met by alone.
func (s *solver) closure(roots []int32) []*choice {
	w := walk{solver: s, choices: make(map[int32]*choice)}
	for _, i := range roots {
		w.reach(i, nil, nil)
	}
	for {
		w.follow()
		if !w.open() {
			return w.chosen
		}
	}
}

// A walk goes from packages to those that meet their needs.
type walk struct {
	*solver
	chosen  []*choice
	choices map[int32]*choice // by package
	next    int               // of chosen
	several []several         // needs that more than one package meets
}

type several struct {
	by     *choice
	need   int
	met    []int32 // packages
	closed bool
}

func (w *walk) reach(i int32, by *choice, clause pkgindex.Clause) {
	if w.choices[i] == nil {
		c := &choice{pkg: w.packages[i], by: by, clause: clause}
		w.choices[i] = c
		w.chosen = append(w.chosen, c)
	}
}

// follow reaches all that alone meets a need.
func (w *walk) follow() {
	for ; w.next < len(w.chosen); w.next++ {
		c := w.chosen[w.next]
		v := &w.vars[w.variable[w.number[c.pkg]]-1]
		for at := v.needs; at < v.needs+v.count; at++ {
			need := &w.clauses[at]
			var met []int32
			for _, o := range need.options {
				if w.vars[o].value > 0 {
					met = append(met, w.vars[o].pkg)
				}
			}
			if len(met) == 1 {
				w.reach(met[0], c, c.pkg.Depends[need.need])
			} else {
				w.several = append(w.several, several{by: c, need: int(need.need), met: met})
			}
		}
	}
}

// open reaches the preferred of those that meet the next need of which none was
// reached, and returns false if there is no such need.
func (w *walk) open() bool {
	for ; len(w.several) > 0; w.several = w.several[1:] {
		n := &w.several[0]
		if !slices.ContainsFunc(n.met, func(i int32) bool { return w.choices[i] != nil }) {
			w.reach(n.met[0], n.by, n.by.pkg.Depends[n.need])
			return true
		}
	}
	return false
}
