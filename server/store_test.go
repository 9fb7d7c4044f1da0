package server

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/hugelgupf/p9/p9"
	"github.com/packagefs/packagefs/server/p9l/p9ltest"
	"github.com/packagefs/packagefs/server/p9l/wire"
	"github.com/rs/zerolog"
)

// TestFlippedIndex: a bit of an index flips before anybody looks. Whoever looks first
// is not told that a file is not there: they get it, or EIO until it is there again.
func TestFlippedIndex(t *testing.T) {
	p := newFixture(t, nil)
	names, err := filepath.Glob(filepath.Join(p.state, "index", "*.index"))
	if err != nil {
		t.Fatal(err)
	}
	flipped := 0
	for _, name := range names {
		data, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		if i := bytes.Index(data, []byte("notes")); i >= 0 {
			data[i] ^= 1
			flipped++
		}
		if err := os.WriteFile(name, data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if flipped != 2 {
		t.Fatalf("flipped %d", flipped)
	}
	look := func() string {
		root, err := p.Attach(asking("root", "all"))
		if err == nil {
			var f p9.File
			if f, err = walk(root, "usr/share/doc/notes"); err == nil {
				_, _, err = f.Open(p9.ReadOnly)
			}
		}
		if err != nil {
			return wire.ErrnoName(uint32(errnoOf(err)))
		}
		return ""
	}
	first := look()
	if first != "" && first != "EIO" {
		t.Errorf("the first look: %s", first)
	}
	p9ltest.Eventually(t, "both are made again", func() bool {
		got := look()
		if got != "" && got != "EIO" {
			t.Fatalf("meanwhile: %s", got)
		}
		return got == ""
	})
}

// TestReadablePackages: as bob, whose context has one package: copy the others from
// the package directory. The server says at its start how he is kept from it.
func TestReadablePackages(t *testing.T) {
	for _, c := range []struct {
		mode    os.FileMode
		context string
		warns   bool
	}{
		{0o755, `deny = ["secret"]`, true},
		{0o755, `allow = []`, true},
		{0o755, `toplevel = ["app"]`, false},
		{0o711, `deny = ["secret"]`, false},
		{0o700, `deny = ["secret"]`, false},
	} {
		packages, state := t.TempDir(), t.TempDir()
		contexts := filepath.Join(t.TempDir(), "contexts")
		if err := os.Mkdir(contexts, 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(contexts, "user:bob.toml"), []byte(c.context), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(packages, c.mode); err != nil {
			t.Fatal(err)
		}
		var log bytes.Buffer
		fs, err := New(Config{
			Packages: []string{packages}, State: state, Contexts: contexts, Log: zerolog.New(&log),
			Listen: []string{"unix:" + filepath.Join(t.TempDir(), "s")},
		})
		if err != nil {
			t.Fatal(err)
		}
		fs.close()
		if warns := strings.Contains(log.String(), "everybody can read the package directory"); warns != c.warns {
			t.Errorf("%o, %s: %s", c.mode, c.context, log.String())
		}
	}
}
