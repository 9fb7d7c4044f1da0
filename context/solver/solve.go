package solver

import "cmp"

// An outcome is how a search ended.
type outcome int

const (
	satisfiable   outcome = iota // what is on the trail is a closure
	unsatisfiable                // there is none
	gaveUp                       // the limit was met
)

// solve looks for a closure of roots. At the end, the trail has what is there,
// in the order in which it came. If there is none, it returns how many of the
// first roots can be there together, one after the other, as far as that was
// seen: roots[at] is not there in any closure of those before it.
//
// It may be called again with other roots; what was learned stays.
func (s *solver) solve(roots []int32) (at int, how outcome) {
	s.backtrack(0)
	restarts, since, conflicts := 0, 0, 0
	for {
		if !s.propagate() {
			s.backjump()
			since++
			if conflicts++; s.limits.conflicts > 0 && conflicts >= s.limits.conflicts {
				return 0, gaveUp
			}
			if !s.activity.decides && conflicts >= cmp.Or(s.limits.preferring, maxPreferring) {
				s.activity.begin(s)
				since = restartAfter(restarts + 1)
			}
			continue
		}
		if s.activity.decides && since >= restartAfter(restarts+1) {
			restarts, since = restarts+1, 0
			s.backtrack(0)
			s.reduce()
			continue
		}
		n := len(s.marks)
		if n < len(roots) {
			v := s.variableOf(roots[n])
			switch s.vars[v].value {
			case -1:
				return n, unsatisfiable
			case 0:
				s.decide(positive(v))
			default:
				s.marks = append(s.marks, mark{len(s.trail), s.at})
			}
			continue
		}
		if s.activity.decides && since == 0 && n == len(roots) && s.pigeonhole() {
			s.backjump()
			since++
			continue
		}
		need := s.unmet()
		if need == none {
			return len(roots), satisfiable
		}
		v := s.choose(need)
		if v == noLiteral { // the conclusion was missed when levels were taken back
			s.conflict, s.conflictClause = append(s.conflict[:0], s.clauses[need].literals...), need
			s.backjump()
			since++
			continue
		}
		s.decide(v)
	}
}

// choose says what to suppose so that a need is met, or none if nothing can.
func (s *solver) choose(need int32) literal {
	c := &s.clauses[need]
	first := -1
	for i, v := range c.options {
		if s.vars[v].value == 0 {
			first = i
			break
		}
	}
	if first < 0 {
		return noLiteral
	}
	if s.activity.decides {
		if v := s.activity.take(s); v != none {
			l := positive(v)
			if !s.vars[v].last {
				l = l.not()
			}
			return l
		}
	}
	return positive(c.options[s.lightest(c, first)])
}

// lightest chooses among the alternatives that stand equal with the first: the
// one that brings the fewest packages, and of those the first.
func (s *solver) lightest(c *clause, first int) int {
	if c.tiers == nil {
		return first
	}
	best, least, last := first, int(none), none
	for i := first; i < len(c.options) && c.tiers[i] == c.tiers[first]; i++ {
		v := &s.vars[c.options[i]]
		if v.value != 0 || last != none && s.graph.packages[v.pkg].Name == s.graph.packages[last].Name {
			continue // of one name the newest comes first
		}
		last = v.pkg
		if weight := s.weigh(v.pkg, least); weight < least {
			best, least = i, weight
		}
	}
	return best
}

// heaviest bounds what weigh looks at.
const heaviest = 500

// weigh estimates how many packages come with one, if each need is met by its
// first alternative. It stops at most, or where more make no difference.
func (s *solver) weigh(pkg int32, most int) int {
	stamp := s.fresh()
	count := 0
	todo := []int32{pkg}
	s.stamp[pkg] = stamp
	for len(todo) > 0 && count < min(most, heaviest) {
		n := s.graph.node(todo[len(todo)-1])
		todo = todo[:len(todo)-1]
		count++
	needs:
		for i := range n.needs {
			next := none
			for _, j := range n.needs[i].packages {
				v := s.variable[j] - 1
				switch {
				case s.stamp[j] == stamp || v >= 0 && s.vars[v].value > 0:
					continue needs
				case next == none && (v < 0 || s.vars[v].value == 0) && s.policy.bars(j) == barNone:
					next = j
				}
			}
			if next != none {
				s.stamp[next] = stamp
				todo = append(todo, next)
			}
		}
	}
	return count
}
