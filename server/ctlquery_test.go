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

	"github.com/packagefs/packagefs/server/api"
)

// tell gives a command as a query, and returns what came of it.
func (p *fixture) tell(who string, words ...string) (result api.CommandResult, failed api.Answer) {
	p.Helper()
	question, err := json.Marshal(api.Query{Op: api.OpCommand, Words: words})
	if err != nil {
		p.Fatal(err)
	}
	a := p.ask(who, string(question))
	if a.Result != nil {
		if err := json.Unmarshal(a.Result, &result); err != nil {
			p.Fatal(err)
		}
	}
	return result, a
}

// TestCommandQueries gives commands as queries, whose results have fields.
func TestCommandQueries(t *testing.T) {
	p := newFixture(t, map[string]string{"user:alice": "toplevel = [\"other\"]\n"})
	p.config.Admins = []string{"alice"}

	if r, a := p.tell("bob", "help"); a.Error != api.ForAdmins || a.Errno != uint32(linux.EACCES) || r.Text != "" {
		t.Errorf("of nobody's command comes %+v, %+v", r, a)
	}
	if r, a := p.tell("alice"); a.Error != "" || r.Text != "" {
		t.Errorf("of no words comes %+v, %+v", r, a)
	}
	if _, a := p.tell("alice", "nonsense"); a.Error != `unknown command "nonsense"; try: help` || a.Errno != uint32(linux.EINVAL) {
		t.Errorf("of nonsense comes %+v", a)
	}
	if r, a := p.tell("alice", "toplevel", "add", "user:alice", "app", "no such"); a.Error == "" || a.Errno != uint32(linux.EINVAL) || r.Text != "" {
		t.Errorf("of a bad name comes %+v, %+v", r, a)
	}
	if r, a := p.tell("alice", "toplevel", "add", "user:alice", "app", "none"); a.Error != "" || !strings.HasSuffix(r.Text, "note: none is not installed\n") {
		t.Errorf("of a good command comes %+v, %+v", r, a)
	}

	r, a := p.tell("alice", "context", "history", "user:alice")
	if a.Error != "" || len(r.Revisions) != 2 {
		t.Fatalf("history: %+v, %+v", r, a)
	}
	if n := r.Revisions[0]; n.Revision != 2 || n.By != "alice" || n.What != "add toplevel app none" || r.Revisions[1].By != "" {
		t.Errorf("revisions: %+v", r.Revisions)
	}

	r, _ = p.tell("alice", "events", "3")
	var e api.Event
	if len(r.Events) != 3 || json.Unmarshal(slices.MaxFunc(r.Events, func(a, b json.RawMessage) int { return len(a) - len(b) }), &e) != nil || e.Event == "" {
		t.Errorf("events: %s", r.Events)
	}

	r, a = p.tell("alice", "remove", "other")
	if file := filepath.Join(p.packages, "other_1.deb"); a.Error != "" || len(r.Remaining) != 0 ||
		!slices.Equal(r.Removed, []api.PackageFile{{Package: "other=1", File: file}}) {
		t.Errorf("remove: %+v, %+v", r, a)
	}
	if r, a := p.tell("alice", "remove", "app", "other"); a.Errno != uint32(linux.ENOPKG) || r.Removed != nil {
		t.Errorf("remove what is gone: %+v, %+v", r, a)
	}

	// Of a package that two files have, the other one takes the place.
	data, err := os.ReadFile(filepath.Join(p.packages, "app_1.deb"))
	if err != nil {
		t.Fatal(err)
	}
	p.drop("copy.deb", string(data))
	p.settle()
	r, a = p.tell("alice", "remove", "app")
	if a.Error != "" || len(r.Removed) != 1 || len(r.Remaining) != 1 || r.Remaining[0].Package != "app=1" || r.Remaining[0].File == r.Removed[0].File {
		t.Errorf("remove one of two: %+v, %+v", r, a)
	}

	left := filepath.Join(p.state, "index", fmt.Sprintf("%064x", 1))
	if err := os.WriteFile(left, []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	r, a = p.tell("alice", "gc")
	if a.Error != "" || !slices.ContainsFunc(r.Garbage, func(g api.GarbageRow) bool { return g.Path == left && g.Bytes == 1 }) {
		t.Errorf("gc: %+v, %+v", r, a)
	}

	// A whole context file is longer than the questions of others may be.
	text := "toplevel = [\"app\"]\n" + strings.Repeat("# so it is\n", maxQuery/10)
	if _, a := p.tell("alice", "context", "put", "user:alice", text); a.Error != "" {
		t.Errorf("a long file: %+v", a)
	}
	if _, a := p.tell("bob", "context", "put", "user:alice", text); a.Errno != uint32(linux.EMSGSIZE) {
		t.Errorf("a long question of nobody: %+v", a)
	}
}

// TestContextFileQuery asks for context files that are there and that are not.
func TestContextFileQuery(t *testing.T) {
	p := newFixture(t, map[string]string{"system": "# all\n"})
	get := func(who, name string) (f api.ContextFile, a api.Answer) {
		a = p.ask(who, fmt.Sprintf(`{"op":"contextfile","context":%q}`, name))
		if a.Error == "" && json.Unmarshal(a.Result, &f) != nil {
			t.Fatalf("%+v", a)
		}
		return f, a
	}
	if f, a := get("root", "system"); f != (api.ContextFile{Text: "# all\n", Exists: true}) {
		t.Errorf("system: %+v, %+v", f, a)
	}
	if f, a := get("root", "group:dev"); f.Exists || !strings.Contains(f.Text, "#members ") {
		t.Errorf("group:dev: %+v, %+v", f, a)
	}
	if _, a := get("root", "package:app"); a.Errno != uint32(linux.EINVAL) {
		t.Errorf("package:app: %+v", a)
	}
	if _, a := get("bob", "system"); a.Errno != uint32(linux.EACCES) {
		t.Errorf("nobody asks: %+v", a)
	}
}

// TestMergeResults counts conflicts.
func TestMergeResults(t *testing.T) {
	p := newFixture(t, nil)
	const path = "/etc/conf"
	merge := func() api.CommandResult {
		t.Helper()
		r, a := p.tell("root", "config", "merge", "user:root", path)
		if a.Error != "" {
			t.Fatal(a.Error)
		}
		return r
	}
	p.ships("1", "a\nb\nc\n")
	p.edit("MINE\nb\nc\n")
	p.ships("2", "a\nb\nC\n")
	if r := merge(); !slices.Equal(r.Edits, []api.EditResult{{Path: path}}) {
		t.Errorf("%+v", r)
	}
	p.ships("3", "THEIRS\nb\nC\n")
	if r := merge(); !slices.Equal(r.Edits, []api.EditResult{{Path: path, Conflicts: 1}}) {
		t.Errorf("%+v", r)
	}
}
