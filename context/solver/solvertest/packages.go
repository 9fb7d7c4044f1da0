// Package solvertest has archives as text, for tests of the solver and of those who
// ask it.
package solvertest

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/packagefs/packagefs/pkgindex/pkgmeta"
	"github.com/packagefs/packagefs/pkgindex/relation"
	"github.com/packagefs/packagefs/pkgindex/version"
)

// Packages reads packages as text, in its order. A line "NAME VERSION: DEPENDS"
// begins one; indented lines "key: value" say more of it: provides, conflicts,
// replaces, arch, multi-arch and scheme. Without them it is a Debian package for
// amd64.
func Packages(t testing.TB, text string) []*pkgmeta.Meta {
	t.Helper()
	var all []*pkgmeta.Meta
	for line := range strings.Lines(text) {
		key, value, ok := strings.Cut(strings.TrimRight(line, "\n"), ": ")
		if !ok {
			key, ok = strings.CutSuffix(strings.TrimRight(line, " \n"), ":")
		}
		if strings.TrimSpace(line) == "" {
			continue
		}
		if !ok {
			t.Fatalf("no colon in %q", line)
		}
		if strings.HasPrefix(line, " ") {
			setKey(t, all[len(all)-1], strings.TrimSpace(key), value)
			continue
		}
		name, ver, _ := strings.Cut(key, " ")
		all = append(all, &pkgmeta.Meta{
			Ref:          pkgmeta.Ref{Name: name, Version: ver},
			Architecture: "amd64", Scheme: version.Debian, Format: pkgmeta.Deb,
			Depends: clauses(t, value),
		})
	}
	return all
}

func setKey(t testing.TB, p *pkgmeta.Meta, key, value string) {
	t.Helper()
	switch key {
	case "provides":
		p.Provides = terms(t, value)
	case "conflicts":
		p.Conflicts = terms(t, value)
	case "replaces":
		p.Replaces = terms(t, value)
	case "arch":
		p.Architecture = value
	case "multi-arch":
		p.MultiArch = value
	case "scheme":
		p.Scheme = version.Scheme(value)
		p.Format = map[string]pkgmeta.Format{"alpine": pkgmeta.Apk, "pacman": pkgmeta.Arch, "rpm": pkgmeta.Rpm}[value]
	default:
		t.Fatalf("unknown key %q", key)
	}
}

func clauses(t testing.TB, s string) []relation.Clause {
	t.Helper()
	if strings.TrimSpace(s) == "" {
		return nil
	}
	c, err := relation.ParseDebian(s, "")
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func terms(t testing.TB, s string) (out []relation.Term) {
	t.Helper()
	for _, c := range clauses(t, s) {
		out = append(out, c...)
	}
	return out
}

// Pigeons is an archive in which each of n packages needs a place of its own, and
// there are so many places. A place is a virtual package that those who provide it
// conflict with, or one name whose versions stand for who has it.
func Pigeons(n, places int, versions bool) string {
	var b strings.Builder
	var all []string
	for i := range n {
		var mine []string
		for j := range places {
			if versions {
				mine = append(mine, fmt.Sprintf("place%d (= %d)", j, i))
				fmt.Fprintf(&b, "place%d %d:\n", j, i)
			} else {
				mine = append(mine, fmt.Sprintf("in%d-%d", i, j))
				fmt.Fprintf(&b, "in%d-%d 1:\n provides: place%d\n conflicts: place%d\n", i, j, j, j)
			}
		}
		fmt.Fprintf(&b, "pigeon%d 1: %s\n", i, strings.Join(mine, " | "))
		all = append(all, fmt.Sprintf("pigeon%d", i))
	}
	return "app 1: " + strings.Join(all, ", ") + "\n" + b.String()
}

// Random is a small archive at random: six names in one or two versions each, with
// needs, conflicts and one virtual package, v.
func Random(r *rand.Rand) string {
	var b strings.Builder
	names := []string{"a", "b", "c", "d", "e", "f"}
	term := func() string {
		n := names[r.IntN(len(names))]
		if r.IntN(8) == 0 {
			n = "v"
		}
		switch r.IntN(4) {
		case 0:
			return n + " (>= 2)"
		case 1:
			return n + " (<< 2)"
		}
		return n
	}
	list := func(most int, sep string) string {
		var out []string
		for range r.IntN(most + 1) {
			out = append(out, term())
		}
		return strings.Join(out, sep)
	}
	for _, n := range names {
		for version := range 1 + r.IntN(2) {
			var depends []string
			for range r.IntN(4) {
				if clause := list(3, " | "); clause != "" {
					depends = append(depends, clause)
				}
			}
			fmt.Fprintf(&b, "%s %d: %s\n conflicts: %s\n", n, version+1, strings.Join(depends, ", "), list(2, ", "))
			if r.IntN(4) == 0 {
				fmt.Fprintf(&b, " provides: v (= %d)\n", 1+r.IntN(2))
			}
		}
	}
	return b.String()
}
