package guest

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/packagefs/packagefs/test/harness"
	"golang.org/x/sys/unix"
)

// order writes a command into the control file of a mount, as echo does.
func order(ctl, line string) error {
	return os.WriteFile(filepath.Join(ctl, "ctl"), []byte(line+"\n"), 0o600)
}

// seenBy lists a directory as a user.
func seenBy(uid int, dir string) (names []string) {
	as(uid, func() {
		entries, err := os.ReadDir(dir)
		if err != nil {
			names = append(names, err.Error())
		}
		for _, e := range entries {
			names = append(names, e.Name())
		}
	})
	return names
}

// Three users of one mount see three trees; a change through the control file
// is seen by the one whom it concerns, at once, and whoever reads the events
// is told.
func testCommands(t *testing.T) {
	addUsers(t)
	const third = 4003 // whom nothing but a context file knows
	s := guestServer(t, "package:hello", "package:coreutils", "package:kinds")
	ctl := mountUnix(t, s, "ctl", "cache=none,access=user")
	for _, line := range []string{
		"toplevel add user:alice hello", "toplevel add user:bob coreutils", fmt.Sprintf("toplevel add user:%d kinds", third),
	} {
		if err := order(ctl, line); err != nil {
			t.Fatalf("%s: %v", line, err)
		}
	}
	at := mountUnix(t, s, "", "cache=none,access=user")
	sees := func(uid int, name string) bool {
		return slices.Contains(seenBy(uid, filepath.Join(at, filepath.Dir(name))), filepath.Base(name))
	}
	files := map[string]int{"usr/bin/hello": guestUsers["alice"], "usr/bin/cat": guestUsers["bob"], "opt/kinds": third}
	check := func(more ...string) {
		t.Helper()
		for name, owner := range files {
			for _, uid := range files {
				want := uid == owner || slices.Contains(more, fmt.Sprint(uid, " ", name))
				if got := sees(uid, name); got != want {
					t.Errorf("user %d sees %s: %t, want %t", uid, name, got, want)
				}
			}
		}
	}
	check()

	told := filepath.Join(runDir(t), "events")
	out, err := os.Create(told)
	if err != nil {
		t.Fatal(err)
	}
	defer out.Close()
	cat := exec.Command("cat", filepath.Join(ctl, "events"))
	cat.Stdout, cat.Stderr = out, os.Stderr
	if err := cat.Start(); err != nil {
		t.Fatal(err)
	}
	// Whether cat has opened the file is seen by what it prints.
	harness.WaitFor(t, "cat to print events", func() error {
		if err := order(ctl, "reload"); err != nil {
			t.Fatal(err)
		}
		return contains(told, `"command":"reload"`)
	})
	if err := order(ctl, "toplevel add user:alice kinds"); err != nil {
		t.Error(err)
	}
	check(fmt.Sprint(guestUsers["alice"], " opt/kinds"))
	harness.WaitFor(t, "cat to print the event", func() error { return contains(told, `"command":"toplevel add user:alice kinds"`) })

	// A reader that is killed while it waits leaves the mount good.
	if err := cat.Process.Kill(); err != nil {
		t.Error(err)
	}
	_ = cat.Wait()
	if err := contains(filepath.Join(ctl, "contexts/user:alice"), `toplevel "kinds" in user:alice.toml`); err != nil {
		t.Error(err)
	}
	if err := order(ctl, "toplevel add"); !errors.Is(err, unix.EINVAL) {
		t.Errorf("a command that makes no sense: %v", err)
	}
	checkAnswers(t, ctl)
	if names := seenBy(guestUsers["bob"], ctl); !slices.Equal(names, []string{"query"}) {
		t.Errorf("bob sees %q in the control directory", names)
	}
}

// contains fails where the file lacks the text.
func contains(file, text string) error {
	got, err := os.ReadFile(file)
	if err == nil && !strings.Contains(string(got), text) {
		err = fmt.Errorf("%s has no %s:\n%s", file, text, harness.LastBytes(string(got), 1000))
	}
	return err
}

// checkAnswers writes commands and reads their results on one open file, one
// behind the other.
func checkAnswers(t *testing.T, ctl string) {
	f, err := os.OpenFile(filepath.Join(ctl, "ctl"), os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for _, c := range []struct{ line, want string }{
		{"log", "info\n"}, {"help log", "log [LEVEL]"}, {"nonsense", "error: unknown command"}, {"log", "info\n"},
	} {
		_, err := f.WriteString(c.line + "\n")
		buf := make([]byte, 1000)
		n, _ := f.Read(buf)
		if !strings.HasPrefix(string(buf[:n]), c.want) || errors.Is(err, unix.EINVAL) != strings.HasPrefix(c.want, "error") {
			t.Errorf("%s: %v, result %q, want %q", c.line, err, buf[:n], c.want)
		}
	}
}

// One mount of the directory of contexts and bind mounts of its entries give
// each user a tree, in every cache mode.
func testContexts(t *testing.T) {
	s := guestServer(t, "package:hello", "package:coreutils")
	for _, cache := range cacheModes {
		t.Run(cache, func(t *testing.T) {
			at := mountUnix(t, s, "contexts", "cache="+cache)
			for _, context := range []string{"package:hello", "package:coreutils"} {
				bound := runDir(t)
				if err := unix.Mount(filepath.Join(at, context), bound, "", unix.MS_BIND, ""); err != nil {
					t.Fatal(err)
				}
				defer func() {
					if err := unix.Unmount(bound, 0); err != nil {
						t.Error(err)
					}
				}()
				harness.CheckTree(t, bound, wanted(t, context))
			}
			// A directory that two contexts have alike stays where it was found.
			in := func(context string) string { return filepath.Join(at, context, "usr/share/doc/hello") }
			dir, err := os.Open(in("package:hello"))
			if err != nil {
				t.Fatal(err)
			}
			defer dir.Close()
			if _, err := os.ReadDir(in("all")); err != nil {
				t.Error(err)
			}
			place, err := os.Readlink(fmt.Sprintf("/proc/self/fd/%d", dir.Fd()))
			if err != nil || place != in("package:hello") {
				t.Errorf("an open directory is now %s, %v; was %s", place, err, in("package:hello"))
			}
			if _, err := os.Lstat(filepath.Join(at, "package:none")); !errors.Is(err, unix.ENOENT) {
				t.Errorf("a context that is not there: %v", err)
			}
		})
	}
}
