package server

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/hugelgupf/p9/linux"
	"github.com/hugelgupf/p9/p9"
	"github.com/rs/zerolog"

	"github.com/packagefs/packagefs/pkgindex/format/mkpkg"
	"github.com/packagefs/packagefs/server/p9l/wire"
)

// walk walks to a path below f.
func walk(f p9.File, path string) (p9.File, error) {
	_, to, err := f.Walk(strings.Split(path, "/"))
	return to, err
}

// list returns the names in a directory, a space between them, or the errno.
func list(f p9.File) string {
	if _, _, err := f.Open(p9.ReadOnly); err != nil {
		return wire.ErrnoName(uint32(errnoOf(err)))
	}
	var names []string
	for offset := uint64(0); ; {
		batch, err := f.Readdir(offset, 3)
		if err != nil {
			return wire.ErrnoName(uint32(errnoOf(err)))
		}
		if len(batch) == 0 {
			return strings.Join(names, " ")
		}
		for _, d := range batch {
			names = append(names, d.Name)
		}
		offset = batch[len(batch)-1].Offset
	}
}

// readAll reads an open file to its end, in small pieces.
func readAll(f p9.File) string {
	var out []byte
	for b := make([]byte, 1000); ; {
		n, err := f.ReadAt(b, int64(len(out)))
		if out = append(out, b[:n]...); n == 0 || err != nil {
			return string(out)
		}
	}
}

// show returns the content of a file of the control directory, or the errno.
func (p *fixture) show(who, path string) string {
	p.Helper()
	f, err := walk(p.attach(who, "ctl"), path)
	if err == nil {
		_, _, err = f.Open(p9.ReadOnly)
	}
	if err != nil {
		return wire.ErrnoName(uint32(errnoOf(err)))
	}
	defer f.Close()
	return readAll(f)
}

// order writes commands into the control file, and returns the results and the
// errno of the write.
func (p *fixture) order(who, text string) (results, errno string) {
	p.Helper()
	f, err := walk(p.attach(who, "ctl"), "ctl")
	if err == nil {
		_, _, err = f.Open(p9.ReadWrite)
	}
	if err != nil {
		return "", wire.ErrnoName(uint32(errnoOf(err)))
	}
	defer f.Close()
	if _, err := f.WriteAt([]byte(text), 0); err != nil {
		errno = wire.ErrnoName(uint32(errnoOf(err)))
	}
	return readAll(f), errno
}

// TestWhoCommands tells who sees what of the control directory.
func TestWhoCommands(t *testing.T) {
	p := newFixture(t, map[string]string{"group:wheel": `members = ["bob"]`, "group:open": "public = true"})
	const all, little = "conflicts contexts ctl events metrics packages query rejected status", "query"
	for _, c := range []struct {
		admins []string
		who    string
		want   string
	}{
		{nil, "root", all},
		{nil, "root as nobody/", all},
		{nil, "root as /0", all},
		{nil, "root as /1001", little},
		{nil, "alice", little},
		{nil, "alice as /1001", little},
		{nil, "192.0.2.1", little},
		{nil, "192.0.2.1 as root/0", little},
		{nil, "10.1.2.3", little},
		{nil, "10.3.2.3", little}, // root there speaks for everybody, and commands nothing
		{nil, "10.3.2.3 as /0", little},
		{[]string{"alice"}, "10.3.2.3 as /1001", little},
		{nil, "10.1.2.3 as /1001", little},
		{nil, "7777", little},
		{[]string{"alice"}, "alice", all},
		{[]string{"alice"}, "root as /1001", all},
		{[]string{"alice"}, "bob", little},
		{[]string{"user:alice"}, "alice", all},
		{[]string{"user:1001"}, "alice", all},
		{[]string{"group:alice", "1001", "group:1001", "user:dev", "user:2000", ""}, "alice", little},
		{[]string{"nobody", "dev"}, "alice", all},
		{[]string{"group:dev"}, "alice", all},
		{[]string{"group:2000"}, "alice", all},
		{[]string{"dev"}, "bob", little},
		{[]string{"alice"}, "192.0.2.1 as alice/1001", little},
		{[]string{"user:7777"}, "7777", all},
		{[]string{"wheel", "group:wheel"}, "bob", little}, // a context file makes no administrators
	} {
		p.config.Admins = c.admins
		f := p.attach(c.who, "ctl")
		if got := list(f); got != c.want {
			t.Errorf("%s, administrators %q: sees %s, want %s", c.who, c.admins, got, c.want)
		}
		for name := range strings.FieldsSeq(all) {
			seen := slices.Contains(strings.Fields(c.want), name)
			if _, err := walk(f, name); seen != (err == nil) || !seen && errnoOf(err) != linux.ENOENT {
				t.Errorf("%s, administrators %q: walks to %s: %v", c.who, c.admins, name, err)
			}
		}
	}
}

// TestNothingPublic: as mallory, whom nobody knows, look for the control directory of a
// server that shows nothing to everybody: there is none, until something is public.
func TestNothingPublic(t *testing.T) {
	p := newFixture(t, nil)
	if got := p.attachText(asking("192.0.2.1", "ctl")); got != "EACCES" {
		t.Errorf("ctl: %s", got)
	}
	dir := p.attach("192.0.2.1", "contexts")
	if _, err := walk(dir, "ctl"); list(dir) != "" || errnoOf(err) != linux.ENOENT {
		t.Errorf("contexts has %q; its ctl: %v", list(dir), err)
	}
	p.context("group:open", "public = true")
	p.until("a context is public", func() bool { return list(p.attach("192.0.2.1", "contexts")) == "group:open ctl" })
	if got := list(p.attach("192.0.2.1", "ctl")); got != "query" {
		t.Errorf("ctl has %q", got)
	}
}

// TestControlAttributes has the modes that keep others out on a mount that
// speaks for one user.
func TestControlAttributes(t *testing.T) {
	p := newFixture(t, nil)
	p.config.Admins = []string{"alice"}
	for who, uid := range map[string]p9.UID{"root": 0, "root as nobody/": 0, "alice": 1001} {
		for name, mode := range map[string]p9.FileMode{"ctl": 0o600, "events": 0o400, "status": 0o400, "query": 0o666, "contexts": 0o555} {
			f, err := walk(p.attach(who, "ctl"), name)
			if err != nil {
				t.Fatal(err)
			}
			qid, _, attr, err := f.GetAttr(p9.AttrMask{})
			if err != nil || attr.Mode.Permissions() != mode || attr.UID != uid || qid.Version != 0 {
				t.Errorf("%s: %s has mode %o, owner %d, qid %v, %v", who, name, attr.Mode, attr.UID, qid, err)
			}
		}
	}
}

func TestControlTexts(t *testing.T) {
	p := newFixture(t, map[string]string{
		"user:alice": "toplevel = [\"other\", \"app\", \"gone\"]\ndeny = [\"lib=1\"]",
		"user:bad":   `toplevel = 17`,
		"system":     `prefer = ["app"]`,
	})
	p.drop("junk", "junk")
	p.until("a bad file is dropped", func() bool { return len(p.FS.packages.Set().Rejected) == 1 })
	for path, want := range map[string][]string{
		"status":    {"generation ", "packages ", " 5\n", "rejected ", "unix:", "line 1: toplevel: want a list", p.packages},
		"packages":  {"app=1  ", "lib=2  ", "  deb  app_1.deb\n", "lib_1.deb\n"},
		"rejected":  {"junk  "},
		"conflicts": {"/usr/lib/lib.so  lib=2  hides lib=1\n", "/usr/share/doc/notes  app=1  hides other=1\n"},
		"metrics":   {"# TYPE packagefs_packages gauge\npackagefs_packages 5\n", "packagefs_packages_rejected 1\n", "packagefs_contexts_broken 1\n", "packagefs_info{version="},

		"contexts/user:alice": {
			"context       user:alice\n", "rules, nearest last\n", "toplevel  other, app, gone  user:alice.toml\n", "lib=1", "system.toml",
			"roots\n  app=1\n  other=1\n", `app=1    toplevel "app" in user:alice.toml`, "missing\n  gone  not installed\n",
			"conflicts\n  /usr/share/doc/notes  app=1  hides other=1\n",
		},
		"contexts/package:app":    {"  app=1  ", "  lib=2  app=1 needs lib (>= 2)\n"},
		"contexts/package:broken": {"nobody can attach", "nowhere"},
		"contexts/user:bad":       {"nobody can attach", "errors in context files\n  user:bad.toml  "},
		"contexts/all":            {"  broken=1  "},
		"contexts/user:alice+lib": {"lib=2"},
	} {
		got := p.show("root", path)
		for _, w := range want {
			if !strings.Contains(got, w) {
				t.Errorf("%s has no %q:\n%s", path, w, got)
			}
		}
	}
	for path, want := range map[string]string{
		"contexts/user:nosuch": "ENOENT", "contexts/package:none": "ENOENT", "contexts/ctl": "ENOENT", "contexts/+lib": "ENOENT",
		"contexts/contexts": "ENOENT", "contexts/system": "ENOENT", "contexts/user:alice/x": "ENOTDIR", "contexts/..": "EISDIR", "nothing": "ENOENT", "status/x": "ENOTDIR",
	} {
		if got := p.show("root", path); !strings.HasPrefix(got, want) && want != "EISDIR" {
			t.Errorf("%s: %s, want %s", path, got, want)
		}
	}
	f, err := walk(p.attach("root", "ctl"), "contexts")
	if err != nil {
		t.Fatal(err)
	}
	if got, want := list(f), "all user:alice user:bad user:root"; got != want {
		t.Errorf("contexts: %s, want %s", got, want)
	}
}

// TestControlSnapshot reads a file while what it tells of changes.
func TestControlSnapshot(t *testing.T) {
	p := newFixture(t, nil)
	f, err := walk(p.attach("root", "ctl"), "packages")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.ReadAt(make([]byte, 1), 0); err == nil {
		t.Error("a file that is not open has a content")
	}
	if _, _, err := f.Open(p9.WriteOnly); errnoOf(err) != linux.EACCES {
		t.Errorf("opened for writing: %v", err)
	}
	if _, _, err := f.Open(p9.ReadOnly); err != nil {
		t.Fatal(err)
	}
	before := readAll(f)
	p.install(mkpkg.Spec{Name: "aaa", Version: "1"})
	p.settle()
	if after := readAll(f); after != before {
		t.Errorf("the content of an open file changed:\n%s%s", before, after)
	}
	if again := p.show("root", "packages"); !strings.HasPrefix(again, "aaa=1 ") {
		t.Errorf("opened anew:\n%s", again)
	}
	var w textWriter
	w.room = 10
	if _, err := w.Write(make([]byte, 11)); err != errTextFull {
		t.Errorf("more than there is room for: %v", err)
	}
}

// TestCommands gives commands and looks at what they say and do.
func TestCommands(t *testing.T) {
	p := newFixture(t, map[string]string{"user:alice": "# of alice\ntoplevel = [\"other\"] # one\n", "system": ""})
	root, bob := p.attach("alice", ""), p.attach("bob", "")
	has := func(f p9.File, path string) bool {
		_, err := walk(f, path)
		return err == nil
	}
	file := func(context string) string {
		data, _ := os.ReadFile(filepath.Join(p.state, "contexts", context+".toml"))
		return string(data)
	}
	for _, c := range []struct {
		text, want, errno string
		then              func() bool
	}{
		{"toplevel add user:alice app\n", "user:alice: add toplevel app\n", "", func() bool { return has(root, "usr/bin/app") }},
		{"toplevel del user:alice app", "user:alice: del toplevel app\n", "", func() bool { return !has(root, "usr/bin/app") }},
		{"toplevel add user:alice none app\n", "user:alice: add toplevel none app\nnote: none is not installed\n", "", func() bool {
			return strings.HasPrefix(file("user:alice"), "# of alice\n") && strings.Contains(file("user:alice"), "# one")
		}},
		{"toplevel del user:alice nothing\n", "error: toplevel del: context user:alice: toplevel has no \"nothing\"", "ENOENT", nil},
		{"deny add user:bob app\n", "user:bob: add deny app\n", "", func() bool { return !has(bob, "usr/bin/app") }},
		{"unset user:bob deny\n", "user:bob: unset deny\n", "", func() bool { return has(bob, "usr/bin/app") }},
		{"pin add user:bob lib=1\n", "user:bob: add pin lib=1\n", "", func() bool {
			f, err := walk(bob, "usr/lib/lib.so")
			if err == nil {
				_, _, err = f.Open(p9.ReadOnly)
			}
			return err == nil && readAll(f) == "lib 1"
		}},
		{"pin del user:bob lib\n", "user:bob: del pin lib\n", "", nil},
		{"set user:bob mutable none\nset user:bob public true\n", "user:bob: set mutable none\nuser:bob: set public true\n", "", nil},
		{"add user:bob allow a b \"c\"\ndel user:bob allow b\n", "user:bob: add allow a b c\nuser:bob: del allow b\n", "", func() bool {
			return strings.Contains(file("user:bob"), `["a", "c"]`)
		}},
		{"members add dev bob\n", "group:dev: add members bob\n", "", func() bool {
			return p.attachText(asking("bob", "group:dev")) != "EACCES"
		}},
		{"members del group:dev bob\n", "group:dev: del members bob\n", "", func() bool {
			return p.attachText(asking("bob", "group:dev")) == "EACCES"
		}},

		{"context new user:root\n", "user:root: made\n", "", func() bool { return file("user:root") != "" }},
		{"context new user:root\n", "error: context new: ", "EEXIST", nil},
		{"context del user:root\n", "user:root: removed", "", func() bool { return file("user:root") == "" }},
		{"context put user:root \"allow = [] # \\\"\\n\"\n", "user:root: replaced\n", "", func() bool { return file("user:root") == "allow = [] # \"\n" }},
		{"context put user:root nonsense\n", "error: context put: ", "EINVAL", func() bool { return file("user:root") == "allow = [] # \"\n" }},
		{"context show user:root\n", "allow = [] # \"\n", "", nil},
		{"context show user:nobody\n", "error: context show: ", "ENOENT", nil},
		{"context show ../../x\n", "error: context show: ", "EINVAL", nil},
		{"context history user:root\n", "Z root edit\n", "", nil},
		{"context rollback user:root 1\n", "user:root: as at revision 1\n", "", nil},
		{"context diff user:root\n", "-allow = [] # \"\n", "", nil},
		{"context diff user:root x\n", "error: context diff: \"x\" is not the number", "EINVAL", nil},
		{"context rollback user:root 99\n", "error: context rollback: ", "ENOENT", nil},

		{"reload\n", "reloaded; 0 of the context files have an error\n", "", nil},
		{"rescan\n", "5 packages, 0 package files set aside, 0 still to be read\n", "", nil},
		{"log\nlog warn\nlog\nlog loud\n", "debug\nwarn\nwarn\nerror: log: \"loud\" is not a level", "EINVAL", nil},
		{"remove lib\n", "error: remove: lib: there are several versions; name one: lib=2, lib=1", "EINVAL", nil},
		{"remove other nothing\n", "error: remove: nothing: package not installed", "ENOPKG", func() bool { return has(root, "usr/share/doc/notes") }},
		{"remove other lib=1\n", "removed other=1 (other_1.deb)\nremoved lib=1 (lib_1.deb)\n", "", func() bool {
			_, err := os.Stat(filepath.Join(p.packages, "other_1.deb"))
			return err != nil && len(p.FS.packages.Set().Named("other")) == 0 && len(p.FS.packages.Set().Named("lib")) == 1
		}},

		{"", "", "", nil},
		{"\n  \n# toplevel add user:alice lib\n", "", "", nil},
		{"help\n", "toplevel add CONTEXT PKG…", "", nil},
		{"help context diff\n", "context diff CONTEXT [FROM [TO]]  Show", "", nil},
		{"help toplevel", "toplevel del CONTEXT PKG…", "", nil},
		{"help nonsense", "error: help: unknown command", "", nil},
		{"topleve add user:alice lib\n", "error: unknown command \"topleve\"; try: help\n", "EINVAL", nil},
		{"toplevel\n", "error: toplevel: want one of: toplevel add, toplevel del\n", "EINVAL", nil},
		{"toplevel add user:alice\n", "error: toplevel add: want: toplevel add CONTEXT PKG…\n", "EINVAL", nil},
		{"set user:alice colour blue\n", "unknown key \"colour\"", "EINVAL", nil},
		{"toplevel add \"user:alice\n", "error: ", "EINVAL", nil},
		{"toplevel add ../../etc/passwd x\n", "error: toplevel add: ", "EINVAL", nil},
		{"toplevel add user:alice \"a\\nb\"\n", "error: toplevel add: ", "EINVAL", nil},
		{strings.Repeat("x", maxCommand+1), "error: a command is longer than", "EMSGSIZE", nil},

		// The commands before the one that fails are done, those behind it not.
		{"toplevel add user:alice one\nnonsense\ntoplevel add user:alice two\n", "error: unknown command", "EINVAL", func() bool {
			return strings.Contains(file("user:alice"), "one") && !strings.Contains(file("user:alice"), "two")
		}},
	} {
		got, errno := p.order("root", c.text)
		if !strings.Contains(got, c.want) || c.want == "" && got != "" || errno != c.errno && (errno != "" || c.errno != "0") {
			t.Errorf("%.60q: %s\n%s\nwant %s\n%s", c.text, errno, got, c.errno, c.want)
		}
		if c.then != nil && !c.then() {
			t.Errorf("%.60q: what it should do is not seen at once", c.text)
		}
	}
	if _, err := walk(p.attach("alice", "ctl"), "ctl"); errnoOf(err) != linux.ENOENT {
		t.Errorf("alice commands: %v", err)
	}
}

// TestCommandFile writes and reads as different clients do.
func TestCommandFile(t *testing.T) {
	p := newFixture(t, nil)
	open := func() p9.File {
		f, err := walk(p.attach("root", "ctl"), "ctl")
		if err == nil {
			err = f.SetAttr(p9.SetAttrMask{Size: true}, p9.SetAttr{})
		}
		if err == nil {
			_, _, err = f.Open(p9.ReadWrite)
		}
		if err != nil {
			t.Fatal(err)
		}
		return f
	}
	write := func(f p9.File, text string, off int64) {
		t.Helper()
		if n, err := f.WriteAt([]byte(text), off); err != nil || n != len(text) {
			t.Errorf("write %q: %d, %v", text, n, err)
		}
	}
	read := func(f p9.File, off int64) string {
		b := make([]byte, 1000)
		n, _ := f.ReadAt(b, off)
		return string(b[:n])
	}

	// A program whose file position goes on.
	f := open()
	write(f, "log\n", 0)
	if got := read(f, 4); got != "debug\n" {
		t.Errorf("read behind the write: %q", got)
	}
	if got := read(f, 10); got != "" {
		t.Errorf("read behind that: %q", got)
	}
	write(f, "help log\n", 10)
	if got := read(f, 19); !strings.HasPrefix(got, "log [LEVEL]") {
		t.Errorf("second result: %q", got)
	}
	if got := read(f, 0); !strings.HasPrefix(got, "log [LEVEL]") {
		t.Errorf("second result from the beginning: %q", got)
	}

	if _, err := f.WriteAt([]byte("nonsense\n"), 50); errnoOf(err) != linux.EINVAL {
		t.Errorf("got %v", err)
	}
	if got := read(f, 50); !strings.HasPrefix(got, "error: ") {
		t.Errorf("behind a write that failed: %q", got)
	}

	// One line over several writes, and several results before a read.
	f = open()
	for i, part := range []string{"lo", "g", " info", "\nlog\nlo", "g\n"} {
		write(f, part, int64(i))
	}
	if got := read(f, 0); got != "info\ninfo\ninfo\n" {
		t.Errorf("several results: %q", got)
	}
	if got := read(f, 5); got != "info\ninfo\n" {
		t.Errorf("at an offset: %q", got)
	}

	// What has no end is dropped, not run, with the client.
	write(f, "log error", 0)
	f.Close()
	if got, _ := p.order("root", "log\n"); got != "info\n" {
		t.Errorf("a line without an end: %q", got)
	}

	// Behind a failure a new line begins.
	f = open()
	if _, err := f.WriteAt([]byte("nonsense\nlog war"), 0); errnoOf(err) != linux.EINVAL {
		t.Errorf("got %v", err)
	}
	write(f, "log\n", 0)
	if got := read(f, 0); got != "error: unknown command \"nonsense\"; try: help\ninfo\n" {
		t.Errorf("after a failure: %q", got)
	}
	if _, err := f.ReadAt(nil, -1); errnoOf(err) != linux.EINVAL {
		t.Errorf("negative offset: %v", err)
	}
	for _, mask := range []p9.SetAttrMask{{Permissions: true}, {UID: true}, {GID: true}} {
		if err := f.SetAttr(mask, p9.SetAttr{}); errnoOf(err) != linux.EPERM {
			t.Errorf("%v: %v", mask, err)
		}
	}

	// Whoever never reads costs no memory.
	for range 400 {
		write(f, "help\n", 0)
	}
	if n := len(f.(*commandFile).results); n > maxResults+maxCommand {
		t.Errorf("%d bytes of results are kept", n)
	}
}

// TestCommandLog has everything that changes in the log, with who did it.
func TestCommandLog(t *testing.T) {
	p := newFixture(t, nil)
	var text strings.Builder
	p.config.Log, p.control.level = leveled(zerolog.New(&text).Level(zerolog.InfoLevel))
	p.config.Admins = []string{"alice"}
	for _, line := range []string{"toplevel add user:bob app\n", "help\n", "remove nothing\n", "log error\n", "set user:bob public true\n"} {
		p.order("alice", line)
	}
	var got []string
	for line := range strings.Lines(text.String()) {
		var l struct{ By, Command, Message string }
		if err := json.Unmarshal([]byte(line), &l); err != nil {
			t.Fatal(err)
		}
		if l.Command != "" {
			got = append(got, fmt.Sprintf("%s: %s: %s", l.Message, l.By, l.Command))
		}
	}
	want := []string{
		"control command: alice: toplevel add user:bob app", "control command failed: alice: remove nothing",
	}
	if !slices.Equal(got, want) { // the level is in force for the command that sets it
		t.Errorf("log %q, want %q", got, want)
	}
	history, err := p.files.History("user:bob")
	if err != nil || len(history) != 2 || history[1].By != "alice" {
		t.Errorf("history %+v, %v", history, err)
	}
}
