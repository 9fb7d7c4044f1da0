package enter

import (
	"slices"
	"strings"

	"github.com/packagefs/packagefs/cmd/packagefs/internal/mount"
)

// under tells whether a path is dir or below it.
func under(path, dir string) bool {
	return path == dir || dir == "/" || strings.HasPrefix(path, dir) && path[len(dir)] == '/'
}

// below gives the mounts below a directory, without those below another of them.
func below(all []mount.Line, dir string) (points []string) {
	for _, m := range all {
		inOther := func(p string) bool { return under(m.Point, p) }
		if m.Point != dir && under(m.Point, dir) && !slices.ContainsFunc(points, inOther) {
			points = append(points, m.Point)
		}
	}
	return points
}

// isStacked tells whether a mount is a directory of a context that is stacked on
// the root.
func isStacked(m *mount.Line) bool {
	origin, _, _ := strings.Cut(m.Source, " ")
	return m.Type == "overlay" && origin == overlaySource
}
