package enter

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/packagefs/packagefs/cmd/packagefs/internal/mount"
)

// layers are what is stacked on the root.
type layers struct {
	dirs    []string            // top directories, usr last: what finds the root is below it
	of      map[string][]string // the contexts that have each, the uppermost first
	missing []string            // top directories that the root has not
}

// layers finds what can be stacked.
func (d *contextsDir) layers(o *Options) (*layers, error) {
	l := &layers{of: map[string][]string{}}
	for _, name := range []string{o.Context, o.Base} {
		if name == "" || name == o.Context && len(l.of) > 0 {
			continue
		}
		top, err := d.open(name)
		if errors.Is(err, ErrNoContext) && name == o.Base {
			continue // it is not what this entry is about
		}
		if err != nil {
			return nil, err
		}
		err = l.add(name, top, pristine(d.within()))
		top.Close()
		if err != nil {
			return nil, fmt.Errorf("read the context %s: %w", name, err)
		}
	}
	for dir := range l.of {
		l.dirs = append(l.dirs, dir)
	}
	slices.SortFunc(l.dirs, func(a, b string) int { return strings.Compare(order(a), order(b)) })
	slices.Sort(l.missing)
	return l, nil
}

// add adds the layers of one context.
func (l *layers) add(name string, top *os.File, root string) error {
	entries, err := top.ReadDir(-1)
	if err != nil {
		return err
	}
	for _, e := range entries {
		dir := e.Name()
		if !e.IsDir() || isOwn(dir) {
			continue
		}
		fi, err := os.Lstat(filepath.Join(root, dir))
		switch {
		case errors.Is(err, os.ErrNotExist):
			if !slices.Contains(l.missing, dir) {
				l.missing = append(l.missing, dir)
			}
		case err == nil && fi.IsDir() && !strings.Contains(dir, ","): // at which options are cut
			l.of[dir] = append(l.of[dir], name)
		}
	}
	return nil
}

func order(dir string) string {
	if dir == "usr" {
		return "\xff"
	}
	return dir
}

// dropUnstackable takes out the directories that this user cannot stack on. In a user
// namespace what is mounted below a directory hides for good what is there, so the
// kernel does not take that directory for an overlay. Without /usr an entry makes
// no sense; what the kernel says of it is told.
func (l *layers) dropUnstackable(mounts []mount.Line, within bool, notes io.Writer) {
	l.dirs = slices.DeleteFunc(l.dirs, func(dir string) bool {
		in := mount.Below(mounts, filepath.Join(pristine(within), dir))
		if os.Geteuid() == 0 || len(in) == 0 || dir == "usr" {
			return false
		}
		fmt.Fprintf(notes, "packagefs: what packages have in /%s cannot be seen: %s is a mount, and the kernel lets only root stack on that\n", dir, in[0])
		return true
	})
}

// options are those of the overlay mount of a directory on that of the root, for a
// process in the directory of contexts.
func (l *layers) options(dir, root string) string {
	var lower []string
	for _, context := range l.of[dir] {
		lower = append(lower, escapeLower(context+"/"+dir))
	}
	lower = append(lower, escapeLower(filepath.Join(root, dir)))
	return "lowerdir=" + strings.Join(lower, ":") + overlayOptions
}

// escapeLower writes a path as overlay's option takes it.
func escapeLower(path string) string {
	return strings.NewReplacer(`\`, `\\`, ":", `\:`).Replace(path)
}

const overlayOptions = ",redirect_dir=nofollow,metacopy=off"

// overlaySource is what the mount table shows as the origin of a stacked directory,
// followed by the context and the one below it. Their names have no blanks.
const overlaySource = "packagefs"

// stacked are the contexts that are stacked on the root of a process: the one that it
// is in, and the one below that.
type stacked struct{ top, base string }

func (s stacked) mountSource() string { return overlaySource + " " + s.top + " " + s.base }

// currentlyStacked gives the contexts of this process, which are empty outside of them.
func currentlyStacked(mounts []mount.Line) (s stacked) {
	for _, m := range mounts {
		if f := strings.Split(m.Source, " "); m.Type == "overlay" && len(f) == 3 && f[0] == overlaySource {
			s = stacked{top: f[1], base: f[2]}
		}
	}
	return s
}
