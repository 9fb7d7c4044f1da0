package context

import (
	"sync"

	"github.com/packagefs/packagefs/context/attachname"
	"github.com/packagefs/packagefs/context/files"
	"github.com/packagefs/packagefs/pkgindex"
)

// Closures tells what packages need by themselves, with the packages of one Set
// and the context files of one moment.
type Closures struct {
	results *results
	rules   *rules   // of the context system
	known   sync.Map // *pkgindex.Package → *closureOf
}

// closureOf is less to keep than a whole View.
type closureOf struct {
	packages []*pkgindex.Package
	err      error
}

// closuresNow returns the same Closures for as long as neither the Set nor the
// meaning of the context system changes.
func (m *memo) closuresNow() (*Closures, error) {
	r, err := m.rules(files.System)
	if err != nil {
		return nil, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.closures == nil || m.closures.rules != r {
		m.closures = &Closures{results: m.results, rules: r}
	}
	return m.closures, nil
}

// Of returns what the context package:NAME=VERSION of p shows, in its order. The
// error is that of an attach to it. Where p shares its Ref with a package of
// another architecture or format, the context may be that one's, and have no p.
// The caller must not change the slice.
func (c *Closures) Of(p *pkgindex.Package) ([]*pkgindex.Package, error) {
	if w, ok := c.known.Load(p); ok {
		return w.(*closureOf).packages, w.(*closureOf).err
	}
	m, name, w := &memo{results: c.results}, attachname.OfPackage(p.Ref), new(closureOf)
	if v, err := m.build(&subject{name: name, rules: c.rules}); err != nil {
		w.err = named(err, name)
	} else {
		w.packages = v.Packages
	}
	c.known.Store(p, w)
	return w.packages, w.err
}
