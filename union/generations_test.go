package union

import (
	"errors"
	"strings"
	"syscall"
	"testing"

	"github.com/hugelgupf/p9/p9"

	"github.com/packagefs/packagefs/pkgindex"
	"github.com/packagefs/packagefs/pkgindex/format/mkpkg"
)

// TestGenerations changes the packages under open handles.
func TestGenerations(t *testing.T) {
	s := newSite(t, one, two)
	stacker := &live{tree: NewTree(s.named("one", "two"), nil)}
	root := attach(t, stacker)
	before := text(t, root, "")
	bin, thing, tool := walk(t, root, "usr/bin"), walk(t, root, "usr/share/thing"), walk(t, root, "usr/bin/tool")
	if _, _, err := tool.Open(p9.ReadOnly); err != nil {
		t.Fatal(err)
	}
	reading := walk(t, root, "usr/bin")
	if _, _, err := reading.Open(p9.ReadOnly); err != nil {
		t.Fatal(err)
	}
	if first, err := reading.Readdir(0, 1); err != nil || first[0].Name != "other" {
		t.Fatal(first, err)
	}

	s.install(mkpkg.Spec{Name: "three", Version: "1", Files: []mkpkg.File{{Path: "usr/bin/aaa", Body: "3"}}})
	s.settle()
	old := stacker.tree
	stacker.tree = NewTree(s.named("one", "two", "three"), old)
	if got := list(t, bin); got[0].Name != "aaa" {
		t.Errorf("an old handle shows %v", got)
	}
	if rest, err := reading.Readdir(1, 10); err != nil || rest[0].Name != "t" {
		t.Errorf("a directory changed while it was read: %v %v", rest, err)
	}
	shared, _, err := old.find("usr/share", true)
	if now, _, _ := stacker.tree.find("usr/share", true); err != nil || now != shared {
		t.Error("a directory that did not change is not shared")
	}
	if now, _, _ := stacker.tree.find("usr/bin", true); now.qid.Version == mustFind(t, old, "usr/bin").qid.Version {
		t.Error("a directory that changed keeps its version")
	}

	s.remove("one_1.deb")
	s.remove("three_1.deb")
	s.settle()
	stacker.tree = NewTree(s.named("two"), stacker.tree)
	if _, _, err := thing.Walk([]string{"x"}); !errors.Is(err, syscall.ENOTDIR) {
		t.Errorf("walk from a directory that became a file: %v", err)
	}
	if got := read(t, tool); got != "tool of one" {
		t.Errorf("an open file of a removed package reads %q", got)
	}
	tool.Close()
	unopened := walk(t, attach(t, &live{tree: old}), "usr/same")
	if _, _, err := unopened.Open(p9.ReadOnly); !errors.Is(err, pkgindex.ErrGone) {
		t.Errorf("opening a file of a removed package: %v", err)
	}

	s.install(one)
	s.settle()
	stacker.tree = NewTree(s.named("one", "two"), stacker.tree)
	if after := text(t, root, ""); after != before {
		t.Errorf("after all is back:\n%s", after)
	}
	stacker.err = syscall.ENOPKG
	if _, _, _, err := bin.GetAttr(p9.AttrMaskAll); !errors.Is(err, syscall.ENOPKG) {
		t.Errorf("a broken stacker: %v", err)
	}
}

func mustFind(t *testing.T, tree *Tree, path string) *dir {
	d, _, err := tree.find(path, true)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// TestQIDs holds inode numbers still over a restart, and lets hard links share
// theirs.
func TestQIDs(t *testing.T) {
	s := &site{t: t, dir: t.TempDir()}
	s.install(one)
	s.install(two)
	collect := func(state string) map[string]p9.QID {
		defer s.open(state)()
		root := attach(t, &live{tree: NewTree(s.named("two", "one"), nil)})
		all := make(map[string]p9.QID)
		for _, path := range []string{"etc", "etc/conf", "usr/bin", "usr/bin/tool", "usr/bin/other", "usr/bin/t", "usr/same", "bin"} {
			q, _, _, err := walk(t, root, path).GetAttr(p9.AttrMaskAll)
			if err != nil {
				t.Fatal(err)
			}
			all[path] = q
		}
		return all
	}
	state := t.TempDir()
	first := collect(state)
	for what, again := range map[string]map[string]p9.QID{"a restart": collect(state), "a new index": collect(t.TempDir())} {
		for path, q := range first {
			if again[path] != q {
				t.Errorf("%s: %s has %v, had %v", what, path, again[path], q)
			}
		}
	}
	if first["usr/bin/tool"] != first["usr/bin/other"] {
		t.Error("hard links differ")
	}
	seen := make(map[uint64]string)
	for path, q := range first {
		if other, ok := seen[q.Path]; ok && path != "usr/bin/other" && other != "usr/bin/other" {
			t.Errorf("%s and %s share a number", path, other)
		}
		seen[q.Path] = path
	}
}

// TestRebuilt makes a package anew under the same version: what changed in it,
// in content or attributes, has another qid, and nothing else has.
func TestRebuilt(t *testing.T) {
	spec := func(body string, mode, time int64, target string) mkpkg.Spec {
		return mkpkg.Spec{Name: "one", Version: "1", Files: []mkpkg.File{
			{Path: "still", Body: "still"}, {Path: "body", Body: body}, {Path: "mode", Mode: mode, Body: "x"},
			{Path: "time", Time: time, Body: "x"}, {Path: "target", Target: target}, {Path: "stillink", Target: "still"},
		}}
	}
	s := newSite(t, spec("a", 0o644, 5, "x"))
	stacker := &live{tree: NewTree(s.named("one"), nil)}
	qids := func() map[string]p9.QID {
		all := make(map[string]p9.QID)
		for _, e := range list(t, attach(t, stacker)) {
			all[e.Name] = e.QID
		}
		return all
	}
	before := qids()
	s.install(spec("b", 0o600, 6, "y"))
	s.settle()
	stacker.tree = NewTree(s.named("one"), stacker.tree)
	for name, q := range qids() {
		if same := strings.HasPrefix(name, "still"); (q == before[name]) != same {
			t.Errorf("%s: %v, was %v", name, q, before[name])
		}
	}
}
