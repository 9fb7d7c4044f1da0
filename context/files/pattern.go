package files

import (
	"fmt"
	"path"
	"strings"

	"github.com/packagefs/packagefs/pkgindex/pkgmeta"
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

func (p Pattern) String() string { return pkgmeta.Ref(p).String() }

// IsGlob says whether the pattern can match more than one name.
func (p Pattern) IsGlob() bool { return hasMeta(p.Name) }

// MatchesName says whether the pattern is for that name, in some version.
func (p Pattern) MatchesName(name string) bool {
	return strings.HasPrefix(name, p.Prefix()) && match(p.Name, name)
}

// MatchesVersion says whether the pattern is for that version of its names.
func (p Pattern) MatchesVersion(version string) bool {
	return p.Version == "" || match(p.Version, version)
}

// Prefix is what every name that the pattern matches begins with.
func (p Pattern) Prefix() string { return literal(p.Name) }

// hasMeta says whether a glob can match anything but itself.
func hasMeta(glob string) bool { return strings.ContainsAny(glob, `*?[\`) }

// match applies a glob that was checked.
func match(glob, s string) bool {
	ok, err := path.Match(glob, s)
	return ok && err == nil
}

// literal is the part of a glob before its first special character: everything
// that it matches begins so.
func literal(glob string) string {
	if i := strings.IndexAny(glob, `*?[\`); i >= 0 {
		return glob[:i]
	}
	return glob
}
