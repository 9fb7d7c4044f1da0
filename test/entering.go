//go:build e2e

package test

import (
	"bytes"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// plainUser is a user that this machine has not heard of, and who has no
// capability.
const plainUser = 4242

// A visitor enters contexts of a server, as one user.
type visitor struct {
	s    *Server
	uid  int
	idle string // how long what is mounted for them is kept
	home string // empty, and theirs
}

// visitors calls fn for root and for an ordinary user.
func visitors(t *testing.T, s *Server, fn func(*testing.T, *visitor)) {
	for _, uid := range []int{0, plainUser} {
		t.Run(fmt.Sprint("user ", uid), func(t *testing.T) { fn(t, newVisitor(t, s, uid)) })
	}
}

// newVisitor makes sure that at the test's end nothing of the visitor is left.
func newVisitor(t testing.TB, s *Server, uid int) *visitor {
	t.Helper()
	v := &visitor{s: s, uid: uid, idle: "1s", home: filepath.Join(filepath.Dir(s.Packages), fmt.Sprint("home-", uid))}
	for _, err := range []error{os.MkdirAll(v.home, 0o700), os.Chown(v.home, uid, uid)} {
		if err != nil {
			t.Fatal(err)
		}
	}
	t.Cleanup(func() { v.checkNothingLeft(t) })
	return v
}

// publicServer is a server that any user can reach, with the program where they
// can run it, on a machine where they may use FUSE. Users' contexts show the
// packages of toplevel only.
func publicServer(t testing.TB, toplevel string, fill func(dir string)) *Server {
	t.Helper()
	dir, err := os.MkdirTemp("", "packagefs-enter-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := os.RemoveAll(dir); err != nil {
			t.Error(err)
		}
	})
	binary := get(t, program)
	for _, d := range []string{dir, filepath.Dir(binary)} {
		if err := os.Chmod(d, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	openFUSE(t)
	s := ServerDir(t, binary, dir)
	writeFiles(t, s.Contexts, map[string]string{"system.toml": "toplevel = [" + toplevel + "]\n"})
	fill(s.Packages)
	s.StartIndexed(t)
	return s
}

// openFUSE lets everybody use FUSE, as udev does.
func openFUSE(t testing.TB) {
	t.Helper()
	info, err := os.Stat("/dev/fuse")
	if err != nil {
		t.Fatalf("%v: the tests of contexts need it; in a container give it with --device /dev/fuse --cap-add SYS_ADMIN", err)
	}
	if err := os.Chmod("/dev/fuse", 0o666); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := os.Chmod("/dev/fuse", info.Mode().Perm()); err != nil {
			t.Error(err)
		}
	})
}

// command is a command as the visitor, without any capability but for root.
func (v *visitor) command(argv ...string) *exec.Cmd {
	if v.uid != 0 {
		id := fmt.Sprint(v.uid)
		argv = append([]string{"setpriv", "--reuid", id, "--regid", id, "--clear-groups", "--inh-caps=-all", "--bounding-set=-all"}, argv...)
	}
	cmd := exec.Command(argv[0], argv[1:]...)
	cmd.Dir = "/"
	cmd.Env = []string{"PATH=/usr/bin:/bin", "LC_ALL=C", "HOME=" + v.home, "HISTFILE=", "TMPDIR=" + v.home, "XDG_RUNTIME_DIR=" + v.home,
		"PACKAGEFS_SERVER=" + v.s.Listen[0], "PACKAGEFS_IDLE=" + v.idle}
	return cmd
}

// packagefs is a command of the program.
func (v *visitor) packagefs(args ...string) *exec.Cmd {
	return v.command(append([]string{v.s.Binary}, args...)...)
}

// run runs the program and returns its exit status and what it printed.
func (v *visitor) run(args ...string) (status int, out, errOut string) {
	return finish(v.packagefs(args...))
}

// finish runs a command.
func finish(cmd *exec.Cmd) (status int, out, errOut string) {
	var o, e bytes.Buffer
	cmd.Stdout, cmd.Stderr = &o, &e
	err := cmd.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		return -1, o.String(), err.Error()
	}
	return cmd.ProcessState.ExitCode(), o.String(), e.String()
}

// says fails unless the program ends well and prints exactly this.
func (v *visitor) says(t *testing.T, want string, args ...string) {
	t.Helper()
	if status, out, errOut := v.run(args...); status != 0 || out != want || errOut != "" {
		t.Errorf("packagefs %q: status %d, %q, %q; want %q", args, status, out, errOut, want)
	}
}

// A keeper is a process that keeps a mount of a visitor's.
type keeper struct {
	pid    int
	socket string // where it takes entries
}

// keepers finds the visitor's keepers.
func (v *visitor) keepers() (all []keeper) {
	lines, _ := filepath.Glob("/proc/[0-9]*/cmdline")
	for _, name := range lines {
		line, err := os.ReadFile(name)
		args := strings.Split(string(line), "\x00")
		if err != nil || args[0] != "packagefs-keeper" || args[2] != v.s.Listen[0] {
			continue
		}
		k := keeper{socket: "@" + args[4]}
		var st syscall.Stat_t
		_, _ = fmt.Sscanf(name, "/proc/%d", &k.pid)
		if syscall.Stat(filepath.Dir(name), &st) == nil && int(st.Uid) == v.uid {
			all = append(all, k)
		}
	}
	return all
}

// left lists what there is of any visitor of this server: processes, mounts in any
// namespace, files.
func (v *visitor) left() error {
	if k := v.keepers(); len(k) > 0 {
		return fmt.Errorf("keepers %v run", k)
	}
	tables, _ := filepath.Glob("/proc/[0-9]*/mountinfo")
	if len(tables) == 0 {
		return errors.New("no processes in /proc")
	}
	for _, name := range tables {
		if table, err := os.ReadFile(name); err == nil && bytes.Contains(table, []byte("contexts@"+v.s.Listen[0])) {
			return fmt.Errorf("%s has a mount of the server", name)
		}
	}
	files, err := os.ReadDir(v.home)
	if err == nil && len(files) > 0 {
		err = fmt.Errorf("%s is left in the visitor's directory", files[0].Name())
	}
	return err
}

func (v *visitor) checkNothingLeft(t testing.TB) {
	t.Helper()
	if err := retry(v.left); err != nil {
		t.Errorf("waited %v for what entries leave behind to go: %v", patience, err)
	}
}

// taken tells whether an abstract socket is there.
func taken(name string) (bool, error) {
	table, err := os.ReadFile("/proc/net/unix")
	return strings.Contains(string(table), " "+name+"\n"), err
}

// squat takes an abstract socket as another user would.
func squat(t *testing.T, name string) net.Listener {
	t.Helper()
	l, err := net.Listen("unixpacket", name)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// launcherDebs are two packages whose programs need different versions of a third,
// and call each other: as prog-a N [how to start the next].
func launcherDebs(t testing.TB) func(dir string) {
	return func(dir string) {
		for i, name := range []string{"a", "b"} {
			version, other := fmt.Sprint(i+1), string("ba"[i])
			MakeDeb(t, dir, DebSpec{Name: "interp", Version: version, Fill: func(tree string) {
				script(t, tree, "usr/bin/interp", "echo interp "+version)
			}})
			MakeDeb(t, dir, DebSpec{Name: "prog-" + name, Version: "1", Control: "Depends: interp (= " + version + ")\n", Fill: func(tree string) {
				script(t, tree, "usr/bin/prog-"+name, fmt.Sprintf(
					"echo %s $(interp) as $0\nn=${1:-0}; [ $# = 0 ] || shift\n[ $n -gt 0 ] || exit 0\n${@:-exec} prog-%s $((n-1)) \"$@\"", name, other))
				script(t, tree, "usr/bin/run-"+name, `exec "$@"`)
				if err := os.Symlink("prog-"+name, filepath.Join(tree, "usr/bin/multi-"+name)); err != nil {
					t.Fatal(err)
				}
				writeFiles(t, tree, map[string]string{"etc/entered/" + name: name + "\n", "nowhere/file": ""})
			}})
		}
	}
}

// script makes an executable for /bin/sh.
func script(t testing.TB, tree, name, text string) {
	t.Helper()
	writeFiles(t, tree, map[string]string{name: "#!/bin/sh\n" + text + "\n"})
	if err := os.Chmod(filepath.Join(tree, name), 0o755); err != nil {
		t.Fatal(err)
	}
}
