package e2e

import (
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/packagefs/packagefs/test/harness"
)

// A program in a context is as any other, but for what it finds.
func testRun(t *testing.T) {
	s := harness.PublicServer(t, `"prog-a", "prog-b"`, harness.LauncherDebs(t))
	harness.Visitors(t, s, func(t *testing.T, v *harness.Visitor) {
		t.Run("tree", func(t *testing.T) { checkRunTree(t, v) })
		t.Run("status", func(t *testing.T) { checkRunStatus(t, v) })
		t.Run("process", func(t *testing.T) { checkRunProcess(t, v) })
		t.Run("descriptors", func(t *testing.T) { checkRunDescriptors(t, v) })
		t.Run("terminal", func(t *testing.T) { checkRunTerminal(t, v) })
		t.Run("directory", func(t *testing.T) { checkRunDirectory(t, v) })
		t.Run("shell", func(t *testing.T) { checkShell(t, v) })
		t.Run("doctor", func(t *testing.T) { checkDoctor(t, v) })
	})
}

// nowhere is what the packages have where this machine has nothing.
const nowhere = "packagefs: this machine has no directory /nowhere, so what packages have there cannot be seen; an empty one is enough\n"

// notes is says, where packages have something that the machine has no place for.
func notes(t *testing.T, v *harness.Visitor, want string, args ...string) {
	t.Helper()
	if status, out, errOut := v.Run(args...); status != 0 || out != want || errOut != nowhere {
		t.Errorf("packagefs %q: status %d, %q, %q; want %q and a note", args, status, out, errOut, want)
	}
}

func checkRunTree(t *testing.T, v *harness.Visitor) {
	v.Says(t, "interp 1\n", "run", "-p", "interp=1", "--", "interp")
	v.Says(t, "interp 2\n", "run", "-p", "interp", "--", "interp")
	notes(t, v, "a\n", "run", "-p", "prog-a", "--", "cat", "/etc/entered/a")
	notes(t, v, "interp 2\n", "run", "-p", "interp", "-p", "prog-b", "--", "interp")
	notes(t, v, "interp 1\n", "-c", "package:prog-a", "run", "--", "interp")
	notes(t, v, "root\n", "run", "-p", "prog-a", "--", "sed", "-n", "1s/:.*//p", "/etc/passwd")
	cmd := v.Packagefs("run", "-p", "prog-a", "--", "sh", "-c", `echo "$PATH $PACKAGEFS_CONTEXT $PACKAGEFS_SERVER $OTHER"; echo new > /usr/new`)
	cmd.Env = append(cmd.Env, "OTHER=kept", "PATH=/sbin")
	status, out, errOut := harness.Finish(cmd)
	want := "/sbin:/usr/local/bin:/usr/bin:/bin package:prog-a " + v.Server.Listen[0] + " kept\n"
	if status == 0 || out != want || !strings.Contains(errOut, "Read-only file system") {
		t.Errorf("status %d, %q, %q; want %q, and nothing written", status, out, errOut, want)
	}
	notes(t, v, "ext\n", "run", "-p", "prog-a", "--", "sh", "-c", `cd "$HOME" && echo ext > f && cat f && rm f`)
	if v.UID != 0 {
		notes(t, v, fmt.Sprintf("%d %d CapEff:\t0000000000000000\n", v.UID, v.UID),
			"run", "-p", "prog-a", "--", "sh", "-c", "echo $(id -u) $(id -g) \"$(grep CapEff /proc/self/status)\"")
	}
}

func checkRunStatus(t *testing.T, v *harness.Visitor) {
	run := func(command ...string) []string { return append([]string{"run", "-p", "interp", "--"}, command...) }
	noExec := filepath.Join(filepath.Dir(v.Server.Packages), "plain")
	plainScript := filepath.Join(filepath.Dir(v.Server.Packages), "no-interpreter")
	badScript := filepath.Join(filepath.Dir(v.Server.Packages), "bad-interpreter")
	for file, content := range map[string]string{noExec: "", plainScript: "echo as sh does $1; exit 5", badScript: "#!/no/such\n"} {
		harness.Must(t, os.WriteFile(file, []byte(content), 0o755))
	}
	harness.Must(t, os.Chmod(noExec, 0o644))
	tests := []struct {
		args   []string
		status int
		says   string
	}{
		{run("sh", "-c", "exit 0"), 0, ""},
		{run("sh", "-c", "exit 7"), 7, ""},
		{run("no-such-program"), 127, "no-such-program: not found in the context package:interp"},
		{run("/no/such"), 127, "/no/such: not found in the context package:interp"},
		{run(noExec), 126, "permission denied"},
		{run(plainScript, "x"), 5, "as sh does x"},
		{run(badScript), 127, "the interpreter that it names is not there"},
		{[]string{"run", "-p", "no-such", "--", "true"}, 126, "no-such is not installed"},
		{[]string{"run", "-p", "interp=9", "--", "true"}, 126, "interp=9: installed are 2 and 1"},
		{[]string{"run", "-c", "user:no-such", "--", "true"}, 126, "no such user"},
		{[]string{"run", "-c", "ctl", "--", "true"}, 2, "has no programs"},
		{[]string{"run", "-c", "no:thing", "--", "true"}, 2, "want user:NAME"},
		{[]string{"run", "-p", "interp"}, 2, "command"},
		{[]string{"run", "-p", "../../etc", "--", "true"}, 2, "not an attach name"},
		{[]string{"-s", "unix:" + v.Home + "/none.sock", "run", "--", "true"}, 126, "no server at"},
		{[]string{"run", "-s", "tcp:127.0.0.1:1", "--", "true"}, 126, "no server at"},
	}
	for _, test := range tests {
		status, out, errOut := v.Run(test.args...)
		if status != test.status || !strings.Contains(out+errOut, test.says) {
			t.Errorf("packagefs %q: status %d, %q, %q; want %d and %q", test.args, status, out, errOut, test.status, test.says)
		}
	}
	cmd := v.Packagefs(run("true")...)
	cmd.Env = append(cmd.Env, "PACKAGEFS_IDLE=-3s")
	if status, _, errOut := harness.Finish(cmd); status != 2 || !strings.Contains(errOut, "PACKAGEFS_IDLE") {
		t.Errorf("a bad PACKAGEFS_IDLE: status %d, %q", status, errOut)
	}
}

// What the program is to those around it: its process id, and its signals.
func checkRunProcess(t *testing.T, v *harness.Visitor) {
	for _, sig := range []syscall.Signal{syscall.SIGTERM, syscall.SIGINT, syscall.SIGKILL} {
		cmd := v.Packagefs("run", "-p", "interp", "--", "sh", "-c", "echo $$; exec sleep 1000")
		out, err := cmd.StdoutPipe()
		harness.Must(t, err)
		harness.Must(t, cmd.Start())
		var pid int
		if _, err := fmt.Fscan(out, &pid); err != nil || pid != cmd.Process.Pid {
			t.Errorf("the program has the process id %d, want that of the process that was started, %d: %v", pid, cmd.Process.Pid, err)
		}
		harness.Must(t, cmd.Process.Signal(sig))
		_ = cmd.Wait()
		if ws := cmd.ProcessState.Sys().(syscall.WaitStatus); !ws.Signaled() || ws.Signal() != sig {
			t.Errorf("after %v the status is %v", sig, cmd.ProcessState)
		}
	}
	// As without packagefs: who runs the tests may ignore others.
	ignoring := func(argv ...string) (int, string, string) {
		return harness.Finish(v.Command(slices.Concat([]string{"sh", "-c", `trap "" INT; exec "$@" grep SigIgn /proc/self/status`, "sh"}, argv)...))
	}
	_, want, _ := ignoring("env")
	status, out, errOut := ignoring(v.Server.Binary, "run", "-p", "interp", "--")
	if status != 0 || out != want || !strings.HasPrefix(out, "SigIgn:\t") {
		t.Errorf("SIGINT that was ignored: status %d, %q, %q, want %q", status, out, errOut, want)
	}
	status, out, errOut = harness.Finish(v.Command("setpriv", "--pdeathsig", "TERM", v.Server.Binary, "run", "-p", "interp", "--", "setpriv", "--dump"))
	if want := "Parent death signal: TERM"; status != 0 || !strings.Contains(out, want) {
		t.Errorf("status %d, %q, %q, want %q", status, out, errOut, want)
	}
	// No child but its own.
	status, out, errOut = v.Run("run", "-p", "interp", "--", "sh", "-c", "sleep 0 & wait; cat /proc/$$/task/$$/children")
	if kids := strings.Fields(out); status != 0 || len(kids) != 1 {
		t.Errorf("status %d, children %q, want only the cat itself: %s", status, out, errOut)
	}
}

func checkRunDescriptors(t *testing.T, v *harness.Visitor) {
	script := []string{"sh", "-c", "cat; cat <&3 >&2; ls /proc/self/fd"}
	try := func(cmd *exec.Cmd) (int, string, string) {
		r, w, err := os.Pipe()
		harness.Must(t, err)
		defer r.Close()
		cmd.Stdin = strings.NewReader("from standard input\n")
		cmd.ExtraFiles = []*os.File{r}
		_, err = io.WriteString(w, "from descriptor 3\n")
		harness.Must(t, err)
		w.Close()
		return harness.Finish(cmd)
	}
	_, want, _ := try(v.Command(script...))
	status, out, errOut := try(v.Packagefs(append([]string{"run", "-p", "interp", "--"}, script...)...))
	if status != 0 || out != want || errOut != "from descriptor 3\n" {
		t.Errorf("status %d, %q, %q, want %q as without a context", status, out, errOut, want)
	}
}

func checkRunTerminal(t *testing.T, v *harness.Visitor) {
	line := v.Server.Binary + " run -p interp -- sh -c 'test -t 0 && test -t 1 && echo \"on $(tty)\"; exit 9'"
	status, out, errOut := harness.Finish(v.Command("script", "-qec", line, "/dev/null"))
	if status != 9 || !strings.HasPrefix(out, "on /dev/pts/") {
		t.Errorf("on a terminal: status %d, %q, %q", status, out, errOut)
	}
}

func checkRunDirectory(t *testing.T, v *harness.Visitor) {
	in := func(dir string, argv ...string) (int, string, string) {
		cmd := v.Packagefs(append([]string{"run", "-p", "interp", "--"}, argv...)...)
		cmd.Dir = dir
		return harness.Finish(cmd)
	}
	if status, out, errOut := in(v.Home, "pwd"); out != v.Home+"\n" {
		t.Errorf("in the home directory: status %d, %q, %q", status, out, errOut)
	}
	if status, out, errOut := in("/usr/bin", "./interp"); out != "interp 2\n" {
		t.Errorf("by a relative path: status %d, %q, %q", status, out, errOut)
	}
	gone := filepath.Join(v.Home, "gone")
	cmd := v.Command("sh", "-c", `mkdir "$1" && cd "$1" && rmdir "$1" && exec "$0" run -p interp -- pwd`, v.Server.Binary, gone)
	status, out, errOut := harness.Finish(cmd)
	if status != 0 || out != "/\n" || !strings.Contains(errOut, "the program starts in /") {
		t.Errorf("in a directory that is gone: status %d, %q, %q", status, out, errOut)
	}
}

func checkShell(t *testing.T, v *harness.Visitor) {
	notes(t, v, "interp 1\n", "shell", "interp=1", "--", "interp")
	if status, out, errOut := v.Run("shell", "--", "interp"); status != 127 {
		t.Errorf("what the user's context hides: status %d, %q, %q", status, out, errOut)
	}
	if status, _, errOut := v.Run("shell", "no-such"); status != 126 || !strings.Contains(errOut, "no-such is not installed") {
		t.Errorf("a package that is not there: status %d, %q", status, errOut)
	}
	harness.Must(t, os.WriteFile(filepath.Join(v.Home, ".bashrc"), []byte("PS1='mine> '\nalias mine='echo from the rc file'\n"), 0o644))
	defer os.Remove(filepath.Join(v.Home, ".bashrc"))
	for shell, want := range map[string][]string{
		"/bin/bash": {"(interp=1) mine> ", "from the rc file"},
		"/bin/sh":   {"(interp=1) "},
	} {
		cmd := v.Command("script", "-qec", v.Server.Binary+" shell interp=1", "/dev/null")
		cmd.Env = append(cmd.Env, "SHELL="+shell)
		cmd.Stdin = strings.NewReader("interp\nmine\nexit 6\n")
		status, out, errOut := harness.Finish(cmd)
		for _, w := range append(want, "interp 1") {
			if status != 6 || !strings.Contains(out, w) {
				t.Errorf("%s: status %d, %q, %q, want %q", shell, status, out, errOut, w)
			}
		}
	}
}

func checkDoctor(t *testing.T, v *harness.Visitor) {
	status, out, errOut := v.Run("doctor")
	if status != 0 || strings.Contains(out, "  no  ") {
		t.Errorf("status %d\n%s%s", status, out, errOut)
	}
	status, out, _ = v.Run("-s", "unix:"+v.Home+"/none.sock", "doctor", "--json")
	if status != 1 || !strings.Contains(out, "start it with: packagefs serve") {
		t.Errorf("without a server: status %d\n%s", status, out)
	}
	if v.UID == 0 {
		return
	}
	// A machine that forbids it.
	harness.Must(t, os.Chmod("/dev/fuse", 0o600))
	defer os.Chmod("/dev/fuse", 0o666)
	v.Idle = "2s" // another keeper
	defer func() { v.Idle = "1s" }()
	if status, out, _ := v.Run("doctor"); status != 1 || !strings.Contains(out, "chmod 666 /dev/fuse") {
		t.Errorf("without FUSE: status %d\n%s", status, out)
	}
	if status, _, errOut := v.Run("run", "-p", "interp", "--", "true"); status != 126 || !strings.Contains(errOut, "packagefs doctor") {
		t.Errorf("without FUSE: status %d, %q", status, errOut)
	}
}

// Where user namespaces are forbidden, it is said, and how they can be allowed.
func testRunForbidden(t *testing.T) {
	s := harness.PublicServer(t, `"interp"`, harness.LauncherDebs(t))
	v := harness.NewVisitor(t, s, harness.PlainUser)
	// The one that may be made is used up.
	forbid := []string{"unshare", "--user", "--map-root-user", "sh", "-c", `echo 1 > /proc/sys/user/max_user_namespaces && exec unshare --user --map-user "$@"`,
		"sh", fmt.Sprint(harness.PlainUser), "--map-group", fmt.Sprint(harness.PlainUser), s.Binary}
	for status, args := range map[int][]string{126: {"run", "-p", "interp", "--", "true"}, 1: {"doctor"}} {
		got, out, errOut := harness.Finish(v.Command(append(forbid, args...)...))
		if got != status || !strings.Contains(out+errOut, "user namespaces are not allowed here") {
			t.Errorf("packagefs %q: status %d, %q, %q", args, got, out, errOut)
		}
	}
}
