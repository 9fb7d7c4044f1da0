package solver

import "slices"

// maxPigeonhole bounds the alternatives that pigeonhole looks at.
const maxPigeonhole = 20_000

// pigeonhole looks for needs that are more than the places there are for them: needs
// whose alternatives all are in groups of which one package can be there, fewer
// groups than needs. The search by itself would try every way to seat them. If it
// finds such needs it notes the conflict.
func (s *solver) pigeonhole() bool {
	needs := s.disjointNeeds()
	group := s.groups(needs)
	m := matching{group: group, needs: needs, matched: make(map[int32]int), from: make(map[int32]int)}
	for i := range needs {
		if surplus := m.augment(i); surplus != nil {
			s.conflict, s.conflictClause = s.conflict[:0], none
			for _, j := range surplus {
				s.blame(needs[j].clause)
			}
			return true
		}
	}
	return false
}

// blame adds to the conflict what the clause of a need, with what is known not to be
// there, brings to it.
func (s *solver) blame(at int32) {
	for _, l := range s.clauses[at].literals {
		if s.isFalse(l) && !slices.Contains(s.conflict, l) {
			s.conflict = append(s.conflict, l)
		}
	}
	if s.limits.trace {
		s.analysis.surplus = append(s.analysis.surplus, at)
	}
}

// An openNeed is a need that is not met yet.
type openNeed struct {
	clause  int32
	options []int32 // variables that are not decided
}

// disjointNeeds returns open needs no two of which have an alternative in common.
func (s *solver) disjointNeeds() (needs []openNeed) {
	used := make(map[int32]bool)
	for _, l := range s.trail {
		if l.negated() {
			continue
		}
		v := &s.vars[l.variable()]
		for at := v.needs; at < v.needs+v.count; at++ {
			n := openNeed{clause: at}
			free := true
			for _, w := range s.clauses[at].options {
				free = free && s.vars[w].value <= 0 && !used[w]
				if s.vars[w].value == 0 {
					n.options = append(n.options, w)
				}
			}
			if !free || len(used)+len(n.options) > maxPigeonhole {
				continue
			}
			for _, w := range n.options {
				used[w] = true
			}
			needs = append(needs, n)
		}
	}
	return needs
}

// groups numbers the alternatives of needs so that of those with one number only
// one can be there.
func (s *solver) groups(needs []openNeed) map[int32]int32 {
	group := make(map[int32]int32)
	var members [][]int32
	for _, n := range needs {
		for _, v := range n.options {
			against := s.graph.node(s.vars[v].pkg).against
			at := s.groupFor(against, group, members)
			if at < 0 {
				at = int32(len(members))
				members = append(members, nil)
			}
			members[at] = append(members[at], s.vars[v].pkg)
			group[v] = at
		}
	}
	return group
}

// groupFor finds the first group whose members are all in against, or returns −1.
func (s *solver) groupFor(against []int32, group map[int32]int32, members [][]int32) int32 {
	best := int32(-1)
	for _, j := range against {
		at, ok := group[s.variable[j]-1]
		if !ok || best >= 0 && at >= best || len(members[at]) > len(against) {
			continue
		}
		if !slices.ContainsFunc(members[at], func(p int32) bool {
			_, has := slices.BinarySearch(against, p)
			return !has
		}) {
			best = at
		}
	}
	return best
}

// matching gives needs groups of their own, to as many as it can.
type matching struct {
	group   map[int32]int32
	needs   []openNeed
	matched map[int32]int // the need that has a group
	from    map[int32]int // the need from which a group was reached, in one search
}

// augment finds a group for need i, and moves others to other groups for it. If
// there is none it returns the needs that are too many: i and all those that
// have the groups which they could have.
func (m *matching) augment(i int) (surplus []int) {
	clear(m.from)
	surplus = []int{i}
	for at := 0; at < len(surplus); at++ {
		for _, v := range m.needs[surplus[at]].options {
			g := m.group[v]
			if _, reached := m.from[g]; reached {
				continue
			}
			m.from[g] = surplus[at]
			holder, full := m.matched[g]
			if !full {
				m.move(g, i)
				return nil
			}
			surplus = append(surplus, holder)
		}
	}
	return surplus
}

// move gives g to the need that it was reached from, that need's group to the one
// before, and so on up to need i.
func (m *matching) move(g int32, i int) {
	for {
		n := m.from[g]
		old, had := int32(-1), false
		if n != i {
			for _, v := range m.needs[n].options {
				if holder, ok := m.matched[m.group[v]]; ok && holder == n {
					old, had = m.group[v], true
					break
				}
			}
		}
		m.matched[g] = n
		if !had {
			return
		}
		g = old
	}
}
