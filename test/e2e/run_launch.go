package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/packagefs/packagefs/test/harness"
)

// Programs that need different versions of one package are called side by side,
// and call each other, where none of these versions is to be seen.
func testRunLaunchers(t *testing.T) {
	s := harness.PublicServer(t, `"prog-a", "prog-b"`, harness.LauncherDebs(t))
	harness.Visitors(t, s, func(t *testing.T, v *harness.Visitor) {
		// in runs a command from the user's own context.
		in := func(command ...string) (int, string, string) {
			return v.Run(append([]string{"shell", "--"}, command...)...)
		}
		check := func(t *testing.T, want string, command ...string) {
			t.Helper()
			if status, out, errOut := in(command...); status != 0 || out != want || errOut != nowhere {
				t.Errorf("%q: status %d, %q, %q, want %q", command, status, out, errOut, want)
			}
		}
		if status, out, errOut := in("interp"); status != 127 {
			t.Fatalf("interp, which is hidden: status %d, %q, %q", status, out, errOut)
		}
		const a, b = "a interp 1 as /usr/bin/prog-a\n", "b interp 2 as /usr/bin/prog-b\n"
		check(t, a, "prog-a")
		check(t, b, "prog-b")
		check(t, b+a+b+a, "prog-b", "3")
		check(t, a+b+a, "prog-a", "2", "env")           // env runs prog-b
		check(t, a+b+a, "prog-a", "2", "timeout", "60") // which has prog-b as a child
		check(t, "a interp 1 as /usr/bin/multi-a\n", "multi-a")
		check(t, "a interp 1 as ./prog-a\nb interp 2 as bin/multi-b\n", "sh", "-c", "cd /usr/bin; ./prog-a; cd ..; bin/multi-b")
		check(t, a+b, "env", "-i", "/usr/bin/prog-a", "1")
		check(t, "user:"+fmt.Sprint(v.UID)+"\n", "sh", "-c", "echo $PACKAGEFS_CONTEXT")
		check(t, b, "sh", "-c", "exec /usr/libexec/packagefs/contexts/package:prog-b/../user:"+fmt.Sprint(v.UID)+"/usr/bin/prog-b 2>&1 | sed s,as.*/,'as /usr/bin/',")
		checkLaunched(t, v, in)
		checkAlternation(t, v, in)
	})
}

// checkLaunched looks at what passes through a launcher, and at launchers that
// lead nowhere.
func checkLaunched(t *testing.T, v *harness.Visitor, in func(...string) (int, string, string)) {
	cmd := v.Packagefs("shell", "--", "run-a", "sh", "-c", "echo $$; cat; kill -TERM $$")
	cmd.Stdin = strings.NewReader("input\n")
	_, out, errOut := harness.Finish(cmd)
	ws := cmd.ProcessState.Sys().(syscall.WaitStatus)
	if want := fmt.Sprintf("%d\ninput\n", cmd.Process.Pid); !ws.Signaled() || ws.Signal() != syscall.SIGTERM || out != want {
		t.Errorf("a launched program: %v, %q, %q, want %q and SIGTERM", cmd.ProcessState, out, errOut, want)
	}
	copied := filepath.Join(v.Home, "copy")
	status, _, errOut := in("sh", "-c", "cp /usr/bin/prog-a "+copied+"; exec "+copied)
	if status != 126 || !strings.Contains(errOut, "it leads to itself") {
		t.Errorf("a copy of a launcher: status %d, %q", status, errOut)
	}
	harness.Must(t, os.WriteFile(copied, []byte("#!/usr/libexec/packagefs/enter no-such=1\n"), 0o755))
	if status, _, errOut := in(copied); status != 126 || !strings.Contains(errOut, "no-such=1") {
		t.Errorf("a launcher of a package that is not there: status %d, %q", status, errOut)
	}
	harness.Must(t, os.Remove(copied))
}

// checkAlternation has contexts start each other until the kernel allows no more
// user namespaces; root has none.
func checkAlternation(t *testing.T, v *harness.Visitor, in func(...string) (int, string, string)) {
	const most = 30
	if status, out, errOut := in("prog-a", fmt.Sprint(most-1)); status != 0 || strings.Count(out, "\n") != most {
		t.Errorf("%d deep: status %d, %q, %q", most, status, out, errOut)
	}
	status, out, errOut := in("prog-a", "39")
	switch {
	case v.UID == 0 && (status != 0 || strings.Count(out, "\n") != 40):
		t.Errorf("root, 40 deep: status %d, %q, %q", status, out, errOut)
	case v.UID != 0 && (status != 126 || !strings.Contains(errOut, "started each other 32 deep")):
		t.Errorf("40 deep: status %d, %q, %q", status, out, errOut)
	}
}

// A launcher that is found on a mount of a tree, away from the root, finds its
// server and its program.
func testRunLauncherMounted(t *testing.T) {
	s := harness.PublicServer(t, `"prog-a", "prog-b"`, harness.LauncherDebs(t))
	v := harness.NewVisitor(t, s, 0)
	at := harness.MountCommand(t, s, "user:root", t.TempDir())
	interpreter := "/usr/libexec/packagefs/enter"
	if _, err := os.Stat(interpreter); err == nil {
		t.Fatalf("%s is there outside of contexts", interpreter)
	}
	// As the kernel runs it where a tree is stacked on the root.
	cmd := v.Command("sh", "-c", `unset PACKAGEFS_SERVER; exec "$0" prog-a=1 "$1/usr/bin/prog-a" 1`, filepath.Join(at, interpreter), at)
	status, out, errOut := harness.Finish(cmd)
	want := "a interp 1 as /usr/bin/prog-a\nb interp 2 as /usr/bin/prog-b\n"
	if status != 0 || out != want {
		t.Errorf("status %d, %q, %q, want %q", status, out, errOut, want)
	}
	v.CheckNothingLeft(t) // the keeper is a program of the mount
}

// What a user may not see cannot be reached by any entry.
func testRunAllowed(t *testing.T) {
	s := harness.PublicServer(t, `"prog-a", "prog-b"`, func(dir string) {
		harness.LauncherDebs(t)(dir)
		harness.MakeDeb(t, dir, harness.DebSpec{Name: "secret", Fill: func(tree string) { harness.Script(t, tree, "usr/bin/secret", "echo secret") }})
	})
	harness.WriteFiles(t, s.Contexts, map[string]string{fmt.Sprintf("user:%d.toml", harness.PlainUser): "allow = [\"prog-*\", \"interp\"]\ndeny = [\"secret\"]\n"})
	v := harness.NewVisitor(t, s, harness.PlainUser)
	harness.WaitFor(t, "the context file to be read", func() error {
		if status, out, _ := v.Run("run", "-p", "secret", "--", "secret"); status == 0 {
			return fmt.Errorf("secret says %q", out)
		}
		return nil
	})
	tries := [][]string{
		{"run", "-p", "secret", "--", "secret"},
		{"run", "-p", "secret=1.0", "--", "secret"},
		{"run", "-p", "prog-a", "-p", "secret", "--", "secret"},
		{"run", "-c", "user:root", "--", "secret"},
		{"run", "-c", "all", "--", "secret"},
		{"shell", "secret", "--", "secret"},
		{"shell", "--", "secret"},
		{"enter", "secret=1.0", "/usr/bin/secret"},
		{"shell", "--", "/usr/libexec/packagefs/enter", "secret=1.0", "/usr/bin/secret"},
		{"shell", "--", "/usr/libexec/packagefs/contexts/package:secret/usr/bin/secret"},
		{"shell", "--", "/usr/libexec/packagefs/contexts/all/usr/bin/secret"},
		{"shell", "--", "/usr/libexec/packagefs/contexts/user:root/usr/bin/secret"},
	}
	for _, args := range tries {
		if status, out, errOut := v.Run(args...); status == 0 || strings.Contains(out, "secret") {
			t.Errorf("packagefs %q: status %d, %q, %q", args, status, out, errOut)
		}
	}
	notes(t, v, "a interp 1 as /usr/bin/prog-a\n", "shell", "--", "prog-a")
}
