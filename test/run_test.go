//go:build e2e

package test

import (
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// A program in a context is as any other, but for what it finds.
func TestRun(t *testing.T) {
	s := publicServer(t, `"prog-a", "prog-b"`, launcherDebs(t))
	visitors(t, s, func(t *testing.T, v *visitor) {
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
func (v *visitor) notes(t *testing.T, want string, args ...string) {
	t.Helper()
	if status, out, errOut := v.run(args...); status != 0 || out != want || errOut != nowhere {
		t.Errorf("packagefs %q: status %d, %q, %q; want %q and a note", args, status, out, errOut, want)
	}
}

func checkRunTree(t *testing.T, v *visitor) {
	v.says(t, "interp 1\n", "run", "-p", "interp=1", "--", "interp")
	v.says(t, "interp 2\n", "run", "-p", "interp", "--", "interp")
	v.notes(t, "a\n", "run", "-p", "prog-a", "--", "cat", "/etc/entered/a")
	v.notes(t, "interp 2\n", "run", "-p", "interp", "-p", "prog-b", "--", "interp")
	v.notes(t, "interp 1\n", "-c", "package:prog-a", "run", "--", "interp")
	v.notes(t, "root\n", "run", "-p", "prog-a", "--", "sed", "-n", "1s/:.*//p", "/etc/passwd")
	cmd := v.packagefs("run", "-p", "prog-a", "--", "sh", "-c", `echo "$PATH $PACKAGEFS_CONTEXT $PACKAGEFS_SERVER $OTHER"; echo new > /usr/new`)
	cmd.Env = append(cmd.Env, "OTHER=kept", "PATH=/sbin")
	status, out, errOut := finish(cmd)
	want := "/sbin:/usr/local/bin:/usr/bin:/bin package:prog-a " + v.s.Listen[0] + " kept\n"
	if status == 0 || out != want || !strings.Contains(errOut, "Read-only file system") {
		t.Errorf("status %d, %q, %q; want %q, and nothing written", status, out, errOut, want)
	}
	v.notes(t, "ext\n", "run", "-p", "prog-a", "--", "sh", "-c", `cd "$HOME" && echo ext > f && cat f && rm f`)
	if v.uid != 0 {
		v.notes(t, fmt.Sprintf("%d %d CapEff:\t0000000000000000\n", v.uid, v.uid),
			"run", "-p", "prog-a", "--", "sh", "-c", "echo $(id -u) $(id -g) \"$(grep CapEff /proc/self/status)\"")
	}
}

func checkRunStatus(t *testing.T, v *visitor) {
	run := func(command ...string) []string { return append([]string{"run", "-p", "interp", "--"}, command...) }
	noExec := filepath.Join(filepath.Dir(v.s.Packages), "plain")
	plainScript := filepath.Join(filepath.Dir(v.s.Packages), "no-interpreter")
	badScript := filepath.Join(filepath.Dir(v.s.Packages), "bad-interpreter")
	for file, content := range map[string]string{noExec: "", plainScript: "echo as sh does $1; exit 5", badScript: "#!/no/such\n"} {
		must(t, os.WriteFile(file, []byte(content), 0o755))
	}
	must(t, os.Chmod(noExec, 0o644))
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
		{[]string{"-s", "unix:" + v.home + "/none.sock", "run", "--", "true"}, 126, "no server at"},
		{[]string{"run", "-s", "tcp:127.0.0.1:1", "--", "true"}, 126, "no server at"},
	}
	for _, test := range tests {
		status, out, errOut := v.run(test.args...)
		if status != test.status || !strings.Contains(out+errOut, test.says) {
			t.Errorf("packagefs %q: status %d, %q, %q; want %d and %q", test.args, status, out, errOut, test.status, test.says)
		}
	}
	cmd := v.packagefs(run("true")...)
	cmd.Env = append(cmd.Env, "PACKAGEFS_IDLE=-3s")
	if status, _, errOut := finish(cmd); status != 2 || !strings.Contains(errOut, "PACKAGEFS_IDLE") {
		t.Errorf("a bad PACKAGEFS_IDLE: status %d, %q", status, errOut)
	}
}

// What the program is to those around it: its process id, and its signals.
func checkRunProcess(t *testing.T, v *visitor) {
	for _, sig := range []syscall.Signal{syscall.SIGTERM, syscall.SIGINT, syscall.SIGKILL} {
		cmd := v.packagefs("run", "-p", "interp", "--", "sh", "-c", "echo $$; exec sleep 1000")
		out, err := cmd.StdoutPipe()
		must(t, err)
		must(t, cmd.Start())
		var pid int
		if _, err := fmt.Fscan(out, &pid); err != nil || pid != cmd.Process.Pid {
			t.Errorf("the program has the process id %d, want that of the process that was started, %d: %v", pid, cmd.Process.Pid, err)
		}
		must(t, cmd.Process.Signal(sig))
		_ = cmd.Wait()
		if ws := cmd.ProcessState.Sys().(syscall.WaitStatus); !ws.Signaled() || ws.Signal() != sig {
			t.Errorf("after %v the status is %v", sig, cmd.ProcessState)
		}
	}
	status, out, errOut := finish(v.command("sh", "-c", `trap "" INT; exec "$0" run -p interp -- grep SigIgn /proc/self/status`, v.s.Binary))
	if want := "SigIgn:\t0000000000000002\n"; status != 0 || out != want {
		t.Errorf("SIGINT that was ignored: status %d, %q, %q, want %q", status, out, errOut, want)
	}
	status, out, errOut = finish(v.command("setpriv", "--pdeathsig", "TERM", v.s.Binary, "run", "-p", "interp", "--", "setpriv", "--dump"))
	if want := "Parent death signal: TERM"; status != 0 || !strings.Contains(out, want) {
		t.Errorf("status %d, %q, %q, want %q", status, out, errOut, want)
	}
	// No child but its own.
	status, out, errOut = v.run("run", "-p", "interp", "--", "sh", "-c", "sleep 0 & wait; cat /proc/$$/task/$$/children")
	if kids := strings.Fields(out); status != 0 || len(kids) != 1 {
		t.Errorf("status %d, children %q, want only the cat itself: %s", status, out, errOut)
	}
}

func checkRunDescriptors(t *testing.T, v *visitor) {
	script := []string{"sh", "-c", "cat; cat <&3 >&2; ls /proc/self/fd"}
	try := func(cmd *exec.Cmd) (int, string, string) {
		r, w, err := os.Pipe()
		must(t, err)
		defer r.Close()
		cmd.Stdin = strings.NewReader("from standard input\n")
		cmd.ExtraFiles = []*os.File{r}
		_, err = io.WriteString(w, "from descriptor 3\n")
		must(t, err)
		w.Close()
		return finish(cmd)
	}
	_, want, _ := try(v.command(script...))
	status, out, errOut := try(v.packagefs(append([]string{"run", "-p", "interp", "--"}, script...)...))
	if status != 0 || out != want || errOut != "from descriptor 3\n" {
		t.Errorf("status %d, %q, %q, want %q as without a context", status, out, errOut, want)
	}
}

func checkRunTerminal(t *testing.T, v *visitor) {
	line := v.s.Binary + " run -p interp -- sh -c 'test -t 0 && test -t 1 && echo \"on $(tty)\"; exit 9'"
	status, out, errOut := finish(v.command("script", "-qec", line, "/dev/null"))
	if status != 9 || !strings.HasPrefix(out, "on /dev/pts/") {
		t.Errorf("on a terminal: status %d, %q, %q", status, out, errOut)
	}
}

func checkRunDirectory(t *testing.T, v *visitor) {
	in := func(dir string, argv ...string) (int, string, string) {
		cmd := v.packagefs(append([]string{"run", "-p", "interp", "--"}, argv...)...)
		cmd.Dir = dir
		return finish(cmd)
	}
	if status, out, errOut := in(v.home, "pwd"); out != v.home+"\n" {
		t.Errorf("in the home directory: status %d, %q, %q", status, out, errOut)
	}
	if status, out, errOut := in("/usr/bin", "./interp"); out != "interp 2\n" {
		t.Errorf("by a relative path: status %d, %q, %q", status, out, errOut)
	}
	gone := filepath.Join(v.home, "gone")
	cmd := v.command("sh", "-c", `mkdir "$1" && cd "$1" && rmdir "$1" && exec "$0" run -p interp -- pwd`, v.s.Binary, gone)
	status, out, errOut := finish(cmd)
	if status != 0 || out != "/\n" || !strings.Contains(errOut, "the program starts in /") {
		t.Errorf("in a directory that is gone: status %d, %q, %q", status, out, errOut)
	}
}

func checkShell(t *testing.T, v *visitor) {
	v.notes(t, "interp 1\n", "shell", "interp=1", "--", "interp")
	if status, out, errOut := v.run("shell", "--", "interp"); status != 127 {
		t.Errorf("what the user's context hides: status %d, %q, %q", status, out, errOut)
	}
	if status, _, errOut := v.run("shell", "no-such"); status != 126 || !strings.Contains(errOut, "no-such is not installed") {
		t.Errorf("a package that is not there: status %d, %q", status, errOut)
	}
	must(t, os.WriteFile(filepath.Join(v.home, ".bashrc"), []byte("PS1='mine> '\nalias mine='echo from the rc file'\n"), 0o644))
	defer os.Remove(filepath.Join(v.home, ".bashrc"))
	for shell, want := range map[string][]string{
		"/bin/bash": {"(interp=1) mine> ", "from the rc file"},
		"/bin/sh":   {"(interp=1) "},
	} {
		cmd := v.command("script", "-qec", v.s.Binary+" shell interp=1", "/dev/null")
		cmd.Env = append(cmd.Env, "SHELL="+shell)
		cmd.Stdin = strings.NewReader("interp\nmine\nexit 6\n")
		status, out, errOut := finish(cmd)
		for _, w := range append(want, "interp 1") {
			if status != 6 || !strings.Contains(out, w) {
				t.Errorf("%s: status %d, %q, %q, want %q", shell, status, out, errOut, w)
			}
		}
	}
}

func checkDoctor(t *testing.T, v *visitor) {
	status, out, errOut := v.run("doctor")
	if status != 0 || strings.Contains(out, "  no  ") {
		t.Errorf("status %d\n%s%s", status, out, errOut)
	}
	status, out, _ = v.run("-s", "unix:"+v.home+"/none.sock", "doctor", "--json")
	if status != 1 || !strings.Contains(out, "start it with: packagefs serve") {
		t.Errorf("without a server: status %d\n%s", status, out)
	}
	if v.uid == 0 {
		return
	}
	// A machine that forbids it.
	must(t, os.Chmod("/dev/fuse", 0o600))
	defer os.Chmod("/dev/fuse", 0o666)
	v.idle = "2s" // another keeper
	defer func() { v.idle = "1s" }()
	if status, out, _ := v.run("doctor"); status != 1 || !strings.Contains(out, "chmod 666 /dev/fuse") {
		t.Errorf("without FUSE: status %d\n%s", status, out)
	}
	if status, _, errOut := v.run("run", "-p", "interp", "--", "true"); status != 126 || !strings.Contains(errOut, "packagefs doctor") {
		t.Errorf("without FUSE: status %d, %q", status, errOut)
	}
}

// Where user namespaces are forbidden, it is said, and how they can be allowed.
func TestRunForbidden(t *testing.T) {
	s := publicServer(t, `"interp"`, launcherDebs(t))
	v := newVisitor(t, s, plainUser)
	// The one that may be made is used up.
	forbid := []string{"unshare", "--user", "--map-root-user", "sh", "-c", `echo 1 > /proc/sys/user/max_user_namespaces && exec unshare --user --map-user "$@"`,
		"sh", fmt.Sprint(plainUser), "--map-group", fmt.Sprint(plainUser), s.Binary}
	for status, args := range map[int][]string{126: {"run", "-p", "interp", "--", "true"}, 1: {"doctor"}} {
		got, out, errOut := finish(v.command(append(forbid, args...)...))
		if got != status || !strings.Contains(out+errOut, "user namespaces are not allowed here") {
			t.Errorf("packagefs %q: status %d, %q, %q", args, got, out, errOut)
		}
	}
}
