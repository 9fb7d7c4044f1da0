package context

import (
	"fmt"
	"path"
	"strings"

	"github.com/packagefs/packagefs/pkgindex"
)

// A Pattern selects packages: NAME or NAME=VERSION, both of them globs with *, ?
// and [a-z].
type Pattern struct {
	Name    string
	Version string // empty: any
}

func parsePattern(s string) (Pattern, error) {
	name, version, cut := strings.Cut(s, "=")
	p := Pattern{name, version}
	switch {
	case name == "" || cut && version == "":
		return p, fmt.Errorf("%q is not a package: want NAME or NAME=VERSION, * and ? match anything", s)
	case strings.ContainsAny(s, "/, \t\n\x00"):
		return p, fmt.Errorf("%q has a blank, comma or slash: write one package a string", s)
	}
	for _, glob := range []string{name, version} {
		if _, err := path.Match(glob, ""); err != nil {
			return p, fmt.Errorf("%q is not a glob: a [ has no ]", s)
		}
	}
	return p, nil
}

func (p Pattern) String() string { return pkgindex.Ref(p).String() }

// hasMeta says whether a glob can match anything but itself.
func hasMeta(glob string) bool { return strings.ContainsAny(glob, `*?[\`) }

// match applies a glob that was checked.
func match(glob, s string) bool {
	ok, err := path.Match(glob, s)
	return ok && err == nil
}

func (p Pattern) matchVersion(version string) bool {
	return p.Version == "" || match(p.Version, version)
}

// literal is the part of a glob before its first special character: everything
// that it matches begins so.
func literal(glob string) string {
	if i := strings.IndexAny(glob, `*?[\`); i >= 0 {
		return glob[:i]
	}
	return glob
}

// patterns is a list of Patterns made fast to search. The nil *patterns matches
// nothing.
type patterns struct {
	list  []Pattern
	exact map[string][]int // name → indexes of patterns without a glob of names
	globs []int
}

func newPatterns(list []Pattern) *patterns {
	s := &patterns{list: list, exact: make(map[string][]int)}
	for i, p := range list {
		if hasMeta(p.Name) {
			s.globs = append(s.globs, i)
		} else {
			s.exact[p.Name] = append(s.exact[p.Name], i)
		}
	}
	return s
}

// first returns the index of the first pattern that matches name and for which
// ok holds, or −1.
func (s *patterns) first(name string, ok func(Pattern) bool) int {
	if s == nil {
		return -1
	}
	found := -1
	for _, i := range s.exact[name] {
		if ok(s.list[i]) {
			found = i
			break
		}
	}
	for _, i := range s.globs {
		if found >= 0 && i > found {
			break
		}
		if p := s.list[i]; strings.HasPrefix(name, literal(p.Name)) && match(p.Name, name) && ok(p) {
			return i
		}
	}
	return found
}

// index returns the index of the first pattern that matches that version of that
// name, or −1.
func (s *patterns) index(ref pkgindex.Ref) int {
	return s.first(ref.Name, func(p Pattern) bool { return p.matchVersion(ref.Version) })
}

// names says whether some version of that name may match.
func (s *patterns) names(name string) bool {
	return s.first(name, func(Pattern) bool { return true }) >= 0
}

// namesAll says whether every version of that name matches.
func (s *patterns) namesAll(name string) bool {
	return s.first(name, func(p Pattern) bool { return p.Version == "" }) >= 0
}
