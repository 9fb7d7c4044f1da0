package context

import (
	stdcontext "context"
	"fmt"
	"runtime"
	"sync"
	"sync/atomic"

	"github.com/packagefs/packagefs/pkgindex"
)

// A Verdict says whether the context of one package resolves.
type Verdict struct {
	Package *pkgindex.Package
	OK      bool
	Reason  string // why it does not, in words that the caller may read
}

// Check finds out for every package that caller may attach to, in the Set's
// order, whether its own context resolves: package:NAME=VERSION, for each
// architecture. It uses all cores. progress is told now and then how many packages
// are done, never by two goroutines at once; it may be nil. Check fails as Resolve
// does, and with ctx's error when ctx ends.
//
// What was found is kept until packages or files change; a second caller waits
// for the first.
func (c *Contexts) Check(ctx stdcontext.Context, set *pkgindex.Set, caller Caller, progress func(done, total int)) ([]Verdict, error) {
	m := c.memoFor(set)
	s, err := c.packageSubject(m, AttachName{Kind: KindPackage}, caller)
	if err != nil {
		return nil, named(err, AttachName{Kind: KindPackage})
	}
	m.checking.Lock()
	defer m.checking.Unlock()
	if m.verdicts == nil {
		check := newCheck(m.universe(), s.rules)
		if err := check.run(ctx, progress); err != nil {
			return nil, err
		}
		m.verdicts = check.verdicts
	}
	open := caller.Trusted || s.rules.unrestricted() && s.may.unrestricted()
	var out []Verdict
	for _, v := range m.verdicts {
		if s.may != nil && !s.may.allows(v.Package) {
			continue
		}
		if !v.OK && !open {
			v.Reason = ErrUnresolvable.Error()
		}
		out = append(out, v)
	}
	return out, nil
}

// A check is one run over all packages.
type check struct {
	*universe
	rules    *rules
	verdicts []Verdict
	place    map[*pkgindex.Package]int // in verdicts
	proven   []atomic.Bool             // by verdict: the package was seen in a closure
	order    []int                     // of verdicts
	next     atomic.Int64              // of order
	done     atomic.Int64
}

// newCheck leaves out packages that are denied: nobody attaches to them.
func newCheck(u *universe, r *rules) *check {
	c := &check{universe: u, rules: r, place: make(map[*pkgindex.Package]int)}
	needed := make(map[string]bool)
	for _, p := range u.set.Packages {
		for _, clause := range p.Depends {
			for _, t := range clause[:min(1, len(clause))] {
				needed[t.Name] = true
			}
		}
		if !r.denies(p) {
			c.place[p] = len(c.verdicts)
			c.verdicts = append(c.verdicts, Verdict{Package: p})
		}
	}
	// Closures of what nothing needs tell most about others.
	for _, first := range [...]bool{true, false} {
		for at, v := range c.verdicts {
			if needed[v.Package.Name] != first {
				c.order = append(c.order, at)
			}
		}
	}
	c.proven = make([]atomic.Bool, len(c.verdicts))
	return c
}

// batch is how many packages are tried together. A closure of many costs little
// more than one of a few, and proves as much as one of each.
const batch = 32

func (c *check) run(ctx stdcontext.Context, progress func(done, total int)) error {
	var workers sync.WaitGroup
	var telling sync.Mutex
	for range min(runtime.GOMAXPROCS(0), len(c.order)/batch+1) {
		workers.Go(func() {
			for ctx.Err() == nil {
				from := int(c.next.Add(batch)) - batch
				if from >= len(c.order) {
					return
				}
				some := c.order[from:min(from+batch, len(c.order))]
				c.decide(ctx, some)
				c.done.Add(int64(len(some)))
				if progress != nil {
					telling.Lock()
					progress(int(c.done.Load()), len(c.order))
					telling.Unlock()
				}
			}
		})
	}
	workers.Wait()
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("check was interrupted: %w", err)
	}
	return nil
}

// decide decides about some packages: first by closures of several of them, and
// then one by one about those that no such closure has.
func (c *check) decide(ctx stdcontext.Context, some []int) {
	byBase := make(map[string][]int32)
	for _, at := range some {
		if p := c.verdicts[at].Package; !c.proven[at].Load() {
			base := c.base(p)
			byBase[base] = append(byBase[base], c.relations().number[p])
		}
	}
	for base, roots := range byBase {
		if len(roots) > 1 {
			s := newSolver(newPolicy(c.graph(base), c.rules, nil, false), solverLimits{dead: preferring})
			c.together(s, roots)
			s.release()
		}
	}
	for _, at := range some {
		if ctx.Err() == nil {
			c.one(at)
		}
	}
}

// together tries to find closures of as many roots as it can. That it finds none
// says nothing: the rules bar more here than in the context of each.
func (c *check) together(s *solver, roots []int32) {
	if _, how := s.solve(roots); how == found {
		c.prove(s)
		return
	}
	if half := len(roots) / 2; half > 1 {
		c.together(s, roots[:half])
		c.together(s, roots[half:])
	}
}

// prove notes that each package that the solver found to be there has its own
// closure there. Where it is the root, packages that run everywhere must count as
// the same architecture.
func (c *check) prove(s *solver) {
	for _, l := range s.trail {
		if i := s.vars[l.variable()].pkg; !l.negated() && i < s.assumed {
			p := s.packages[i]
			if at, ok := c.place[p]; ok && c.base(p) == s.policy.base {
				c.proven[at].Store(true)
			}
		}
	}
}

// one decides about one package.
func (c *check) one(at int) {
	v := &c.verdicts[at]
	if c.proven[at].Load() {
		v.OK = true
		return
	}
	root := v.Package
	o := newPolicy(c.graph(c.base(root)), c.rules, map[string]*pkgindex.Package{root.Name: root}, false)
	result := resolve(o, []*pkgindex.Package{root})
	if v.OK = len(result.failed) == 0; !v.OK {
		v.Reason = result.failed[0].reason
	}
}
