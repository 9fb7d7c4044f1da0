package pkgpath

import (
	"path"
	"slices"
	"strings"
)

// IsClean says whether p is a clean absolute path, of names that a directory can
// hold, below the root.
func IsClean(p string) bool {
	return strings.HasPrefix(p, "/") && p != "/" && path.Clean(p) == p && !strings.Contains(p, "\x00") &&
		!slices.ContainsFunc(strings.Split(p, "/"), func(name string) bool { return len(name) > 255 })
}

// Leads returns the path that a symlink at link with that target leads to, all
// relative and clean but the target.
func Leads(link, target string) string {
	if !path.IsAbs(target) {
		target = path.Join("/", path.Dir(link), target)
	}
	return strings.TrimPrefix(path.Clean(target), "/")
}
