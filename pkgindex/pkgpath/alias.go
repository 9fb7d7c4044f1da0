package pkgpath

import (
	"fmt"
	"hash/fnv"
	"slices"
	"strings"
)

// Aliases maps a directory at the root to where it lives now, both relative:
// "bin" → "usr/bin". They are applied when a package is indexed, so that
// packages from before and after a move meet in one place.
type Aliases map[string]string

// UsrMerge is the merge of the root's program directories into /usr.
var UsrMerge = Aliases{
	"bin":   "usr/bin",
	"sbin":  "usr/sbin",
	"lib":   "usr/lib",
	"lib64": "usr/lib64",
}

// Apply returns path with an alias replaced, and the alias that was used or "".
func (a Aliases) Apply(path string) (moved, alias string) {
	first, rest, below := strings.Cut(path, "/")
	to, ok := a[first]
	switch {
	case !ok:
		return path, ""
	case !below:
		return to, first
	default:
		return to + "/" + rest, first
	}
}

// Check refuses aliases that are not one name at the root, or lead to another
// alias.
func (a Aliases) Check() error {
	for from, to := range a {
		if from == "" || strings.Contains(from, "/") {
			return fmt.Errorf("path alias %q: want one name at the root", from)
		}
		if moved, again := a.Apply(to); again != "" {
			return fmt.Errorf("path alias %q: %q is an alias itself, of %q", from, to, moved)
		}
	}
	return nil
}

// Sum identifies the aliases: an index made with others must be made again.
func (a Aliases) Sum() uint64 {
	h := fnv.New64a()
	var pairs []string
	for from, to := range a {
		pairs = append(pairs, from+"\x00"+to+"\x00")
	}
	slices.Sort(pairs)
	for _, p := range pairs {
		h.Write([]byte(p))
	}
	return h.Sum64()
}
