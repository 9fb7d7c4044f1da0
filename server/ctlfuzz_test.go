package server

import (
	stdcontext "context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/packagefs/packagefs/context/attachname"
	"github.com/packagefs/packagefs/server/p9l/wire"
)

// FuzzControl gives hostile commands: what fails changes nothing, what succeeds
// leaves only good context files, and nothing is touched outside.
func FuzzControl(f *testing.F) {
	for _, c := range commands {
		f.Add(c.name + " user:alice app")
		f.Add(c.name + " user:alice toplevel lib=1")
	}
	for _, s := range []string{
		"", "#", "\"", "toplevel add user:alice \"\\x00\"", "toplevel add user:alice " + strings.Repeat("a", 5000), "context new user:../../x",
		"context new system", "context del user:alice", "members add group:dev alice", "context put user:alice \"allow = []\"",
		"add user:alice members x", "set user:alice pin a=b c=d", "unset user:alice toplevel", "remove ../../x", "remove app=1=2", "remove lib=1",
		"context new user:%2e%2e", "context new user:a\xff", "context rollback user:alice 1", "context diff user:alice 1 -1",
	} {
		f.Add(s)
	}
	state, packages := f.TempDir(), f.TempDir()
	dir := filepath.Join(state, "contexts")
	if err := os.WriteFile(filepath.Join(packages, "x"), nil, 0o600); err != nil {
		f.Fatal(err)
	}
	fs, err := New(Config{Packages: []string{packages}, State: state, Listen: []string{"unix:" + filepath.Join(f.TempDir(), "s")}})
	if err != nil {
		f.Fatal(err)
	}
	ctx, cancel := stdcontext.WithCancel(stdcontext.Background())
	ended := make(chan error)
	go func() { ended <- fs.Serve(ctx) }()
	f.Cleanup(func() { cancel(); <-ended })
	if err := fs.Settle(ctx); err != nil {
		f.Fatal(err)
	}
	fs.contexts.Directory = fakeUsers{}
	as := visitor{caller: caller{Trusted: true}, admin: true, by: "fuzz"}
	f.Fuzz(func(t *testing.T, line string) {
		before := contents(t, state, packages)
		text, err := fs.control.commandLine(t.Context(), as, line)
		after := contents(t, state, packages)
		if err != nil && after != before {
			t.Errorf("%q fails and changes something: %v\n%s\n%s", line, err, before, after)
		}
		if err != nil && wire.ErrnoName(uint32(errnoOf(err))) == "EIO" {
			t.Errorf("%q fails for no reason that is known: %v", line, err)
		}
		if len(fs.files.Snapshot().Errors()) > 0 {
			t.Errorf("%q leaves a broken file: %s %v", line, text, fs.files.Snapshot().Errors())
		}
		entries, _ := os.ReadDir(dir)
		for _, e := range entries {
			if _, err := attachname.Parse(strings.TrimSuffix(e.Name(), ".toml")); err != nil && e.Name() != "system.toml" && e.Name() != ".history" {
				t.Errorf("%q leaves %s", line, e.Name())
			}
		}
	})
}

// contents tells what is in directories, but for the history.
func contents(t *testing.T, dirs ...string) string {
	var b strings.Builder
	for _, dir := range dirs {
		err := filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
			if err != nil {
				return err
			}
			if d.Name() == ".history" {
				return filepath.SkipDir
			}
			fmt.Fprintln(&b, path)
			if d.Type().IsRegular() && strings.HasSuffix(path, ".toml") {
				data, err := os.ReadFile(path)
				b.Write(data)
				return err
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	return b.String()
}
