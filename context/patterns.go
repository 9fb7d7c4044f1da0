package context

import (
	"github.com/packagefs/packagefs/context/files"
	"github.com/packagefs/packagefs/pkgindex/pkgmeta"
)

// patterns is a list of Patterns made fast to search. The nil *patterns matches
// nothing.
type patterns struct {
	list  []files.Pattern
	exact map[string][]int // name → indexes of patterns without a glob of names
	globs []int
}

func newPatterns(list []files.Pattern) *patterns {
	s := &patterns{list: list, exact: make(map[string][]int)}
	for i, p := range list {
		if p.IsGlob() {
			s.globs = append(s.globs, i)
		} else {
			s.exact[p.Name] = append(s.exact[p.Name], i)
		}
	}
	return s
}

// first returns the index of the first pattern that matches name and for which
// ok holds, or −1.
func (s *patterns) first(name string, ok func(files.Pattern) bool) int {
	if s == nil {
		return -1
	}
	exact := -1
	for _, i := range s.exact[name] {
		if ok(s.list[i]) {
			exact = i
			break
		}
	}
	for _, i := range s.globs {
		if exact >= 0 && i > exact {
			break
		}
		if p := s.list[i]; p.MatchesName(name) && ok(p) {
			return i
		}
	}
	return exact
}

// index returns the index of the first pattern that matches that version of that
// name, or −1.
func (s *patterns) index(ref pkgmeta.Ref) int {
	return s.first(ref.Name, func(p files.Pattern) bool { return p.MatchesVersion(ref.Version) })
}

// names says whether some version of that name may match.
func (s *patterns) names(name string) bool {
	return s.first(name, func(files.Pattern) bool { return true }) >= 0
}

// namesAll says whether every version of that name matches.
func (s *patterns) namesAll(name string) bool {
	return s.first(name, func(p files.Pattern) bool { return p.Version == "" }) >= 0
}
