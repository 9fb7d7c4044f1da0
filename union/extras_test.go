package union

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/packagefs/packagefs/pkgindex"
	"github.com/packagefs/packagefs/pkgindex/format/mkpkg"
	"github.com/packagefs/packagefs/pkgindex/pkgmeta"
)

// shellLister makes etc/shells from the shells that there are in a tree. Of equal
// lists it makes one package.
type shellLister struct {
	t     *testing.T
	calls int
	made  map[string]*pkgindex.Package
}

func (g *shellLister) Generate(tree *Tree) *pkgindex.Package {
	g.calls++
	var text string
	for _, name := range []string{"usr/bin/bash", "usr/bin/sh"} {
		if _, _, err := tree.Lookup(name); err == nil {
			text += "/" + name + "\n"
		}
	}
	if text == "" {
		return nil
	}
	if p := g.made[text]; p != nil {
		return p
	}
	content, err := os.Create(filepath.Join(g.t.TempDir(), "shells"))
	if err != nil {
		g.t.Error(err)
		return nil
	}
	g.t.Cleanup(func() { content.Close() })
	if _, err := content.WriteString(text); err != nil {
		g.t.Error(err)
	}
	p, err := pkgindex.NewSynthetic(pkgmeta.Meta{Ref: pkgmeta.Ref{Name: "generated", Version: "1"}},
		[]pkgindex.SyntheticFile{{Entry: pkgmeta.Entry{Path: "etc/shells", Mode: 0o644, Size: int64(len(text)), Sec: 1}}}, content)
	if err != nil {
		g.t.Error(err)
	}
	g.made[text] = p
	return p
}

func TestGenerated(t *testing.T) {
	program := func(name string) mkpkg.Spec {
		return mkpkg.Spec{Name: name, Version: "1", Files: []mkpkg.File{{Path: "usr/bin/" + name, Body: name, Mode: 0o755}}}
	}
	s := newSite(t, program("sh"), program("bash"), program("other"),
		mkpkg.Spec{Name: "base", Version: "1", Files: []mkpkg.File{{Path: "etc/", Mode: 0o711}, {Path: "etc/shells", Body: "its own"}}})
	g := &shellLister{t: t, made: make(map[string]*pkgindex.Package)}
	generated := func(prev *Tree, names ...string) *live {
		return &live{tree: Extras{Generators: []Generator{g}}.NewTree(s.named(names...), prev)}
	}
	stacker := generated(nil, "sh", "base")
	if g.calls != 0 {
		t.Error("files are generated before anybody looks")
	}
	if _, err := stacker.tree.top(false); err != errWait {
		t.Errorf("a look that must not wait generates: %v", err)
	}
	root := attach(t, stacker)
	const want = `/etc dir 0755
/etc/shells file 0644 "/usr/bin/sh\n"
/usr dir 0755
/usr/bin dir 0755
/usr/bin/sh file 0755 "sh"
`
	if got := text(t, root, ""); got != want || g.calls != 1 {
		t.Errorf("after %d calls\n%s", g.calls, got)
	}
	var conflicts []string
	for c, err := range stacker.tree.Conflicts() {
		if err != nil {
			t.Fatal(err)
		}
		conflicts = append(conflicts, c.Path+" "+c.Winner.Package.Name+" "+c.Losers[0].Package.Name)
	}
	if got := strings.Join(conflicts, "\n"); got != "/etc/shells generated base" {
		t.Errorf("conflicts: %s", got)
	}

	// The next trees follow what is in them, and share what is not touched.
	stacker.tree = generated(stacker.tree, "sh", "base", "other").tree
	if got := content(t, walk(t, root, "etc/shells")); got != "/usr/bin/sh\n" || g.calls != 2 {
		t.Errorf("after %d calls the list is %q", g.calls, got)
	}
	bin := mustFind(t, stacker.tree, "usr/bin")
	s.install(mkpkg.Spec{Name: "data", Version: "1", Files: []mkpkg.File{{Path: "usr/share/data", Body: "data"}}})
	s.settle()
	stacker.tree = generated(stacker.tree, "sh", "base", "other", "data").tree
	walk(t, root, "usr/share/data")
	if mustFind(t, stacker.tree, "usr/bin") != bin {
		t.Error("a directory that nothing generated is in is not shared")
	}
	stacker.tree = generated(stacker.tree, "bash", "sh", "base", "other").tree
	if got := content(t, walk(t, root, "etc/shells")); got != "/usr/bin/bash\n/usr/bin/sh\n" {
		t.Errorf("the list is %q", got)
	}
	stacker.tree = generated(stacker.tree, "base", "other").tree
	if got := content(t, walk(t, root, "etc/shells")); got != "its own" {
		t.Errorf("without a shell the file is %q", got)
	}
	stacker.tree = generated(stacker.tree, "sh", "base").tree
	if got := text(t, root, ""); got != want {
		t.Errorf("after all is back:\n%s", got)
	}
}

// fixed adds the same files to every tree.
type fixed struct{ p *pkgindex.Package }

func (g fixed) Generate(*Tree) *pkgindex.Package { return g.p }

// TestGeneratedShares has trees share directories that a generator adds the same
// files to.
func TestGeneratedShares(t *testing.T) {
	s := newSite(t, one, two)
	p, err := pkgindex.NewSynthetic(pkgmeta.Meta{Ref: pkgmeta.Ref{Name: "generated", Version: "1"}},
		[]pkgindex.SyntheticFile{{Entry: pkgmeta.Entry{Path: "etc/more/link", Type: pkgmeta.Symlink, Target: "x"}}}, nil)
	if err != nil {
		t.Fatal(err)
	}
	x := Extras{Generators: []Generator{fixed{p}}}
	first := x.NewTree(s.named("one"), nil)
	etc := mustFind(t, first, "etc/more")
	if mustFind(t, x.NewTree(s.named("one"), first), "") != mustFind(t, first, "") {
		t.Error("a tree of the same packages does not share the top")
	}
	next := x.NewTree(s.named("one", "two"), first)
	if mustFind(t, next, "etc/more") != etc || mustFind(t, next, "etc") == mustFind(t, first, "etc") {
		t.Error("a directory is not shared, or one is whose packages differ")
	}
	without := NewTree(s.named("one", "two"), next)
	if _, _, err := without.find("etc/more", true); err != errNoEntry || mustFind(t, without, "usr") != mustFind(t, next, "usr") {
		t.Errorf("a tree without generated files: %v", err)
	}
}
