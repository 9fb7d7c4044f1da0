package pkgpath

import (
	"fmt"
	"slices"
	"strings"

	"github.com/bmatcuk/doublestar/v4"
)

// Globs are patterns of relative paths, in which ** matches across slashes.
type Globs []string

func (g Globs) Match(p string) bool {
	return slices.ContainsFunc(g, func(pattern string) bool { return doublestar.MatchUnvalidated(pattern, p) })
}

// ParseGlobs reads a list of globs; it returns nil for none.
func ParseGlobs(key string, list []string) (Globs, error) {
	if list == nil {
		return nil, nil
	}
	parsed := Globs{}
	for _, g := range list {
		g, err := ParseGlob(key, g)
		if err != nil {
			return nil, err
		}
		parsed = append(parsed, g)
	}
	return parsed, nil
}

// ParseGlob reads a glob of absolute paths, and makes it one of relative ones.
func ParseGlob(key, g string) (string, error) {
	if !doublestar.ValidatePattern(g) || !strings.HasPrefix(g, "/") {
		return "", fmt.Errorf("%s %q: not a glob of absolute paths such as /etc/**", key, g)
	}
	return strings.TrimPrefix(g, "/"), nil
}

// globSyntax are the characters that a glob cannot have without meaning them.
const globSyntax = `*?[]{}\\`

// IsPattern says whether the glob g may match more than one path.
func IsPattern(g string) bool { return strings.ContainsAny(g, globSyntax) }

// QuoteGlob is a glob that the path p, as in Entry, matches alone.
func QuoteGlob(p string) string {
	var b strings.Builder
	b.WriteByte('/')
	for i := range len(p) {
		if strings.IndexByte(globSyntax, p[i]) >= 0 {
			b.WriteByte('\\')
		}
		b.WriteByte(p[i])
	}
	return b.String()
}
