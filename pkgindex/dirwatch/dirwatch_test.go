package dirwatch

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"
)

// TestWatcher does one thing after another in a directory, and expects exactly
// its event.
func TestWatcher(t *testing.T) {
	dir, outside := t.TempDir(), t.TempDir()
	in := func(name string) string { return filepath.Join(dir, name) }
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	must(os.WriteFile(filepath.Join(outside, "made"), []byte("x"), 0o600))
	w, err := New(dir)
	must(err)
	defer w.Close()

	var open *os.File
	for _, step := range []struct {
		what string
		do   func()
		want string
	}{
		{"create", func() { open, err = os.Create(in("a")); must(err) }, "[{a begun}]"},
		{"close", func() { must(open.Close()) }, "[{a complete}]"},
		{"rename in", func() { must(os.Rename(filepath.Join(outside, "made"), in("b"))) }, "[{b complete}]"},
		{"rename", func() { must(os.Rename(in("b"), in("c"))) }, "[{b gone} {c complete}]"},
		{"hard link", func() { must(os.Link(in("c"), in("d"))) }, "[{d complete}]"},
		{"symlink", func() { must(os.Symlink("c", in("e"))) }, "[{e complete}]"},
		{"remove", func() { must(os.Remove(in("c"))) }, "[{c gone}]"},
		{"write at once", func() { must(os.WriteFile(in("f"), nil, 0o600)) }, "[{f complete}]"},
		{"directory, then file", func() { must(os.Mkdir(in("sub"), 0o700)); must(os.Remove(in("f"))) }, "[{f gone}]"},
	} {
		step.do()
		events, err := w.Next()
		must(err)
		if got := text(events); got != step.want {
			t.Errorf("%s: got %s, want %s", step.what, got, step.want)
		}
	}
	must(os.RemoveAll(dir))
	for lost := false; !lost; {
		events, err := w.Next()
		must(err)
		for _, e := range events {
			lost = lost || e.Op == Lost
		}
	}
	must(os.Mkdir(dir, 0o700))
	must(w.Add(dir))
	must(os.WriteFile(in("g"), nil, 0o600))
	events, err := w.Next()
	must(err)
	if got := text(events); got != "[{g complete}]" {
		t.Errorf("after the directory came back: got %s", got)
	}
}

func text(events []Event) string {
	var out []string
	for _, e := range events {
		out = append(out, fmt.Sprintf("{%s %s}", e.Name, []string{"begun", "complete", "gone", "rescan", "lost"}[e.Op]))
	}
	return fmt.Sprint(out)
}

func TestClose(t *testing.T) {
	w, err := New(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan error)
	go func() { _, err := w.Next(); ended <- err }()
	w.Close()
	if err := <-ended; !errors.Is(err, os.ErrClosed) {
		t.Errorf("got %v", err)
	}
}

func TestNoDirectory(t *testing.T) {
	if _, err := New(filepath.Join(t.TempDir(), "none")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("got %v", err)
	}
}

func TestReadComplete(t *testing.T) {
	dir := t.TempDir()
	name := filepath.Join(dir, "f")
	f, err := os.Create(name)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.WriteString("half"); err != nil {
		t.Fatal(err)
	}
	if _, err := ReadComplete(name, 100, 0); !errors.Is(err, ErrWriting) {
		t.Errorf("while it is written: %v", err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	for limit, want := range map[int64]string{100: "half", 2: "ha"} {
		if got, err := ReadComplete(name, limit, 0); string(got) != want || err != nil {
			t.Errorf("at most %d bytes: %q, %v", limit, got, err)
		}
	}
	if _, err := ReadComplete(dir, 1, 0); !errors.Is(err, ErrNotRegular) {
		t.Errorf("a directory: %v", err)
	}
	if _, err := ReadComplete(name+"x", 1, 0); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("nothing: %v", err)
	}
}

// TestReadAtOnce reads files the moment that their writers are told of as gone.
func TestReadAtOnce(t *testing.T) {
	dir := t.TempDir()
	w, err := New(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	name := filepath.Join(dir, "x")
	next := make(chan bool)
	written := make(chan error, 1)
	go func() {
		defer close(written)
		for range next {
			if err := os.WriteFile(name, []byte("whole"), 0o600); err != nil {
				written <- err
				return
			}
		}
	}()
	for range 2000 {
		next <- true
		for complete := false; !complete; {
			events, err := w.Next()
			if err != nil {
				t.Fatal(err)
			}
			for _, e := range events {
				complete = complete || e.Op == Complete
			}
		}
		if data, err := ReadComplete(name, 100, 0); err != nil || string(data) != "whole" {
			t.Fatalf("%q, %v", data, err)
		}
	}
	close(next)
	if err := <-written; err != nil {
		t.Fatal(err)
	}
}
