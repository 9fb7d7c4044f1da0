package context

import (
	stdcontext "context"
	"fmt"
	"runtime"
	"sync"
	"sync/atomic"

	"github.com/packagefs/packagefs/context/attachname"
	"github.com/packagefs/packagefs/context/files"
	"github.com/packagefs/packagefs/context/solver"
	"github.com/packagefs/packagefs/pkgindex"
	"github.com/packagefs/packagefs/pkgindex/pkgmeta"
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
	s, err := c.packageSubject(m, attachname.Name{Kind: attachname.KindPackage}, caller)
	if err != nil {
		return nil, named(err, attachname.Name{Kind: attachname.KindPackage})
	}
	m.checking.Lock()
	defer m.checking.Unlock()
	if m.verdicts == nil {
		system, err := m.rules(files.System) // s has the caller's rules, too
		if err != nil {
			return nil, err
		}
		check := newCheck(m.catalog(), system)
		if err := check.run(ctx, progress); err != nil {
			return nil, err
		}
		m.verdicts = check.verdicts
	}
	open := caller.Trusted || s.rules.unrestricted() && s.may.unrestricted()
	var out []Verdict
	for _, v := range m.verdicts {
		if s.may != nil && !s.may.Allows(v.Package.Ref) {
			continue
		}
		if !v.OK && !open {
			v.Reason = ErrUnresolvable.Error()
		}
		out = append(out, v)
	}
	return out, nil
}

// CheckArchive is Check for packages that are not installed, but listed somewhere,
// with all rules left out.
func CheckArchive(ctx stdcontext.Context, packages []pkgmeta.Meta, progress func(done, total int)) ([]Verdict, error) {
	all := make([]*pkgindex.Package, len(packages))
	for i, m := range packages {
		all[i] = &pkgindex.Package{Meta: m, ID: uint64(i + 1)}
	}
	var contexts Contexts
	return contexts.Check(ctx, pkgindex.NewSet(1, all, nil), Caller{Trusted: true}, progress)
}

// A check is one run over all packages.
type check struct {
	pool     *solver.Pool
	rules    *rules
	verdicts []Verdict
	verdict  []int         // by place in the Set: which of verdicts is of the package, or −1
	proven   []atomic.Bool // by verdict: the package was seen in a closure
	order    []int         // of verdicts
	next     atomic.Int64  // of order
	done     atomic.Int64
}

// newCheck leaves out packages that are denied: nobody attaches to them.
func newCheck(of *catalog, r *rules) *check {
	c := &check{pool: of.pool, rules: r, verdict: make([]int, len(of.set.Packages))}
	needed := make(map[string]bool)
	for i, p := range of.set.Packages {
		for _, clause := range p.Depends {
			for _, t := range clause[:min(1, len(clause))] {
				needed[t.Name] = true
			}
		}
		c.verdict[i] = -1
		if !r.Denies(p.Ref) {
			c.verdict[i] = len(c.verdicts)
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
	var reporting sync.Mutex
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
					reporting.Lock()
					progress(int(c.done.Load()), len(c.order))
					reporting.Unlock()
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
	byBase := make(map[string][]*pkgmeta.Meta)
	for _, at := range some {
		if p := c.verdicts[at].Package; !c.proven[at].Load() {
			base := c.pool.Base(&p.Meta)
			byBase[base] = append(byBase[base], &p.Meta)
		}
	}
	for base, roots := range byBase {
		if len(roots) > 1 {
			c.pool.Together(solver.Question{Base: base, Rules: c.rules}, roots, func(i int) { c.prove(i, base) })
		}
	}
	for _, at := range some {
		if ctx.Err() == nil {
			c.one(at)
		}
	}
}

// prove notes that the package at i of the Set has its own closure. Where it is the
// root, packages that run everywhere must count as the same architecture.
func (c *check) prove(i int, base string) {
	if at := c.verdict[i]; at >= 0 && c.pool.Base(&c.verdicts[at].Package.Meta) == base {
		c.proven[at].Store(true)
	}
}

// one decides about one package.
func (c *check) one(at int) {
	v := &c.verdicts[at]
	if c.proven[at].Load() {
		v.OK = true
		return
	}
	failed := c.pool.Resolve(ownQuestion(c.pool, c.rules, &v.Package.Meta), []*pkgmeta.Meta{&v.Package.Meta}).Failed
	if v.OK = len(failed) == 0; !v.OK {
		v.Reason = failed[0].Reason
	}
}

// ownQuestion is that of the context of root alone.
func ownQuestion(pool *solver.Pool, r *rules, root *pkgmeta.Meta) solver.Question {
	return solver.Question{Base: pool.Base(root), Rules: r, Shown: map[string]*pkgmeta.Meta{root.Name: root}}
}
