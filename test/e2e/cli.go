package e2e

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/packagefs/packagefs/test/harness"
)

const pythonContext = "package:python3.11-minimal"

// A looked is a row of packagefs ls, stat and tree.
type looked struct {
	Path, Name, Type, Target string
	Mode, UID, GID           uint32
	Size, MTime              int64
}

// ls, stat, cat and tree show what the oracle says, without a mount.
func testCommandLook(t *testing.T) {
	s := corpusServer(t)
	want := wantTree(t, s, pythonContext)
	t.Run("ls", func(t *testing.T) {
		var rows []looked
		if err := s.JSON(&rows, "-c", pythonContext, "ls", "/usr/bin"); err != nil {
			t.Fatal(err)
		}
		expected, got := map[string]bool{}, map[string]bool{}
		for name := range want {
			if harness.Parent(name) == "usr/bin" {
				expected[path.Base(name)] = true
			}
		}
		for _, r := range rows {
			got[r.Name] = true
		}
		checkNames(t, expected, got)
	})
	t.Run("stat", func(t *testing.T) {
		var rows []looked
		if err := s.JSON(&rows, "-c", pythonContext, "stat", "/usr/bin/python3.11"); err != nil {
			t.Fatal(err)
		}
		e := want["usr/bin/python3.11"]
		expected := looked{Path: "/usr/bin/python3.11", Name: "python3.11", Type: "file", Mode: e.Mode, Size: e.Size, MTime: e.Sec}
		if len(rows) != 1 || rows[0] != expected {
			t.Errorf("stat says %+v, want %+v", rows, expected)
		}
	})
	t.Run("cat", func(t *testing.T) {
		for _, name := range []string{"usr/bin/python3.11", "usr/share/doc/python3.11-minimal/copyright"} {
			out, err := s.Run("-c", pythonContext, "cat", "/"+name)
			if err != nil {
				t.Fatal(err)
			}
			want := follow(want, name)
			if got, err := harness.Digest(name, strings.NewReader(out), want.Size); err != nil || got != want.SHA256 {
				t.Errorf("cat %s: sha256 %s, %v, want %s", name, got, err, want.SHA256)
			}
		}
	})
	t.Run("tree", func(t *testing.T) {
		var rows []looked
		if err := s.JSON(&rows, "-c", pythonContext, "tree", "/"); err != nil {
			t.Fatal(err)
		}
		expected, got := map[string]bool{}, map[string]bool{}
		for name, e := range want {
			if name != "" {
				expected[fmt.Sprintf("/%s %04o", name, e.Mode)] = true
			}
		}
		for _, r := range rows {
			if r.Path != "/" {
				got[fmt.Sprintf("%s %04o", r.Path, r.Mode)] = true
			}
		}
		checkNames(t, expected, got)
	})
}

// follow is the entry at name, or what a symlink there leads to in its own
// directory.
func follow(m harness.Manifest, name string) harness.Entry {
	e := m[name]
	if e.Kind == harness.Symlink {
		return m[path.Join(path.Dir(name), e.Target)]
	}
	return e
}

// The commands for people print something for every thing that --json has.
func testCommandText(t *testing.T) {
	s := corpusServer(t)
	for _, c := range []struct {
		args []string
		want string
	}{
		{[]string{"packages"}, "hello"},
		{[]string{"packages", "python3*"}, "python3.11-minimal"},
		{[]string{"info", "hello"}, "libc6"},
		{[]string{"files", "hello"}, "/usr/bin/hello"},
		{[]string{"owns", "/usr/bin/hello"}, "hello="},
		{[]string{"explain", pythonContext}, "libpython3.11-minimal="},
		{[]string{"explain", pythonContext, "/usr/bin/python3.11"}, "python3.11-minimal="},
		{[]string{"-c", "package:hello", "ls", "-l", "/usr/bin"}, "hello"},
		{[]string{"-c", "package:hello", "tree", "/usr/bin"}, "hello"},
		{[]string{"-c", "package:hello", "stat", "/usr/bin/hello"}, "0755"},
		{[]string{"contexts"}, "CONTEXT"},
		{[]string{"version"}, "packagefs"},
		{[]string{"completion", "bash"}, "complete"},
		{[]string{"completion", "zsh"}, "compdef"},
		{[]string{"completion", "fish"}, "complete"},
	} {
		out, err := s.Run(c.args...)
		if err != nil || !strings.Contains(out, c.want) {
			t.Errorf("packagefs %s: %v, printed %q, want %q in it", strings.Join(c.args, " "), err, harness.LastBytes(out, 300), c.want)
		}
	}
}

// An error says what was wrong with which thing; the exit status tells wrong
// usage from failure.
func testCommandErrors(t *testing.T) {
	s := corpusServer(t)
	for _, c := range []struct {
		args   []string
		status int
		want   string
	}{
		{[]string{"-c", "package:no-such", "ls", "/"}, 1, "no-such"},
		{[]string{"-c", "user:no-such", "ls", "/"}, 1, "no-such"},
		{[]string{"-c", "nonsense", "ls", "/"}, 1, "nonsense"},
		{[]string{"-c", "package:hello", "ls", "/no/such"}, 1, "/no/such"},
		{[]string{"-c", "package:hello", "cat", "/usr/bin"}, 1, "/usr/bin"},
		{[]string{"info", "no-such"}, 1, "no-such"},
		{[]string{"files", "no-such"}, 1, "no-such"},
		{[]string{"owns", "/no/such"}, 1, "/no/such"},
		{[]string{"no-such-command"}, 2, "no-such-command"},
		{[]string{"ls", "--no-such-flag"}, 2, "no-such-flag"},
		{[]string{"serve", "--listen", "nowhere"}, 2, "nowhere"},
		{[]string{"-s", "unix:/no/such/socket", "ls"}, 1, "/no/such/socket"},
	} {
		_, err := s.Run(c.args...)
		var exit *exec.ExitError
		if !errors.As(err, &exit) || exit.ExitCode() != c.status || !strings.Contains(err.Error(), c.want) {
			t.Errorf("packagefs %s: %v, want status %d and %q in its words", strings.Join(c.args, " "), err, c.status, c.want)
		}
	}
}

// Both mail servers carry /usr/sbin/sendmail. One is seen, both are named, the
// conflict is listed, and a context file that prefers the other one turns it
// around at once; a file with an error keeps its last good meaning.
func testConflict(t *testing.T) {
	const sendmail = "/usr/sbin/sendmail"
	s := corpusServer(t)
	system := filepath.Join(s.Contexts, "system.toml")
	t.Cleanup(func() { os.Remove(system) })
	for _, winner := range []string{"postfix", "exim4-daemon-light"} {
		if err := harness.DropFile(s.Contexts, "system.toml", []byte(fmt.Sprintf("prefer = [%q]\n", winner))); err != nil {
			t.Fatal(err)
		}
		harness.WaitFor(t, winner+" to be preferred", func() error { return checkOwner(s, sendmail, winner) })
		var explained struct {
			Conflicts []struct {
				Path, Winner string
				Losers       []string
			}
		}
		out, err := s.Run("-c", "user:root", "explain", "--json")
		if err != nil {
			t.Fatal(err)
		}
		if err := harness.DecodeOne(out, &explained); err != nil {
			t.Fatal(err)
		}
		found := false
		for _, c := range explained.Conflicts {
			found = found || c.Path == sendmail && strings.HasPrefix(c.Winner, winner+"=") && len(c.Losers) == 1
		}
		if !found {
			t.Errorf("%s is not among the conflicts with %s as its winner: %+v", sendmail, winner, explained.Conflicts)
		}
	}
	if err := harness.DropFile(s.Contexts, "system.toml", []byte("prefer = \"not a list\n")); err != nil {
		t.Fatal(err)
	}
	harness.WaitFor(t, "the error to show", func() error {
		var rows []struct{ Context, State, Reason string }
		if err := s.JSON(&rows, "contexts"); err != nil {
			return err
		}
		for _, r := range rows {
			if r.Context == "system" && r.State != "ok" && r.Reason != "" {
				return nil
			}
		}
		return fmt.Errorf("contexts says %+v", rows)
	})
	if err := checkOwner(s, sendmail, "exim4-daemon-light"); err != nil {
		t.Errorf("with an error in the context file: %v", err)
	}
}

// checkOwner fails unless winner's file is seen at a path of root's context,
// and another package is named too.
func checkOwner(s *harness.Server, file, winner string) error {
	var owners []struct {
		Package string
		Visible bool
	}
	if err := s.JSON(&owners, "-c", "user:root", "owns", file); err != nil {
		return err
	}
	if len(owners) != 2 || !owners[0].Visible || owners[1].Visible || !strings.HasPrefix(owners[0].Package, winner+"=") {
		return fmt.Errorf("owners of %s are %+v, want %s to be seen", file, owners, winner)
	}
	var rows []looked
	if err := s.JSON(&rows, "-c", "user:root", "stat", file); err != nil {
		return err
	}
	wantTarget := map[string]string{"exim4-daemon-light": "exim4", "postfix": ""}[winner]
	if len(rows) != 1 || rows[0].Target != wantTarget {
		return fmt.Errorf("%s is %+v, want %s's", file, rows, winner)
	}
	return nil
}

// allow and deny decide what exists at all for a context; changes are live,
// and nothing that is asked gives away what is hidden.
func testAllowDeny(t *testing.T) {
	s := corpusServer(t)
	user := filepath.Join(s.Contexts, "user:root.toml")
	t.Cleanup(func() { os.Remove(user) })
	steps := []struct {
		file          string
		visible, gone []string
	}{
		{`allow = ["hello", "libc6", "libgcc-s1", "gcc-12-base", "libcrypt1"]`, []string{"/usr/bin/hello"}, []string{"/usr/bin/bash", "/usr/sbin/postfix"}},
		{`deny = ["hello"]`, []string{"/usr/bin/bash"}, []string{"/usr/bin/hello"}},
		{`toplevel = ["hello"]`, []string{"/usr/bin/hello"}, []string{"/usr/bin/bash", "/usr/lib/x86_64-linux-gnu/libc.so.6"}},
		{"toplevel = [\"hello\"]\ndependencies = \"visible\"", []string{"/usr/bin/hello", "/usr/lib/x86_64-linux-gnu/libc.so.6"}, []string{"/usr/bin/bash"}},
	}
	for _, step := range steps {
		t.Run(step.file, func(t *testing.T) {
			if err := harness.DropFile(s.Contexts, "user:root.toml", []byte(step.file+"\n")); err != nil {
				t.Fatal(err)
			}
			harness.WaitFor(t, "the context to change", func() error {
				for _, name := range step.visible {
					if _, err := s.Run("-c", "user:root", "stat", name); err != nil {
						return err
					}
				}
				for _, name := range step.gone {
					if _, err := s.Run("-c", "user:root", "stat", name); err == nil {
						return fmt.Errorf("%s is there", name)
					}
				}
				return nil
			})
		})
	}
}

// Package and context files are followed by name: what is moved out is gone,
// what is moved in is there, and a replaced file is read again.
func testReplace(t *testing.T) {
	s := harness.ServerDir(t, harness.Program(t), t.TempDir())
	s.Start(t)
	outside := t.TempDir()
	make := func(content string) []byte {
		file := harness.MakeDeb(t, t.TempDir(), harness.DebSpec{Name: "tool", Fill: func(tree string) {
			harness.WriteFiles(t, tree, map[string]string{"usr/bin/tool": content})
		}})
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		return data
	}
	tool := func(want string) func() error {
		return func() error {
			got, err := s.Run("-c", "package:tool", "cat", "/usr/bin/tool")
			if err == nil && got != want {
				err = fmt.Errorf("it holds %q, want %q", got, want)
			}
			return err
		}
	}
	for _, content := range []string{"first", "replaced", "again"} {
		if err := harness.DropFile(s.Packages, "tool.deb", make(content)); err != nil {
			t.Fatal(err)
		}
		harness.WaitFor(t, content, tool(content))
	}
	if err := os.Rename(filepath.Join(s.Packages, "tool.deb"), filepath.Join(outside, "tool.deb")); err != nil {
		t.Fatal(err)
	}
	harness.WaitFor(t, "the package to go", func() error {
		if tool("again")() == nil {
			return errors.New("it is there")
		}
		return nil
	})
	if err := os.Rename(filepath.Join(outside, "tool.deb"), filepath.Join(s.Packages, "other-name.deb")); err != nil {
		t.Fatal(err)
	}
	harness.WaitFor(t, "the package to come back", tool("again"))

	// What changes while no server runs is found at the next start.
	if err := s.Stop(); err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(filepath.Join(s.Packages, "other-name.deb")); err != nil {
		t.Fatal(err)
	}
	if err := harness.DropFile(s.Packages, "new.deb", make("while down")); err != nil {
		t.Fatal(err)
	}
	s.StartIndexed(t)
	if err := tool("while down")(); err != nil {
		t.Error(err)
	}
	checkStateIsMadeAgain(t, s, tool("while down"))
}

// checkStateIsMadeAgain deletes and spoils what the server keeps of packages.
func checkStateIsMadeAgain(t *testing.T, s *harness.Server, works func() error) {
	t.Helper()
	for _, spoil := range []func(file string) error{
		os.Remove,
		func(file string) error { return os.Truncate(file, 10) },
		func(file string) error { return os.WriteFile(file, []byte(strings.Repeat("x", 10_000)), 0o644) },
	} {
		if err := s.Stop(); err != nil {
			t.Fatal(err)
		}
		files := keptFiles(t, s)
		for _, file := range files {
			if err := spoil(file); err != nil {
				t.Fatal(err)
			}
		}
		if len(files) < 2 {
			t.Errorf("below index and payload there are only %q", files)
		}
		s.StartIndexed(t)
		harness.WaitFor(t, "the package to be indexed again", works)
	}
}

// keptFiles are the regular files below index and payload.
func keptFiles(t *testing.T, s *harness.Server) []string {
	t.Helper()
	var files []string
	for _, sub := range []string{"index", "payload"} {
		err := filepath.WalkDir(filepath.Join(s.State, sub), func(name string, d os.DirEntry, err error) error {
			if err == nil && d.Type().IsRegular() {
				files = append(files, name)
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	slices.Sort(files)
	return files
}

// The demo shows one path with different contents, and leaves nothing behind.
func testDemo(t *testing.T) {
	home := t.TempDir()
	cmd := exec.Command(harness.Program(t), "demo")
	cmd.Dir = home
	cmd.Env = append(os.Environ(), "HOME="+home, "XDG_RUNTIME_DIR="+home, "XDG_STATE_HOME="+home, "TMPDIR="+home)
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("demo: %v\n%s", err, out)
	}
	for _, want := range []string{"package:", "/usr/"} {
		if !strings.Contains(string(out), want) {
			t.Errorf("the demo does not show %q:\n%s", want, out)
		}
	}
	left, err := os.ReadDir(home)
	if err != nil || len(left) > 0 {
		t.Errorf("the demo left %v behind, %v", left, err)
	}
}
