package files

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/rs/zerolog"
)

// follower waits for snapshots of a Store.
type follower struct {
	t     *testing.T
	dir   string
	store *Store
	next  chan *Snapshot
}

func follow(t *testing.T, dir string) *follower {
	t.Helper()
	s, err := Open(dir, zerolog.Nop())
	if err != nil {
		t.Fatal(err)
	}
	f := &follower{t, dir, s, make(chan *Snapshot, 100)}
	s.Subscribe(func(n *Snapshot) { f.next <- n })
	t.Cleanup(func() { s.Close() })
	return f
}

// until waits for a snapshot that says want.
func (f *follower) until(want string) {
	f.t.Helper()
	got := says(f.store.Snapshot())
	for got != want {
		select {
		case n := <-f.next:
			got = says(n)
		case <-time.After(20 * time.Second):
			f.t.Fatalf("the files still say\n%s\nwant\n%s", got, want)
		}
	}
	if now := says(f.store.Snapshot()); now != want {
		f.t.Fatalf("told\n%s\nbut it is\n%s", want, now)
	}
}

func (f *follower) write(name, text string) { writeFile(f.t, filepath.Join(f.dir, name), text) }

// says writes a snapshot as text: the toplevel list of each context, and "!"
// where its file is broken.
func says(n *Snapshot) string {
	var out []string
	for _, e := range n.entries() {
		s := strings.TrimSuffix(e.Base, Suffix)
		if e.File != nil {
			s += fmt.Sprint(e.File.Toplevel)
		}
		if e.Err != nil {
			s += "!"
		}
		out = append(out, s)
	}
	return strings.Join(out, " ")
}

func TestStoreFollowsFiles(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "state", "contexts")
	f := follow(t, dir)
	f.until("")
	f.write("system.toml", `toplevel = ["a"]`)
	f.until("system[a]")
	f.write("user:alice.toml", `toplevel = ["b"]`)
	f.until("system[a] user:alice[b]")

	f.write("system.toml", `toplevel = ["a"`)
	f.until("system[a]! user:alice[b]") // the last good meaning stays
	if errs := f.store.Snapshot().Errors(); len(errs) != 1 || errs[0].File != "system.toml" || !errs[0].Kept || !strings.Contains(errs[0].Reason, "line 1") {
		t.Errorf("%+v", errs)
	}
	f.write("system.toml", `toplevel = ["c"]`)
	f.until("system[c] user:alice[b]")

	f.write("group:new.toml", `toplevel = [`)
	f.until("group:new! system[c] user:alice[b]") // nothing good to keep
	f.write("group:new.toml", `toplevel = ["n"]`)
	f.until("group:new[n] system[c] user:alice[b]")

	f.write("alice.toml", "") // not the name of a context
	f.until("group:new[n] system[c] user:alice[b] alice!")
	f.write("notes.txt", "")
	f.write(".system.toml.swp", "")
	f.write(".hidden.toml", "x")
	for _, name := range []string{"group:new.toml", "alice.toml"} {
		if err := os.Remove(filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	f.until("system[c] user:alice[b]")

	if err := os.Rename(filepath.Join(dir, "user:alice.toml"), filepath.Join(dir, "user:bob.toml")); err != nil {
		t.Fatal(err)
	}
	f.until("system[c] user:bob[b]")

	elsewhere := filepath.Join(t.TempDir(), "x")
	writeFile(t, elsewhere, `toplevel = ["linked"]`)
	if err := os.Symlink(elsewhere, filepath.Join(dir, "user:carol.toml")); err != nil {
		t.Fatal(err)
	}
	f.until("system[c] user:bob[b] user:carol[linked]")

	if err := syscall.Mkfifo(filepath.Join(dir, "user:fifo.toml"), 0o600); err != nil {
		t.Fatal(err)
	}
	f.write("user:large.toml", strings.Repeat("#", maxFileSize+1))
	f.until("system[c] user:bob[b] user:carol[linked] user:large!") // the fifo is never complete
}

// A file that is being written is not read before it is closed, not even where
// an editor removed it first.
func TestStoreWaitsForTheWriter(t *testing.T) {
	f := follow(t, t.TempDir())
	f.write("system.toml", `toplevel = ["a"]`)
	f.until("system[a]")
	path := filepath.Join(f.dir, "system.toml")
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	w, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	fmt.Fprintln(w, `toplevel = ["half"]`)
	f.write("user:alice.toml", `toplevel = ["other"]`)
	f.until("system[a] user:alice[other]")
	fmt.Fprintln(w, `prefer = ["x"]`)
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	f.until("system[half] user:alice[other]")
}

func TestStoreAtStart(t *testing.T) {
	dir := t.TempDir()
	writeFile(t, filepath.Join(dir, "system.toml"), `toplevel = ["a"]`)
	writeFile(t, filepath.Join(dir, "user:bob.toml"), `oops`)
	if err := os.Mkdir(filepath.Join(dir, "user:dir.toml"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Mkfifo(filepath.Join(dir, "user:fifo.toml"), 0o600); err != nil {
		t.Fatal(err)
	}
	var log bytes.Buffer
	s, err := Open(dir, zerolog.New(&log))
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if got := says(s.Snapshot()); got != "system[a] user:bob! user:dir! user:fifo!" {
		t.Error(got)
	}
	if !strings.Contains(log.String(), "user:bob.toml") || !strings.Contains(log.String(), "line 1") {
		t.Errorf("the log does not tell what is wrong: %s", log.String())
	}
}

func TestStoreSurvivesItsDirectory(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "contexts")
	f := follow(t, dir)
	f.write("system.toml", `toplevel = ["a"]`)
	f.until("system[a]")
	if err := os.Rename(dir, dir+".old"); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	f.write("user:alice.toml", `toplevel = ["b"]`)
	f.until("user:alice[b]")
	f.write("user:alice.toml", `toplevel = ["c"]`)
	f.until("user:alice[c]")
}

func TestStoreWithoutFiles(t *testing.T) {
	s, err := Open("", zerolog.Nop())
	if err != nil {
		t.Fatal(err)
	}
	if got := says(s.Snapshot()); got != "" {
		t.Error(got)
	}
	for range 2 {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	}
	var none *Store
	if got := says(none.Snapshot()); got != "" {
		t.Error(got)
	}
	file := filepath.Join(t.TempDir(), "file")
	writeFile(t, file, "")
	if _, err := Open(file, zerolog.Nop()); err == nil || !strings.Contains(err.Error(), "contexts directory") {
		t.Errorf("a file as directory: %v", err)
	}
}

func TestSubscribeIsCancelled(t *testing.T) {
	f := follow(t, t.TempDir())
	called := 0
	cancel := f.store.Subscribe(func(*Snapshot) { called++ })
	f.write("system.toml", `toplevel = ["a"]`)
	<-f.next
	cancel() // waits for the calls that the change brings
	before := called
	f.write("system.toml", `toplevel = ["b"]`)
	f.until("system[b]")
	if err := f.store.Close(); err != nil {
		t.Fatal(err)
	}
	if before == 0 || called != before {
		t.Errorf("called %d times before the cancel, %d after", before, called-before)
	}
}

func writeFile(t testing.TB, path, body string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(body), 0o644); err != nil {
		t.Fatal(err)
	}
}
