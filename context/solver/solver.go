package solver

import "slices"

// A solver decides whether packages can be there together, and finds the rest of
// a set that each has what it needs in, by conflict-driven clause learning: from
// each conflict it derives a clause that rules out its cause for good, and jumps back
// to the first level where that clause propagates. So what was found out once is
// never tried again, whatever was decided in between.
//
// Variables are packages, and are made when something first mentions them; the
// clauses of a package (it is not there, or one of the alternatives is) are made
// when it is first chosen. A package that nothing asks for is never looked at.
// Packages that cannot be together are no clauses: they are looked up in the graph.
//
// Its stack is its own, so no depth of dependencies can overflow.
type solver struct {
	policy *policy
	graph  *graph
	*slots

	vars    []variable
	clauses []clause    // of needs, and learned ones
	watches [][]watcher // by literal: the clauses to look at when it becomes false

	trail          []literal // what holds, in the order in which it was found out
	marks          []mark    // the state before each decision
	head           int       // of the trail: what comes before it was propagated
	at             cursor    // where to look for the next need
	conflict       []literal // at a conflict: what cannot be false together and is
	conflictClause int32     // the clause that these are of, or none

	limits    solverLimits
	conflicts int // met so far
	learned   learned
	analysis  analysis
	activity  activity
}

// solverLimits narrow a search. The zero value does not.
type solverLimits struct {
	conflicts  int                    // to give up after
	preferring int                    // conflicts after which any answer will do; 0: maxPreferring
	needs      func(i, at int32) bool // says whether that need of that package counts; nil: all do
	trace      bool                   // note what each learned clause was derived from
}

// A literal is that the package of a variable is there, or that it is not.
type literal int32

func positive(v int32) literal           { return literal(v << 1) }
func (l literal) not() literal           { return l ^ 1 }
func (l literal) variable() int32        { return int32(l >> 1) }
func (l literal) negated() bool          { return l&1 == 1 }
func (s *solver) isTrue(l literal) bool  { return s.vars[l>>1].value == 1-2*int8(l&1) }
func (s *solver) isFalse(l literal) bool { return s.vars[l>>1].value == 2*int8(l&1)-1 }

// A variable is a package that was mentioned.
type variable struct {
	pkg      int32
	level    int32 // the decision from which value follows; 0: it follows from nothing
	reason   int32 // why it has its value: a clause, ^v for a conflict with variable v, or none
	needs    int32 // the first of its clauses, in clauses; they follow each other
	count    int32 // of them
	value    int8  // 1 there, −1 not there, 0 not known
	seen     bool  // by the analysis of a conflict
	expanded bool  // needs and count are set
	last     bool  // the value it had before it was taken back: there
	activity float64
	heapAt   int32 // in the heap of activity, from 1; 0: not in it
}

const (
	none      = int32(1<<31 - 1)
	noLiteral = literal(-1)
)

// A clause holds if one of its literals does.
type clause struct {
	literals []literal // the first two are watched, if there are two
	tiers    []int32   // of a need: the tiers of literals[1:], before they were reordered
	options  []int32   // of a need: the variables of its alternatives, the preferred first
	by       int32     // of a need: whose it is
	need     int32     // of a need: its place among the package's
	sole     bool      // of a need: all alternatives are versions of one name
	learned  bool
	activity float32
	from     []int32 // of a learned clause, where traced: the clauses it was derived from
}

// A watcher is a clause in a list of watches. Where other holds, the clause need
// not be looked at.
type watcher struct {
	clause int32
	other  literal
}

// mark is a state to go back to.
type mark struct {
	trail int
	at    cursor
}

func newSolver(o *policy, limits solverLimits) *solver {
	return &solver{policy: o, graph: o.graph, slots: o.graph.spare.Get().(*slots), limits: limits, conflictClause: none}
}

// release gives back what the solver borrowed. It is not used after that.
func (s *solver) release() {
	for i := range s.vars {
		s.variable[s.vars[i].pkg] = 0
	}
	s.graph.spare.Put(s.slots)
	s.slots = nil
}

func (s *solver) level() int32 { return int32(len(s.marks)) }

// variableOf returns the variable of a package, and makes it if there is none. A new one
// that something there conflicts with is not there.
func (s *solver) variableOf(pkg int32) int32 {
	if v := s.variable[pkg]; v != 0 {
		return v - 1
	}
	v := int32(len(s.vars))
	s.variable[pkg] = v + 1
	s.vars = append(s.vars, variable{pkg: pkg, reason: none})
	s.watches = append(s.watches, nil, nil)
	first := none
	for _, j := range s.graph.node(pkg).against {
		if w := s.variable[j] - 1; w >= 0 && s.vars[w].value > 0 && (first == none || s.vars[w].level < s.vars[first].level) {
			first = w
		}
	}
	if first != none {
		s.assign(positive(v).not(), s.vars[first].level, ^first)
	} else {
		s.activity.add(s, v)
	}
	return v
}

// assign notes that l holds since that level. A level may be an earlier one than the
// current.
func (s *solver) assign(l literal, level, reason int32) {
	v := &s.vars[l.variable()]
	v.value, v.level, v.reason = 1, level, reason
	if l.negated() {
		v.value = -1
	}
	s.trail = append(s.trail, l)
}

// decide supposes that l holds.
func (s *solver) decide(l literal) {
	s.marks = append(s.marks, mark{len(s.trail), s.at})
	s.assign(l, s.level(), none)
}

// backtrack takes back what follows from decisions after the given level. What holds
// without them stays.
func (s *solver) backtrack(level int32) {
	if s.level() <= level {
		return
	}
	m := s.marks[level]
	rest := s.trail[m.trail:]
	s.trail = s.trail[:m.trail]
	for _, l := range rest {
		v := &s.vars[l.variable()]
		if v.level <= level {
			s.trail = append(s.trail, l)
			continue
		}
		v.last = v.value > 0
		v.value, v.reason = 0, none
		s.activity.add(s, l.variable())
	}
	s.head, s.at = m.trail, m.at
	s.marks = s.marks[:level]
}

// propagate draws all conclusions from single clauses. It returns false at a
// conflict, which it notes.
func (s *solver) propagate() bool {
	for s.head < len(s.trail) {
		l := s.trail[s.head]
		s.head++
		if !s.visit(l.not()) {
			return false
		}
		if l.negated() {
			continue
		}
		v := l.variable()
		if !s.exclude(v) || !s.vars[v].expanded && !s.expand(v) {
			return false
		}
	}
	return true
}

// visit looks at the clauses that watch l, which has become false.
func (s *solver) visit(l literal) bool {
	list := s.watches[l]
	kept := list[:0]
	for n, w := range list {
		if s.isTrue(w.other) {
			kept = append(kept, w)
			continue
		}
		lits := s.clauses[w.clause].literals
		if lits[0] == l {
			lits[0], lits[1] = lits[1], lits[0]
		}
		w.other = lits[0]
		if s.isTrue(lits[0]) {
			kept = append(kept, w)
			continue
		}
		if s.rewatch(w, lits) {
			continue
		}
		kept = append(kept, w)
		if s.isFalse(lits[0]) {
			s.watches[l] = append(kept, list[n+1:]...)
			s.conflict, s.conflictClause = append(s.conflict[:0], lits...), w.clause
			return false
		}
		s.assign(lits[0], s.highest(lits[1:]), w.clause)
	}
	s.watches[l] = kept
	return true
}

// rewatch has the clause watch another literal in the place of its second one.
func (s *solver) rewatch(w watcher, lits []literal) bool {
	for i := 2; i < len(lits); i++ {
		if !s.isFalse(lits[i]) {
			lits[1], lits[i] = lits[i], lits[1]
			s.watches[lits[1]] = append(s.watches[lits[1]], w)
			return true
		}
	}
	return false
}

// highest is the highest level among literals.
func (s *solver) highest(lits []literal) int32 {
	level := int32(0)
	for _, l := range lits {
		level = max(level, s.vars[l.variable()].level)
	}
	return level
}

// exclude notes that what conflicts with v, which is there, is not there.
func (s *solver) exclude(v int32) bool {
	for _, j := range s.graph.node(s.vars[v].pkg).against {
		w := s.variable[j] - 1
		if w < 0 {
			continue
		}
		switch s.vars[w].value {
		case 0:
			s.assign(positive(w).not(), s.vars[v].level, ^v)
		case 1:
			s.conflict, s.conflictClause = append(s.conflict[:0], positive(v).not(), positive(w).not()), none
			return false
		}
	}
	return true
}

// expand makes the clauses of v, which is there.
func (s *solver) expand(v int32) bool {
	pkg := s.vars[v].pkg
	needs := s.graph.node(pkg).needs
	s.vars[v].expanded, s.vars[v].needs = true, int32(len(s.clauses))
	for at := range needs {
		if s.limits.needs != nil && !s.limits.needs(pkg, int32(at)) {
			continue
		}
		packages, tiers := s.policy.candidates(&needs[at])
		c := clause{by: v, need: int32(at), sole: needs[at].sole, tiers: tiers, options: make([]int32, len(packages))}
		c.literals = make([]literal, 1, len(packages)+1)
		c.literals[0] = positive(v).not()
		for i, p := range packages {
			c.options[i] = s.variableOf(p)
			c.literals = append(c.literals, positive(c.options[i]))
		}
		s.clauses = append(s.clauses, c)
		s.vars[v].count++
	}
	// All are made before the first may fail: a package has its clauses once.
	for i := range s.vars[v].count {
		if !s.attach(s.vars[v].needs + i) {
			for i++; i < s.vars[v].count; i++ {
				s.watch(s.vars[v].needs + i)
			}
			return false
		}
	}
	return true
}

// attach watches a clause, and draws the conclusion if there is one.
func (s *solver) attach(at int32) bool {
	s.watch(at)
	lits := s.clauses[at].literals
	switch {
	case s.isTrue(lits[0]):
	case s.isFalse(lits[0]):
		s.conflict, s.conflictClause = append(s.conflict[:0], lits...), at
		return false
	case len(lits) == 1 || s.isFalse(lits[1]):
		s.assign(lits[0], s.highest(lits[1:]), at)
	}
	return true
}

// watch moves two literals of a clause to the front, those that hold or may hold,
// else those of the highest levels, and watches them.
func (s *solver) watch(at int32) {
	lits := s.clauses[at].literals
	if len(lits) < 2 {
		return
	}
	for i := range 2 {
		best := i
		for j := i + 1; j < len(lits); j++ {
			if s.rank(lits[j]) > s.rank(lits[best]) {
				best = j
			}
		}
		lits[i], lits[best] = lits[best], lits[i]
	}
	s.watches[lits[0]] = append(s.watches[lits[0]], watcher{at, lits[1]})
	s.watches[lits[1]] = append(s.watches[lits[1]], watcher{at, lits[0]})
}

// rank orders literals by how good they are to watch.
func (s *solver) rank(l literal) int32 {
	switch {
	case s.isTrue(l):
		return 1<<31 - 1
	case s.isFalse(l):
		return s.vars[l.variable()].level
	}
	return 1<<31 - 2
}

// unmet returns the first need of a package that is there which nothing fulfils:
// of those that only versions of one name fulfil, or else of all. It returns none
// if every need is met.
func (s *solver) unmet() int32 {
	if c := s.at.versions.next(s, true); c != none {
		return c
	}
	return s.at.others.next(s, false)
}

// A cursor is how far the needs of what is there were found to be met.
type cursor struct{ versions, others position }

type position struct {
	trail int
	need  int32
}

// next moves on to the first need that is not met.
func (p *position) next(s *solver, sole bool) int32 {
	for ; p.trail < len(s.trail); p.trail, p.need = p.trail+1, 0 {
		l := s.trail[p.trail]
		if l.negated() {
			continue
		}
		v := &s.vars[l.variable()]
		for ; p.need < v.count; p.need++ {
			c := &s.clauses[v.needs+p.need]
			if c.sole == sole && !slices.ContainsFunc(c.options, func(w int32) bool { return s.vars[w].value > 0 }) {
				return v.needs + p.need
			}
		}
	}
	return none
}
