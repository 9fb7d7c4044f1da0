package solver

import (
	"cmp"
	"math"
	"slices"
)

// learning is what a solver remembers of dead ends beside the clauses: which
// variables took part lately, for the order in which to try when preferences lead
// nowhere.
type learning struct {
	clauses []int32 // learned and kept
	free    []int32 // places in solver.clauses to use again
	most    int     // clauses to keep

	bump, clauseBump float64
	hard             bool    // go by activity, not by preference
	heap             []int32 // undecided variables, the most active first; used when hard
	path             []int32 // variables seen by an analysis
	used             []int32 // clauses used by an analysis
	crowd            []int32 // where traced: clauses of needs that are too many, for the next analysis
}

const (
	// preferring is how many dead ends a search by preference may meet. After
	// that it takes any answer.
	preferring = 2000

	// restartUnit is how many dead ends lie between restarts, times 1, 1, 2, 1,
	// 1, 2, 4, ….
	restartUnit = 100

	leastKept = 4000 // learned clauses
)

// learn derives a clause from the dead end in clash, goes back to where it says
// something, and notes what it says. It needs clash to be false, and one of its
// claims not to follow from nothing.
func (s *solver) learn() {
	s.dead++
	top := s.highest(s.clash)
	if top == 0 {
		panic("solver: a dead end without a decision")
	}
	s.back(top)
	lits, back := s.analyse(top)
	s.back(back)
	c := clause{claims: lits, learned: true, by: none, activity: float32(s.learned.clauseBump)}
	if s.limits.trace {
		c.from = slices.Clone(s.learned.used)
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
	s.assign(s.clauses[at].claims[0], back, at)
	s.learned.decay(s)
}

// analyse replaces what is false in clash by what it follows from, until one
// claim of level top is left. It returns the clause that says so, that claim
// first, and the level at which all others are false.
func (s *solver) analyse(top int32) (lits []claim, back int32) {
	k := &s.learned
	k.path, k.used, k.crowd = k.path[:0], append(k.used[:0], k.crowd...), k.crowd[:0]
	lits = append(make([]claim, 0, 8), 0)
	open := 0
	take := func(some []claim, except claim) {
		for _, l := range some {
			v := &s.vars[l.variable()]
			if l == except || v.seen {
				continue
			}
			v.seen = true
			k.path = append(k.path, l.variable())
			k.bumpVariable(s, l.variable())
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
	s.use(s.source)
	take(s.clash, noClaim)
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
			take([]claim{there(^v.reason).not()}, noClaim)
			continue
		}
		s.use(v.reason)
		take(s.clauses[v.reason].claims, l)
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
		s.learned.used = append(s.learned.used, at)
	}
	if c := &s.clauses[at]; c.learned {
		s.learned.bumpClause(c)
	}
}

// shorten leaves out claims that follow from the others.
func (s *solver) shorten(lits []claim) []claim {
	if s.limits.trace {
		return lits
	}
	return append(lits[:1], slices.DeleteFunc(lits[1:], func(l claim) bool {
		v := &s.vars[l.variable()]
		switch {
		case v.reason == none:
			return false
		case v.reason < 0:
			return s.vars[^v.reason].seen
		}
		return !slices.ContainsFunc(s.clauses[v.reason].claims, func(o claim) bool {
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
				s.learned.path = append(s.learned.path, w)
				todo = append(todo, w)
			}
		}
		switch {
		case at.reason == none:
		case at.reason < 0:
			follow(^at.reason)
		default:
			s.learned.used = append(s.learned.used, at.reason)
			for _, l := range s.clauses[at.reason].claims {
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
		if i < len(k.clauses)/2 || len(c.claims) <= 2 || s.vars[c.claims[0].variable()].reason == at {
			kept = append(kept, at)
			continue
		}
		*c = clause{learned: true, by: none}
		k.free = append(k.free, at)
	}
	k.clauses = kept
	for l, list := range s.watches {
		s.watches[l] = slices.DeleteFunc(list, func(w watcher) bool { return s.clauses[w.clause].claims == nil })
	}
}

// restartAfter is the number of dead ends before restart number i, from 1.
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

func (k *learning) decay(s *solver) {
	k.bump, k.clauseBump = max(k.bump, 1)/0.95, max(k.clauseBump, 1)/0.999
	if k.bump > 1e100 {
		for i := range s.vars {
			s.vars[i].activity *= 1e-100
		}
		k.bump *= 1e-100
	}
	if k.clauseBump > 1e20 {
		for _, at := range k.clauses {
			s.clauses[at].activity *= 1e-20
		}
		k.clauseBump *= 1e-20
	}
}

func (k *learning) bumpVariable(s *solver, v int32) {
	s.vars[v].activity += max(k.bump, 1)
	if s.vars[v].place > 0 {
		k.up(s, int(s.vars[v].place)-1)
	}
}

func (k *learning) bumpClause(c *clause) {
	c.activity = float32(math.Min(float64(c.activity)+max(k.clauseBump, 1), math.MaxFloat32))
}

// harden begins to go by activity.
func (k *learning) harden(s *solver) {
	k.hard = true
	for v := range s.vars {
		if s.vars[v].value == 0 {
			k.add(s, int32(v))
		}
	}
}

// add puts an undecided variable into the heap.
func (k *learning) add(s *solver, v int32) {
	if !k.hard || s.vars[v].place > 0 {
		return
	}
	k.heap = append(k.heap, v)
	s.vars[v].place = int32(len(k.heap))
	k.up(s, len(k.heap)-1)
}

// take removes the most active undecided variable from the heap.
func (k *learning) take(s *solver) int32 {
	for len(k.heap) > 0 {
		v := k.heap[0]
		last := len(k.heap) - 1
		k.put(s, 0, k.heap[last])
		k.heap = k.heap[:last]
		s.vars[v].place = 0
		if last > 0 {
			k.down(s, 0)
		}
		if s.vars[v].value == 0 {
			return v
		}
	}
	return none
}

// before orders the heap; of equals the variable made first comes first.
func (k *learning) before(s *solver, a, b int32) bool {
	x, y := s.vars[a].activity, s.vars[b].activity
	return x > y || x == y && a < b
}

func (k *learning) put(s *solver, at int, v int32) {
	k.heap[at] = v
	s.vars[v].place = int32(at + 1)
}

func (k *learning) up(s *solver, at int) {
	v := k.heap[at]
	for at > 0 {
		parent := (at - 1) / 2
		if !k.before(s, v, k.heap[parent]) {
			break
		}
		k.put(s, at, k.heap[parent])
		at = parent
	}
	k.put(s, at, v)
}

func (k *learning) down(s *solver, at int) {
	v := k.heap[at]
	for {
		child := 2*at + 1
		if child >= len(k.heap) {
			break
		}
		if child+1 < len(k.heap) && k.before(s, k.heap[child+1], k.heap[child]) {
			child++
		}
		if !k.before(s, k.heap[child], v) {
			break
		}
		k.put(s, at, k.heap[child])
		at = child
	}
	k.put(s, at, v)
}
