package context

import (
	"cmp"
	"container/heap"
	"math"
	"slices"
	"strings"

	"github.com/packagefs/packagefs/context/solver"
	"github.com/packagefs/packagefs/pkgindex"
)

// A member is a package on its way into a view.
type member struct {
	pkg   *pkgindex.Package
	why   Why
	added bool // by the attach name, to a context
}

// order sorts the members of a view: what the attach name adds, then prefer, then
// toplevel before dependency, then Replaces, then newer version, then name. It is
// total and depends on nothing but the members and prefer.
func order(members []member, prefer *patterns) []member {
	type class struct{ base, prefer, dependency int }
	classes := make([]class, len(members))
	byName := make([]int, len(members))
	for i, m := range members {
		byName[i] = i
		classes[i] = class{prefer: prefer.index(m.pkg.Ref)}
		if classes[i].prefer < 0 {
			classes[i].prefer = math.MaxInt
		}
		if !m.why.Toplevel {
			classes[i].dependency = 1
		}
		if !m.added {
			classes[i].base = 1
		}
	}
	slices.SortFunc(byName, func(a, b int) int {
		x, y := classes[a], classes[b]
		return cmp.Or(
			cmp.Compare(x.base, y.base),
			cmp.Compare(x.prefer, y.prefer),
			cmp.Compare(x.dependency, y.dependency),
			compareByName(members[a].pkg, members[b].pkg),
		)
	})
	out := make([]member, 0, len(members))
	for len(byName) > 0 {
		n := 1
		for n < len(byName) && classes[byName[n]] == classes[byName[0]] {
			n++
		}
		same := make([]member, n)
		for i, at := range byName[:n] {
			same[i] = members[at]
		}
		out = append(out, replacersFirst(same)...)
		byName = byName[n:]
	}
	return out
}

// compareByName orders by name, then newest first, then by what else tells
// packages apart.
func compareByName(a, b *pkgindex.Package) int {
	if c := strings.Compare(a.Name, b.Name); c != 0 {
		return c
	}
	if a.Scheme == b.Scheme {
		if c := a.Scheme.Compare(b.Version, a.Version); c != 0 {
			return c
		}
	}
	return cmp.Or(
		strings.Compare(string(a.Scheme), string(b.Scheme)),
		strings.Compare(solver.Architecture(a.Architecture), solver.Architecture(b.Architecture)),
		strings.Compare(a.Architecture, b.Architecture),
		strings.Compare(a.Version, b.Version),
		cmp.Compare(a.ID, b.ID),
		strings.Compare(a.File, b.File),
	)
}

// replacersFirst moves each package in front of what it replaces, and leaves the
// order as it is otherwise. ms is sorted by name. That packages replace each
// other in a circle says nothing about their order.
func replacersFirst(ms []member) []member {
	after, into := replaceEdges(ms)
	if after == nil {
		return ms
	}
	var ready intHeap
	for i := range ms {
		if into[i] == 0 {
			ready = append(ready, i) // ascending, hence a heap
		}
	}
	out := make([]member, 0, len(ms))
	for len(ready) > 0 {
		i := heap.Pop(&ready).(int)
		out = append(out, ms[i])
		for _, j := range after[i] {
			if into[j]--; into[j] == 0 {
				heap.Push(&ready, j)
			}
		}
	}
	return out
}

// replaceEdges returns, for each package, those that must come after it, and how
// many must come before it; nil if nothing is replaced. Edges within a circle are
// left out.
func replaceEdges(ms []member) (after [][]int, into []int) {
	if !slices.ContainsFunc(ms, func(m member) bool { return len(m.pkg.Replaces) > 0 }) {
		return nil, nil
	}
	first := make(map[string]int, len(ms)) // index of the first of a name
	for i, m := range slices.Backward(ms) {
		first[m.pkg.Name] = i
	}
	after, into = make([][]int, len(ms)), make([]int, len(ms))
	for i, m := range ms {
		for _, t := range m.pkg.Replaces {
			at, ok := first[t.Name]
			for ; ok && at < len(ms) && ms[at].pkg.Name == t.Name; at++ {
				if p := ms[at].pkg; at != i && solver.MeetsVersion(&m.pkg.Meta, t, p.Scheme, p.Version) {
					after[i] = append(after[i], at)
				}
			}
		}
	}
	circle := circles(after)
	for i := range after {
		after[i] = slices.DeleteFunc(after[i], func(j int) bool { return circle[i] == circle[j] })
		for _, j := range after[i] {
			into[j]++
		}
	}
	return after, into
}

// circles numbers the strongly connected components of a graph: two nodes have
// one number if each can be reached from the other.
func circles(edges [][]int) []int {
	g := components{
		edges:     edges,
		seen:      make([]int, len(edges)),
		low:       make([]int, len(edges)),
		component: make([]int, len(edges)),
	}
	for node := range edges {
		if g.seen[node] == 0 {
			g.visit(node)
		}
	}
	return g.component
}

// components is the state of Tarjan's algorithm, with a stack of its own for what
// is usually recursion.
type components struct {
	edges     [][]int
	seen      []int // when a node was first seen, from 1; 0: not yet
	low       []int // the earliest seen node known to be in one circle with it
	component []int // the component, from 1
	stack     []int // nodes whose component is open
	clock     int
	count     int
}

func (g *components) visit(start int) {
	type frame struct{ node, edge int }
	frames := []frame{{g.enter(start), 0}}
	for len(frames) > 0 {
		f := &frames[len(frames)-1]
		n := f.node
		if f.edge < len(g.edges[n]) {
			next := g.edges[n][f.edge]
			f.edge++
			if g.seen[next] == 0 {
				frames = append(frames, frame{g.enter(next), 0})
			} else if g.component[next] == 0 {
				g.low[n] = min(g.low[n], g.seen[next])
			}
			continue
		}
		g.leave(n)
		frames = frames[:len(frames)-1]
		if len(frames) > 0 {
			parent := frames[len(frames)-1].node
			g.low[parent] = min(g.low[parent], g.low[n])
		}
	}
}

func (g *components) enter(n int) int {
	g.clock++
	g.seen[n], g.low[n] = g.clock, g.clock
	g.stack = append(g.stack, n)
	return n
}

// leave closes the component that n was the first node of, if it was.
func (g *components) leave(n int) {
	if g.low[n] != g.seen[n] {
		return
	}
	g.count++
	for last := -1; last != n; {
		last, g.stack = g.stack[len(g.stack)-1], g.stack[:len(g.stack)-1]
		g.component[last] = g.count
	}
}

type intHeap []int

func (h intHeap) Len() int           { return len(h) }
func (h intHeap) Less(i, j int) bool { return h[i] < h[j] }
func (h intHeap) Swap(i, j int)      { h[i], h[j] = h[j], h[i] }
func (h *intHeap) Push(x any)        { *h = append(*h, x.(int)) }
func (h *intHeap) Pop() any {
	last := (*h)[len(*h)-1]
	*h = (*h)[:len(*h)-1]
	return last
}
