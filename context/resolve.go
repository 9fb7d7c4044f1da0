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
	root    *pkgindex.Package
	failure *failure
}

// A choice is a package in a closure, and why it is there.
type choice struct {
	pkg    *pkgindex.Package
	by     *choice // nil for a root
	clause pkgindex.Clause
	level  int // how many decisions had been taken
}

const (
	searchBudget = 500_000   // steps for one search
	totalBudget  = 1_500_000 // steps for searches that try once more what failed
)

// resolve finds one consistent closure of roots under a policy. A root that
// cannot be there together with those in front of it is left out and told of.
func resolve(o *policy, roots []*pkgindex.Package, budget int) *closure {
	all := newSearch(o, budget)
	if all.extend(roots) == nil {
		return &closure{chosen: all.trail}
	}
	c := &closure{}
	s := newSearch(o, budget)
	left := totalBudget
	for i, root := range roots {
		mark := s.mark()
		failed := s.extend([]*pkgindex.Package{root})
		if failed == nil {
			continue
		}
		s.undo(mark)
		alone := newSearch(o, budget)
		if f := alone.extend([]*pkgindex.Package{root}); f != nil {
			c.failed = append(c.failed, failedRoot{root, f})
			continue
		}
		together := newSearch(o, min(budget, left))
		if together.extend(c.without(roots[:i+1])) == nil {
			s = together
		} else {
			c.failed = append(c.failed, failedRoot{root, failed})
		}
		left -= together.steps
	}
	c.chosen = s.trail
	return c
}

// without returns the roots that did not fail.
func (c *closure) without(roots []*pkgindex.Package) []*pkgindex.Package {
	return slices.DeleteFunc(slices.Clone(roots), func(p *pkgindex.Package) bool {
		return slices.ContainsFunc(c.failed, func(f failedRoot) bool { return f.root == p })
	})
}

// search looks for a closure by choosing one package after the other. Clauses
// that only one package fulfils are followed first; the others are decisions, in
// the order in which they came up. At a dead end it goes back to the last
// decision that took part in it, not merely to the last one. Its stack is its
// own, so no depth of dependencies can overflow.
type search struct {
	*policy
	steps, budget int

	chosen   map[string][]*choice   // by name
	provided map[string][]*choice   // by what they provide
	against  map[string][]objection // by the name objected to
	trail    []*choice              // all that is chosen, in order

	forced, open         []need // to be fulfilled, from the next one on
	nextForced, nextOpen int
	decisions            []*decision
}

// A need is a clause of a chosen package.
type need struct {
	by         *choice
	clause     pkgindex.Clause
	candidates []*pkgindex.Package
}

type objection struct {
	by   *choice
	term pkgindex.Term
}

// A decision is a need with more than one candidate.
type decision struct {
	need
	next     int   // the candidate to try next
	mark     mark  // the state before it
	blame    []int // earlier levels that took part in the failure of candidates
	attempts []attempt
}

// mark is a state of a search to go back to.
type mark struct{ trail, forced, nextForced, open, nextOpen, decisions int }

func newSearch(o *policy, budget int) *search {
	return &search{
		policy:   o,
		budget:   budget,
		chosen:   make(map[string][]*choice),
		provided: make(map[string][]*choice),
		against:  make(map[string][]objection),
	}
}

func (s *search) mark() mark {
	return mark{len(s.trail), len(s.forced), s.nextForced, len(s.open), s.nextOpen, len(s.decisions)}
}

func (s *search) undo(m mark) {
	for len(s.trail) > m.trail {
		s.forget()
	}
	s.forced, s.nextForced = s.forced[:m.forced], m.nextForced
	s.open, s.nextOpen = s.open[:m.open], m.nextOpen
	s.decisions = s.decisions[:m.decisions]
}

// extend adds roots and all that they need, and keeps every decision taken
// before it. On failure the state is anything; undo it.
func (s *search) extend(roots []*pkgindex.Package) *failure {
	floor := len(s.decisions)
	for _, root := range roots {
		if slices.ContainsFunc(s.chosen[root.Name], func(c *choice) bool { return c.pkg == root }) {
			continue
		}
		if o := s.obstacle(root); o != nil {
			return &failure{root: root, attempts: []attempt{{pkg: root, obstacle: o}}}
		}
		s.choose(&choice{pkg: root, level: floor})
	}
	for {
		dead, done := s.step()
		if done {
			return nil
		}
		for dead != nil {
			if s.steps >= s.budget {
				return &failure{budget: true, need: dead.need}
			}
			level := slices.Max(dead.blame)
			if level <= floor {
				return dead
			}
			dead = s.revise(level, dead)
		}
	}
}

// step fulfils one more need. It returns a failure at a dead end, and true when
// nothing is left to do.
func (s *search) step() (dead *failure, done bool) {
	if s.steps >= s.budget {
		return &failure{budget: true, blame: []int{0}}, false
	}
	s.steps++
	if s.nextForced < len(s.forced) {
		n := s.forced[s.nextForced]
		s.nextForced++
		return s.follow(n), false
	}
	if s.nextOpen == len(s.open) {
		return nil, true
	}
	n := s.open[s.nextOpen]
	s.nextOpen++
	if s.fulfilled(n) {
		return nil, false
	}
	d := &decision{need: n, mark: s.mark(), blame: []int{n.by.level}}
	s.decisions = append(s.decisions, d)
	return s.try(d), false
}

// follow fulfils a need that has one candidate at most.
func (s *search) follow(n need) *failure {
	if s.fulfilled(n) {
		return nil
	}
	f := &failure{need: n, blame: []int{n.by.level}}
	if len(n.candidates) == 0 {
		return f
	}
	p := n.candidates[0]
	o := s.obstacle(p)
	if o == nil {
		s.choose(&choice{p, n.by, n.clause, len(s.decisions)})
		return nil
	}
	f.blame = append(f.blame, o.by.level)
	f.attempts = []attempt{{pkg: p, obstacle: o}}
	return f
}

// try takes the next candidate of the last decision that nothing stands against.
func (s *search) try(d *decision) *failure {
	for d.next < len(d.candidates) {
		p := d.candidates[d.next]
		d.next++
		o := s.obstacle(p)
		if o == nil {
			s.choose(&choice{p, d.by, d.clause, len(s.decisions)})
			return nil
		}
		d.blamed(o.by.level)
		d.attempted(attempt{pkg: p, obstacle: o})
	}
	s.decisions = s.decisions[:len(s.decisions)-1]
	return &failure{need: d.need, blame: d.blame, attempts: d.attempts}
}

// revise goes back to the decision of that level, because of dead, and takes its
// next candidate.
func (s *search) revise(level int, dead *failure) *failure {
	d := s.decisions[level-1]
	at := d.mark
	at.decisions = level
	s.undo(at)
	for _, l := range dead.blame {
		if l != level {
			d.blamed(l)
		}
	}
	d.attempted(attempt{pkg: d.candidates[d.next-1], because: dead.shallow()})
	s.steps++
	return s.try(d)
}

func (d *decision) blamed(level int) {
	if !slices.Contains(d.blame, level) {
		d.blame = append(d.blame, level)
	}
}

// attempted notes why a candidate failed: the first few are what is told.
func (d *decision) attempted(a attempt) {
	if len(d.attempts) < maxAttempts {
		d.attempts = append(d.attempts, a)
	}
}

// fulfilled says whether a chosen package is a candidate of the need.
func (s *search) fulfilled(n need) bool {
	for _, p := range n.candidates {
		for _, c := range s.chosen[p.Name] {
			if c.pkg == p {
				return true
			}
		}
	}
	return false
}

// obstacle returns what stands against choosing p: another version of it, or a
// conflict. Of several it takes that of the earliest decision, so that a dead end
// goes back as far as it can.
func (s *search) obstacle(p *pkgindex.Package) *obstacle {
	var first *obstacle
	found := func(by *choice, t pkgindex.Term, mine bool) {
		if first == nil || by.level < first.by.level {
			first = &obstacle{by, t, mine}
		}
	}
	for _, c := range s.chosen[p.Name] {
		if c.pkg != p && !coinstallable(c.pkg, p) {
			found(c, pkgindex.Term{}, false)
		}
	}
	for _, t := range p.Conflicts {
		for _, some := range [][]*choice{s.chosen[t.Name], s.provided[t.Name]} {
			for _, c := range some {
				if objects(p, t, c.pkg) {
					found(c, t, true)
				}
			}
		}
	}
	check := func(name string) {
		for _, o := range s.against[name] {
			if objects(o.by.pkg, o.term, p) {
				found(o.by, o.term, false)
			}
		}
	}
	check(p.Name)
	for _, t := range p.Provides {
		check(t.Name)
	}
	return first
}

func (s *search) choose(c *choice) {
	s.trail = append(s.trail, c)
	s.chosen[c.pkg.Name] = append(s.chosen[c.pkg.Name], c)
	for _, t := range c.pkg.Provides {
		s.provided[t.Name] = append(s.provided[t.Name], c)
	}
	for _, t := range c.pkg.Conflicts {
		s.against[t.Name] = append(s.against[t.Name], objection{c, t})
	}
	candidates := s.candidatesOf(c.pkg)
	for i, clause := range c.pkg.Depends {
		n := need{c, clause, candidates[i]}
		if len(n.candidates) <= 1 {
			s.forced = append(s.forced, n)
		} else {
			s.open = append(s.open, n)
		}
	}
}

// forget takes back the last choice.
func (s *search) forget() {
	c := s.trail[len(s.trail)-1]
	s.trail = s.trail[:len(s.trail)-1]
	drop(s.chosen, c.pkg.Name)
	for _, t := range c.pkg.Provides {
		drop(s.provided, t.Name)
	}
	for _, t := range c.pkg.Conflicts {
		drop(s.against, t.Name)
	}
}

// drop removes the last element of a list.
func drop[T any](in map[string][]T, key string) {
	list := in[key]
	if len(list) == 1 {
		delete(in, key)
		return
	}
	in[key] = list[:len(list)-1]
}
