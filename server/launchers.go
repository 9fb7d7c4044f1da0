package server

import (
	"path"
	"slices"
	"strings"
	"sync"
	"syscall"

	"github.com/packagefs/packagefs/context"
	"github.com/packagefs/packagefs/context/attachname"
	"github.com/packagefs/packagefs/pkgindex"
	"github.com/packagefs/packagefs/pkgindex/pkgmeta"
	"github.com/packagefs/packagefs/union"
)

const (
	// enterPath is the interpreter of launchers in every tree, relative.
	enterPath = "usr/libexec/packagefs/enter"

	// maxScript is the longest first line of a script that Linux reads whole: it
	// cuts the rest off without a word. Kernels before 5.1, which read 127 bytes,
	// are too old.
	maxScript = 255
)

// launchers decides for the trees of one view in which dependencies are hidden. A
// program is served as a launcher if the tree lacks something of what the context
// of its package shows, or has another package's file in its place. If that context cannot be attached to it is a launcher as
// well: entering tells why, which a loader's error would not.
//
// The file itself is served where a launcher could not lead to it: for a package
// whose name and version are also those of one of another architecture or format,
// and for a name and version too long for the first line of a script.
type launchers struct {
	closures *context.Closures
	view     []*pkgindex.Package
	shows    func() map[*pkgindex.Package]bool

	known sync.Map // *pkgindex.Package → bool
}

func newLaunchers(c *context.Closures, view []*pkgindex.Package) *launchers {
	return &launchers{closures: c, view: view, shows: sync.OnceValue(func() map[*pkgindex.Package]bool {
		m := make(map[*pkgindex.Package]bool, len(view))
		for _, p := range view {
			m[p] = true
		}
		return m
	})}
}

// Launched implements union.Launchers.
func (l *launchers) Launched(t *union.Tree, p *pkgindex.Package, wait bool) (bool, error) {
	if len(p.Depends) == 0 {
		return false, nil
	}
	if is, ok := l.known.Load(p); ok {
		return is.(bool), nil
	}
	if !wait {
		return false, syscall.EAGAIN
	}
	is, err := l.decide(t, p)
	if err == nil {
		l.known.Store(p, is)
	}
	return is, err
}

func (l *launchers) decide(t *union.Tree, p *pkgindex.Package) (bool, error) {
	if len(l.Script(p)) > maxScript {
		return false, nil
	}
	closure, err := l.closures.Of(p)
	if err != nil {
		return true, nil
	}
	shows := l.shows()
	switch {
	case !slices.Contains(closure, p):
		return false, nil
	case slices.ContainsFunc(closure, func(q *pkgindex.Package) bool { return !shows[q] }):
		return true, nil
	}
	for _, q := range closure {
		if is, err := t.HasWhole(q); err != nil || !is {
			return !is, err
		}
	}
	return false, nil
}

// Script implements union.Launchers. The package is written as attach names have
// it behind package:, where what has a meaning of its own is escaped.
func (l *launchers) Script(p *pkgindex.Package) string {
	return "#!/" + enterPath + " " + strings.TrimPrefix(packageContext(p), "package:") + "\n"
}

// packageContext is the attach name of a package's own context.
func packageContext(p *pkgindex.Package) string { return attachname.OfPackage(p.Ref).String() }

// A launchedFunc returns the context that the launcher at a name of a package runs
// the file in, or "" where the file itself is served. Which package wins the name
// is another question.
type launchedFunc func(pkgindex.Layer, pkgindex.File) string

// launchedIn tells of the launchers that a view has. It may wait.
func (ts *trees) launchedIn(v *context.View) launchedFunc {
	tree := ts.of(v, nil)
	l := tree.Launchers()
	return func(layer pkgindex.Layer, f pkgindex.File) string {
		if l == nil || layer.Type(f.Ino) != pkgmeta.Regular {
			return ""
		}
		dir, name := path.Split(f.Path)
		dir = strings.TrimSuffix(dir, "/")
		inode := layer.Inode(f.Ino)
		if !layer.Package.Program(dir, name, inode) || layer.Package.Inner(dir, name, inode) {
			return ""
		}
		if is, err := l.Launched(tree, layer.Package, true); err != nil || !is {
			return ""
		}
		return packageContext(layer.Package)
	}
}
