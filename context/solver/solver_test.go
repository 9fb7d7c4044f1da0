package solver

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/packagefs/packagefs/context/solver/solvertest"
	"github.com/packagefs/packagefs/pkgindex/pkgmeta"
)

// A formula is a list of clauses over variables from 1, negated ones negative.
type formula [][]int

func randomFormula(r *rand.Rand, variables, clauses int) formula {
	f := make(formula, clauses)
	for i := range f {
		for _, v := range r.Perm(variables)[:3] {
			f[i] = append(f[i], (v+1)*(1-2*r.IntN(2)))
		}
	}
	return f
}

// archive writes the formula as packages: a variable is a name, and its two
// versions are what it may be.
func (f formula) archive() string {
	var b strings.Builder
	names := make(map[int]bool)
	var all []string
	for i, clause := range f {
		var terms []string
		for _, v := range clause {
			version := 1
			if v < 0 {
				version, v = 2, -v
			}
			names[v] = true
			terms = append(terms, fmt.Sprintf("x%d (= %d)", v, version))
		}
		fmt.Fprintf(&b, "c%d 1: %s\n", i, strings.Join(terms, " | "))
		all = append(all, fmt.Sprintf("c%d", i))
	}
	for v := range names {
		fmt.Fprintf(&b, "x%d 1:\nx%d 2:\n", v, v)
	}
	return "app 1: " + strings.Join(all, ", ") + "\n" + b.String()
}

// holds tries every assignment.
func (f formula) holds(variables int) bool {
	for bits := range 1 << variables {
		if !slices.ContainsFunc(f, func(clause []int) bool {
			return !slices.ContainsFunc(clause, func(v int) bool {
				if v < 0 {
					return bits>>(-v-1)&1 == 0
				}
				return bits>>(v-1)&1 == 1
			})
		}) {
			return true
		}
	}
	return false
}

// Formulas at the edge of what can be met: by preference, and by activity with
// restarts, the answer is that of trying everything.
func TestSolverAgainstEveryAssignment(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	const variables = 14
	yes, no, conflicts := 0, 0, 0
	for round := range 300 {
		f := randomFormula(r, variables, 58+r.IntN(20))
		set := archive(t, f.archive())
		want := f.holds(variables)
		for _, preferring := range []int{0, 1} {
			o := policyFor(set)
			s := newSolver(o, solverLimits{preferring: preferring})
			app := numberOf(set, "app")
			_, how := s.solve([]int32{app})
			if (how == satisfiable) != want || how == gaveUp {
				t.Fatalf("round %d, preferring %d: outcome %v, want %v for\n%v", round, preferring, how, want, f)
			}
			if how == satisfiable {
				var got []*pkgmeta.Meta
				for _, c := range s.closure([]int32{app}) {
					got = append(got, c.Package)
				}
				if why := inconsistent(got); why != "" {
					t.Fatalf("round %d, preferring %d: %s", round, preferring, why)
				}
			}
			conflicts += s.conflicts
			s.release()
		}
		if want {
			yes++
		} else {
			no++
		}
	}
	if yes < 50 || no < 50 || conflicts < 2000 {
		t.Errorf("%d can be met and %d cannot, after %d conflicts: they prove little", yes, no, conflicts)
	}
}

// What a search learned for one question is no wrong answer to the next.
func TestSolverAsksAgain(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 6))
	for round := range 300 {
		text := solvertest.Random(r)
		set := archive(t, text)
		o := policyFor(set)
		s := newSolver(o, solverLimits{preferring: 1 + round%2*5})
		for range 5 {
			some := r.Perm(len(set))[:2]
			roots := []int32{int32(some[0]), int32(some[1])}
			_, how := s.solve(roots)
			possible := someSubset(set, set[some[0]], set[some[1]])
			if (how == satisfiable) != possible {
				t.Fatalf("round %d: %v %v: found %v, possible %v in\n%s", round, set[some[0]].Ref, set[some[1]].Ref, how, possible, text)
			}
		}
		s.release()
	}
}

// Learned clauses are forgotten again, and formulas that are far too large to try
// everything are answered.
func TestSolverForgets(t *testing.T) {
	r := rand.New(rand.NewPCG(7, 8))
	f := randomFormula(r, 190, 860)
	set := archive(t, f.archive())
	o := policyFor(set)
	s := newSolver(o, solverLimits{conflicts: searchLimit})
	defer s.release()
	_, how := s.solve([]int32{numberOf(set, "app")})
	if how != unsatisfiable {
		t.Fatalf("outcome %v after %d conflicts", how, s.conflicts)
	}
	if len(s.learned.free) == 0 || len(s.learned.clauses) > s.conflicts/2 {
		t.Errorf("after %d conflicts %d clauses are kept, %d places are free", s.conflicts, len(s.learned.clauses), len(s.learned.free))
	}
}

// The search has an end where the question has none in reach.
func TestSolverGivesUp(t *testing.T) {
	r := rand.New(rand.NewPCG(7, 8))
	set := archive(t, randomFormula(r, 190, 860).archive())
	o := policyFor(set)
	s := newSolver(o, solverLimits{conflicts: 500})
	defer s.release()
	if _, how := s.solve([]int32{numberOf(set, "app")}); how != gaveUp || s.conflicts != 500 {
		t.Fatalf("outcome %v after %d conflicts", how, s.conflicts)
	}
	if words := o.why(nil, numberOf(set, "app"), gaveUp); !strings.Contains(words, "gave up") {
		t.Error(words)
	}
}

// A core is a reason, and nothing in it can be left out.
func TestCoresAreMinimal(t *testing.T) {
	r := rand.New(rand.NewPCG(9, 10))
	cores, size := 0, 0
	for round := range 1500 {
		text := solvertest.Random(r)
		set := archive(t, text)
		o := policyFor(set)
		root := int32(r.IntN(len(set)))
		if someSubset(set, set[root]) {
			continue
		}
		c := o.core(nil, root)
		if c == nil {
			t.Fatalf("round %d: no core for %s in\n%s", round, set[root].Ref, text)
		}
		cores, size = cores+1, size+len(c.needs)
		for skip := -1; skip < len(c.needs); skip++ {
			bare := bareSet(set, c, skip)
			if possible := someSubset(bare, bare[root]); possible != (skip >= 0) {
				t.Fatalf("round %d: %s without need %d of %v: possible %v in\n%s", round, set[root].Ref, skip, c.needs, possible, text)
			}
		}
	}
	if cores < 150 || size < cores+cores/3 {
		t.Errorf("%d cores with %d needs: they prove little", cores, size)
	}
}

// bareSet is the packages with no needs but those of the core, one of them left
// out.
func bareSet(set []*pkgmeta.Meta, c *core, skip int) []*pkgmeta.Meta {
	out := make([]*pkgmeta.Meta, len(set))
	for i, p := range set {
		bare := *p
		bare.Depends = nil
		for at, n := range c.needs {
			if n.pkg == int32(i) && at != skip {
				bare.Depends = append(bare.Depends, p.Depends[n.at])
			}
		}
		out[i] = &bare
	}
	return out
}

// Roots that cannot all be there: those in front win, and no more are left out
// than must be.
func TestRootsInFrontWin(t *testing.T) {
	r := rand.New(rand.NewPCG(11, 12))
	partial := 0
	for round := range 600 {
		text := solvertest.Random(r)
		set := archive(t, text)
		var roots []*pkgmeta.Meta
		for _, i := range r.Perm(len(set))[:4] {
			roots = append(roots, set[i])
		}
		var want, got []*pkgmeta.Meta
		for _, p := range roots {
			if someSubset(set, append(slices.Clone(want), p)...) {
				want = append(want, p)
			}
		}
		pool := poolOf(set)
		c := pool.Resolve(Question{Base: pool.Native()}, roots)
		got = slices.DeleteFunc(slices.Clone(roots), func(p *pkgmeta.Meta) bool {
			return slices.ContainsFunc(c.Failed, func(f Failed) bool { return f.Root == p })
		})
		if !slices.Equal(got, want) {
			t.Fatalf("round %d: %v left out in\n%s", round, c.Failed, text)
		}
		var all []*pkgmeta.Meta
		for _, c := range c.Chosen {
			all = append(all, c.Package)
		}
		if why := inconsistent(all); why != "" {
			t.Fatalf("round %d: %s in\n%s", round, why, text)
		}
		if len(want) > 1 && len(want) < 4 {
			partial++
		}
	}
	if partial < 100 {
		t.Errorf("only %d rounds tell", partial)
	}
}
