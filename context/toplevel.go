package context

import (
	"fmt"
	"maps"
	"slices"
	"sort"
	"strings"

	"github.com/packagefs/packagefs/context/attachname"
	"github.com/packagefs/packagefs/context/files"
	"github.com/packagefs/packagefs/context/solver"
	"github.com/packagefs/packagefs/pkgindex"
	"github.com/packagefs/packagefs/pkgindex/pkgmeta"
)

// A pick is a toplevel package and why it is one.
type pick struct {
	pkg *pkgindex.Package
	why Why
}

func rootsOf(picks []pick) []*pkgmeta.Meta {
	out := make([]*pkgmeta.Meta, len(picks))
	for i, p := range picks {
		out[i] = &p.pkg.Meta
	}
	return out
}

// allowed says whether the attach name may select that package.
func (b *builder) allowed(ref pkgmeta.Ref) bool {
	if b.name.Kind == attachname.KindPackage || b.name.Kind == attachname.KindAll {
		// The allow list of system is one for users, not for packages.
		return !b.rules.Denies(ref) && (b.may == nil || b.may.Allows(ref))
	}
	return b.rules.Allows(ref)
}

func (b *builder) allowedRef(ref pkgmeta.Ref) (ok bool, reason string) {
	if b.name.Kind != attachname.KindPackage && b.name.Kind != attachname.KindAll {
		return b.rules.allowsRef(ref), b.rules.refusal(ref)
	}
	if b.may != nil && !b.may.allowsRef(ref) {
		return false, b.may.refusal(ref)
	}
	if ref.Version == "" && b.rules.deny.namesAll(ref.Name) || b.rules.Denies(ref) {
		return false, b.rules.refusal(ref)
	}
	return true, ""
}

// selected picks the packages that the attach name selects, one of each name;
// of two versions of one name the last counts.
func (b *builder) selected() ([]pick, error) {
	refs := b.name.Selectors(func(ref pkgmeta.Ref) bool {
		return slices.ContainsFunc(b.catalog.set.Named(ref.Name), func(p *pkgindex.Package) bool {
			return (ref.Version == "" || p.Version == ref.Version) && b.allowed(p.Ref)
		})
	})
	var picks []pick
	for _, ref := range refs {
		p, err := b.selectOne(ref)
		if err != nil {
			return nil, err
		}
		chosen := pick{p, Why{Toplevel: true, Pattern: ref.String()}}
		if i := slices.IndexFunc(picks, func(o pick) bool { return o.pkg.Name == p.Name }); i >= 0 {
			picks[i] = chosen
		} else {
			picks = append(picks, chosen)
		}
	}
	b.selectors = len(picks)
	return picks, nil
}

func (b *builder) selectOne(ref pkgmeta.Ref) (*pkgindex.Package, error) {
	if ok, reason := b.allowedRef(ref); !ok {
		return nil, &attachname.Error{Class: ErrDenied, Reason: fmt.Sprintf("%s is %s", ref, reason)}
	}
	of := b.catalog.set.Named(ref.Name)
	if len(of) == 0 {
		return nil, &attachname.Error{Class: ErrNotInstalled, Reason: ref.String() + " is not installed"}
	}
	fits := b.catalog.sorted(of, func(have pkgmeta.Ref) bool {
		if ref.Version != "" && have.Version != ref.Version {
			return false
		}
		return b.allowed(have) && (ref.Version != "" || b.rules.MeetsPin(have))
	})
	if len(fits) > 0 {
		return fits[0], nil
	}
	reason := solver.InstalledVersions(nil, metas(of))
	if pin, file, ok := b.rules.pin(ref.Name); ok && ref.Version == "" {
		reason += fmt.Sprintf(", but %s pins it to %s", file, pin.Version)
	}
	return nil, &attachname.Error{Class: ErrNotInstalled, Reason: ref.String() + ": " + reason}
}

// everything makes every allowed package toplevel, one version of each name.
func (b *builder) everything() {
	b.members = slices.Grow(b.members, len(b.catalog.set.Packages))
	for ps := range b.catalog.named {
		name := ps[0].Name
		if b.shown[name] != nil {
			continue
		}
		allowed := b.catalog.sorted(ps, b.rules.Allows)
		if len(allowed) == 0 {
			continue
		}
		if p := b.pinnedOf(allowed); p != nil {
			b.add(p, Why{Toplevel: true})
		} else {
			b.missPin(name, "", allowed)
		}
	}
}

// pinnedOf returns the first that the pins admit.
func (b *builder) pinnedOf(ps []*pkgindex.Package) *pkgindex.Package {
	if i := slices.IndexFunc(ps, func(p *pkgindex.Package) bool { return b.rules.MeetsPin(p.Ref) }); i >= 0 {
		return ps[i]
	}
	return nil
}

func (b *builder) missPin(name, from string, installed []*pkgindex.Package) {
	pin, file, _ := b.rules.pin(name)
	reason := fmt.Sprintf("%s pins it to %s: %s", file, pin.Version, solver.InstalledVersions(nil, metas(installed)))
	b.miss(name, from, reason, reason)
}

// toplevel picks what the toplevel lists ask for, by name, and adds it.
func (b *builder) toplevel() []pick {
	asked := make(map[string][]toplevelEntry) // by name, the nearest layer's first
	for _, e := range b.rules.toplevel {
		names := b.matching(e.Pattern)
		if len(names) == 0 {
			b.missEntry(e)
		}
		for _, name := range names {
			asked[name] = append(asked[name], e)
		}
	}
	var picks []pick
	for _, name := range slices.Sorted(maps.Keys(asked)) {
		if b.shown[name] != nil {
			continue // the attach name's choice is nearer than any file's
		}
		if p, e := b.pickOf(name, asked[name]); p != nil {
			why := Why{Toplevel: true, Pattern: e.Pattern.String(), File: e.layer.base}
			b.add(p, why)
			picks = append(picks, pick{p, why})
		}
	}
	return picks
}

// matching returns the names of the installed packages that p selects and the
// rules allow.
func (b *builder) matching(p files.Pattern) (names []string) {
	prefix := p.Prefix()
	ps := b.catalog.set.Packages
	ps = ps[sort.Search(len(ps), func(i int) bool { return ps[i].Name >= prefix }):]
	for _, q := range ps {
		if !strings.HasPrefix(q.Name, prefix) || prefix == p.Name && q.Name != prefix {
			break
		}
		if len(names) > 0 && names[len(names)-1] == q.Name {
			continue
		}
		if p.MatchesName(q.Name) && p.MatchesVersion(q.Version) && b.rules.Allows(q.Ref) {
			names = append(names, q.Name)
		}
	}
	return names
}

// missEntry notes an entry of a toplevel list that selects nothing.
func (b *builder) missEntry(e toplevelEntry) {
	text, from := e.Pattern.String(), e.layer.base
	if e.IsGlob() {
		b.miss(text, from, "no installed package matches that may be shown", "no installed package matches")
		return
	}
	of := b.catalog.set.Named(e.Name)
	allowed := b.catalog.sorted(of, b.rules.Allows)
	switch {
	case len(of) == 0:
		b.miss(text, from, "not installed", "not installed")
	case len(allowed) > 0:
		reason := solver.InstalledVersions(nil, metas(allowed))
		b.miss(text, from, reason, reason)
	default:
		b.miss(text, from, "it is "+b.rules.refusal(of[0].Ref), "not installed")
	}
}

// pickOf chooses the version of a name: what the nearest entry with a version
// asks for, else what the pins admit, else the newest. Entries that ask for
// another one are noted.
func (b *builder) pickOf(name string, entries []toplevelEntry) (p *pkgindex.Package, by toplevelEntry) {
	allowed := b.catalog.sorted(b.catalog.set.Named(name), b.rules.Allows)
	for _, e := range entries {
		if e.Version == "" {
			continue
		}
		if p == nil {
			i := slices.IndexFunc(allowed, func(q *pkgindex.Package) bool { return e.MatchesVersion(q.Version) })
			p, by = allowed[i], e
		} else if !e.MatchesVersion(p.Version) {
			reason := fmt.Sprintf("%s asks for %s, which is nearer", by.layer.base, by.Pattern)
			b.miss(e.Pattern.String(), e.layer.base, reason, reason)
		}
	}
	if p != nil {
		return p, by
	}
	if p = b.pinnedOf(allowed); p == nil {
		b.missPin(name, entries[0].layer.base, allowed)
	}
	return p, entries[0]
}
