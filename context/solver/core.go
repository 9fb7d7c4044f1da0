package solver

import (
	"cmp"
	"slices"
)

const (
	// whyLimit is how many conflicts a search for a reason may meet.
	whyLimit = 5_000

	// maxCore bounds the needs whose part in a failure is tried one by one.
	maxCore = 300
)

// why tells in words why a root cannot be there together with those in front of
// it, all of which can.
func (o *policy) why(front []int32, root int32, how outcome) string {
	if how == gaveUp {
		return gaveUpWords
	}
	if o.fails([]int32{root}) {
		front = nil
	}
	c := o.core(front, root)
	if c == nil {
		return o.graph.packages[root].Ref.String() + " has no closure, but why takes too long to find out; ask for fewer packages at once"
	}
	if f := newExplainer(o, c).run(c.roots); f != nil {
		if words := o.words(f, nil); len(words) <= maxWords {
			return words
		}
	}
	return o.list(c)
}

// fails says whether there is no closure of roots.
func (o *policy) fails(roots []int32) bool {
	s := newSolver(o, solverLimits{conflicts: whyLimit})
	defer s.release()
	_, how := s.solve(roots)
	return how == unsatisfiable
}

// A core is a set of needs that cannot all be met, and none of which could be left
// out, as far as that was tried.
type core struct {
	roots []int32           // at the end, the one that fails
	needs []coreNeed        // sorted
	holds map[coreNeed]bool // the same
}

func newCore(roots []int32, needs []coreNeed) *core {
	c := &core{roots: roots, needs: needs, holds: make(map[coreNeed]bool, len(needs))}
	slices.SortFunc(c.needs, coreNeed.compare)
	for _, n := range needs {
		c.holds[n] = true
	}
	return c
}

// without leaves out the needs that drop names.
func (c *core) without(drop func(coreNeed) bool) *core {
	return newCore(c.roots, slices.DeleteFunc(slices.Clone(c.needs), drop))
}

// A coreNeed is one clause of a package.
type coreNeed struct{ pkg, at int32 }

func (a coreNeed) compare(b coreNeed) int {
	return cmp.Or(cmp.Compare(a.pkg, b.pkg), cmp.Compare(a.at, b.at))
}

// core finds a smallest reason: needs of packages that are near the roots, and no
// more of them than it takes. It returns nil if that is too hard.
func (o *policy) core(front []int32, root int32) *core {
	roots := append(slices.Clone(front), root)
	depth := o.depths(roots)
	refute := func(most int32) *core {
		return o.refute(roots, func(i, _ int32) bool { return depth[i] < most })
	}
	lo, hi := int32(0), int32(1) // needs of packages nearer than lo can be met
	c := refute(0)
	deepest := int32(0)
	for _, d := range depth {
		deepest = max(deepest, d)
	}
	for ; c == nil && lo <= deepest; hi *= 2 {
		if c = refute(hi); c == nil {
			lo = hi
		} else {
			break
		}
	}
	if c == nil {
		return nil
	}
	for lo+1 < hi {
		middle := (lo + hi) / 2
		if nearer := refute(middle); nearer != nil {
			c, hi = nearer, middle
		} else {
			lo = middle
		}
	}
	return o.minimise(c, depth)
}

// depths counts for each package that roots may need how many needs lie between.
func (o *policy) depths(roots []int32) map[int32]int32 {
	depth := make(map[int32]int32)
	queue := slices.Clone(roots)
	for _, i := range roots {
		depth[i] = 0
	}
	for at := 0; at < len(queue); at++ {
		i := queue[at]
		needs := o.graph.node(i).needs
		for n := range needs {
			packages, _ := o.candidates(&needs[n])
			for _, j := range packages {
				if _, ok := depth[j]; !ok {
					depth[j] = depth[i] + 1
					queue = append(queue, j)
				}
			}
		}
	}
	return depth
}

// refute returns what of the needs that count, and of the roots, a proof that they
// cannot be met makes use of. It returns nil if they can be met, or if it would
// take too long to find out.
func (o *policy) refute(roots []int32, counts func(i, at int32) bool) *core {
	s := newSolver(o, solverLimits{conflicts: whyLimit, needs: counts, trace: true})
	defer s.release()
	at, how := s.solve(roots)
	if how != unsatisfiable {
		return nil
	}
	used, all := s.proof(s.variable[roots[at]] - 1)
	var left []int32
	for _, r := range roots[:at] {
		if used[s.variable[r]-1] {
			left = append(left, r)
		}
	}
	var needs []coreNeed
	for _, clause := range all {
		if n := &s.clauses[clause]; !n.learned {
			needs = append(needs, coreNeed{s.vars[n.by].pkg, n.need})
		}
	}
	return newCore(append(left, roots[at]), needs)
}

// proof returns the variables and clauses from which the value of v was derived.
func (s *solver) proof(v int32) (used map[int32]bool, all []int32) {
	used = map[int32]bool{v: true}
	seen := make(map[int32]bool)
	todo := []int32{v}
	follow := func(w int32) {
		if !used[w] {
			used[w] = true
			todo = append(todo, w)
		}
	}
	var clauses []int32
	add := func(c int32) {
		if !seen[c] {
			seen[c] = true
			all, clauses = append(all, c), append(clauses, c)
		}
	}
	for len(todo) > 0 {
		at := &s.vars[todo[len(todo)-1]]
		todo = todo[:len(todo)-1]
		switch {
		case at.reason == none:
		case at.reason < 0:
			follow(^at.reason)
		default:
			add(at.reason)
			for _, l := range s.clauses[at.reason].literals {
				follow(l.variable())
			}
		}
	}
	for len(clauses) > 0 {
		c := clauses[len(clauses)-1]
		clauses = clauses[:len(clauses)-1]
		for _, from := range s.clauses[c].from {
			add(from)
		}
	}
	return used, all
}

// minimise leaves out what is not needed for the failure: roots first, then the
// needs of the packages farthest from the roots.
func (o *policy) minimise(c *core, depth map[int32]int32) *core {
	if len(c.needs)+len(c.roots) > maxCore {
		return c
	}
	for i := len(c.roots) - 2; i >= 0; i-- {
		if less := o.refute(slices.Delete(slices.Clone(c.roots), i, i+1), c.has); less != nil {
			c.roots = less.roots
			i = min(i, len(c.roots)-1)
		}
	}
	far := slices.Clone(c.needs)
	slices.SortStableFunc(far, func(a, b coreNeed) int { return cmp.Compare(depth[b.pkg], depth[a.pkg]) })
	for _, n := range far {
		if !c.holds[n] {
			continue
		}
		rest := c.without(func(m coreNeed) bool { return m == n })
		if less := o.refute(c.roots, rest.has); less != nil {
			c = less
		}
	}
	return c
}

// has says whether a need is in the core.
func (c *core) has(i, at int32) bool { return c.holds[coreNeed{i, at}] }
