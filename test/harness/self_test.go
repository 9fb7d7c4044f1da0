package harness

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// The tests in this file test the tests.

// Diff sees a difference in every field, and in what is there.
func TestDiff(t *testing.T) {
	base := Manifest{"": {Kind: Dir, Mode: 0o755}, "f": {Kind: File, Mode: 0o644, Size: 1, Sec: 5, SHA256: "aa"}}
	if lines := Diff(base, base); len(lines) != 0 {
		t.Errorf("a manifest differs from itself: %q", lines)
	}
	changes := map[string]func(*Entry){
		"type": func(e *Entry) { e.Kind = Fifo }, "mode": func(e *Entry) { e.Mode = 0o4644 },
		"uid": func(e *Entry) { e.UID = 1 }, "gid": func(e *Entry) { e.GID = 1 }, "size": func(e *Entry) { e.Size = 2 },
		"mtime is 6.": func(e *Entry) { e.Sec = 6 }, "mtime is 5.000000001": func(e *Entry) { e.Nsec = 1 },
		"target": func(e *Entry) { e.Target = "x" }, "sha256": func(e *Entry) { e.SHA256 = "bb" },
		"links": func(e *Entry) { e.Links = "f g" },
	}
	for what, change := range changes {
		e := base["f"]
		change(&e)
		lines := Diff(base, Manifest{"": base[""], "f": e})
		if len(lines) != 1 || !strings.HasPrefix(lines[0], "/f: "+what) {
			t.Errorf("%s: %q", what, lines)
		}
	}
	if lines := Diff(base, Manifest{"": base[""], "g": base["f"]}); len(lines) != 2 {
		t.Errorf("one missing and one too many: %q", lines)
	}
	if !failsWith(func(r reporter) { CheckSame(r, "x", Manifest{}, Manifest{}) }) {
		t.Error("a comparison of nothing passes")
	}
}

// failsWith says whether f reports a failure.
func failsWith(f func(reporter)) bool {
	var r recorder
	f(&r)
	return len(r) > 0
}

type recorder []string

func (r *recorder) Helper() {}
func (r *recorder) Errorf(format string, args ...any) {
	*r = append(*r, fmt.Sprintf(format, args...))
}

// The oracle's own merge, on trees small enough to see.
func TestOracleMerge(t *testing.T) {
	file := func(content string) Entry { return Entry{Kind: File, SHA256: content} }
	dir := Entry{Kind: Dir, Mode: 0o755}
	first := UsrMerge(Manifest{"": dir, "bin": dir, "bin/x": file("1"), "etc": dir, "etc/a": file("1"), "p": file("1"),
		"h1": {Kind: File, SHA256: "h", Links: "h1 h2"}, "h2": {Kind: File, SHA256: "h", Links: "h1 h2"}})
	second := Manifest{"": dir, "usr": dir, "usr/bin": dir, "usr/bin/x": file("2"), "usr/bin/y": file("2"),
		"etc": {Kind: Dir, Mode: 0o700}, "etc/b": file("2"), "p": dir, "p/below": file("2")}
	tree := Manifest{}
	Merge(tree, first)
	Merge(tree, second)
	relink(tree)
	want := Manifest{"": dir, "bin": {Kind: Symlink, Mode: 0o777, Size: 7, Target: "usr/bin"}, "usr": dir, "usr/bin": dir,
		"usr/bin/x": file("1"), "usr/bin/y": file("2"), "etc": dir, "etc/a": file("1"), "etc/b": file("2"), "p": file("1"),
		"h1": first["h1"], "h2": first["h2"]}
	for _, line := range Diff(want, tree) {
		t.Error(line)
	}
	delete(tree, "h2")
	relink(tree)
	if tree["h1"].Links != "" {
		t.Errorf("a file with one name left has the links %q", tree["h1"].Links)
	}
}

// A cache of package files that is not whole is noticed.
func TestCorpusDamage(t *testing.T) {
	damages := map[string]func(dir, deb string) error{
		"missing":  func(_, deb string) error { return os.Remove(deb) },
		"cut":      func(_, deb string) error { return os.Truncate(deb, 1000) },
		"one more": func(dir, deb string) error { return os.Link(deb, filepath.Join(dir, "more.deb")) },
		"no sums":  func(dir, _ string) error { return os.Remove(filepath.Join(dir, sumsFile)) },
		"other packages": func(dir, _ string) error {
			return os.WriteFile(filepath.Join(dir, sumsFile), []byte("# other\n"), 0o644)
		},
	}
	for what, damage := range damages {
		t.Run(what, func(t *testing.T) {
			dir := t.TempDir()
			from := t.TempDir()
			WriteFiles(t, from, map[string]string{"hello.deb": strings.Repeat("hello", 1000)})
			if err := CorpusSelection.keep(from, dir); err != nil {
				t.Fatal(err)
			}
			if err := CorpusSelection.verify(dir); err != nil {
				t.Fatalf("a whole cache: %v", err)
			}
			if err := damage(dir, filepath.Join(dir, "hello.deb")); err != nil {
				t.Fatal(err)
			}
			if err := CorpusSelection.verify(dir); err == nil {
				t.Error("the damage is not noticed")
			}
		})
	}
}
