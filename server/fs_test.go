package server

import (
	stdcontext "context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/hugelgupf/p9/linux"
	"github.com/hugelgupf/p9/p9"

	"github.com/packagefs/packagefs/context"
	"github.com/packagefs/packagefs/context/attachname"
	"github.com/packagefs/packagefs/pkgindex/format/mkpkg"
	"github.com/packagefs/packagefs/server/api"
	"github.com/packagefs/packagefs/server/p9l"
	"github.com/packagefs/packagefs/server/p9l/p9ltest"
)

// fakeUsers is the user database of these tests.
type fakeUsers struct{}

var people = []context.User{{Name: "root", UID: 0}, {Name: "alice", UID: 1001}, {Name: "bob", UID: 1002}, {Name: "nobody", UID: 65534}}

func (fakeUsers) User(s string) (context.User, error) {
	for _, u := range people {
		if u.Name == s || fmt.Sprint(u.UID) == s {
			return u, nil
		}
	}
	return context.User{}, context.ErrUnknown
}

func (d fakeUsers) UserByID(uid uint32) (context.User, error) { return d.User(fmt.Sprint(uid)) }

func (fakeUsers) Group(s string) (context.Group, error) {
	if s == "dev" || s == "2000" {
		return context.Group{Name: "dev", GID: 2000}, nil
	}
	return context.Group{}, context.ErrUnknown
}

func (d fakeUsers) Groups(u context.User) ([]context.Group, error) {
	if u.Name == "alice" {
		g, err := d.Group("dev")
		return []context.Group{g}, err
	}
	return nil, nil
}

// A fixture is a running FS with three packages: an application, and two versions
// of the library that it needs.
type fixture struct {
	*testing.T
	*FS
	packages, state string
}

func newFixture(t *testing.T, files map[string]string) *fixture {
	return newFixtureOf(t, fakeUsers{}, files)
}

// newFixtureOf is newFixture with other users.
func newFixtureOf(t *testing.T, users context.Directory, files map[string]string) *fixture {
	p := &fixture{T: t, packages: t.TempDir(), state: t.TempDir()}
	p.install(mkpkg.Spec{Name: "app", Version: "1", Depends: []string{"lib (>= 2)"}, Files: []mkpkg.File{
		{Path: "usr/bin/app", Body: "app"}, {Path: "usr/share/doc/notes", Body: "notes of app"}}})
	p.install(mkpkg.Spec{Name: "lib", Version: "1", Files: []mkpkg.File{{Path: "usr/lib/lib.so", Body: "lib 1"}}})
	p.install(mkpkg.Spec{Name: "lib", Version: "2", Files: []mkpkg.File{{Path: "usr/lib/lib.so", Body: "lib 2"}}})
	p.install(mkpkg.Spec{Name: "other", Version: "1", Files: []mkpkg.File{{Path: "usr/share/doc/notes", Body: "notes of other"}}})
	p.install(mkpkg.Spec{Name: "broken", Version: "1", Depends: []string{"nowhere"}})
	if err := os.Mkdir(filepath.Join(p.state, "contexts"), 0o755); err != nil {
		t.Fatal(err)
	}
	for name, text := range files {
		p.context(name, text)
	}
	fs, err := New(Config{
		Packages: []string{p.packages}, State: p.state, Listen: []string{"unix:" + filepath.Join(t.TempDir(), "s")},
		TrustNetworks: trusted(t, "10.1.0.0/16", "10.3.0.0/16,root", "10.4.0.0/16,insecure"),
	})
	if err != nil {
		t.Fatal(err)
	}
	p.FS = fs
	fs.contexts.Directory = users
	ctx, cancel := stdcontext.WithCancel(stdcontext.Background())
	ended := make(chan error)
	go func() { ended <- fs.Serve(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	p.settle()
	return p
}

func (p *fixture) settle() {
	p.Helper()
	if err := p.Settle(stdcontext.Background()); err != nil {
		p.Fatal(err)
	}
}

func (p *fixture) install(spec mkpkg.Spec) {
	p.Helper()
	var b strings.Builder
	if err := mkpkg.Deb(&b, spec); err != nil {
		p.Fatal(err)
	}
	p.drop(spec.Name+"_"+spec.Version+".deb", b.String())
}

// drop renames a file into the package directory.
func (p *fixture) drop(name, data string) {
	p.Helper()
	tmp := filepath.Join(p.TempDir(), "x")
	if err := errors.Join(os.WriteFile(tmp, []byte(data), 0o600), os.Rename(tmp, filepath.Join(p.packages, name))); err != nil {
		p.Fatal(err)
	}
}

func (p *fixture) context(name, text string) {
	p.Helper()
	tmp := filepath.Join(p.TempDir(), "x")
	if err := errors.Join(os.WriteFile(tmp, []byte(text), 0o600), os.Rename(tmp, filepath.Join(p.state, "contexts", name+".toml"))); err != nil {
		p.Fatal(err)
	}
}

// asking reads "PEER as UNAME/UID": a peer is a user on a unix socket, an
// address, or "local" for a TCP peer on this machine with its user behind it.
func asking(who, aname string) p9l.AttachRequest {
	peer, as, _ := strings.Cut(who, " as ")
	req := p9l.AttachRequest{Aname: aname, UID: p9l.NoUID}
	if u, err := (fakeUsers{}).User(peer); err == nil {
		req.Peer = p9l.Peer{Network: "unix", HasCred: true, UID: u.UID}
	} else if peer == "7777" {
		req.Peer = p9l.Peer{Network: "unix", HasCred: true, UID: 7777}
	} else {
		addr := peer
		if !strings.Contains(peer, ":") {
			addr += ":999"
		}
		addr, local := strings.CutSuffix(addr, "!")
		req.Peer = p9l.Peer{Network: "tcp", Address: addr, Local: local}
	}
	if uname, uid, ok := strings.Cut(as, "/"); ok {
		req.Uname = uname
		fmt.Sscan(uid, &req.UID)
	}
	return req
}

func trusted(t testing.TB, all ...string) []TrustNetwork {
	t.Helper()
	out := make([]TrustNetwork, len(all))
	for i, s := range all {
		if err := out[i].UnmarshalText([]byte(s)); err != nil {
			t.Fatal(err)
		}
	}
	return out
}

// TestAttach tells in stories who may attach to what.
func TestAttach(t *testing.T) {
	p := newFixture(t, map[string]string{
		"user:bob":   `allow = ["app", "lib"]`,
		"group:dev":  `toplevel = ["app"]`,
		"user:alice": `toplevel = ["other"]`,
		"group:open": "public = true\ntoplevel = [\"other\"]",
		"user:bad":   `toplevel = "no list"`,
	})
	for _, story := range []struct {
		who, aname string
		want       string // the packages in their order, or an errno
	}{
		{"root", "all", "app=1 broken=1 lib=2 lib=1 other=1"},
		{"root", "/all", "app=1 broken=1 lib=2 lib=1 other=1"},
		{"root", "user:alice", "app=1 other=1"},
		{"root", "user:1001", "app=1 other=1"},
		{"root", "group:dev", "app=1"},
		{"root", "package:app", "app=1 lib=2"},
		{"root", "package:lib=1", "lib=1"},
		{"root", "package:lib=3", "ENOPKG"},
		{"root", "package:none", "ENOPKG"},
		{"root", "package:broken", "ENOPKG"},
		{"root", "user:nosuch", "ENOENT"},
		{"root", "group:nosuch", "ENOENT"},
		{"root", "user:bad", "EIO"},
		{"root", "pkg:app", "EINVAL"},
		{"root", "../etc", "EINVAL"},
		{"root", "package:../../etc", "EINVAL"},
		{"root", "", "app=1 broken=1 lib=2 other=1"},
		{"root", "user:alice+lib=1", "lib=1 app=1 other=1"},

		// The kernel mounts as nobody in particular, then speaks for each user.
		{"root as nobody/", "user:alice", "app=1 other=1"},
		{"root as nobody/", "", "app=1 broken=1 lib=2 other=1"},
		{"root as /1001", "", "app=1 other=1"},
		{"root as /1002", "", "app=1 lib=2"},
		{"root as /1002", "user:alice", "EACCES"},
		{"root as /0", "user:alice", "app=1 other=1"},
		{"root as /7777", "", "ENOENT"},
		{"root as /7777", "package:app", "app=1 lib=2"},
		{"root as nosuch/", "", "ENOENT"},
		{"root as nosuch/", "all", "app=1 broken=1 lib=2 lib=1 other=1"},

		{"alice", "", "app=1 other=1"},
		{"alice as /1001", "", "app=1 other=1"},
		{"alice as alice/", "user:alice", "app=1 other=1"},
		{"alice", "user:bob", "EACCES"},
		{"alice as bob/", "", "EACCES"},
		{"alice as /1002", "", "EACCES"},
		{"alice as root/0", "user:bob", "EACCES"},
		{"alice", "group:dev", "app=1"},
		{"bob", "group:dev", "EACCES"},
		{"bob", "package:other", "EACCES"},
		{"bob", "package:secret", "EACCES"},
		{"bob", "package:app", "app=1 lib=2"},
		{"bob", "all", "EACCES"},
		{"bob", "+other", "EACCES"},
		{"bob", "group:open", ""}, // a public context shows bob no more than bob may see

		{"192.0.2.1", "", "ENOENT"},
		{"192.0.2.1 as root/0", "all", "EACCES"},
		{"192.0.2.1 as alice/1001", "user:alice", "EACCES"},
		{"192.0.2.1", "package:app", "EACCES"},
		{"192.0.2.1", "group:open", "other=1"},
		{"10.1.2.3 as /1001", "", "app=1 other=1"},
		{"10.1.2.3 as /1001", "user:bob", "EACCES"},
		// A trusted network vouches for ordinary users: its root is nobody here.
		{"10.1.2.3 as /0", "", "app=1 broken=1 lib=2 other=1"},
		{"10.1.2.3 as /0", "user:alice", "EACCES"},
		{"10.1.2.3 as root/", "user:alice", "EACCES"},
		{"10.1.2.3 as alice/", "user:alice", "app=1 other=1"},
		{"10.1.2.3", "user:alice", "EACCES"},
		{"10.3.2.3 as /0", "user:alice", "app=1 other=1"},
		{"10.3.2.3", "all", "app=1 broken=1 lib=2 lib=1 other=1"},
		// as mallory: any process of that machine can take a port above 1023.
		{"10.1.2.3:1024 as /1001", "user:alice", "EACCES"},
		{"10.3.2.3:40000 as /0", "user:alice", "EACCES"},
		{"10.4.2.3:40000 as /1001", "user:alice", "app=1 other=1"},
		{"10.4.2.3:40000 as /0", "user:alice", "EACCES"},
		// as mallory: over loopback, with the socket closed before it is looked for.
		{"10.3.2.3:999! as /0", "user:alice", "EACCES"},
		{"10.2.0.1", "all", "EACCES"},
	} {
		if got := p.attachText(asking(story.who, story.aname)); got != story.want {
			t.Errorf("%s attaches to %q: got %s, want %s", story.who, story.aname, got, story.want)
		}
	}
}

// attachText attaches, and returns the packages that are seen or the errno.
func (p *fixture) attachText(req p9l.AttachRequest) string {
	f, err := p.FS.Attach(req)
	if err != nil {
		for name, e := range map[string]linux.Errno{"ENOENT": linux.ENOENT, "EACCES": linux.EACCES, "ENOPKG": linux.ENOPKG, "EINVAL": linux.EINVAL, "EIO": linux.EIO} {
			if errnoOf(err) == e {
				return name
			}
		}
		return err.Error()
	}
	defer f.Close()
	as, err := p.attachments.identify(req)
	if err != nil {
		return err.Error()
	}
	name, err := attachname.Parse(req.Aname)
	if err != nil {
		return err.Error()
	}
	v, err := p.contexts.Resolve(p.FS.packages.Set(), name, as)
	if err != nil {
		return err.Error()
	}
	var out []string
	for _, pkg := range v.Packages {
		out = append(out, pkg.Ref.String())
	}
	return strings.Join(out, " ")
}

func (p *fixture) attach(who, aname string) p9.File {
	p.Helper()
	f, err := p.FS.Attach(asking(who, aname))
	if err != nil {
		p.Fatal(err)
	}
	return f
}

// TestLive changes packages and context files under attached trees.
func TestLive(t *testing.T) {
	p := newFixture(t, map[string]string{"user:alice": `toplevel = ["other"]`})
	root, lib := p.attach("alice", ""), p.attach("alice", "package:lib")
	has := func(f p9.File, path string) bool {
		_, _, err := f.Walk(strings.Split(path, "/"))
		return err == nil
	}
	if !has(root, "usr/share/doc/notes") || has(root, "usr/bin/app") || !has(lib, "usr/lib/lib.so") {
		t.Error("the trees are wrong at first")
	}
	p.context("user:alice", `toplevel = ["app"]`)
	p.until("a context file changes", func() bool { return has(root, "usr/bin/app") })
	p.context("user:alice", `toplevel = [`)
	p.settle()
	if !has(root, "usr/bin/app") {
		t.Error("a broken file does not keep its last good meaning")
	}
	p.install(mkpkg.Spec{Name: "app", Version: "2", Files: []mkpkg.File{{Path: "usr/bin/newer", Body: "2"}}})
	p.until("a newer version comes", func() bool { return has(root, "usr/bin/newer") && !has(root, "usr/bin/app") })
	for _, v := range []string{"1", "2"} {
		if err := os.Remove(filepath.Join(p.packages, "lib_"+v+".deb")); err != nil {
			t.Fatal(err)
		}
	}
	p.settle()
	if _, _, err := lib.Walk([]string{"usr"}); errnoOf(err) != linux.ENOPKG {
		t.Errorf("the package of a context is gone: %v", err)
	}
	p.install(mkpkg.Spec{Name: "lib", Version: "3", Files: []mkpkg.File{{Path: "usr/lib/lib.so", Body: "lib 3"}}})
	p.until("it comes back", func() bool { return has(lib, "usr/lib/lib.so") })
}

func (p *fixture) until(what string, ok func() bool) {
	p.Helper()
	for end := time.Now().Add(p9ltest.Patience); time.Now().Before(end); time.Sleep(time.Millisecond) {
		if ok() {
			return
		}
		p.settle()
	}
	p.Errorf("after %s nothing changes", what)
}

func TestTreesAreShared(t *testing.T) {
	p := newFixture(t, map[string]string{"user:alice": `toplevel = ["app"]`, "user:bob": `toplevel = ["app"]`})
	tree := func(who string) any {
		name, _ := attachname.Parse("user:" + who)
		b := &binding{at: p.attachments, name: name, as: caller{Trusted: true}}
		if _, err := b.refresh(); err != nil {
			t.Fatal(err)
		}
		s, err := b.Stack(false)
		if err != nil {
			t.Fatal(err)
		}
		return s.Tree
	}
	if alice, bob := tree("alice"), tree("bob"); alice != bob {
		t.Error("equal views have two trees")
	}
}

// ask sends a query through the file that clients use.
func (p *fixture) ask(who, query string) api.Answer {
	p.Helper()
	_, f, err := p.attach(who, "ctl").Walk([]string{"query"})
	if err != nil {
		p.Fatal(err)
	}
	defer f.Close()
	if _, _, err := f.Open(p9.ReadWrite); err != nil {
		p.Fatal(err)
	}
	for i := 0; i < len(query); i += 7 {
		if _, err := f.WriteAt([]byte(query[i:min(i+7, len(query))]), int64(i)); err != nil {
			return api.Answer{Error: err.Error(), Errno: uint32(errnoOf(err))}
		}
	}
	var out []byte
	for b := make([]byte, 5); ; {
		n, err := f.ReadAt(b, int64(len(out)))
		out = append(out, b[:n]...)
		if err != nil {
			break
		}
	}
	var a api.Answer
	if err := json.Unmarshal(out, &a); err != nil {
		p.Fatalf("%s: %v", out, err)
	}
	return a
}

func TestQueries(t *testing.T) {
	p := newFixture(t, map[string]string{
		"user:bob": `allow = ["app", "lib"]`, "user:alice": `toplevel = ["other", "app"]`,
	})
	p.drop("junk", "junk")
	p.settle()
	for _, c := range []struct {
		who, query string
		want       []string // that the answer has; behind ! that it has not
	}{
		{"root", `{"op":"packages"}`, []string{`"name":"app"`, `"state":"rejected"`, `"file":"junk"`, `"name":"other"`}},
		{"root", `{"op":"packages","context":"package:app"}`, []string{`"name":"app"`, `"version":"2"`, `!"other"`, `!junk`, `!"version":"3"`}},
		{"bob", `{"op":"packages"}`, []string{`"name":"app"`, `!"other"`, `!junk`}},
		{"bob", `{"op":"info","package":"other"}`, []string{`"errno":65`, "not installed"}},
		{"bob", `{"op":"info","package":"nowhere"}`, []string{`"errno":65`, "not installed"}},
		{"alice", `{"op":"info","package":"app"}`, []string{`"depends":["lib (`, `"files":2`, `"size":15`}},
		{"alice", `{"op":"files","package":"app=1"}`, []string{`"path":"/usr/bin/app"`, `"type":"directory"`, `"sha256":"a172cedcae47474b615c54d510a5d84a8dea3032e958587430b413538be3f333"`}},
		{"alice", `{"op":"owns","path":"/usr/share/doc/notes"}`, []string{`"package":"app=1"`, `"visible":true`, `hidden by app=1`}},
		{"alice", `{"op":"owns","path":"/usr/lib"}`, []string{`"errno":2`}},
		{"bob", `{"op":"owns","context":"all","path":"/usr/lib"}`, []string{`"errno":13`}},
		{"alice", `{"op":"explain"}`, []string{`"conflicts":[{"path":"/usr/share/doc/notes","winner":"app=1","losers":["other=1"]}]`, `"file":"user:alice.toml"`}},
		{"alice", `{"op":"explain","path":"usr/share/doc/notes"}`, []string{`"package":"app=1"`, `"hides":[{"package":"other=1"`}},
		{"root", `{"op":"explain","context":"package:broken"}`, []string{`nowhere`, `"reason"`}},
		{"root", `{"op":"packages","context":"package:broken"}`, []string{`"errno":65`, "nowhere"}},
		{"bob", `{"op":"contexts"}`, []string{`"context":"user:bob"`, `!alice`}},
		{"root", `{"op":"contexts"}`, []string{`"context":"user:bob"`, `"context":"user:alice"`, `"toplevel":["other","app"]`}},
		{"root", `{"op":"status"}`, []string{`"packages":5`, `"rejected":1`}},
		{"bob", `{"op":"status"}`, []string{`"packages":0`}},
		{"root", `{"op":"nonsense"}`, []string{`"errno":22`}},
		{"root", `{"op":"packages","colour":1}`, []string{`"errno":22`, "colour"}},
		{"root", `{"op":"packages","context":"a:b"}`, []string{`"errno":22`}},
		{"root", `hello`, []string{`"errno":22`}},
		{"root", ``, []string{`"errno":22`}},
		{"bob", `{"op":"` + strings.Repeat("x", maxQuery) + `"}`, []string{`"errno":90`}},
		{"root", `{"op":"` + strings.Repeat("x", maxCommand) + `"}`, []string{`"errno":90`}},
	} {
		a := p.ask(c.who, c.query)
		text, err := json.Marshal(a)
		if err != nil {
			t.Fatal(err)
		}
		for _, want := range c.want {
			not, absent := strings.CutPrefix(want, "!")
			if strings.Contains(string(text), not) == absent {
				t.Errorf("%s asks %.60s: want %s in %s", c.who, c.query, want, text)
			}
		}
	}
}

func TestControlDirectory(t *testing.T) {
	p := newFixture(t, nil)
	f := p.attach("bob", "ctl")
	if _, _, err := f.Open(p9.ReadOnly); err != nil {
		t.Fatal(err)
	}
	entries, err := f.Readdir(0, 10)
	if err != nil || !slices.ContainsFunc(entries, func(d p9.Dirent) bool { return d.Name == "query" }) {
		t.Errorf("got %v %v", entries, err)
	}
	for path, want := range map[string]linux.Errno{"nope": linux.ENOENT, "query/x": linux.ENOTDIR} {
		if _, _, err := f.Walk(strings.Split(path, "/")); errnoOf(err) != want {
			t.Errorf("%s: %v", path, err)
		}
	}
}
