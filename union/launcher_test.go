package union

import (
	"errors"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/hugelgupf/p9/p9"

	"github.com/packagefs/packagefs/pkgindex"
	"github.com/packagefs/packagefs/pkgindex/format/mkpkg"
)

// launchNames launches the programs of the packages with these names. It decides
// when it is waited for.
type launchNames struct {
	names []string

	mu      sync.Mutex // guards decided
	decided map[string]bool
}

func launch(names ...string) *launchNames {
	return &launchNames{names: names, decided: make(map[string]bool)}
}

func (l *launchNames) Launched(_ *Tree, p *pkgindex.Package, wait bool) (bool, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !wait && !l.decided[p.Name] {
		return false, syscall.EAGAIN
	}
	l.decided[p.Name] = true
	return slices.Contains(l.names, p.Name), nil
}

func (l *launchNames) Script(p *pkgindex.Package) string { return "#!/enter " + p.Ref.String() + "\n" }

func (s *site) launching(l Launchers, prev *Tree, names ...string) *live {
	return &live{tree: Extras{Launchers: l}.NewTree(s.named(names...), prev)}
}

var programs = mkpkg.Spec{Name: "programs", Version: "1+a", Files: []mkpkg.File{
	{Path: "etc/hook", Body: "hook", Mode: 0o755, Conffile: true},
	{Path: "usr/bin/prog", Body: "a program", Mode: 0o6755, UID: 7, Time: 99, Xattrs: map[string]string{"user.mine": "1"}},
	{Path: "usr/bin/twin", HardLink: "usr/bin/prog"},
	{Path: "usr/bin/alias", Target: "prog"},
	{Path: "usr/lib/prog/mod.so", Body: "library", Mode: 0o755},
	{Path: "usr/share/prog/data", Body: "data", Mode: 0o755},
}}

const launched = `/etc dir 0755
/etc/hook file 0755 "hook"
/usr dir 0755
/usr/bin dir 0755
/usr/bin/alias link 0777 -> prog
/usr/bin/prog file 0755 "#!/enter programs=1+a\n"
/usr/bin/twin file 0755 "#!/enter programs=1+a\n"
/usr/lib dir 0755
/usr/lib/prog dir 0755
/usr/lib/prog/mod.so file 0755 "library"
/usr/share dir 0755
/usr/share/prog dir 0755
/usr/share/prog/data file 0755 "data"
`

func TestLaunchers(t *testing.T) {
	s := newSite(t, programs)
	plain := attach(t, &live{tree: NewTree(s.named("programs"), nil)})
	root := attach(t, s.launching(launch("programs"), nil, "programs"))
	if got := text(t, root, ""); got != launched {
		t.Errorf("got\n%s", got)
	}
	other := attach(t, s.launching(launch(), nil, "programs"))
	if got, want := text(t, other, ""), text(t, plain, ""); got != want {
		t.Errorf("without a package to launch:\n%s\nwant\n%s", got, want)
	}

	prog := walk(t, root, "usr/bin/prog")
	q, _, attr, err := prog.GetAttr(p9.AttrMaskAll)
	if err != nil || attr.UID != 7 || attr.MTimeSeconds != 99 || attr.NLink != 2 || attr.Size != 22 || attr.DataVersion != uint64(q.Version) {
		t.Errorf("%v %+v, %v", q, attr, err)
	}
	realQID, _, _, err := walk(t, plain, "usr/bin/prog").GetAttr(p9.AttrMaskAll)
	if err != nil || realQID.Path == q.Path || realQID.Version == q.Version {
		t.Errorf("the program has %v and its launcher %v, %v", realQID, q, err)
	}
	if twin, _, _, err := walk(t, root, "usr/bin/twin").GetAttr(p9.AttrMaskAll); err != nil || twin != q {
		t.Errorf("another name has %v, %v, want %v", twin, err, q)
	}
	if names, err := prog.ListXattrs(); err != nil || len(names) > 0 {
		t.Errorf("attributes %q, %v", names, err)
	}
	for name, want := range map[string]string{packageXattr: "programs=1+a", launcherXattr: "programs=1+a", "user.mine": ""} {
		if value, err := prog.GetXattr(name); string(value) != want || (err == nil) != (want != "") {
			t.Errorf("%s is %q, %v", name, value, err)
		}
	}
	if _, err := walk(t, plain, "usr/bin/prog").GetXattr(launcherXattr); !errors.Is(err, syscall.ENODATA) {
		t.Errorf("the program says that it is a launcher: %v", err)
	}
	if _, err := prog.ReadAt(make([]byte, 5), 0); !errors.Is(err, syscall.EBADF) {
		t.Errorf("read of what is not open: %v", err)
	}
	if _, _, err := prog.Open(p9.ReadWrite); !errors.Is(err, syscall.EROFS) {
		t.Errorf("open for writing: %v", err)
	}
	who, err := Attach(s.launching(launch("programs"), nil, "programs"), &Cred{UID: 5})
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := walk(t, who, "usr/bin/prog").Open(p9.ReadOnly); err != nil {
		t.Errorf("open by somebody: %v", err)
	}
	served, _, err := s.launching(launch("programs"), nil, "programs").tree.Lookup("/usr/bin/prog")
	if err != nil || len(served) != 1 || !served[0].Launcher {
		t.Errorf("lookup: %+v, %v", served, err)
	}
	served, _, err = s.launching(launch("programs"), nil, "programs").tree.Lookup("/etc/hook")
	if err != nil || len(served) != 1 || served[0].Launcher {
		t.Errorf("lookup: %+v, %v", served, err)
	}
}

// TestLauncherStays tries to change a launcher in a context with a layer.
func TestLauncherStays(t *testing.T) {
	l := newLayered(t, programs)
	l.stacker.tree = Extras{Launchers: launch("programs")}.NewTree(l.named("programs"), l.stacker.tree)
	if got := text(t, l.root, ""); strings.Replace(got, "\n/etc/hook", "", 1) == got || !strings.Contains(got, `/usr/bin/prog file 0755 "#!/enter programs=1+a\n"`) {
		t.Errorf("got\n%s", got)
	}
	bin, prog := l.at("usr/bin"), l.at("usr/bin/prog")
	_, _, openErr := prog.Open(p9.ReadWrite)
	mode := p9.SetAttrMask{Permissions: true}
	for what, err := range map[string]error{
		"open": openErr, "chmod": prog.SetAttr(mode, p9.SetAttr{}), "setxattr": prog.SetXattr("user.x", nil, 0),
		"rename": bin.RenameAt("prog", bin, "other"), "unlink": bin.UnlinkAt("prog", 0), "link": bin.Link(prog, "other"),
		"rename itself": prog.Rename(bin, "other"),
	} {
		if !errors.Is(err, syscall.EPERM) {
			t.Errorf("%s: %v, want EPERM", what, err)
		}
	}
	l.write("usr/bin/mine", "mine")
	if err := bin.RenameAt("mine", bin, "prog"); !errors.Is(err, syscall.EPERM) {
		t.Errorf("rename over it: %v", err)
	}
	l.wants("usr/bin/prog", "#!/enter programs=1+a\n")
	l.write("etc/hook", "edited")
	l.wants("etc/hook", "edited")
	for _, e := range list(t, bin) {
		if q, _, _, err := walk(t, bin, e.Name).GetAttr(p9.AttrMaskAll); err != nil || q.Path != e.QID.Path {
			t.Errorf("%s has %v, Readdir says %v (%v)", e.Name, q, e.QID, err)
		}
	}
}

// TestLauncherShares has trees that differ in launchers alone share every
// directory, in whatever order they are looked at, and each show its own.
func TestLauncherShares(t *testing.T) {
	s := newSite(t, programs, one)
	names := []string{"programs", "one"}
	plain := NewTree(s.named(names...), nil)
	want := map[*live]string{}
	show := func(l *live) string {
		root := attach(t, l)
		return content(t, walk(t, root, "usr/bin/prog")) + content(t, walk(t, root, "usr/bin/tool"))
	}
	both := s.launching(launch("programs", "one"), plain, names...)
	first := s.launching(launch("programs"), both.tree, names...)
	none := s.launching(launch(), first.tree, names...)
	bare := &live{tree: NewTree(s.named(names...), none.tree)}
	want[&live{tree: plain}] = "a programtool of one"
	want[both] = "#!/enter programs=1+a\n#!/enter one=1\n"
	want[first] = "#!/enter programs=1+a\ntool of one"
	want[none] = "a programtool of one"
	want[bare] = "a programtool of one"
	for range 3 { // maps come in any order
		for l, text := range want {
			if got := show(l); got != text {
				t.Errorf("got %q, want %q", got, text)
			}
			for _, e := range list(t, walk(t, attach(t, l), "usr/bin")) {
				if q, _, _, err := walk(t, attach(t, l), "usr/bin/"+e.Name).GetAttr(p9.AttrMaskAll); err != nil || q != e.QID {
					t.Errorf("%s has %v, Readdir says %v (%v)", e.Name, q, e.QID, err)
				}
			}
		}
	}
	// What was looked at before the next tree is made, is the next tree's.
	shared := mustFind(t, bare.tree, "usr/bin")
	next := s.launching(launch("one"), bare.tree, names...)
	if mustFind(t, next.tree, "usr/bin") != shared || mustFind(t, next.tree, "") != mustFind(t, bare.tree, "") {
		t.Error("a tree with launchers does not share the directories")
	}
	if got := show(next); got != "a program#!/enter one=1\n" {
		t.Errorf("got %q", got)
	}

	// The same under handles that stay, when a dependency comes and goes and
	// so all that differs is who decides.
	stacker := s.launching(launch(), nil, names...)
	bin := walk(t, attach(t, stacker), "usr/bin")
	reading := walk(t, bin, "prog")
	if _, _, err := reading.Open(p9.ReadOnly); err != nil {
		t.Fatal(err)
	}
	var qids []p9.QID
	for i, want := range []string{"a program", "#!/enter programs=1+a\n", "a program", "#!/enter programs=1+a\n"} {
		if got := content(t, walk(t, bin, "prog")); got != want {
			t.Errorf("generation %d: %q, want %q", i, got, want)
		}
		at := slices.IndexFunc(list(t, bin), func(e p9.Dirent) bool { return e.Name == "prog" })
		qids = append(qids, list(t, bin)[at].QID)
		again := launch([]string{"programs"}[i%2:]...)
		stacker.tree = s.launching(again, stacker.tree, names...).tree
	}
	if qids[0] != qids[2] || qids[1] != qids[3] || qids[0] == qids[1] {
		t.Errorf("qids over the generations: %v", qids)
	}
	if got := read(t, reading); got != "a program" {
		t.Errorf("an open program reads %q once it is a launcher", got)
	}

	// A package that comes beside leaves verdicts and directories alone.
	s.install(mkpkg.Spec{Name: "more", Version: "1", Files: []mkpkg.File{{Path: "usr/share/more", Body: "more"}}})
	s.settle()
	before := mustFind(t, next.tree, "usr/bin")
	last := s.launching(launch("programs"), next.tree, "programs", "one", "more")
	if got := show(last); got != "#!/enter programs=1+a\ntool of one" || mustFind(t, last.tree, "usr/bin") != before {
		t.Errorf("got %q", got)
	}
}

// TestLauncherWaits leaves to a worker what has to be decided first.
func TestLauncherWaits(t *testing.T) {
	s := newSite(t, programs)
	root := attach(t, s.launching(launch("programs"), nil, "programs")).(*dirFile)
	if err := func() error { _, err := root.stacker.(*live).tree.top(true); return err }(); err != nil {
		t.Fatal(err)
	}
	bin := walk(t, root, "usr/bin").(*dirFile)
	if _, err := mustFind(t, root.stacker.(*live).tree, "usr/bin").merge(true); err != nil {
		t.Fatal(err)
	}
	if _, _, err := bin.WalkPart(nil, []string{"prog"}, false); err != errWait {
		t.Errorf("walk: %v, want EAGAIN", err)
	}
	if _, f, err := bin.WalkPart(nil, []string{"alias"}, false); err != nil || f == nil {
		t.Errorf("walk to what is no program: %v", err)
	}
	if bin.Ready() {
		t.Error("a directory is ready whose programs are not decided")
	}
	if !walk(t, root, "usr").(*dirFile).Ready() {
		t.Error("a directory without programs is not ready")
	}
	list(t, bin)
	if !bin.Ready() {
		t.Error("a directory that was read is not ready")
	}
	if _, f, err := bin.WalkPart(nil, []string{"prog"}, false); err != nil || f == nil {
		t.Errorf("walk: %v", err)
	}
}
