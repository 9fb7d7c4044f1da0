package union

import (
	"errors"
	"syscall"
	"testing"

	"github.com/hugelgupf/p9/p9"

	"github.com/packagefs/packagefs/pkgindex"
	"github.com/packagefs/packagefs/pkgindex/format/mkpkg"
	"github.com/packagefs/packagefs/pkgindex/pkgmeta"
)

// lazyFiles is a generator of files that are made when somebody looks: each of made,
// and where the content is empty nothing.
func lazyFiles(t *testing.T, calls *int, made map[string]string) fixed {
	t.Helper()
	var files []pkgindex.SyntheticFile
	for path, text := range made {
		late := pkgindex.NewLazy([32]byte{byte(len(path))}, func() ([]byte, string) {
			*calls++
			if text == "" {
				return nil, ""
			}
			return []byte(text), "of " + text
		})
		files = append(files, pkgindex.SyntheticFile{Entry: pkgmeta.Entry{Path: path, Mode: 0o640}, Lazy: late})
	}
	p, err := pkgindex.NewSynthetic(pkgmeta.Meta{Ref: pkgmeta.Ref{Name: "generated", Version: "1"}}, files, nil)
	if err != nil {
		t.Fatal(err)
	}
	return fixed{p}
}

// TestLazy looks at files that are made when somebody looks, in trees with a
// mutable layer and without.
func TestLazy(t *testing.T) {
	calls := 0
	g := lazyFiles(t, &calls, map[string]string{"etc/cache": "made late", "etc/nothing": "", "var/x": "x"})
	l := newLayered(t, one)
	extras := Extras{Generators: []Generator{g}}
	tree := extras.NewTree(l.named("one"), nil)
	plain := attach(t, &live{tree: tree})
	walk(t, plain, "var")
	if _, _, err := tree.find("etc/cache", true); err != nil || calls != 0 {
		t.Fatalf("files are made before anybody looks: %d, %v", calls, err)
	}
	etc := walk(t, plain, "etc").(*dirFile)
	if _, _, err := etc.WalkPart(nil, []string{"cache"}, false); err != errWait || calls != 0 {
		t.Errorf("a look that must not wait makes the file: %v", err)
	}
	if etc.Ready() {
		t.Error("a directory is ready whose files are not made")
	}
	f := walk(t, plain, "etc/cache")
	q, _, attr, err := f.GetAttr(p9.AttrMaskAll)
	if err != nil || attr.Size != 9 || attr.Mode != p9.ModeRegular|0o640 || calls != 1 || q.Version == 0 {
		t.Errorf("%v %+v, %v after %d calls", q, attr, err, calls)
	}
	if _, err := f.ReadAt(make([]byte, 5), 0); !errors.Is(err, syscall.EBADF) {
		t.Errorf("read of what is not open: %v", err)
	}
	if got := content(t, f); got != "made late" {
		t.Errorf("it reads %q", got)
	}
	if _, _, err := etc.Walk([]string{"nothing"}); !errors.Is(err, syscall.ENOENT) {
		t.Errorf("what turns out to be nothing: %v", err)
	}

	l.stacker.tree = tree
	for name, root := range map[string]p9.File{"plain": plain, "layered": l.root} {
		dir := walk(t, root, "etc")
		for _, e := range list(t, dir) {
			if q, _, _, err := walk(t, dir, e.Name).GetAttr(p9.AttrMaskAll); e.Name == "nothing" || err != nil || q.Path != e.QID.Path {
				t.Errorf("%s: %s has %v, Readdir says %v (%v)", name, e.Name, q, e.QID, err)
			}
		}
		if !dir.(*dirFile).Ready() {
			t.Errorf("%s: a directory that was read is not ready", name)
		}
	}
	mine := l.at("etc/cache")
	if _, _, err := mine.Open(p9.ReadWrite); !errors.Is(err, syscall.EPERM) {
		t.Errorf("open for writing: %v", err)
	}
	if err := l.at("etc").UnlinkAt("cache", 0); !errors.Is(err, syscall.EPERM) {
		t.Errorf("unlink: %v", err)
	}
	l.write("etc/nothing", "mine")
	l.wants("etc/nothing", "mine")
	if calls != 2 {
		t.Errorf("files were made %d times, want 2", calls)
	}
	served, _, err := tree.Lookup("/etc/cache")
	if err != nil || len(served) != 1 || served[0].Made != "of made late" || served[0].Inode.Size != 9 {
		t.Errorf("lookup: %+v, %v", served, err)
	}
	if _, _, err := tree.Lookup("/etc/nothing"); !errors.Is(err, syscall.ENOENT) {
		t.Errorf("lookup of nothing: %v", err)
	}
}

// TestInner hides programs that are not for users where dependencies are hidden.
func TestInner(t *testing.T) {
	s := newSite(t, programs)
	s.override("programs", `programs = ["/usr/bin/prog"]`)
	const want = `/etc dir 0755
/etc/hook file 0755 "hook"
/usr dir 0755
/usr/bin dir 0755
/usr/bin/prog file 0755 "#!/enter programs=1+a\n"
/usr/lib dir 0755
/usr/lib/prog dir 0755
/usr/lib/prog/mod.so file 0755 "library"
/usr/share dir 0755
/usr/share/prog dir 0755
/usr/share/prog/data file 0755 "data"
`
	hiding := s.launching(launch("programs"), nil, "programs")
	root := attach(t, hiding)
	if _, err := hiding.tree.top(true); err != nil {
		t.Fatal(err)
	}
	if got := text(t, root, ""); got != want {
		t.Errorf("got\n%s", got)
	}
	if _, _, err := hiding.tree.Lookup("/usr/bin/twin"); !errors.Is(err, syscall.ENOENT) {
		t.Errorf("lookup: %v", err)
	}
	open := attach(t, &live{tree: NewTree(s.named("programs"), hiding.tree)})
	if got := content(t, walk(t, open, "usr/bin/twin")); got != "a program" {
		t.Errorf("where dependencies are visible it is %q", got)
	}
	l := newLayered(t, programs)
	l.override("programs", `programs = ["/usr/bin/prog"]`)
	l.stacker.tree = Extras{Launchers: launch("programs")}.NewTree(l.named("programs"), l.stacker.tree)
	if names := list(t, l.at("usr/bin")); len(names) != 1 || names[0].Name != "prog" {
		t.Errorf("in a context with a layer: %v", names)
	}
	l.write("usr/bin/twin", "mine")
	l.wants("usr/bin/twin", "mine")
}

// TestView looks at a tree as generators do.
func TestView(t *testing.T) {
	s := newSite(t, mkpkg.Spec{Name: "v", Version: "1", Files: []mkpkg.File{
		{Path: "usr/bin/a", Body: "content of a"}, {Path: "usr/bin/b", Target: "a"}, {Path: "usr/bin/c", Target: "/usr/local/d/e"},
		{Path: "usr/local/d", Target: "../sub"}, {Path: "usr/sub/e", Target: "../../../../usr/bin/b"},
		{Path: "usr/bin/loop", Target: "loop"}, {Path: "usr/bin/gone", Target: "nowhere"}, {Path: "usr/bin/dir", Target: "../sub"},
	}})
	tree := NewTree(s.named("v"), nil)
	for p, want := range map[string]string{
		"usr/bin/a": "usr/bin/a", "usr/bin/b": "usr/bin/a", "usr/bin/c": "usr/bin/a", "usr/local/d/e": "usr/bin/a",
		"usr/bin/loop": "", "usr/bin/gone": "", "usr/bin/dir": "", "usr/bin": "", "usr/bin/a/x": "", "usr/bin/b/x": "",
	} {
		if f, ok := tree.Follow(p); ok != (want != "") || f.Path != want {
			t.Errorf("%s leads to %q, %v, want %q", p, f.Path, ok, want)
		}
	}
	if dir, ok := tree.FollowDir("usr/bin/dir"); dir != "usr/sub" || !ok {
		t.Errorf("a symlink leads to the directory %q, %v", dir, ok)
	}
	if dir, ok := tree.FollowDir("usr/bin/b"); ok {
		t.Errorf("a symlink to a file leads to the directory %q", dir)
	}
	for p, want := range map[string]bool{
		"usr/bin/a": false, "usr/bin/x": true, "usr/bin/a/x": false, "usr/local/d/x": false, "usr": false, "new/x": true, "usr/bin": false, "usr/x/y": true,
	} {
		if got := tree.Vacant(p); got != want {
			t.Errorf("%s is vacant: %v", p, got)
		}
	}
	var names string
	for name, f := range tree.Files("usr/bin") {
		names += name + " "
		if f.Path != "usr/bin/"+name || f.Base() != name || f.Package().Name != "v" {
			t.Errorf("%s is %+v", name, f)
		}
	}
	for name := range tree.Files("usr/nowhere") {
		t.Errorf("a directory that is not there has %s", name)
	}
	if names != "a b c dir gone loop " {
		t.Errorf("the directory has %s", names)
	}
	f, _ := tree.File("usr/bin/a")
	if b, err := f.Read(12); string(b) != "content of a" || err != nil {
		t.Errorf("it reads %q, %v", b, err)
	}
	if _, err := f.Read(11); !errors.Is(err, errTooLarge) {
		t.Errorf("a read of more than there may be: %v", err)
	}
	link, _ := tree.File("usr/bin/b")
	if b, err := f.Head(7); string(b) != "content" || err != nil {
		t.Errorf("it begins with %q, %v", b, err)
	}
	if _, err := link.Read(100); !errors.Is(err, errNoFile) {
		t.Errorf("a read of a symlink: %v", err)
	}
}
