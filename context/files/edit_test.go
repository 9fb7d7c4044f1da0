package files

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime/debug"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rs/zerolog"
)

// clock counts minutes, one each time that it is asked.
func clock() func() time.Time {
	var mu sync.Mutex
	now := time.Date(2024, 1, 2, 3, 0, 0, 0, time.UTC)
	return func() time.Time {
		mu.Lock()
		defer mu.Unlock()
		now = now.Add(time.Minute)
		return now
	}
}

// editor opens a Store on a directory with these files: "== NAME" begins each.
func editor(t *testing.T, files string) (*Store, string) {
	t.Helper()
	dir := t.TempDir()
	for _, part := range strings.Split(files, "== ")[1:] {
		name, body, _ := strings.Cut(part, "\n")
		writeFile(t, filepath.Join(dir, name), body)
	}
	return reopen(t, dir, clock()), dir
}

func reopen(t *testing.T, dir string, now func() time.Time) *Store {
	t.Helper()
	s, err := open(dir, zerolog.Nop(), now)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

func mustEdit(t *testing.T, s *Store, context string, changes ...string) {
	t.Helper()
	var list []Change
	for _, text := range changes {
		c := change(text)
		c.Context = context
		list = append(list, c)
	}
	if err := s.Edit("root", list...); err != nil {
		t.Fatal(err)
	}
}

func readFile(t *testing.T, dir, name string) string {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(dir, name))
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

// names lists a directory, without the history.
func names(t *testing.T, dir string) string {
	t.Helper()
	list, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	for _, e := range list {
		if e.Name() != historyDir {
			out = append(out, e.Name())
		}
	}
	return strings.Join(out, " ")
}

func TestEdit(t *testing.T) {
	s, dir := editor(t, "== user:alice.toml\n# Alice.\ntoplevel = [\"a\"] # hers\n")
	before := s.Snapshot().Revision
	mustEdit(t, s, "user:alice", "add toplevel gcc", "set dependencies visible")
	if got := says(s.Snapshot()); got != "user:alice[a gcc]" {
		t.Errorf("the files say %s when Edit returns", got)
	}
	if got := readFile(t, dir, "user:alice.toml"); got != "# Alice.\ntoplevel = [\"a\", \"gcc\"] # hers\ndependencies = \"visible\"\n" {
		t.Errorf("%s", got)
	}
	mustEdit(t, s, "system", "add deny nmap")
	mustEdit(t, s, "user:alice", "add toplevel gcc") // it is there
	mustEdit(t, s, "/user:%62ob", "add toplevel b")  // canonical: user:bob
	if got := names(t, dir); got != "system.toml user:alice.toml user:bob.toml" {
		t.Errorf("there are %s", got)
	}

	// What the watch sees of these edits publishes nothing again.
	f := &follower{t, dir, s, make(chan *Snapshot, 100)}
	s.Subscribe(func(n *Snapshot) { f.next <- n })
	f.write("user:carol.toml", `toplevel = ["c"]`)
	f.until("system[] user:alice[a gcc] user:bob[b] user:carol[c]")
	if got := s.Snapshot().Revision - before; got != 4 {
		t.Errorf("%d revisions, want 4", got)
	}
}

func TestEditAllOrNone(t *testing.T) {
	s, dir := editor(t, "== user:alice.toml\ntoplevel = [\"a\"]\n== user:broken.toml\ntoplevel = [\n")
	before := s.Snapshot()
	for _, c := range []struct {
		second Change
		class  error
		want   string
	}{
		{Change{"user:bob", OpAdd, "toplevel", []string{"a b"}}, fs.ErrInvalid, `context user:bob: toplevel: "a b" has a blank`},
		{Change{"user:bob", OpDel, "toplevel", []string{"a"}}, fs.ErrNotExist, `context user:bob: it has no file`},
		{Change{"user:alice", OpDel, "toplevel", []string{"x"}}, fs.ErrNotExist, `context user:alice: toplevel has no "x"`},
		{Change{"user:broken", OpAdd, "toplevel", []string{"a"}}, ErrBroken, `context user:broken: its file is broken and stays as it is: user:broken.toml: line 1: `},
		{Change{"all", OpAdd, "toplevel", []string{"a"}}, fs.ErrInvalid, `context all: it cannot have a file; want system, user:NAME or group:NAME`},
		{Change{"user:bob", OpSet, "toplevel", slices.Repeat([]string{"a"}, maxValues)}, fs.ErrInvalid, `more than 1000 values`},
	} {
		err := s.Edit("root", Change{"user:alice", OpAdd, "toplevel", []string{"first"}}, c.second)
		if !errors.Is(err, c.class) || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%v\nwant %s", err, c.want)
		}
	}
	if got := names(t, dir); got != "user:alice.toml user:broken.toml" {
		t.Errorf("there are %s", got)
	}
	if got := readFile(t, dir, "user:alice.toml"); got != "toplevel = [\"a\"]\n" || s.Snapshot() != before {
		t.Errorf("alice's file has %q", got)
	}
	if err := s.Edit("root"); err != nil {
		t.Errorf("no changes: %v", err)
	}
}

// Where the last of several renames fails, those before are undone.
func TestEditUndoes(t *testing.T) {
	s, dir := editor(t, "== user:alice.toml\ntoplevel = [\"a\"]\n== user:bob.toml\n")
	if err := s.Close(); err != nil { // so that nobody else writes the history
		t.Fatal(err)
	}
	history := filepath.Join(dir, historyDir, "user:bob.log")
	if err := errors.Join(os.RemoveAll(history), os.MkdirAll(filepath.Join(history, "x"), 0o700)); err != nil {
		t.Fatal(err)
	}
	err := s.Edit("root", Change{"user:alice", OpAdd, "toplevel", []string{"b"}}, Change{"user:bob", OpAdd, "toplevel", []string{"b"}},
		Change{"user:new", OpAdd, "toplevel", []string{"b"}})
	if err == nil || !strings.Contains(err.Error(), "context user:bob: ") {
		t.Errorf("error %v", err)
	}
	if got := says(s.Snapshot()); got != "user:alice[a] user:bob[]" {
		t.Errorf("the files say %s", got)
	}
	if got := names(t, dir); got != "user:alice.toml user:bob.toml" {
		t.Errorf("there are %s", got)
	}
	if got := readFile(t, dir, "user:alice.toml"); got != "toplevel = [\"a\"]\n" {
		t.Errorf("alice's file has %q", got)
	}
}

// A person saves the file between the reading and the writing of an edit: neither
// is lost. The clock, which is asked between the two, is that person.
func TestEditMeetsEditByHand(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "user:alice.toml")
	tick := clock()
	saves := 0
	by := func(hand func()) func() time.Time {
		return func() time.Time {
			// The Store also asks for the time when it follows the files.
			if strings.Contains(string(debug.Stack()), "(*Store).Edit(") && saves > 0 {
				saves--
				hand()
			}
			return tick()
		}
	}
	s := reopen(t, dir, by(func() {
		writeFile(t, filepath.Join(dir, ".saved"), fmt.Sprintf("toplevel = [\"hand%d\"]\n", saves))
		if err := os.Rename(filepath.Join(dir, ".saved"), path); err != nil {
			t.Error(err)
		}
	}))
	saves = 1
	mustEdit(t, s, "user:alice", "add toplevel a") // the file is made meanwhile
	if got := readFile(t, dir, "user:alice.toml"); got != "toplevel = [\"hand0\", \"a\"]\n" {
		t.Errorf("the file has %q", got)
	}
	saves = 3
	mustEdit(t, s, "user:alice", "add toplevel b")
	if got := readFile(t, dir, "user:alice.toml"); got != "toplevel = [\"hand0\", \"b\"]\n" {
		t.Errorf("the file has %q", got)
	}
	list, err := s.History("user:alice")
	if err != nil || len(list) < 3 || list[0].What != "add toplevel b" || list[1].What != whatChanged || list[1].Text != "toplevel = [\"hand0\"]\n" {
		t.Errorf("history %+v, %v", list, err)
	}
	saves = 1000
	err = s.Edit("root", Change{"user:alice", OpAdd, "toplevel", []string{"c"}})
	if saves = 0; err == nil || !strings.Contains(err.Error(), "somebody else changes its file all the time") {
		t.Errorf("error %v", err)
	}
	if got := readFile(t, dir, "user:alice.toml"); !strings.Contains(got, "hand") || strings.Contains(got, `"c"`) {
		t.Errorf("the file has %q", got)
	}
}

// A file that somebody has open for writing is neither read nor edited before
// that ends.
func TestEditWaitsForTheWriter(t *testing.T) {
	s, dir := editor(t, "== user:alice.toml\ntoplevel = [\"a\"]\n")
	w, err := os.Create(filepath.Join(dir, "user:alice.toml"))
	if err != nil {
		t.Fatal(err)
	}
	err = s.Edit("root", Change{"user:alice", OpAdd, "toplevel", []string{"b"}})
	if err == nil || !strings.Contains(err.Error(), "somebody writes its file at this moment") {
		t.Errorf("error %v", err)
	}
	if got := says(s.Snapshot()); got != "user:alice[a]" {
		t.Errorf("the files say %s", got)
	}
	edited := make(chan error)
	go func() { edited <- s.Edit("root", Change{"user:alice", OpAdd, "toplevel", []string{"b"}}) }()
	fmt.Fprintln(w, `toplevel = ["hand"]`)
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	if err := <-edited; err != nil {
		t.Error(err)
	}
	if got := says(s.Snapshot()); got != "user:alice[hand b]" {
		t.Errorf("the files say %s", got)
	}
}

func TestEditsAtOnce(t *testing.T) {
	s, dir := editor(t, "")
	other := reopen(t, dir, clock()) // as of another server
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			for j := range 5 {
				c := Change{"user:alice", OpAdd, "toplevel", []string{fmt.Sprintf("p%d-%d", i, j)}}
				if err := []*Store{s, other}[i%2].Edit("root", c); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	file, err := Parse("user:alice.toml", []byte(readFile(t, dir, "user:alice.toml")))
	if err != nil || len(file.Toplevel) != 40 {
		t.Errorf("%+v, %v", file, err)
	}
	list, err := s.History("user:alice")
	if err != nil || len(list) != 40 {
		t.Fatalf("%d revisions, %v", len(list), err)
	}
	for i, r := range list {
		if r.Number != 40-i || strings.Count(r.Text, "p") != r.Number+1 || r.By != "root" {
			t.Errorf("revision %+v", r)
		}
	}
}

func TestEditKeepsLinkAndMode(t *testing.T) {
	s, dir := editor(t, "")
	target := filepath.Join(t.TempDir(), "alice")
	writeFile(t, target, "")
	if err := errors.Join(os.Chmod(target, 0o640), os.Symlink(target, filepath.Join(dir, "user:alice.toml"))); err != nil {
		t.Fatal(err)
	}
	mustEdit(t, s, "user:alice", "add toplevel a")
	if got := readFile(t, filepath.Dir(target), "alice"); got != "toplevel = [\"a\"]\n" {
		t.Errorf("the link's target has %q", got)
	}
	if info, err := os.Stat(target); err != nil || info.Mode().Perm() != 0o640 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
	if link, err := os.Readlink(filepath.Join(dir, "user:alice.toml")); err != nil || link != target {
		t.Errorf("link to %s, %v", link, err)
	}
	if got := says(s.Snapshot()); got != "user:alice[a]" {
		t.Errorf("the files say %s", got)
	}
}

func TestCreateDeletePut(t *testing.T) {
	s, dir := editor(t, "")
	for _, context := range []string{"user:alice", "group:dev", "system"} {
		if err := s.Create("root", context); err != nil {
			t.Fatal(err)
		}
		text := readFile(t, dir, context+Suffix)
		if strings.Contains(text, "members") != (context == "group:dev") {
			t.Errorf("%s", text)
		}
		// What it offers is right, each line by itself and all together.
		for _, line := range append(strings.Split(text, "\n"), "") {
			with := strings.Replace(text, line, strings.TrimPrefix(line, "#"), 1)
			if line == "" {
				with = strings.ReplaceAll(text, "\n#", "\n")
			} else if strings.HasPrefix(line, "# ") {
				continue
			}
			if _, err := Parse(context+Suffix, []byte(with)); err != nil {
				t.Errorf("%q: %v", line, err)
			}
		}
	}
	if err := s.Create("root", "user:alice"); !errors.Is(err, fs.ErrExist) {
		t.Errorf("made again: %v", err)
	}
	mustEdit(t, s, "user:alice", "set public true")
	if got := readFile(t, dir, "user:alice.toml"); !strings.HasSuffix(got, "everyone may attach to it\npublic = true\n") {
		t.Errorf("%s", got)
	}

	if err := s.Delete("root", "user:alice"); err != nil {
		t.Fatal(err)
	}
	if err := s.Delete("root", "user:alice"); !errors.Is(err, fs.ErrNotExist) || !strings.Contains(err.Error(), "context new user:alice") {
		t.Errorf("deleted again: %v", err)
	}
	if _, err := s.Text("user:alice"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("text of a file that is gone: %v", err)
	}

	if err := s.Put("root", "user:alice", "toplevel = [\n"); !errors.Is(err, fs.ErrInvalid) || !strings.Contains(err.Error(), "line 1") {
		t.Errorf("a broken text: %v", err)
	}
	writeFile(t, filepath.Join(dir, "user:alice.toml"), "toplevel = [\n")
	if text, err := s.Text("user:alice"); err != nil || text != "toplevel = [\n" {
		t.Errorf("text %q, %v", text, err)
	}
	if err := s.Put("root", "user:alice", "toplevel = [\"x\"] # mended"); err != nil {
		t.Fatal(err)
	}
	if err := s.Put("root", "group:empty", ""); err != nil {
		t.Fatal(err)
	}
	if got := says(s.Snapshot()); got != "group:dev[] group:empty[] system[] user:alice[x]" {
		t.Errorf("the files say %s", got)
	}
	if got := readFile(t, dir, "group:empty.toml"); got != "" {
		t.Errorf("%q", got)
	}
}

func TestEditHostileNames(t *testing.T) {
	s, dir := editor(t, "")
	outside := names(t, filepath.Dir(dir))
	for _, name := range []string{
		"", "/", ".", "..", "../x", "user:", "user:..", "user:.", "user:../x", "user:a/b", "user:%2F", "user:%2e%2E", "user:a\x00", "user:\xff",
		"user:alice+gcc", "package:gcc", "all", "ctl", "contexts", "alice", "system.toml", "system/", ".history", "user:" + strings.Repeat("a", 300), "user:a,b",
	} {
		c := Change{name, OpAdd, "toplevel", []string{"a"}}
		_, terr := s.Text(name)
		_, herr := s.History(name)
		_, derr := s.Diff(t.Context(), name, 0, 0)
		for i, err := range []error{
			s.Edit("root", c), s.Create("root", name), s.Delete("root", name), s.Put("root", name, ""), s.Rollback("root", name, 1), terr, herr, derr,
		} {
			if !errors.Is(err, fs.ErrInvalid) || !strings.HasSuffix(err.Error(), "want system, user:NAME or group:NAME") {
				t.Errorf("%q, call %d: %v", name, i, err)
			}
		}
	}
	if got := names(t, dir); got != "" || names(t, filepath.Dir(dir)) != outside {
		t.Errorf("there is %s", got)
	}
	// Odd ones that are right.
	longest := "group:" + strings.Repeat("%20", 66)
	for _, name := range []string{"user:-rf", "user:.hidden", "user:~", "user:a b", "user:ü'$`", "user:x.toml", longest} {
		if err := s.Edit("root", Change{name, OpAdd, "toplevel", []string{"a"}}); err != nil {
			t.Errorf("%q: %v", name, err)
			continue
		}
		if list, err := s.History(name); err != nil || len(list) != 1 {
			t.Errorf("%q: %+v, %v", name, list, err)
		}
	}
	if got := says(s.Snapshot()); strings.Count(got, "[a]") != 7 {
		t.Errorf("the files say %s", got)
	}
}

func TestEditWithoutDirectory(t *testing.T) {
	empty, err := Open("", zerolog.Nop())
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range []*Store{nil, empty} {
		_, herr := s.History("system")
		_, terr := s.Text("system")
		for _, err := range []error{s.Edit("root", Change{"system", OpAdd, "deny", []string{"a"}}), s.Create("root", "system"), s.Rollback("root", "system", 1), herr, terr} {
			if !errors.Is(err, errors.ErrUnsupported) || !strings.Contains(err.Error(), "no contexts directory") {
				t.Errorf("%v", err)
			}
		}
	}
}

// What cannot be kept in the history is not done.
func TestEditNeedsHistory(t *testing.T) {
	dir := t.TempDir()
	writeFile(t, filepath.Join(dir, historyDir), "in the way")
	writeFile(t, filepath.Join(dir, "system.toml"), "")
	s := reopen(t, dir, clock())
	if err := s.Edit("root", Change{"system", OpAdd, "deny", []string{"a"}}); err == nil {
		t.Error("no error")
	}
	if got := readFile(t, dir, "system.toml"); got != "" {
		t.Errorf("the file has %q", got)
	}
}
