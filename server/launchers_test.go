package server

import (
	"encoding/json"
	"errors"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/hugelgupf/p9/p9"

	"github.com/packagefs/packagefs/context/attachname"
	"github.com/packagefs/packagefs/pkgindex/format/mkpkg"
	"github.com/packagefs/packagefs/server/api"
	"github.com/packagefs/packagefs/server/p9l/wire"
)

// program is a package with a program of its name.
func program(name, version, body string, depends ...string) mkpkg.Spec {
	return mkpkg.Spec{Name: name, Version: version, Depends: depends, Files: []mkpkg.File{{Path: "usr/bin/" + name, Body: body, Mode: 0o755}}}
}

// reads returns what is in a file, or the errno.
func reads(f p9.File, path string) string {
	f, err := walk(f, path)
	if err != nil {
		return wire.ErrnoName(uint32(errnoOf(err)))
	}
	defer f.Close()
	if _, _, err := f.Open(p9.ReadOnly); err != nil {
		return wire.ErrnoName(uint32(errnoOf(err)))
	}
	text, err := io.ReadAll(io.NewSectionReader(f, 0, 1<<20))
	if err != nil {
		return err.Error()
	}
	return string(text)
}

// TestLaunchers tells in stories in which contexts a program is itself.
func TestLaunchers(t *testing.T) {
	foreign := "arm64"
	if runtime.GOARCH == foreign {
		foreign = "amd64"
	}
	long := "l" + strings.Repeat("ong", 75)
	p := newFixture(t, map[string]string{
		"user:alice": `toplevel = ["app", "broken", "lone", "old", "g++", "two", "` + long + `"]`,
		"user:bob":   "toplevel = [\"app\", \"old\"]\ndependencies = \"visible\"",
		"group:dev":  `toplevel = ["app"]`,
	})
	p.install(program("app", "1", "app itself", "lib (>= 2)"))
	p.install(program("broken", "1", "broken itself", "nowhere"))
	p.install(program("lone", "1", "lone itself"))
	p.install(program("old", "1", "old itself", "lib (<< 2)"))
	p.install(program("g++", "4:12~rc+b1", "g++ itself", "lib"))
	p.install(program(long, "1", "long itself", "lib"))
	two := program("two", "1", "native", "lib")
	two.Architecture = runtime.GOARCH
	p.install(two)
	var b strings.Builder
	two.Architecture, two.Files[0].Body, two.Files[0].Path = foreign, "foreign", "usr/bin/two-"+foreign
	if err := mkpkg.Deb(&b, two); err != nil {
		t.Fatal(err)
	}
	p.drop("two_foreign.deb", b.String())
	p.settle()
	launches := func(ref string) string { return "#!/usr/libexec/packagefs/enter " + ref + "\n" }
	for _, c := range []struct{ who, context, path, want string }{
		{"alice", "", "usr/bin/app", launches("app=1")},
		{"alice", "group:dev", "usr/bin/app", launches("app=1")},
		{"alice", "", "usr/bin/old", launches("old=1")},
		{"alice", "", "usr/bin/lone", "lone itself"},          // needs nothing
		{"alice", "", "usr/bin/broken", launches("broken=1")}, // entering says why
		{"alice", "", "usr/bin/g++", launches("g%2B%2B=4:12~rc%2Bb1")},
		{"alice", "", "usr/bin/two", launches("two=1")},
		{"alice", "", "usr/bin/" + long, "long itself"}, // no first line has room for it
		{"alice", "", "usr/bin/lib", "ENOENT"},

		// With what they need in sight, programs are themselves.
		{"alice", "+lib", "usr/bin/app", "app itself"},
		{"alice", "+lib", "usr/bin/old", launches("old=1")},
		{"alice", "+lib=1", "usr/bin/app", launches("app=1")},
		{"alice", "+lib=1", "usr/bin/old", "old itself"},
		{"alice", "+app", "usr/bin/app", "app itself"},
		{"alice", "+app", "usr/bin/g++", "g++ itself"},
		{"bob", "", "usr/bin/app", "app itself"},
		{"bob", "", "usr/bin/old", "old itself"},
		{"root", "", "usr/bin/app", "app itself"}, // no toplevel list: all at the newest version
		{"root", "", "usr/bin/old", launches("old=1")},
		{"root", "package:app", "usr/bin/app", "app itself"},
		{"root", "package:old", "usr/bin/old", "old itself"},
		{"root", "all", "usr/bin/old", "old itself"},
		{"root", "all", "usr/bin/two-" + foreign, "foreign"},
	} {
		if got := reads(p.attach(c.who, c.context), c.path); got != c.want {
			t.Errorf("%s in %q reads %s: %q, want %q", c.who, c.context, c.path, got, c.want)
		}
		if ref, ok := strings.CutPrefix(c.want, "#!/usr/libexec/packagefs/enter "); ok && !strings.Contains(c.want, "broken") {
			// What a launcher says, is an attach name that shows the program.
			at := p.attach("root", "package:"+strings.TrimSpace(ref))
			if got := reads(at, c.path); !strings.HasSuffix(got, " itself") && got != "native" {
				t.Errorf("%s leads to %q", c.want, got)
			}
		}
	}
}

// TestLaunchersOfHidden has all packages in sight, and two with one path: a program
// is itself only where what it needs is served.
func TestLaunchersOfHidden(t *testing.T) {
	p := newFixture(t, map[string]string{"user:alice": ``, "user:bob": `prefer = ["new-python"]`})
	for name, body := range map[string]string{"old-python": "python 2", "new-python": "python 3"} {
		p.install(mkpkg.Spec{Name: name, Version: "1", Files: []mkpkg.File{
			{Path: "usr/bin/python", Body: body, Mode: 0o755}, {Path: "usr/share/" + name, Body: name},
		}})
	}
	p.install(program("old-script", "1", "old itself", "old-python"))
	p.install(program("new-script", "1", "new itself", "new-python"))
	p.install(program("same", "1", "same itself", "twin"))
	p.install(mkpkg.Spec{Name: "twin", Version: "1", Files: []mkpkg.File{{Path: "usr/share/new-python", Body: "new-python"}}})
	p.settle()
	for _, c := range []struct{ who, context, path, want string }{
		{"alice", "", "usr/bin/python", "python 3"}, // by name
		{"alice", "", "usr/bin/new-script", "new itself"},
		{"alice", "", "usr/bin/old-script", "#!/usr/libexec/packagefs/enter old-script=1\n"},
		{"alice", "", "usr/bin/same", "same itself"}, // identical files hide nothing
		{"alice", "+old-python", "usr/bin/python", "python 2"},
		{"alice", "+old-python", "usr/bin/old-script", "old itself"},
		{"alice", "+old-python", "usr/bin/new-script", "#!/usr/libexec/packagefs/enter new-script=1\n"},
		{"bob", "+old-python", "usr/bin/python", "python 2"}, // what was asked for last
	} {
		if got := reads(p.attach(c.who, c.context), c.path); got != c.want {
			t.Errorf("%s in %q reads %s: %q, want %q", c.who, c.context, c.path, got, c.want)
		}
	}
}

// TestLaunchersLive changes what programs need under attached trees whose own
// packages stay, and whose directories are shared.
func TestLaunchersLive(t *testing.T) {
	p := newFixture(t, map[string]string{
		"user:alice": `toplevel = ["tool", "lib=2"]`,
		"user:bob":   "toplevel = [\"tool\", \"lib=2\"]\ndependencies = \"visible\"",
	})
	p.install(program("tool", "1", "tool itself", "lib"))
	p.settle()
	alice, bob := p.attach("alice", ""), p.attach("bob", "")
	bin, err := walk(alice, "usr/bin")
	if err != nil {
		t.Fatal(err)
	}
	const launcher = "#!/usr/libexec/packagefs/enter tool=1\n"
	qid := func() p9.QID {
		f, err := walk(bin, "tool")
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		q, _, _, err := f.GetAttr(p9.AttrMaskAll)
		if err != nil {
			t.Fatal(err)
		}
		_, d, err := bin.Walk(nil)
		if err != nil {
			t.Fatal(err)
		}
		defer d.Close()
		if _, _, err := d.Open(p9.ReadOnly); err != nil {
			t.Fatal(err)
		}
		all, err := d.Readdir(0, 10)
		if err != nil || len(all) != 1 || all[0].QID != q {
			t.Errorf("the directory lists %v (%v), the file has %v", all, err, q)
		}
		return q
	}
	if got := reads(bin, "tool"); got != "tool itself" {
		t.Errorf("at first the program is %q", got)
	}
	itself := qid()
	change := func(what, want string, do func()) {
		t.Helper()
		do()
		p.until(what, func() bool { return reads(bin, "tool") == want })
		if (qid() == itself) != (want == "tool itself") {
			t.Errorf("after %s the qid is %v, that of the program is %v", what, qid(), itself)
		}
		if got := reads(bob, "usr/bin/tool"); got != "tool itself" {
			t.Errorf("after %s the program is %q where dependencies are visible", what, got)
		}
	}
	lib3 := func() { p.install(mkpkg.Spec{Name: "lib", Version: "3"}); p.settle() }
	change("a newer dependency", launcher, lib3)
	change("a pin in system", "tool itself", func() { p.context("system", `pin = { lib = "2" }`) })
	change("another pin in system", launcher, func() { p.context("system", `pin = { lib = "1" }`) })
	change("no pin", launcher, func() {
		if err := os.Remove(filepath.Join(p.state, "contexts", "system.toml")); err != nil {
			t.Fatal(err)
		}
	})
	change("the dependency goes", "tool itself", func() {
		if err := os.Remove(filepath.Join(p.packages, "lib_3.deb")); err != nil {
			t.Fatal(err)
		}
	})
	override := func(text string) func() {
		return func() {
			name := filepath.Join(p.state, "overrides", "tool.toml")
			if err := errors.Join(os.MkdirAll(filepath.Dir(name), 0o755), os.WriteFile(name, []byte(text), 0o644)); err != nil {
				t.Fatal(err)
			}
		}
	}
	change("the dependency comes back", launcher, lib3)
	change("an override without launchers", "tool itself", override("launchers = false\n"))
	change("an override with some", launcher, override("launchers = [\"/usr/bin/to*\"]\n"))
	change("an override with others", "tool itself", override("launchers = [\"/usr/sbin/*\"]\n"))

	// The two contexts have the same packages in the same order, and trees of
	// their own.
	trees := map[any]bool{}
	var key string
	for _, who := range []string{"alice", "bob"} {
		name, _ := attachname.Parse("user:" + who)
		b := &binding{at: p.attachments, name: name, as: caller{Trusted: true}}
		s, err := b.refresh()
		if err != nil {
			t.Fatal(err)
		}
		trees[s.Tree] = true
		v, err := p.contexts.Resolve(p.FS.packages.Set(), name, caller{Trusted: true})
		if err != nil || key != "" && v.Key != key {
			t.Fatal(v, err)
		}
		key = v.Key
	}
	if len(trees) != 2 {
		t.Error("a context with launchers and one without have one tree")
	}
}

// TestInterpreter looks at what every tree has for launchers to start.
func TestInterpreter(t *testing.T) {
	p := newFixture(t, map[string]string{"user:alice": `toplevel = ["evil"]`, "group:dev": `toplevel = []`})
	p.install(mkpkg.Spec{Name: "evil", Version: "1", Files: []mkpkg.File{
		{Path: "usr/", Mode: 0o711}, {Path: enterPath, Body: "evil", Mode: 0o4755}, {Path: "usr/libexec/packagefs/root", Target: "/"},
	}})
	p.settle()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	want, err := os.Stat(self)
	if err != nil {
		t.Fatal(err)
	}
	head := make([]byte, 4096)
	f, err := os.Open(self)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := f.ReadAt(head, want.Size()/2); err != nil {
		t.Fatal(err)
	}
	var qids []p9.QID
	for _, name := range []string{"user:alice", "group:dev", "package:evil", "package:app", "all", ""} {
		root := p.attach("root", name)
		if dir, err := walk(root, "usr/libexec/packagefs"); err != nil || list(dir) != "contexts enter root" {
			t.Fatalf("%q has no interpreter: %v", name, err)
		}
		for _, empty := range []string{"contexts", "root"} {
			if dir, err := walk(root, "usr/libexec/packagefs/"+empty); err != nil || list(dir) != "" {
				t.Errorf("%q: %s: %v", name, empty, err)
			}
		}
		enter, err := walk(root, enterPath)
		if err != nil {
			t.Fatal(err)
		}
		q, _, attr, err := enter.GetAttr(p9.AttrMaskAll)
		if err != nil || attr.Mode != p9.ModeRegular|0o755 || attr.UID != 0 || attr.GID != 0 || attr.Size != uint64(want.Size()) || attr.MTimeSeconds != uint64(want.ModTime().Unix()) {
			t.Errorf("%q: the interpreter has %+v, %v", name, attr, err)
		}
		qids = append(qids, q)
		if _, _, err := enter.Open(p9.ReadOnly); err != nil {
			t.Fatal(err)
		}
		got := make([]byte, len(head))
		if _, err := enter.ReadAt(got, want.Size()/2); err != nil || string(got) != string(head) {
			t.Errorf("%q: the interpreter is not this program (%v)", name, err)
		}
		if err := enter.SetAttr(p9.SetAttrMask{Permissions: true}, p9.SetAttr{}); err == nil {
			t.Errorf("%q: the interpreter can be changed", name)
		}
	}
	for _, q := range qids {
		if q != qids[0] || q.Version == 0 {
			t.Errorf("the interpreter's qids differ: %v", qids)
		}
	}
	usr, err := walk(p.attach("root", "user:alice"), "usr")
	if err != nil {
		t.Fatal(err)
	}
	if _, _, attr, err := usr.GetAttr(p9.AttrMaskAll); err != nil || attr.Mode.Permissions() != 0o755 {
		t.Errorf("usr has %v, %v: one package has decided about it", attr.Mode, err)
	}
	var x api.Explain
	a := p.ask("root", `{"op": "explain", "context": "user:alice"}`)
	if err := json.Unmarshal(a.Result, &x); err != nil || len(x.Packages) != 1 || len(x.Conflicts) != 2 || x.Conflicts[0].Path != "/"+enterPath ||
		x.Conflicts[0].Winner != "packagefs="+Version() || strings.Join(x.Conflicts[0].Losers, " ") != "evil=1" {
		t.Errorf("explain: %v %s %s", err, a.Error, a.Result)
	}
}
