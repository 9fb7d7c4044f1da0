package files

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"
)

// revisionsOf writes a history as text, the newest first.
func revisionsOf(t *testing.T, s *Store, context string) string {
	t.Helper()
	list, err := s.History(context)
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	for _, r := range list {
		line := fmt.Sprintf("%d %s: %s", r.Number, r.By, r.What)
		if r.Deleted {
			line += " (deleted)"
		}
		out = append(out, line)
	}
	return strings.Join(out, "\n")
}

func TestHistory(t *testing.T) {
	s, dir := editor(t, "== user:alice.toml\n# Alice.\ntoplevel = [\"a\"]\n")
	mustEdit(t, s, "user:alice", "add toplevel b", "set public true")
	f := &follower{t, dir, s, make(chan *Snapshot, 100)}
	s.Subscribe(func(n *Snapshot) { f.next <- n })
	f.write("user:alice.toml", "toplevel = [\"hand\"]\n")
	f.until("user:alice[hand]")
	f.write("user:alice.toml", "toplevel = [\n")
	f.until("user:alice[hand]!")
	if err := s.Delete("root", "user:alice"); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}

	f.write("user:alice.toml", "toplevel = [\"while down\"]\n")
	f.write("group:dev.toml", "")
	s = reopen(t, dir, clock())
	want := `6 : changed by hand
5 root: del (deleted)
4 : changed by hand
3 : changed by hand
2 root: add toplevel b; set public true
1 : found`
	if got := revisionsOf(t, s, "user:alice"); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(filepath.Join(dir, "user:alice.toml")); err != nil {
		t.Fatal(err)
	}
	s = reopen(t, dir, clock())
	for range 2 {
		if got := revisionsOf(t, s, "user:alice"); got != "7 : removed by hand (deleted)\n"+want {
			t.Errorf("got\n%s", got)
		}
	}
	if got := revisionsOf(t, s, "group:dev"); got != "1 : found" {
		t.Errorf("got\n%s", got)
	}
	if _, err := s.History("user:nobody"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("history of nothing: %v", err)
	}
	list, err := s.History("user:alice")
	if err != nil || list[5].Text != "# Alice.\ntoplevel = [\"a\", \"b\"]\npublic = true\n" || list[3].Text != "toplevel = [\n" || list[0].Time.IsZero() {
		t.Errorf("%+v, %v", list, err)
	}
}

// Opening a Store keeps what it finds, without being asked.
func TestHistoryAtStart(t *testing.T) {
	dir := t.TempDir()
	writeFile(t, filepath.Join(dir, "user:alice.toml"), "toplevel = [\"a\"]\n")
	for i := range 2 {
		s := reopen(t, dir, clock())
		for end := time.Now().Add(20 * time.Second); ; time.Sleep(time.Millisecond) {
			s.files.Lock()
			n := len(s.history("user:alice").revisions)
			s.files.Unlock()
			if n == i+1 {
				break
			}
			if time.Now().After(end) {
				t.Fatalf("%d revisions", n)
			}
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		writeFile(t, filepath.Join(dir, "user:alice.toml"), "toplevel = [\"b\"]\n")
	}
}

func TestDiffAndRollback(t *testing.T) {
	s, dir := editor(t, "")
	mustEdit(t, s, "user:alice", "add toplevel a")
	mustEdit(t, s, "user:alice", "add toplevel b")
	mustEdit(t, s, "user:alice", "set public true")
	for _, c := range []struct {
		from, to int
		want     string
	}{
		{0, 0, "diff user:alice@2 user:alice@3\n--- user:alice@2\n+++ user:alice@3\n@@ -1,1 +1,2 @@\n toplevel = [\"a\", \"b\"]\n+public = true\n"},
		{2, 0, "diff user:alice@2 user:alice@3\n--- user:alice@2\n+++ user:alice@3\n@@ -1,1 +1,2 @@\n toplevel = [\"a\", \"b\"]\n+public = true\n"},
		{0, 1, "diff /dev/null user:alice@1\n--- /dev/null\n+++ user:alice@1\n@@ -0,0 +1,1 @@\n+toplevel = [\"a\"]\n"},
		{2, 1, "diff user:alice@2 user:alice@1\n--- user:alice@2\n+++ user:alice@1\n@@ -1,1 +1,1 @@\n-toplevel = [\"a\", \"b\"]\n+toplevel = [\"a\"]\n"},
		{2, 2, ""},
	} {
		if got, err := s.Diff(t.Context(), "user:alice", c.from, c.to); err != nil || got != c.want {
			t.Errorf("%d to %d: %v\n%s\nwant\n%s", c.from, c.to, err, got, c.want)
		}
	}
	for _, c := range [][2]int{{4, 0}, {0, 4}, {-1, 0}, {1, -1}} {
		if _, err := s.Diff(t.Context(), "user:alice", c[0], c[1]); !errors.Is(err, fs.ErrNotExist) || !strings.Contains(err.Error(), "there are 1 to 3") {
			t.Errorf("%v: %v", c, err)
		}
	}

	if err := s.Rollback("bob", "user:alice", 1); err != nil {
		t.Fatal(err)
	}
	if got := says(s.Snapshot()); got != "user:alice[a]" {
		t.Errorf("the files say %s", got)
	}
	if err := s.Rollback("bob", "user:alice", 1); err != nil { // it is so
		t.Fatal(err)
	}
	if err := s.Delete("bob", "user:alice"); err != nil {
		t.Fatal(err)
	}
	if err := s.Rollback("bob", "user:alice", 3); err != nil {
		t.Fatal(err)
	}
	if err := s.Rollback("bob", "user:alice", 5); err != nil {
		t.Fatal(err)
	}
	if got := names(t, dir); got != "" {
		t.Errorf("there is %s", got)
	}
	if err := s.Rollback("bob", "user:alice", 9); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("%v", err)
	}
	writeFile(t, filepath.Join(dir, "user:alice.toml"), "toplevel = 1\n")
	mustPut(t, s, "user:alice", "")
	if err := s.Rollback("bob", "user:alice", 8); !errors.Is(err, fs.ErrInvalid) || !strings.Contains(err.Error(), "want a list of strings") {
		t.Errorf("%v", err)
	}
	want := `9 root: edit
8 : changed by hand
7 bob: rollback to revision 5 (deleted)
6 bob: rollback to revision 3
5 bob: del (deleted)
4 bob: rollback to revision 1
3 root: set public true
2 root: add toplevel b
1 root: add toplevel a`
	if got := revisionsOf(t, s, "user:alice"); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

func mustPut(t *testing.T, s *Store, context, text string) {
	t.Helper()
	if err := s.Put("root", context, text); err != nil {
		t.Fatal(err)
	}
}

func TestHistoryIsBounded(t *testing.T) {
	s, _ := editor(t, "")
	for i := range maxRevisions + 5 {
		mustPut(t, s, "system", fmt.Sprintf("# %d\n", i))
	}
	list, err := s.History("system")
	if err != nil || len(list) != maxRevisions || list[0].Number != maxRevisions+5 || list[maxRevisions-1].Number != 6 {
		t.Errorf("%d revisions from %d on, %v", len(list), list[len(list)-1].Number, err)
	}
	if _, err := s.Diff(t.Context(), "system", 0, 6); !errors.Is(err, fs.ErrNotExist) || !strings.Contains(err.Error(), "the revision before 6 is not kept any more") {
		t.Errorf("%v", err)
	}

	large := "#" + strings.Repeat("x", maxFileSize-100) + "\n"
	for i := range 8 {
		mustPut(t, s, "group:large", fmt.Sprintf("# %d\n", i)+large)
	}
	if list, err := s.History("group:large"); err != nil || len(list) != 4 || list[3].Number != 5 {
		t.Errorf("%d revisions, %v", len(list), err)
	}
	h := &history{}
	for range 3 {
		h.add(Revision{Text: strings.Repeat("x", maxHistorySize)})
	}
	if len(h.revisions) != 2 || h.revisions[1].Number != 3 {
		t.Errorf("%d revisions", len(h.revisions))
	}
	if r := (Revision{What: strings.Repeat("ü", maxWhat)}); len(cut(r.What)) > maxWhat+len("…") {
		t.Errorf("%d bytes", len(cut(r.What)))
	}
}

// A history that is damaged is kept as far as it can be read, and goes on.
func TestHistoryDamaged(t *testing.T) {
	s, dir := editor(t, "")
	for i := range 3 {
		mustPut(t, s, "system", fmt.Sprintf("# %d\n", i))
	}
	path := filepath.Join(dir, historyDir, "system.log")
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for _, damaged := range [][]byte{data[:len(data)-3], append(data[:len(data)-8:len(data)-8], "garbage\n{}\n"...)} {
		if err := os.WriteFile(path, damaged, 0o600); err != nil {
			t.Fatal(err)
		}
		list, err := s.History("system")
		if err != nil || len(list) != 3 || list[0].Number != 3 || list[0].What != whatChanged || list[1].Text != "# 1\n" {
			t.Errorf("%+v, %v", list, err)
		}
	}
	if err := os.WriteFile(path, []byte("\x00\n\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	mustPut(t, s, "system", "# new\n")
	if got := revisionsOf(t, s, "system"); got != "2 root: edit\n1 : found" {
		t.Errorf("got\n%s", got)
	}
}

// What decodes encodes to what decodes the same.
func FuzzHistory(f *testing.F) {
	h := &history{}
	h.add(Revision{Time: time.Unix(1e9, 0), By: "root", What: "add toplevel <gcc>", Text: "toplevel = [\"gcc\"]\n"})
	h.add(Revision{What: "del", Deleted: true})
	h.add(Revision{What: whatChanged, Text: "\xff\n{\"revision\":9}\n"})
	f.Add(h.encode())
	f.Add(h.encode()[:100])
	f.Add([]byte(`{"revision":1,"size":-1}` + "\n\n"))
	f.Add([]byte(`{"revision":1,"size":9223372036854775807}` + "\n\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		var h, back history
		err := h.decode(data)
		out := h.encode()
		if derr := back.decode(out); derr != nil || !reflect.DeepEqual(back, h) {
			t.Fatalf("%+v\n%+v, %v", h, back, derr)
		}
		if err == nil && bytes.Count(out, []byte{'\n'}) < len(h.revisions) {
			t.Fatal("lines are missing")
		}
	})
}
