package pkgindex

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/packagefs/packagefs/pkgindex/pkgmeta"
)

// publish makes a generation of what changed in the table, and takes away the
// files of packages that are gone.
func (inv *inventory) publish() {
	added, removed, rejected, changed := inv.difference()
	set := inv.store.current.Load()
	if changed {
		next := set.with(added, removed)
		next.Rejected = rejected
		next.Pending = inv.pending
		next.Alternatives = inv.alternatives(next.Alternatives)
		inv.store.current.Store(next)
		for _, p := range added {
			inv.store.config.Log.Info().Str("package", p.Ref.String()).Str("file", p.File).Msg("package is live")
		}
		for _, p := range removed {
			if !slices.ContainsFunc(added, func(a *Package) bool { return a.ID == p.ID }) {
				inv.store.config.Log.Info().Str("package", p.Ref.String()).Str("file", p.File).Msg("package is gone")
			}
		}
		if inv.store.config.OnChange != nil {
			inv.store.config.OnChange(next)
		}
	}
	for _, imp := range inv.dead {
		imp.gone.Store(true)
		inv.store.payloads.forget(imp)
		if !inv.uses(imp.id) {
			os.Remove(inv.store.indexPath(imp.id))
			os.Remove(inv.store.payloadPath(imp.id))
		}
	}
	inv.dead = nil
	for _, done := range inv.changed {
		done()
	}
	inv.changed = nil
	if inv.pending == 0 {
		for _, c := range inv.waiting {
			close(c)
		}
		inv.waiting = nil
	}
}

// sweep removes what no package file accounts for from the state directory.
func (inv *inventory) sweep() {
	for _, dir := range []string{filepath.Dir(inv.store.indexPath("")), filepath.Dir(inv.store.payloadPath(""))} {
		entries, err := os.ReadDir(dir)
		if err != nil {
			inv.store.config.Log.Warn().Err(err).Msg("state directory is not swept")
			continue
		}
		for _, e := range entries {
			id, _, _ := strings.Cut(e.Name(), ".")
			if !inv.uses(id) {
				os.Remove(filepath.Join(dir, e.Name()))
			}
		}
	}
}

// difference compares the table with what is published, which it then takes to be
// the same.
func (inv *inventory) difference() (added, removed []*Package, rejected []Rejected, changed bool) {
	if !inv.noise && len(inv.touched) == 0 {
		return nil, nil, nil, false
	}
	removed, inv.removed = inv.removed, nil
	for id := range inv.touched {
		files := inv.byPackage[id]
		if len(files) == 0 {
			delete(inv.byPackage, id)
			continue
		}
		for i, f := range files {
			if f.pkg != nil {
				removed = append(removed, f.pkg)
				f.pkg = nil
			}
			if i == 0 {
				inv.setAside(f, "")
				f.pkg = inv.overrideFor(id.Ref).apply(f.imported)
				f.pkg.Signer = f.signer
				added = append(added, f.pkg)
			} else {
				inv.setAside(f, fmt.Sprintf("%s (%s) is installed already, from %s; remove one of the two", id.Ref, id.architecture, files[0].path))
			}
		}
	}
	for f := range inv.aside {
		rejected = append(rejected, Rejected{filepath.Base(f.path), f.reason})
	}
	for name, reason := range inv.faults {
		rejected = append(rejected, Rejected{filepath.Join("overrides", name), reason})
	}
	for _, fault := range inv.keyFaults {
		rejected = append(rejected, Rejected{filepath.Join("trust", fault.File), fault.Err.Error()})
	}
	slices.SortFunc(rejected, func(a, b Rejected) int { return strings.Compare(a.File, b.File) })
	clear(inv.touched)
	inv.noise = false
	return added, removed, rejected, true
}

// overrideFor prefers the file that names the version.
func (inv *inventory) overrideFor(ref pkgmeta.Ref) *override {
	if o := inv.overrides[ref.String()]; o != nil {
		return o
	}
	return inv.overrides[ref.Name]
}
