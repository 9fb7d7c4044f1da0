package server

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/hugelgupf/p9/p9"

	"github.com/packagefs/packagefs/pkgindex/format/mkpkg"
	"github.com/packagefs/packagefs/server/api"
	"github.com/packagefs/packagefs/server/p9l/wire"
)

// override writes an override file in one step, or takes it away if the text is
// empty.
func (p *fixture) override(name, text string) {
	p.Helper()
	file := filepath.Join(p.state, "overrides", name+".toml")
	tmp := filepath.Join(p.TempDir(), "x")
	err := errors.Join(os.WriteFile(tmp, []byte(text), 0o600), os.Rename(tmp, file))
	if text == "" {
		err = os.Remove(file)
	}
	if err != nil {
		p.Fatal(err)
	}
}

// leads returns where a symlink leads to, or the errno.
func leads(f p9.File, path string) string {
	f, err := walk(f, path)
	if err != nil {
		return wire.ErrnoName(uint32(errnoOf(err)))
	}
	defer f.Close()
	to, err := f.Readlink()
	if err != nil {
		return wire.ErrnoName(uint32(errnoOf(err)))
	}
	return to
}

// explained returns why a context has what it has at a path.
func (p *fixture) explained(context, path string) string {
	p.Helper()
	var x api.PathExplain
	a := p.ask("root", `{"op": "explain", "context": "`+context+`", "path": "`+path+`"}`)
	if err := json.Unmarshal(a.Result, &x); err != nil {
		p.Fatalf("%v: %s", err, a.Error)
	}
	return x.Why
}

// TestAlternatives tells in stories where a link leads, over changes of packages,
// override files and contexts.
func TestAlternatives(t *testing.T) {
	p := newFixture(t, map[string]string{
		"user:alice": `toplevel = ["mawk", "gawk", "busybox"]`,
		"user:bob":   "toplevel = [\"mawk\", \"gawk\", \"busybox\"]\nprefer = [\"gawk\"]",
		"group:dev":  `toplevel = ["gawk"]`,
		"group:open": `toplevel = ["app"]`,
	})
	awk := func(name string) mkpkg.Spec {
		return mkpkg.Spec{Name: name, Version: "1", Files: []mkpkg.File{
			{Path: "usr/bin/" + name, Body: name, Mode: 0o755}, {Path: "usr/share/man/man1/" + name + ".1.gz", Body: name}}}
	}
	p.install(awk("mawk"))
	p.install(awk("gawk"))
	p.settle()
	alice, bob, dev, open := p.attach("alice", ""), p.attach("bob", ""), p.attach("root", "group:dev"), p.attach("root", "group:open")
	are := func(what string, want ...string) {
		t.Helper()
		p.until(what, func() bool {
			for i, at := range []p9.File{alice, bob, dev, open} {
				if leads(at, "usr/bin/awk") != want[i] {
					return false
				}
			}
			return true
		})
	}
	are("without any", "ENOENT", "ENOENT", "ENOENT", "ENOENT")
	// The file is named after no package: alternatives are for all trees.
	p.override("awk", `alternatives = { "/bin/awk" = ["mawk", "gawk"], "/usr/share/man/man1/awk.1.gz" = ["mawk.1.gz", "gawk.1.gz"] }`)
	are("with a declaration", "mawk", "gawk", "gawk", "ENOENT")
	if got := leads(bob, "usr/share/man/man1/awk.1.gz"); got != "gawk.1.gz" {
		t.Errorf("the manual that goes with it leads to %s", got)
	}
	if got := reads(bob, "usr/bin/awk") + list2(t, dev, "usr/bin"); got != "ELOOPawk gawk" {
		t.Errorf("a link reads %s", got)
	}
	const why = "generated: an alternative: gawk of gawk=1, by awk.toml (the context prefers its package); also possible: mawk of mawk=1, by awk.toml"
	if got := p.explained("user:bob", "/usr/bin/awk"); got != why {
		t.Errorf("explained as %s", got)
	}
	if got := p.explained("group:dev", "/usr/bin/awk"); got != "generated: an alternative: gawk of gawk=1, by awk.toml (the first that is there); not there: mawk" {
		t.Errorf("explained as %s", got)
	}
	p.context("user:alice", "toplevel = [\"mawk\", \"gawk\", \"busybox\"]\nprefer = [\"gawk\"]")
	p.context("user:bob", `toplevel = ["mawk", "gawk", "busybox"]`)
	are("other preferences", "gawk", "mawk", "gawk", "ENOENT")
	p.override("awk", `alternatives = { "/usr/bin/awk" = ["/usr/bin/gawk", "/usr/bin/mawk"] }`)
	are("another order", "/usr/bin/gawk", "/usr/bin/gawk", "/usr/bin/gawk", "ENOENT")
	p.override("awk", `alternatives = { "/usr/bin/awk" = "gawk" }`)
	p.until("a mistake to be told", func() bool {
		r := p.FS.packages.Set().Rejected
		return len(r) == 1 && strings.Contains(r[0].File+r[0].Reason, "overrides/awk.toml")
	})
	are("a mistake", "/usr/bin/gawk", "/usr/bin/gawk", "/usr/bin/gawk", "ENOENT")
	p.override("awk", `alternatives = { "/usr/bin/awk" = ["mawk", "gawk"] }`)
	are("no mistake", "gawk", "mawk", "gawk", "ENOENT")
	if err := os.Remove(filepath.Join(p.packages, "mawk_1.deb")); err != nil {
		t.Fatal(err)
	}
	are("without mawk", "gawk", "gawk", "gawk", "ENOENT")

	// What a launcher starts is the package's own, whatever else that needs.
	p.install(awk("mawk"))
	with := awk("gawk")
	with.Depends = []string{"mawk"}
	p.install(with)
	p.settle()
	own := p.attach("root", "package:gawk")
	p.until("mawk to be in the context of gawk", func() bool { return reads(own, "usr/bin/mawk") == "mawk" })
	if got := leads(own, "usr/bin/awk"); got != "gawk" {
		t.Errorf("in the context of gawk the link leads to %s", got)
	}
	if got := reads(alice, "usr/bin/gawk") + leads(p.attach("root", "package:mawk"), "usr/bin/awk"); got != "gawkmawk" {
		t.Errorf("got %s", got)
	}

	// A package's own file comes first, and nothing takes a directory's place.
	p.install(mkpkg.Spec{Name: "busybox", Version: "1", Files: []mkpkg.File{{Path: "usr/bin/awk", Target: "busybox"}}})
	are("a package's own link", "busybox", "busybox", "gawk", "ENOENT")
	p.override("more", `alternatives = { "/usr/bin" = ["/usr/bin/gawk"] }`)
	p.override("awk", `alternatives = { "/usr/bin/awk/x" = ["/usr/bin/gawk"] }`)
	are("a link below a link", "busybox", "busybox", "EINVAL", "ENOENT")
	if got := leads(dev, "usr/bin/awk/x"); got != "/usr/bin/gawk" {
		t.Errorf("where no package has a file it leads to %s", got)
	}
	p.override("awk", "")
	are("no declaration", "busybox", "busybox", "ENOENT", "ENOENT")
}

func list2(t *testing.T, root p9.File, path string) string {
	t.Helper()
	dir, err := walk(root, path)
	if err != nil {
		t.Fatal(err)
	}
	return list(dir)
}

// TestShells lists the shells of trees.
func TestShells(t *testing.T) {
	p := newFixture(t, map[string]string{
		"user:alice": `toplevel = ["bash", "dash"]`, "user:bob": `toplevel = ["dash"]`, "group:base": `toplevel = ["bash", "base"]`, "group:open": `toplevel = ["app"]`,
	})
	p.install(mkpkg.Spec{Name: "bash", Version: "1", Files: []mkpkg.File{
		{Path: "bin/bash", Body: "bash", Mode: 0o755}, {Path: "bin/rbash", Target: "bash"},
		{Path: "usr/share/debianutils/shells.d/bash", Body: "# shells\n/bin/bash\n/bin/rbash\n/bin/nowhere\nrelative\n/opt/x y\n/etc/passwd\n"},
		{Path: "etc/passwd", Body: "no shell"},
	}})
	p.install(mkpkg.Spec{Name: "dash", Version: "1", Files: []mkpkg.File{{Path: "usr/bin/dash", Body: "dash", Mode: 0o755}, {Path: "usr/bin/sh", Target: "dash"}}})
	p.install(mkpkg.Spec{Name: "base", Version: "1", Files: []mkpkg.File{{Path: "etc/shells", Body: "the package's"}}})
	p.settle()
	alice := p.attach("alice", "")
	const head, sh, dash, bash = "# /etc/shells: valid login shells\n", "/bin/sh\n/usr/bin/sh\n", "/bin/dash\n/usr/bin/dash\n", "/bin/bash\n/usr/bin/bash\n"
	const rbash = "/bin/rbash\n/usr/bin/rbash\n"
	for _, c := range []struct {
		root p9.File
		want string
	}{
		{alice, head + sh + bash + dash + rbash}, {p.attach("bob", ""), head + sh + dash},
		{p.attach("root", "group:base"), "the package's"}, {p.attach("root", "group:open"), "ENOENT"},
	} {
		if got := reads(c.root, "etc/shells"); got != c.want {
			t.Errorf("got %s, want %s", got, c.want)
		}
	}
	if got := p.explained("user:alice", "/etc/shells"); got != "generated: lists the shells of dash=1, bash=1" {
		t.Errorf("explained as %s", got)
	}
	var owners []api.Owner
	a := p.ask("root", `{"op": "owns", "context": "user:alice", "path": "/etc/shells"}`)
	if err := json.Unmarshal(a.Result, &owners); err != nil || len(owners) != 1 || owners[0].Reason != "generated: lists the shells of dash=1, bash=1" {
		t.Errorf("owns: %s %s", a.Result, a.Error)
	}

	// It is configuration: an edit stays, and says what it was made of.
	f, err := walk(p.attach("root", "user:alice"), "etc/shells")
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := f.Open(p9.ReadWrite); err != nil {
		t.Fatal(err)
	}
	if _, err := f.WriteAt([]byte("# mine"), 0); err != nil {
		t.Fatal(err)
	}
	f.Close()
	edits := func() string {
		return string(p.ask("root", `{"op": "edits", "context": "user:alice"}`).Result)
	}
	if got := edits(); !strings.Contains(got, `"state":"edited"`) || !strings.Contains(got, `"from":"packagefs=`) {
		t.Errorf("edits: %s", got)
	}
	if err := os.Remove(filepath.Join(p.packages, "dash_1.deb")); err != nil {
		t.Fatal(err)
	}
	p.until("the edit to be outdated", func() bool { return strings.Contains(edits(), `"state":"outdated"`) })
	if got := reads(alice, "etc/shells"); !strings.HasPrefix(got, "# mine") {
		t.Errorf("the edited list is %s", got)
	}
}

// TestServices enables units as their files say, and tells of what it cannot.
func TestServices(t *testing.T) {
	p := newFixture(t, map[string]string{"user:alice": `toplevel = ["ssh", "getty", "mask"]`, "user:bob": `toplevel = ["getty"]`})
	unit := func(name, install string) mkpkg.File {
		return mkpkg.File{Path: "lib/systemd/system/" + name, Body: "[Unit]\nWantedBy=no.target\n[Install]\n" + install}
	}
	p.install(mkpkg.Spec{Name: "ssh", Version: "1", Files: []mkpkg.File{
		unit("ssh.service", "WantedBy=multi-user.target \\\n  other.target\nAlias=sshd.service wrong.socket\nAlso=ssh.socket\n"),
		unit("ssh.socket", "; comment\nWantedBy=lost.target\nWantedBy=\nWantedBy=sockets.target ../../../../evil.target\n"),
		unit("plain.service", ""), unit("masked.service", "WantedBy=multi-user.target\n"),
	}})
	p.install(mkpkg.Spec{Name: "mask", Version: "1", Files: []mkpkg.File{{Path: "etc/systemd/system/masked.service", Target: "/dev/null"}}})
	p.install(mkpkg.Spec{Name: "getty", Version: "1", Files: []mkpkg.File{
		unit("getty@.service", "WantedBy=getty.target\nRequiredBy=on-%i.target %x.target\nDefaultInstance=tty1\n"),
		unit("serial@.service", "WantedBy=getty.target\n"),
	}})
	p.override("ssh", `services = ["ssh.service", "plain.service", "masked.service", "nosuch.service"]`)
	p.override("getty", `services = ["getty@.service", "getty@tty2.service", "serial@.service"]`)
	p.settle()
	const dir = "etc/systemd/system"
	alice := p.attach("alice", "")
	p.until("the override files to be read", func() bool {
		return leads(alice, dir+"/sshd.service") != "ENOENT" && leads(alice, dir+"/getty.target.wants/getty@tty2.service") != "ENOENT"
	})
	for path, want := range map[string]string{
		"multi-user.target.wants/ssh.service":        "/usr/lib/systemd/system/ssh.service",
		"other.target.wants/ssh.service":             "/usr/lib/systemd/system/ssh.service",
		"sshd.service":                               "/usr/lib/systemd/system/ssh.service",
		"sockets.target.wants/ssh.socket":            "/usr/lib/systemd/system/ssh.socket",
		"getty.target.wants/getty@tty1.service":      "/usr/lib/systemd/system/getty@.service",
		"getty.target.wants/getty@tty2.service":      "/usr/lib/systemd/system/getty@.service",
		"on-tty2.target.requires/getty@tty2.service": "/usr/lib/systemd/system/getty@.service",
	} {
		if got := leads(alice, dir+"/"+path); got != want {
			t.Errorf("%s leads to %s, want %s", path, got, want)
		}
	}
	if got := list2(t, alice, dir); got != "getty.target.wants masked.service multi-user.target.wants on-tty1.target.requires on-tty2.target.requires other.target.wants sockets.target.wants sshd.service" {
		t.Errorf("the directory has %s", got)
	}
	if got := list2(t, p.attach("bob", ""), dir); got != "getty.target.wants on-tty1.target.requires on-tty2.target.requires" {
		t.Errorf("bob's has %s", got)
	}
	events := string(p.FS.control.events.recent(100))
	for _, want := range []string{
		"plain.service, which ssh.toml enables for ssh=1: /usr/lib/systemd/system/plain.service has no section [Install]",
		"masked.service, which ssh.toml enables for ssh=1: /etc/systemd/system/masked.service leads to nothing: the unit is masked",
		"nosuch.service, which ssh.toml enables for ssh=1: there is no such unit",
		"serial@.service, which getty.toml enables for getty=1: it is a template without a default instance; name an instance, as in serial@NAME.service",
	} {
		if strings.Count(events, want) != 1 || !strings.Contains(events, `"event":"generate-failed","file":"services"`) {
			t.Errorf("events do not tell once: %s\n%s", want, events)
		}
	}
	if got := p.explained("user:alice", "/"+dir+"/sshd.service"); got != "generated: enables ssh.service of ssh=1, as its section [Install] says" {
		t.Errorf("explained as %s", got)
	}
}

// TestInfoDirectory lists manuals.
func TestInfoDirectory(t *testing.T) {
	p := newFixture(t, map[string]string{"user:alice": `toplevel = ["ed", "odd"]`, "user:bob": `toplevel = ["odd"]`})
	p.install(mkpkg.Spec{Name: "ed", Version: "1", Files: []mkpkg.File{
		{Path: "usr/share/info/ed.info", Body: "This is ed.info\n\nINFO-DIR-SECTION Basics\nSTART-INFO-DIR-ENTRY\n* Ed: (ed).  The editor\n             of the system.\n* Red: (ed)Red.\nEND-INFO-DIR-ENTRY\n* Not: (this).\n"},
	}})
	p.install(mkpkg.Spec{Name: "odd", Version: "1", Files: []mkpkg.File{
		{Path: "usr/share/info/odd.info", Body: "nothing to list"}, {Path: "usr/share/info/bad.info.gz", Body: "no gzip"}, {Path: "usr/share/info/link.info", Target: "odd.info"}}})
	p.settle()
	const want = "\n* Menu:\n\nBasics\n* Ed: (ed).  The editor\n             of the system.\n* Red: (ed)Red.\n"
	if got := reads(p.attach("alice", ""), "usr/share/info/dir"); !strings.HasSuffix(got, want) {
		t.Errorf("the list is %s", got)
	}
	if got := reads(p.attach("bob", ""), "usr/share/info/dir"); got != "ENOENT" {
		t.Errorf("without anything to list it is %s", got)
	}
	if got := list2(t, p.attach("bob", ""), "usr/share/info"); got != "bad.info.gz link.info odd.info" {
		t.Errorf("the directory has %s", got)
	}
}

// TestPrograms shows users the programs that an override file names, where the
// context hides dependencies.
func TestPrograms(t *testing.T) {
	p := newFixture(t, map[string]string{"user:alice": `toplevel = ["suite"]`, "user:bob": "toplevel = [\"suite\"]\ndependencies = \"visible\""})
	p.install(mkpkg.Spec{Name: "suite", Version: "1", Depends: []string{"lib (>= 2)"}, Files: []mkpkg.File{
		{Path: "usr/bin/suite", Body: "suite", Mode: 0o755}, {Path: "usr/bin/suite-helper", Body: "helper", Mode: 0o755},
		{Path: "usr/bin/helper", Target: "suite-helper"}, {Path: "usr/lib/suite/libsuite.so", Body: "library", Mode: 0o755},
	}})
	p.settle()
	alice, bob, own := p.attach("alice", ""), p.attach("bob", ""), p.attach("root", "package:suite")
	if got := list2(t, alice, "usr/bin"); got != "helper suite suite-helper" {
		t.Errorf("without an override file: %s", got)
	}
	p.override("suite", `programs = ["/usr/bin/suite"]`)
	p.until("the others to go", func() bool { return list2(t, alice, "usr/bin") == "suite" })
	for name, at := range map[string]p9.File{"bob": bob, "the package": own} {
		if got := list2(t, at, "usr/bin") + " " + reads(at, "usr/bin/suite-helper"); got != "helper suite suite-helper helper" {
			t.Errorf("%s has %s", name, got)
		}
	}
	for path, want := range map[string]string{
		"usr/bin/suite": "#!/usr/libexec/packagefs/enter suite=1\n", "usr/bin/suite-helper": "ENOENT", "usr/bin/helper": "ENOENT", "usr/lib/suite/libsuite.so": "library",
	} {
		if got := reads(alice, path); got != want {
			t.Errorf("alice reads %s: %q, want %q", path, got, want)
		}
	}
	a := p.ask("root", `{"op": "explain", "context": "user:alice", "path": "/usr/bin/suite-helper"}`)
	if !strings.Contains(a.Error, "suite.toml has it not among the programs that users start") {
		t.Errorf("explained as %s %s", a.Result, a.Error)
	}
	p.override("suite", `programs = []`)
	p.until("all to go", func() bool { return list2(t, alice, "usr/bin") == "" })
	p.override("suite", "")
	p.until("all to come back", func() bool { return list2(t, alice, "usr/bin") == "helper suite suite-helper" })
}
