package pkgindex

import (
	"context"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/packagefs/packagefs/pkgindex/staging"
)

// Garbage is something that nobody needs any more.
type Garbage struct {
	Path  string
	What  string // what it is
	Bytes int64
}

// staleAfter is how old a file that is being made must be, to be taken for one
// that somebody left.
const staleAfter = time.Hour

// Garbage finds what killed servers and installs have left in the state directory
// and in the package directories, and removes it if remove is set. What they had
// decided is ended, not removed, and is not garbage.
func (s *Store) Garbage(ctx context.Context, remove bool) ([]Garbage, error) {
	var all []Garbage
	err := s.change(ctx, func(inv *inventory) error {
		leftovers, err := s.leftovers()
		if err != nil {
			return err
		}
		for _, l := range leftovers {
			path := filepath.Join(l.dir, l.name)
			if strings.HasPrefix(l.name, staging.Prefix) || strings.HasPrefix(l.name, removedPrefix) {
				all = append(all, Garbage{path, "left by an install or remove that was killed", treeSize(path)})
			}
			if remove {
				if err := l.end(); err != nil {
					return err
				}
			}
		}
		for _, sub := range []string{"index", "payload"} {
			unneeded, err := inv.unneeded(filepath.Join(s.config.State, sub), remove)
			if err != nil {
				return err
			}
			all = append(all, unneeded...)
		}
		return nil
	})
	slices.SortFunc(all, func(a, b Garbage) int { return strings.Compare(a.Path, b.Path) })
	return all, err
}

// unneeded finds what in dir, of indexes or payloads, no package file has.
func (inv *inventory) unneeded(dir string, remove bool) (all []Garbage, err error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	for _, e := range entries {
		id, kind, _ := strings.Cut(e.Name(), ".")
		info, err := e.Info()
		if err != nil || inv.uses(id) {
			continue
		}
		what := kind + " without a package file"
		if strings.HasPrefix(e.Name(), tempPrefix) {
			if time.Since(info.ModTime()) < staleAfter {
				continue
			}
			what = "not finished, and nobody is at it"
		}
		path := filepath.Join(dir, e.Name())
		all = append(all, Garbage{path, what, info.Size()})
		if remove {
			if err := os.Remove(path); err != nil {
				return nil, err
			}
		}
	}
	return all, nil
}

// treeSize counts the bytes of the files below path.
func treeSize(path string) (n int64) {
	filepath.WalkDir(path, func(_ string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return nil
		}
		if info, err := e.Info(); err == nil {
			n += info.Size()
		}
		return nil
	})
	return n
}
