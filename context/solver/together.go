package solver

import (
	"github.com/packagefs/packagefs/pkgindex/pkgmeta"
)

// Together tries to find closures of as many roots as it can, and calls there with
// each package in one, by its place among the packages of NewPool: it has a closure
// of its own there, as far as packages that run everywhere count as the same
// architecture in it. That no closure is found says nothing: q bars more here than
// in the context of each.
func (pool *Pool) Together(q Question, roots []*pkgmeta.Meta, there func(at int)) {
	o := pool.policy(q)
	s := newSolver(o, solverLimits{conflicts: maxPreferring})
	defer s.release()
	numbers := make([]int32, len(roots))
	for i, p := range roots {
		numbers[i] = o.graph.number[p]
	}
	s.together(numbers, there)
}

func (s *solver) together(roots []int32, there func(at int)) {
	if _, how := s.solve(roots); how == satisfiable {
		for _, l := range s.trail {
			if i := s.vars[l.variable()].pkg; !l.negated() && i < s.graph.assumed {
				there(int(i))
			}
		}
		return
	}
	if half := len(roots) / 2; half > 1 {
		s.together(roots[:half], there)
		s.together(roots[half:], there)
	}
}
