package solver

import (
	"cmp"
	"slices"
	"strings"
	"testing"

	"github.com/packagefs/packagefs/context/solver/solvertest"
	"github.com/packagefs/packagefs/pkgindex/pkgmeta"
)

// archive reads packages in the order that NewPool wants.
func archive(t testing.TB, text string) []*pkgmeta.Meta {
	t.Helper()
	all := solvertest.Packages(t, text)
	slices.SortStableFunc(all, func(a, b *pkgmeta.Meta) int {
		if a.Name == b.Name && a.Scheme == b.Scheme {
			return cmp.Or(a.Scheme.Compare(b.Version, a.Version), strings.Compare(a.Architecture, b.Architecture))
		}
		return cmp.Or(strings.Compare(a.Name, b.Name), strings.Compare(string(a.Scheme), string(b.Scheme)))
	})
	return all
}

// poolOf has packages for amd64 and nothing in the root file system.
func poolOf(packages []*pkgmeta.Meta) *Pool { return NewPool(packages, nil, "amd64") }

// policyFor is one without rules.
func policyFor(packages []*pkgmeta.Meta) *policy {
	pool := poolOf(packages)
	return pool.policy(Question{Base: pool.Native()})
}

// numberOf is where the first package of that name is.
func numberOf(packages []*pkgmeta.Meta, name string) int32 {
	return int32(slices.IndexFunc(packages, func(p *pkgmeta.Meta) bool { return p.Name == name }))
}

// answer is what one root resolves to: it, and in parentheses what it brings, with
// versions where there are more than one. Where it does not, answer is the reason.
func answer(packages, assumed []*pkgmeta.Meta, root string) string {
	pool := NewPool(packages, assumed, "amd64")
	name, version, _ := strings.Cut(root, "=")
	var candidates []*pkgmeta.Meta
	versions := make(map[string]int)
	for _, p := range packages {
		versions[p.Name]++
		if p.Name == name && (version == "" || p.Version == version) {
			candidates = append(candidates, p)
		}
	}
	slices.SortStableFunc(candidates, func(a, b *pkgmeta.Meta) int { return pool.Rank(a) - pool.Rank(b) })
	first := candidates[0]
	c := pool.Resolve(Question{Base: pool.Base(first), Shown: map[string]*pkgmeta.Meta{name: first}}, candidates[:1])
	if len(c.Failed) > 0 {
		return c.Failed[0].Reason
	}
	needed := slices.DeleteFunc(c.Chosen[1:], func(c *Choice) bool { return c.At >= len(packages) })
	var out []string
	for _, c := range needed {
		out = append(out, "("+text(c.Package, versions)+")")
	}
	slices.Sort(out)
	return strings.Join(append([]string{text(first, versions)}, out...), " ")
}

func text(p *pkgmeta.Meta, versions map[string]int) string {
	s := p.Name
	if versions[p.Name] > 1 {
		s += "=" + p.Version
		if Architecture(p.Architecture) != "amd64" {
			s += ":" + p.Architecture
		}
	}
	return s
}
