package server

import (
	stdcontext "context"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/hugelgupf/p9/linux"
	"github.com/hugelgupf/p9/p9"
	"golang.org/x/sys/unix"

	"github.com/packagefs/packagefs/pkgindex/format/mkpkg"
	"github.com/packagefs/packagefs/server/api"
	"github.com/packagefs/packagefs/server/p9l"
)

// ships installs a version of a package with one configuration file, in the place
// of the one before.
func (p *fixture) ships(version, conf string) {
	p.Helper()
	old, _ := filepath.Glob(filepath.Join(p.packages, "conf_*"))
	p.install(mkpkg.Spec{Name: "conf", Version: version, Files: []mkpkg.File{{Path: "etc/conf", Body: conf, Conffile: true}}})
	for _, f := range old {
		if err := os.Remove(f); err != nil {
			p.Fatal(err)
		}
	}
	p.settle()
}

// edit replaces the configuration file as a client of root's does.
func (p *fixture) edit(content string) {
	p.Helper()
	_, f, err := p.attach("root", "user:root").Walk([]string{"etc", "conf"})
	if err != nil {
		p.Fatal(err)
	}
	defer f.Close()
	if _, _, err := f.Open(p9.WriteOnly | unix.O_TRUNC); err != nil {
		p.Fatal(err)
	}
	if _, err := f.WriteAt([]byte(content), 0); err != nil {
		p.Fatal(err)
	}
}

// status is the state of the edited files, a line each.
func (p *fixture) status() string {
	p.Helper()
	a := p.ask("root", `{"op": "edits", "context": "user:root"}`)
	var rows []api.EditRow
	if a.Error != "" || json.Unmarshal(a.Result, &rows) != nil {
		p.Fatalf("%+v", a)
	}
	var out []string
	for _, r := range rows {
		out = append(out, strings.TrimSpace(strings.Join([]string{r.State, r.Path, r.From, r.Package}, " ")))
	}
	return strings.Join(out, "\n")
}

// conf is what the client finds.
func (p *fixture) conf() string {
	p.Helper()
	_, f, err := p.attach("root", "user:root").Walk([]string{"etc", "conf"})
	if err != nil {
		return err.Error()
	}
	defer f.Close()
	if _, _, err := f.Open(p9.ReadOnly); err != nil {
		p.Fatal(err)
	}
	buf := make([]byte, 1000)
	n, _ := f.ReadAt(buf, 0)
	return string(buf[:n])
}

func (p *fixture) configure(words ...string) string {
	p.Helper()
	as, err := p.attachments.identify(asking("root", ""))
	if err != nil {
		p.Fatal(err)
	}
	result, err := p.control.command(p.Context(), p.control.visitor(asking("root", ""), as), append([]string{"config"}, words...))
	if err != nil {
		return err.Error()
	}
	return result.Text
}

// TestEdits is the life of an edited file under three versions of its package.
func TestEdits(t *testing.T) {
	p := newFixture(t, nil)
	want := func(status, conf string) {
		t.Helper()
		if got := p.status(); got != status {
			t.Errorf("status is %q, want %q", got, status)
		}
		if got := p.conf(); got != conf {
			t.Errorf("the file is %q, want %q", got, conf)
		}
	}
	p.ships("1", "a\nb\nc\n")
	want("", "a\nb\nc\n")
	p.ships("2", "a\nb\nc\nd\n")
	want("", "a\nb\nc\nd\n") // nobody edited it: it follows

	p.edit("MINE\nb\nc\nd\n")
	want("edited /etc/conf conf=2 conf=2", "MINE\nb\nc\nd\n")
	if got := p.show("root", "contexts/user:root"); !strings.Contains(got, "11 bytes in 2 files") || !strings.Contains(got, "edited  /etc/conf") {
		t.Errorf("the context's text is\n%s", got)
	}
	p.ships("3", "a\nb\nc\nd\ne\n")
	want("outdated /etc/conf conf=2 conf=3", "MINE\nb\nc\nd\n")
	p.until("the event", func() bool {
		events := string(p.control.events.recent(100))
		return strings.Contains(events, `"event":"config","package":"conf=3","file":"/etc/conf","context":"user:root","reason":"outdated"`)
	})
	var d api.EditDiff
	if a := p.ask("root", `{"op": "editdiff", "context": "user:root", "path": "/etc/conf"}`); a.Error != "" || json.Unmarshal(a.Result, &d) != nil {
		t.Fatalf("%+v", a)
	}
	if !strings.Contains(d.Mine, "-a\n+MINE\n") || !strings.Contains(d.Theirs, "+e\n") {
		t.Errorf("%+v", d)
	}
	if got := p.configure("merge", "user:root", "/etc/conf"); got != "/etc/conf: merged\n" {
		t.Error(got)
	}
	want("edited /etc/conf conf=3 conf=3", "MINE\nb\nc\nd\ne\n")

	p.ships("4", "THEIRS\nb\nc\nd\ne\n")
	if got := p.configure("merge", "user:root", "/etc/conf"); !strings.Contains(got, "1 conflicts") {
		t.Error(got)
	}
	want("edited /etc/conf conf=4 conf=4", "<<<<<<< edited\nMINE\n=======\nTHEIRS\n>>>>>>> conf=4\nb\nc\nd\ne\n")
	p.edit("SOLVED\n")
	p.ships("5", "x\n")
	p.configure("keep", "user:root", "/etc/conf")
	want("edited /etc/conf conf=5 conf=5", "SOLVED\n")

	p.ships("6", "SOLVED\n") // the new version has the edit: it is none any more
	p.until("the copy to be dropped", func() bool { return p.status() == "" })
	p.ships("7", "y\n")
	want("", "y\n")

	p.edit("again\n")
	p.configure("reset", "user:root", "/etc/conf")
	want("", "y\n")
	etc := p.attach("root", "user:root")
	_, dir, err := etc.Walk([]string{"etc"})
	if err != nil {
		t.Fatal(err)
	}
	if err := dir.UnlinkAt("conf", 0); err != nil {
		t.Fatal(err)
	}
	want("deleted /etc/conf  conf=7", "no such file or directory")
	p.configure("reset", "user:root", "/etc/conf")
	want("", "y\n")
	if got := p.configure("keep", "user:root", "/etc/conf"); !strings.Contains(got, "is no edited file") {
		t.Error(got)
	}
}

// TestEditsUnawaited merges and compares while nobody waits for it: nothing changes,
// and who asks again gets the answer.
func TestEditsUnawaited(t *testing.T) {
	p := newFixture(t, nil)
	p.ships("1", "a\nb\nc\n")
	p.edit("MINE\nb\nc\n")
	p.ships("2", "a\nb\nTHEIRS\n")
	gone, cancel := stdcontext.WithCancel(t.Context())
	cancel()
	open := func(name string) p9.File {
		t.Helper()
		_, f, err := p.attach("root", "ctl").Walk([]string{name})
		if err == nil {
			_, _, err = f.Open(p9.ReadWrite)
		}
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { f.Close() })
		return f
	}

	const merge = "config merge user:root /etc/conf\n"
	ctl := open("ctl")
	if _, err := ctl.(p9l.LongWriter).WriteLong(gone, []byte(merge), 0); errnoOf(err) != linux.EINTR {
		t.Errorf("a merge that nobody waits for: %v", err)
	}
	if got := p.conf(); got != "MINE\nb\nc\n" {
		t.Errorf("it left %q", got)
	}
	query := open("query")
	if _, err := query.WriteAt([]byte(`{"op": "editdiff", "context": "user:root", "path": "/etc/conf"}`), 0); err != nil {
		t.Fatal(err)
	}
	answer := make([]byte, 1000)
	if _, err := query.(p9l.LongReader).ReadLong(gone, answer, 0); errnoOf(err) != linux.EINTR {
		t.Errorf("a comparison that nobody waits for: %v", err)
	}
	if n, err := query.ReadAt(answer, 0); err != nil || !strings.Contains(string(answer[:n]), "+MINE") {
		t.Errorf("the answer is %q, %v", answer[:n], err)
	}
	if _, err := ctl.WriteAt([]byte(merge), 0); err != nil || p.conf() != "MINE\nb\nTHEIRS\n" {
		t.Errorf("merged: %v, %q", err, p.conf())
	}
}
