package files

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/rs/zerolog"
)

// TestSince changes files in each way there is. Nobody follows the directory:
// Reload does it.
func TestSince(t *testing.T) {
	dir := t.TempDir()
	write := func(base, text string) {
		if err := os.WriteFile(filepath.Join(dir, base), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("system.toml", "")
	write("user:alice.toml", `deny = ["a"]`)
	write("user:bob.toml", `deny = ["a"]`)
	write("user:carol.toml", `deny = ["a"]`)
	s, err := Open(dir, zerolog.Nop())
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	before := s.Snapshot()
	write("user:alice.toml", `deny = ["b"]`)
	write("user:bob.toml", `deny = "b"`)
	write("group:dev.toml", "")
	write("stray.toml", "")
	if err := os.Remove(filepath.Join(dir, "user:carol.toml")); err != nil {
		t.Fatal(err)
	}
	if err := s.Reload(); err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, c := range s.Snapshot().Since(before) {
		got = append(got, fmt.Sprintf("%s %s gone:%t broken:%t", c.Context, c.File, c.Gone, c.Reason != ""))
	}
	want := []string{
		"group:dev group:dev.toml gone:false broken:false",
		"user:alice user:alice.toml gone:false broken:false",
		"user:bob user:bob.toml gone:false broken:true",
		"user:carol user:carol.toml gone:true broken:false",
		"stray stray.toml gone:false broken:true",
	}
	if !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
	if n := s.Snapshot().Len(); n != 5 {
		t.Errorf("%d files", n)
	}
	now := s.Snapshot()
	if err := s.Reload(); err != nil {
		t.Error(err)
	}
	if c := s.Snapshot().Since(now); c != nil {
		t.Errorf("nothing changed: %v", c)
	}
	if err := os.RemoveAll(dir); err != nil {
		t.Fatal(err)
	}
	if err := s.Reload(); err == nil || s.Snapshot().Len() != 5 {
		t.Errorf("the directory is gone: %v", err)
	}
	if err := (*Store)(nil).Reload(); err != nil {
		t.Error(err)
	}
}
