package solver

import (
	"slices"

	"github.com/packagefs/packagefs/pkgindex/pkgmeta"
	"github.com/packagefs/packagefs/pkgindex/relation"
)

// An explainer goes through the needs of a core in the way in which a person would, to
// find out what to tell: by choosing one package after the other. Needs that only
// one package meets are followed first; the others are decisions. At a conflict it
// goes back to the last decision that took part in it. It notes what was tried.
type explainer struct {
	policy *policy
	graph  *graph
	core   *core
	steps  int

	chosen   map[string][]*Choice   // by name
	provided map[string][]*Choice   // by what they provide
	against  map[string][]objection // by the name objected to
	trail    []*Choice              // all that is chosen, in order

	forced, open         []need // to be fulfilled, from the next one on
	nextForced, nextOpen int
	decisions            []*decision
}

// A need is a clause of a chosen package.
type need struct {
	by         *Choice
	clause     relation.Clause
	candidates []*pkgmeta.Meta
}

type objection struct {
	by   *Choice
	term relation.Term
}

// A decision is a need with more than one candidate.
type decision struct {
	need
	next     int        // the candidate to try next
	before   checkpoint // the state before it
	blame    []int      // earlier levels that took part in the failure of candidates
	attempts []attempt
}

// checkpoint is a state of an explainer to go back to.
type checkpoint struct{ trail, forced, nextForced, open, nextOpen, decisions int }

func newExplainer(o *policy, c *core) *explainer {
	return &explainer{
		policy:   o,
		graph:    o.graph,
		core:     c,
		chosen:   make(map[string][]*Choice),
		provided: make(map[string][]*Choice),
		against:  make(map[string][]objection),
	}
}

func (s *explainer) checkpoint() checkpoint {
	return checkpoint{len(s.trail), len(s.forced), s.nextForced, len(s.open), s.nextOpen, len(s.decisions)}
}

func (s *explainer) undo(m checkpoint) {
	for len(s.trail) > m.trail {
		s.forget()
	}
	s.forced, s.nextForced = s.forced[:m.forced], m.nextForced
	s.open, s.nextOpen = s.open[:m.open], m.nextOpen
	s.decisions = s.decisions[:m.decisions]
}

// explainLimit bounds the steps of an explainer, beside those that its needs take once.
// What takes longer nobody would read.
const explainLimit = 20_000

// run goes through all that roots need, and returns the conflict that there is no
// way around. It returns nil if it finds none within the limit.
func (s *explainer) run(roots []int32) *failure {
	for _, i := range roots {
		root := s.graph.packages[i]
		if o := s.obstacle(root); o != nil {
			return &failure{root: root, attempts: []attempt{{pkg: root, obstacle: o}}}
		}
		s.choose(&Choice{Package: root, At: int(i)})
	}
	limit := explainLimit + len(s.core.needs)
	for s.steps < limit {
		dead, done := s.step()
		if done {
			return nil
		}
		for dead != nil && s.steps < limit {
			level := slices.Max(dead.blame)
			if level == 0 {
				return dead
			}
			dead = s.revise(level, dead)
		}
	}
	return nil
}

// step fulfils one more need. It returns a failure at a conflict, and true when
// nothing is left to do.
func (s *explainer) step() (dead *failure, done bool) {
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
	d := &decision{need: n, before: s.checkpoint(), blame: []int{n.by.level}}
	s.decisions = append(s.decisions, d)
	return s.try(d), false
}

// follow fulfils a need that has one candidate at most.
func (s *explainer) follow(n need) *failure {
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
		s.choose(s.choice(n, p))
		return nil
	}
	f.blame = append(f.blame, o.by.level)
	f.attempts = []attempt{{pkg: p, obstacle: o}}
	return f
}

// try takes the next candidate of the last decision that nothing stands against.
func (s *explainer) try(d *decision) *failure {
	for d.next < len(d.candidates) {
		p := d.candidates[d.next]
		d.next++
		o := s.obstacle(p)
		if o == nil {
			s.choose(s.choice(d.need, p))
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
func (s *explainer) revise(level int, dead *failure) *failure {
	d := s.decisions[level-1]
	at := d.before
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
func (s *explainer) fulfilled(n need) bool {
	for _, p := range n.candidates {
		for _, c := range s.chosen[p.Name] {
			if c.Package == p {
				return true
			}
		}
	}
	return false
}

// obstacle returns what stands against choosing p: another version of it, or a
// conflict. Of several it takes that of the earliest decision, so that a conflict
// goes back as far as it can.
func (s *explainer) obstacle(p *pkgmeta.Meta) *obstacle {
	var first *obstacle
	found := func(by *Choice, t relation.Term, mine bool) {
		if first == nil || by.level < first.by.level {
			first = &obstacle{by, t, mine}
		}
	}
	for _, c := range s.chosen[p.Name] {
		if c.Package != p && !coinstallable(c.Package, p) {
			found(c, relation.Term{}, false)
		}
	}
	for _, t := range p.Conflicts {
		for _, some := range [][]*Choice{s.chosen[t.Name], s.provided[t.Name]} {
			for _, c := range some {
				if s.graph.objects(p, t, c.Package) {
					found(c, t, true)
				}
			}
		}
	}
	check := func(name string) {
		for _, o := range s.against[name] {
			if s.graph.objects(o.by.Package, o.term, p) {
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

// choice is p, by which the need is met.
func (s *explainer) choice(n need, p *pkgmeta.Meta) *Choice {
	return &Choice{p, int(s.graph.number[p]), n.by, n.clause, len(s.decisions)}
}

func (s *explainer) choose(c *Choice) {
	s.trail = append(s.trail, c)
	s.chosen[c.Package.Name] = append(s.chosen[c.Package.Name], c)
	for _, t := range c.Package.Provides {
		s.provided[t.Name] = append(s.provided[t.Name], c)
	}
	for _, t := range c.Package.Conflicts {
		s.against[t.Name] = append(s.against[t.Name], objection{c, t})
	}
	i := int32(c.At)
	for at, clause := range c.Package.Depends {
		if !s.core.has(i, int32(at)) {
			continue
		}
		n := need{by: c, clause: clause}
		packages, _ := s.policy.candidates(&s.graph.node(i).needs[at])
		for _, j := range packages {
			n.candidates = append(n.candidates, s.graph.packages[j])
		}
		if len(n.candidates) <= 1 {
			s.forced = append(s.forced, n)
		} else {
			s.open = append(s.open, n)
		}
	}
}

// forget takes back the last choice.
func (s *explainer) forget() {
	c := s.trail[len(s.trail)-1]
	s.trail = s.trail[:len(s.trail)-1]
	drop(s.chosen, c.Package.Name)
	for _, t := range c.Package.Provides {
		drop(s.provided, t.Name)
	}
	for _, t := range c.Package.Conflicts {
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
