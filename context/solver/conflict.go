package solver

import (
	"cmp"
	"slices"
)

// learned are the clauses that a solver learned and kept.
type learned struct {
	clauses []int32
	free    []int32 // places in solver.clauses to use again
	most    int     // clauses to keep
}

// analysis is what is noted while a conflict is analysed.
type analysis struct {
	path    []int32 // variables that were seen
	used    []int32 // where traced: clauses that took part
	surplus []int32 // where traced: clauses of needs that are too many, for the next analysis
}

const (
	// maxPreferring is how many conflicts a search by preference may meet. After
	// that it takes any answer.
	maxPreferring = 2000

	// restartUnit is how many conflicts lie between restarts, times 1, 1, 2, 1,
	// 1, 2, 4, ….
	restartUnit = 100

	leastKept = 4000 // learned clauses
)

// backjump learns a clause from the conflict, takes decisions back to the level where
// that clause propagates, and propagates it. The literals of the conflict must be
// false, and one of them not without any decision.
func (s *solver) backjump() {
	s.conflicts++
	top := s.highest(s.conflict)
	if top == 0 {
		panic("solver: a conflict without a decision")
	}
	s.backtrack(top)
	lits, back := s.analyse(top)
	s.backtrack(back)
	c := clause{literals: lits, learned: true, by: none, activity: float32(s.activity.clauseBump)}
	if s.limits.trace {
		c.from = slices.Clone(s.analysis.used)
	}
	at := int32(len(s.clauses))
	if n := len(s.learned.free); n > 0 {
		at = s.learned.free[n-1]
		s.learned.free = s.learned.free[:n-1]
		s.clauses[at] = c
	} else {
		s.clauses = append(s.clauses, c)
	}
	s.learned.clauses = append(s.learned.clauses, at)
	s.watch(at)
	s.assign(s.clauses[at].literals[0], back, at)
	s.activity.decay(s)
}

// analyse replaces the literals of the conflict by what they follow from, until one
// literal of level top is left. It returns the clause that says so, that literal
// first, and the level at which all others are false.
func (s *solver) analyse(top int32) (lits []literal, back int32) {
	k := &s.analysis
	k.path, k.used, k.surplus = k.path[:0], append(k.used[:0], k.surplus...), k.surplus[:0]
	lits = append(make([]literal, 0, 8), 0)
	open := 0
	take := func(some []literal, except literal) {
		for _, l := range some {
			v := &s.vars[l.variable()]
			if l == except || v.seen {
				continue
			}
			v.seen = true
			k.path = append(k.path, l.variable())
			s.activity.bumpVariable(s, l.variable())
			switch {
			case v.level == top:
				open++
			case v.level > 0:
				lits = append(lits, l)
			case s.limits.trace:
				s.trace(l.variable())
			}
		}
	}
	s.use(s.conflictClause)
	take(s.conflict, noLiteral)
	for i := len(s.trail) - 1; ; i-- {
		l := s.trail[i]
		v := &s.vars[l.variable()]
		if !v.seen || v.level != top {
			continue
		}
		if open--; open == 0 {
			lits[0] = l.not()
			break
		}
		if v.reason < 0 {
			take([]literal{positive(^v.reason).not()}, noLiteral)
			continue
		}
		s.use(v.reason)
		take(s.clauses[v.reason].literals, l)
	}
	lits = s.shorten(lits)
	for _, v := range k.path {
		s.vars[v].seen = false
	}
	return lits, s.highest(lits[1:])
}

// use notes that a clause took part in an analysis.
func (s *solver) use(at int32) {
	if at == none {
		return
	}
	if s.limits.trace {
		s.analysis.used = append(s.analysis.used, at)
	}
	if c := &s.clauses[at]; c.learned {
		s.activity.bumpClause(c)
	}
}

// shorten leaves out literals that follow from the others.
func (s *solver) shorten(lits []literal) []literal {
	if s.limits.trace {
		return lits
	}
	return append(lits[:1], slices.DeleteFunc(lits[1:], func(l literal) bool {
		v := &s.vars[l.variable()]
		switch {
		case v.reason == none:
			return false
		case v.reason < 0:
			return s.vars[^v.reason].seen
		}
		return !slices.ContainsFunc(s.clauses[v.reason].literals, func(o literal) bool {
			w := &s.vars[o.variable()]
			return o != l.not() && !w.seen && w.level > 0
		})
	})...)
}

// trace notes the clauses from which the value of v, which holds without any
// decision, was derived.
func (s *solver) trace(v int32) {
	for todo := []int32{v}; len(todo) > 0; {
		at := &s.vars[todo[len(todo)-1]]
		todo = todo[:len(todo)-1]
		follow := func(w int32) {
			if !s.vars[w].seen {
				s.vars[w].seen = true
				s.analysis.path = append(s.analysis.path, w)
				todo = append(todo, w)
			}
		}
		switch {
		case at.reason == none:
		case at.reason < 0:
			follow(^at.reason)
		default:
			s.analysis.used = append(s.analysis.used, at.reason)
			for _, l := range s.clauses[at.reason].literals {
				follow(l.variable())
			}
		}
	}
}

// reduce forgets half of the learned clauses, those that were of least use
// lately. It is called where nothing but conclusions without decisions holds.
func (s *solver) reduce() {
	k := &s.learned
	k.most = max(k.most, leastKept)
	if s.limits.trace || len(k.clauses) < k.most {
		return
	}
	k.most += k.most / 10
	slices.SortFunc(k.clauses, func(a, b int32) int { return cmp.Compare(s.clauses[b].activity, s.clauses[a].activity) })
	kept := k.clauses[:0]
	for i, at := range k.clauses {
		c := &s.clauses[at]
		if i < len(k.clauses)/2 || len(c.literals) <= 2 || s.vars[c.literals[0].variable()].reason == at {
			kept = append(kept, at)
			continue
		}
		*c = clause{learned: true, by: none}
		k.free = append(k.free, at)
	}
	k.clauses = kept
	for l, list := range s.watches {
		s.watches[l] = slices.DeleteFunc(list, func(w watcher) bool { return s.clauses[w.clause].literals == nil })
	}
}

// restartAfter is the number of conflicts before restart number i, from 1.
func restartAfter(i int) int {
	for {
		k := 1
		for 1<<k-1 < i {
			k++
		}
		if 1<<k-1 == i {
			return restartUnit << (k - 1)
		}
		i -= 1<<(k-1) - 1
	}
}
