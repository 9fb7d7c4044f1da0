package server

import (
	"errors"
	"strings"
	"syscall"
	"testing"

	"github.com/hugelgupf/p9/linux"
	"github.com/hugelgupf/p9/p9"

	"github.com/packagefs/packagefs/server/p9l"
	"github.com/packagefs/packagefs/server/p9l/p9ltest"
	"github.com/packagefs/packagefs/server/p9l/wire"
)

// TestContextsDirectory tells who finds what in the directory of contexts.
func TestContextsDirectory(t *testing.T) {
	p := newFixture(t, map[string]string{
		"user:bob":   `allow = ["app", "lib"]`,
		"group:dev":  `toplevel = ["app"]`,
		"user:alice": `toplevel = ["other"]`,
		"group:open": "public = true\ntoplevel = [\"other\"]",
		"user:bad":   `toplevel = "no list"`,
		"system":     "",
	})
	for who, want := range map[string]string{
		"root":      "all group:dev group:open user:alice user:bob user:root ctl",
		"alice":     "all group:dev group:open user:alice ctl",
		"bob":       "group:open user:bob ctl",
		"192.0.2.1": "group:open ctl",
		"10.1.2.3":  "all group:open user:nobody ctl", // its root is nobody here
		"10.3.2.3":  "all group:dev group:open user:alice user:bob ctl",
	} {
		dir := p.attach(who, "contexts")
		if got := list(dir); got != want {
			t.Errorf("%s finds %s, want %s", who, got, want)
		}
		for name := range strings.FieldsSeq(want) {
			if _, err := walk(dir, name); err != nil {
				t.Errorf("%s walks to %s: %v", who, name, err)
			}
		}
	}
	for _, c := range []struct {
		who, path string
		want      string // what is there, or the errno
	}{
		{"root", "user:alice", "usr"},
		{"root", "user:1001", "usr"},
		{"root", "package:app/usr", "bin lib libexec share"},
		{"root", "package:app/usr/lib", "lib.so"},
		{"root", "user:alice+app/usr", "bin lib libexec share"},
		{"root", "package:lib=1", "usr"},
		{"root", "package:lib=3", "ENOENT"},
		{"root", "package:broken", "ENOPKG"},
		{"root", "user:bad", "EIO"},
		{"root", "user:nosuch", "ENOENT"},
		{"root", "group:nosuch", "ENOENT"},
		{"root", "nonsense", "ENOENT"},
		{"root", "contexts", "ENOENT"},
		{"root", "system", "ENOENT"},
		{"root", "user:alice/usr/nothing", "ENOENT"},
		{"root", "user:alice/usr/share/doc/notes/x", "ENOTDIR"},
		{"root", "ctl/contexts", "all group:dev group:open user:alice user:bad user:bob user:root"},
		{"alice", "ctl", "query"},
		{"alice", "ctl/status", "ENOENT"},
		{"alice", "user:bob", "ENOENT"},
		{"alice", "package:app/usr/bin", "app"},
		{"alice", "+lib/usr", "bin lib libexec share"},
		{"bob", "package:other", "ENOENT"},
		{"bob", "package:secret", "ENOENT"},
		{"bob", "all", "ENOENT"},
		{"192.0.2.1", "package:app", "ENOENT"},
		{"192.0.2.1", "+lib", "ENOENT"},

		// Upwards leads from a context to the directory, and not further.
		{"bob", "..", "group:open user:bob ctl"},
		{"bob", "user:bob/..", "group:open user:bob ctl"},
		{"bob", "user:bob/usr/../../group:open/usr/..", "usr"},
		{"bob", "user:bob/usr/bin/../lib", "lib.so"},
		{"bob", "user:bob/usr/../../../../user:bob/usr", "bin lib libexec share"},
		{"bob", "ctl/../user:bob", "usr"},
		{"root", "ctl/contexts/../../user:alice", "usr"},
		{"bob", "user:bob/../user:alice", "ENOENT"},
		{"bob", "user:bob/usr/bin/app/..", "ENOTDIR"},
	} {
		got := ""
		if f, err := walk(p.attach(c.who, "contexts"), c.path); err != nil {
			got = wire.ErrnoName(uint32(errnoOf(err)))
		} else {
			got = list(f)
		}
		if got != c.want {
			t.Errorf("%s looks at %s: %s, want %s", c.who, c.path, got, c.want)
		}
	}
}

// TestContextsLive has a change seen in the entry that it is for, at once.
func TestContextsLive(t *testing.T) {
	p := newFixture(t, map[string]string{"user:alice": `toplevel = ["other"]`, "user:bob": `toplevel = ["other"]`})
	dir := p.attach("root", "contexts")
	alice, err := walk(dir, "user:alice/usr")
	if err != nil {
		t.Fatal(err)
	}
	bob, err := walk(dir, "user:bob/usr")
	if err != nil {
		t.Fatal(err)
	}
	if text, errno := p.order("root", "toplevel add user:alice app\n"); errno != "" {
		t.Fatal(text)
	}
	if a, b := list(alice), list(bob); a != "bin libexec share" || b != "libexec share" {
		t.Errorf("alice sees %s, bob %s", a, b)
	}
	if text, errno := p.order("root", "context new group:dev\n"); errno != "" {
		t.Fatal(text)
	}
	if got, want := list(dir), "all group:dev user:alice user:bob user:root ctl"; got != want {
		t.Errorf("the directory has %s, want %s", got, want)
	}
}

// TestContextsQIDs has one qid for one directory, on all ways to it, and
// different ones for directories of different contexts; a file's is the same
// wherever its content is.
func TestContextsQIDs(t *testing.T) {
	p := newFixture(t, map[string]string{"user:alice": `toplevel = ["app"]`, "user:bob": `toplevel = ["app"]`})
	dir := p.attach("root", "contexts").(p9l.PartWalker)
	seen := make(map[uint64]string)
	qids := make(map[string]p9.QID)
	for _, context := range []string{"user:alice", "user:bob", "user:1002", "package:app", "ctl"} {
		for _, path := range []string{"", "/usr", "/usr/share", "/usr/share/doc", "/contexts"} {
			got, f, err := dir.WalkPart(nil, strings.Split(context+path, "/"), true)
			if err != nil || f == nil {
				continue
			}
			qid := got[len(got)-1]
			if other, ok := seen[qid.Path]; ok {
				t.Errorf("%s and %s have one qid", other, context+path)
			}
			seen[qid.Path] = context + path
			qids[context+path] = qid
			if q, _, _, err := f.GetAttr(p9.AttrMask{}); err != nil || q != qid {
				t.Errorf("%s: GetAttr has %v %v, walk %v", context+path, q, err, qid)
			}
			if q, _, err := f.Open(p9.ReadOnly); err != nil || q != qid {
				t.Errorf("%s: Open has %v %v, walk %v", context+path, q, err, qid)
			}
			up, _, err := f.(p9l.PartWalker).WalkPart(nil, []string{".."}, true)
			if above, ok := qids[context+strings.TrimSuffix(path, "/"+lastOf(path))]; path != "" && ok && (err != nil || up[0] != above) {
				t.Errorf("%s/..: %v %v, want %v", context+path, up, err, above)
			}
			checkDirents(t, f, context+path)
		}
	}
	if len(seen) < 4*4+2 {
		t.Errorf("only %d directories: %v", len(seen), seen)
	}
	checkDirents(t, p.attach("root", "contexts"), "")
	alice, _, err := dir.WalkPart(nil, strings.Split("user:alice/usr/bin/app", "/"), true)
	if err != nil || len(alice) != 4 {
		t.Fatal(alice, err)
	}
	bob, _, err := dir.WalkPart(nil, strings.Split("user:bob/usr/bin/app", "/"), true)
	if err != nil || len(bob) != 4 || alice[3] != bob[3] || alice[2] == bob[2] {
		t.Errorf("alice %v, bob %v, %v", alice, bob, err)
	}
	if _, _, err := dir.WalkPart(nil, []string{"user:alice"}, false); !errors.Is(err, syscall.EAGAIN) {
		t.Errorf("resolving a context without waiting: %v", err)
	}
}

func lastOf(path string) string { return path[strings.LastIndexByte(path, '/')+1:] }

// checkDirents compares the inode numbers of a listing with those of walks.
func checkDirents(t *testing.T, f p9.File, path string) {
	t.Helper()
	if _, _, err := f.Open(p9.ReadOnly); err != nil {
		t.Fatal(err)
	}
	for range 2 { // the second time from what is kept
		entries, err := f.Readdir(0, 100)
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range entries {
			q, _, err := f.Walk([]string{d.Name})
			if err != nil || q[0].Path != d.QID.Path || q[0].Type != d.QID.Type {
				t.Errorf("%s/%s: listed as %v, walked to %v %v", path, d.Name, d.QID, q, err)
			}
		}
	}
}

// TestContextsOverTheWire reads a listing as the engine sends it.
func TestContextsOverTheWire(t *testing.T) {
	p := newFixture(t, map[string]string{"user:alice": `toplevel = ["app"]`})
	attach := attachAs{p.FS, asking("root", "contexts")}
	c := p9ltest.Serve(t, &p9l.Server{Attacher: attach, Log: p9ltest.Log(t)})()
	c.Start(0)
	c.Walk(0, 1, "user:alice/usr/bin/app")
	c.Must(wire.Tlopen, 1, p9ltest.Body(uint32(1), uint32(0)))
	if r := c.Must(wire.Tread, 1, p9ltest.Body(uint32(1), uint64(0), uint32(100))); string(r[4:]) != "app" {
		t.Errorf("read %q", r)
	}
	c.Walk(0, 2, "user:alice/usr")
	c.Must(wire.Tlopen, 1, p9ltest.Body(uint32(2), uint32(0)))
	if r := c.Must(wire.Treaddir, 1, p9ltest.Body(uint32(2), uint64(0), uint32(4000))); !strings.Contains(string(r), "share") {
		t.Errorf("readdir %q", r)
	}
	c.Fails(linux.ENOENT, wire.Twalk, p9ltest.Body(uint32(0), uint32(3), []string{"user:nosuch"}))
	c.Fails(linux.EROFS, wire.Tmkdir, p9ltest.Body(uint32(0), "x", uint32(0o755), uint32(0)))
	c.Fails(linux.EROFS, wire.Tunlinkat, p9ltest.Body(uint32(0), "user:alice", uint32(0)))
}

// attachAs attaches everybody in the same way.
type attachAs struct {
	fs  *FS
	req p9l.AttachRequest
}

func (a attachAs) Attach(p9l.AttachRequest) (p9.File, error) { return a.fs.Attach(a.req) }
