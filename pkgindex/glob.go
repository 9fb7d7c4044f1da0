package pkgindex

import (
	"fmt"
	"slices"
	"strings"

	"github.com/bmatcuk/doublestar/v4"
)

// globs are patterns of relative paths, in which ** matches across slashes.
type globs []string

func (g globs) Match(p string) bool {
	return slices.ContainsFunc(g, func(pattern string) bool { return doublestar.MatchUnvalidated(pattern, p) })
}

// parseGlobs reads a list of globs; it returns nil for none.
func parseGlobs(key string, list []string) (globs, error) {
	if list == nil {
		return nil, nil
	}
	parsed := globs{}
	for _, g := range list {
		g, err := parseGlob(key, g)
		if err != nil {
			return nil, err
		}
		parsed = append(parsed, g)
	}
	return parsed, nil
}

// parseGlob reads a glob of absolute paths, and makes it one of relative ones.
func parseGlob(key, g string) (string, error) {
	if !doublestar.ValidatePattern(g) || !strings.HasPrefix(g, "/") {
		return "", fmt.Errorf("%s %q: not a glob of absolute paths such as /etc/**", key, g)
	}
	return strings.TrimPrefix(g, "/"), nil
}

// globSyntax are the characters that a glob cannot have without meaning them.
const globSyntax = `*?[]{}\\`

// isPattern says whether the glob g may match more than one path.
func isPattern(g string) bool { return strings.ContainsAny(g, globSyntax) }

// globOf is a glob that the path p, as in Entry, matches alone.
func globOf(p string) string {
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
