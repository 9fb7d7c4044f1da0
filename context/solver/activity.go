package solver

import "math"

// activity counts how much variables and clauses took part in conflicts lately. It is
// the order of decisions where preferences lead nowhere.
type activity struct {
	decides bool // what to decide next, and which way

	bump, clauseBump float64 // what one conflict adds
	heap             []int32 // undecided variables, the most active first; used where activity decides
}

func (a *activity) decay(s *solver) {
	a.bump, a.clauseBump = max(a.bump, 1)/0.95, max(a.clauseBump, 1)/0.999
	if a.bump > 1e100 {
		for i := range s.vars {
			s.vars[i].activity *= 1e-100
		}
		a.bump *= 1e-100
	}
	if a.clauseBump > 1e20 {
		for _, at := range s.learned.clauses {
			s.clauses[at].activity *= 1e-20
		}
		a.clauseBump *= 1e-20
	}
}

func (a *activity) bumpVariable(s *solver, v int32) {
	s.vars[v].activity += max(a.bump, 1)
	if s.vars[v].heapAt > 0 {
		a.up(s, int(s.vars[v].heapAt)-1)
	}
}

func (a *activity) bumpClause(c *clause) {
	c.activity = float32(math.Min(float64(c.activity)+max(a.clauseBump, 1), math.MaxFloat32))
}

// begin has activity decide from now on.
func (a *activity) begin(s *solver) {
	a.decides = true
	for v := range s.vars {
		if s.vars[v].value == 0 {
			a.add(s, int32(v))
		}
	}
}

// add puts an undecided variable into the heap.
func (a *activity) add(s *solver, v int32) {
	if !a.decides || s.vars[v].heapAt > 0 {
		return
	}
	a.heap = append(a.heap, v)
	s.vars[v].heapAt = int32(len(a.heap))
	a.up(s, len(a.heap)-1)
}

// take removes the most active undecided variable from the heap.
func (a *activity) take(s *solver) int32 {
	for len(a.heap) > 0 {
		v := a.heap[0]
		last := len(a.heap) - 1
		a.put(s, 0, a.heap[last])
		a.heap = a.heap[:last]
		s.vars[v].heapAt = 0
		if last > 0 {
			a.down(s, 0)
		}
		if s.vars[v].value == 0 {
			return v
		}
	}
	return none
}

// before orders the heap; of equals the variable made first comes first.
func (a *activity) before(s *solver, v, w int32) bool {
	x, y := s.vars[v].activity, s.vars[w].activity
	return x > y || x == y && v < w
}

func (a *activity) put(s *solver, at int, v int32) {
	a.heap[at] = v
	s.vars[v].heapAt = int32(at + 1)
}

func (a *activity) up(s *solver, at int) {
	v := a.heap[at]
	for at > 0 {
		parent := (at - 1) / 2
		if !a.before(s, v, a.heap[parent]) {
			break
		}
		a.put(s, at, a.heap[parent])
		at = parent
	}
	a.put(s, at, v)
}

func (a *activity) down(s *solver, at int) {
	v := a.heap[at]
	for {
		child := 2*at + 1
		if child >= len(a.heap) {
			break
		}
		if child+1 < len(a.heap) && a.before(s, a.heap[child+1], a.heap[child]) {
			child++
		}
		if !a.before(s, a.heap[child], v) {
			break
		}
		a.put(s, at, a.heap[child])
		at = child
	}
	a.put(s, at, v)
}
