package solver

import (
	"slices"

	"github.com/packagefs/packagefs/pkgindex/pkgmeta"
	"github.com/packagefs/packagefs/pkgindex/relation"
)

// A Closure is an answer to which packages must be there so that each root has what
// it needs.
type Closure struct {
	Chosen []*Choice // roots first, each behind the one that needs it
	Failed []Failed
}

// Failed is a root that is left out.
type Failed struct {
	Root   *pkgmeta.Meta
	Reason string // in words, for administrators
}

// A Choice is a package in a Closure, and why it is there.
type Choice struct {
	Package *pkgmeta.Meta
	At      int             // among the packages of NewPool; behind them stand those that the root file system has
	By      *Choice         // that needs it; nil for a root
	Clause  relation.Clause // of By

	level int // in an explainer: how many decisions had been taken
}

// searchLimit is how many conflicts one search may meet. Whether packages can be
// there together is a question that nobody knows a method for that is never slow;
// archives that people use are answered after a few conflicts, and this bounds
// what others cost.
const searchLimit = 500_000

// Resolve finds one consistent closure of roots. It prefers, at each step: what is
// needed anyway; then, where versions of one name are the choice, the newest; then
// the order of alternatives; then, of those that provide one virtual package, the
// one that brings the fewest packages, and the first by name. A root that cannot be
// there together with those in front of it is left out and told of. Where a closure
// exists it is found.
func (pool *Pool) Resolve(q Question, roots []*pkgmeta.Meta) *Closure {
	o := pool.policy(q)
	s := newSolver(o, solverLimits{conflicts: searchLimit})
	defer s.release()
	c := &Closure{}
	var accepted []int32
	rest := make([]int32, len(roots))
	for i, p := range roots {
		rest[i] = o.graph.number[p]
	}
	for step := len(rest); ; {
		step = min(step, len(rest))
		_, how := s.solve(slices.Concat(accepted, rest[:step]))
		switch {
		case how == satisfiable:
			accepted, rest = append(accepted, rest[:step]...), rest[step:]
			step *= 2
		case step > 1:
			step /= 2
		default:
			c.Failed = append(c.Failed, Failed{o.graph.packages[rest[0]], o.why(accepted, rest[0], how)})
			rest = rest[1:]
			step = 1
		}
		if len(rest) == 0 {
			if how != satisfiable {
				s.solve(accepted)
			}
			c.Chosen = s.closure(accepted)
			return c
		}
	}
}

// closure follows the needs of roots through what the search found to be there,
// and leaves out what no need turned out to be met by alone.
func (s *solver) closure(roots []int32) []*Choice {
	w := walk{solver: s, choices: make(map[int32]*Choice)}
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
	solver  *solver
	chosen  []*Choice
	choices map[int32]*Choice // by package
	next    int               // of chosen
	several []several         // needs that more than one package meets
}

type several struct {
	by   *Choice
	need int
	met  []int32 // packages
}

func (w *walk) reach(i int32, by *Choice, clause relation.Clause) {
	if w.choices[i] == nil {
		c := &Choice{Package: w.solver.graph.packages[i], At: int(i), By: by, Clause: clause}
		w.choices[i] = c
		w.chosen = append(w.chosen, c)
	}
}

// follow reaches all that alone meets a need.
func (w *walk) follow() {
	for ; w.next < len(w.chosen); w.next++ {
		c := w.chosen[w.next]
		v := &w.solver.vars[w.solver.variable[c.At]-1]
		for at := v.needs; at < v.needs+v.count; at++ {
			need := &w.solver.clauses[at]
			var met []int32
			for _, o := range need.options {
				if w.solver.vars[o].value > 0 {
					met = append(met, w.solver.vars[o].pkg)
				}
			}
			if len(met) == 1 {
				w.reach(met[0], c, c.Package.Depends[need.need])
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
			w.reach(n.met[0], n.by, n.by.Package.Depends[n.need])
			return true
		}
	}
	return false
}
