package pkgindex

import (
	"fmt"
	"maps"
	"path"
	"reflect"
	"slices"

	"github.com/packagefs/packagefs/pkgindex/pkgpath"
)

// An Alternative is a path at which each tree has a symlink to one of several
// files, whichever it has.
type Alternative struct {
	Path    string // relative and clean
	Targets []AlternativeTarget
}

// An AlternativeTarget is one of the files that an Alternative may lead to.
type AlternativeTarget struct {
	Target string // of the symlink, verbatim
	Leads  string // where that is in a tree: relative and clean
	File   string // base name of the override file that has it
}

// Alternatives are those that the override files declare together.
type Alternatives struct {
	List []Alternative // by path
}

// maxTargets is how many files one alternative of one override file may lead to.
const maxTargets = 1000

// parseAlternatives checks the key alternatives. Path aliases apply to the paths
// of links, as they do to those of packages.
func (o *override) parseAlternatives(aliases pkgpath.Aliases) ([]Alternative, error) {
	const key = "alternatives"
	var list []Alternative
	seen := make(map[string]string)
	for _, p := range slices.Sorted(maps.Keys(o.Alternatives)) {
		targets := o.Alternatives[p]
		if _, ok := o.Links[p]; ok {
			return nil, fmt.Errorf("%s %q: stands in links, too", key, p)
		}
		if len(targets) == 0 || len(targets) > maxTargets {
			return nil, fmt.Errorf("%s %q: want 1 to %d files that it may lead to, as in [\"mawk\", \"gawk\"]", key, p, maxTargets)
		}
		a := Alternative{}
		for _, target := range targets {
			rel, err := linkPath(key, p, target)
			if err != nil {
				return nil, err
			}
			a.Path, _ = aliases.Apply(rel)
			to, _ := aliases.Apply(pkgpath.Leads(a.Path, target))
			if to == a.Path || to == "" {
				return nil, fmt.Errorf("%s %q: %q leads to the link itself, or to no file", key, p, target)
			}
			a.Targets = append(a.Targets, AlternativeTarget{target, to, o.file})
		}
		if twin, ok := seen[a.Path]; ok {
			return nil, fmt.Errorf("%s %q: is the same path as %q", key, p, twin)
		}
		seen[a.Path] = p
		list = append(list, a)
	}
	for _, a := range list {
		for above := path.Dir(a.Path); above != "."; above = path.Dir(above) {
			if twin, ok := seen[above]; ok {
				return nil, fmt.Errorf("%s %q: lies below the link %q", key, seen[a.Path], twin)
			}
		}
	}
	return list, nil
}

// alternatives puts together what the override files declare: where several have
// one path, in the order of their names. It returns have if that says the same.
func (inv *inventory) alternatives(have *Alternatives) *Alternatives {
	byPath := make(map[string][]AlternativeTarget)
	for _, ref := range slices.Sorted(maps.Keys(inv.overrides)) {
		for _, a := range inv.overrides[ref].alternatives {
			for _, target := range a.Targets {
				known := func(o AlternativeTarget) bool { return o.Target == target.Target }
				if !slices.ContainsFunc(byPath[a.Path], known) {
					byPath[a.Path] = append(byPath[a.Path], target)
				}
			}
		}
	}
	if len(byPath) == 0 {
		return nil
	}
	next := &Alternatives{}
	for _, p := range slices.Sorted(maps.Keys(byPath)) {
		next.List = append(next.List, Alternative{p, byPath[p]})
	}
	if reflect.DeepEqual(have, next) {
		return have
	}
	return next
}
