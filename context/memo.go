package context

import (
	"sync"

	"github.com/packagefs/packagefs/context/attachname"
	"github.com/packagefs/packagefs/context/files"
	"github.com/packagefs/packagefs/pkgindex"
)

const (
	// maxKept bounds the packages in the views that are kept for the next who
	// asks.
	maxKept = 1 << 20

	maxKeptViews = 1 << 14
)

// memo keeps what was worked out from one Set and one Snapshot.
type memo struct {
	snap *files.Snapshot
	*results

	checking sync.Mutex // guards verdicts
	verdicts []Verdict  // of all packages, once they were checked
}

// results keeps what was worked out from one Set, whatever became of the files:
// the keys tell their contents apart, so that the change of one context costs
// the others nothing.
type results struct {
	set     *pkgindex.Set
	catalog func() *catalog

	mu       sync.Mutex // guards what follows
	ruleSets map[string]*rules
	views    map[string]*work
	kept     int       // packages in views
	closures *Closures // of the files as they were when last asked for, or nil
}

// work is a view that is made by the first who asks.
type work struct {
	once sync.Once
	view *View
	err  error
}

// memoFor returns the memo for set and the files as they are. A set older than
// the one seen last gets one of its own.
func (c *Contexts) memoFor(set *pkgindex.Set) *memo {
	snap := c.Store.Snapshot()
	c.mu.Lock()
	defer c.mu.Unlock()
	last := c.memo
	if last != nil && last.set == set && last.snap == snap {
		return last
	}
	m := &memo{snap: snap}
	if last != nil && last.set == set {
		m.results = last.results
	} else {
		m.results = &results{
			set: set, ruleSets: make(map[string]*rules), views: make(map[string]*work),
			catalog: sync.OnceValue(func() *catalog { return newCatalog(set, c.Assumed, c.Architecture) }),
		}
	}
	if last == nil || last.set.Generation <= set.Generation {
		c.memo = m
	}
	return m
}

// rules puts together the files of these contexts, the farthest first.
func (m *memo) rules(contexts ...string) (*rules, error) {
	layers, key, err := layersOf(m.snap, contexts)
	if err != nil {
		return nil, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	r := m.ruleSets[key]
	if r == nil {
		if len(m.ruleSets) >= maxKeptViews {
			clear(m.ruleSets)
		}
		r = newRules(layers, key)
		m.ruleSets[key] = r
	}
	return r, nil
}

// view returns the view of a subject. Users to whom the same files apply share
// one, whose Name is not set.
func (m *memo) view(s *subject) (*View, error) {
	key := s.name.Selection() + "\x00" + s.rules.key
	switch s.name.Kind {
	case attachname.KindPackage:
		key = "package:" + key
	case attachname.KindAll:
		key = "all:" + key
	default:
		key = "user:" + key
	}
	if s.may != nil {
		key += "\x00" + s.may.key
	}
	m.mu.Lock()
	w := m.views[key]
	if w == nil {
		if len(m.views) >= maxKeptViews || m.kept >= maxKept {
			clear(m.views)
			m.kept = 0
		}
		w = new(work)
		m.views[key] = w
	}
	m.mu.Unlock()
	w.once.Do(func() {
		w.view, w.err = m.build(s)
		if w.view != nil {
			m.mu.Lock()
			m.kept += len(w.view.Packages)
			m.mu.Unlock()
		}
	})
	return w.view, w.err
}
