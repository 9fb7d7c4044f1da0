package harness

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// PlainUser is a user that this machine has not heard of, and who has no
// capability.
const PlainUser = 4242

// A Visitor enters contexts of a server, as one user.
type Visitor struct {
	Server *Server
	UID    int
	Idle   string // how long what is mounted for them is kept
	Home   string // empty, and theirs
}

// Visitors calls fn for root and for an ordinary user.
func Visitors(t *testing.T, s *Server, fn func(*testing.T, *Visitor)) {
	for _, uid := range []int{0, PlainUser} {
		t.Run(fmt.Sprint("user ", uid), func(t *testing.T) { fn(t, NewVisitor(t, s, uid)) })
	}
}

// NewVisitor makes sure that at the test's end nothing of the visitor is left.
func NewVisitor(t testing.TB, s *Server, uid int) *Visitor {
	t.Helper()
	v := &Visitor{Server: s, UID: uid, Idle: "1s", Home: filepath.Join(filepath.Dir(s.Packages), fmt.Sprint("home-", uid))}
	for _, err := range []error{os.MkdirAll(v.Home, 0o700), os.Chown(v.Home, uid, uid)} {
		if err != nil {
			t.Fatal(err)
		}
	}
	t.Cleanup(func() { v.CheckNothingLeft(t) })
	return v
}

// PublicServer is a server that any user can reach, with the program where they
// can run it, on a machine where they may use FUSE. Users' contexts show the
// packages of toplevel only.
func PublicServer(t testing.TB, toplevel string, fill func(dir string)) *Server {
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
	binary := Program(t)
	for _, d := range []string{dir, filepath.Dir(binary)} {
		if err := os.Chmod(d, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	OpenFUSE(t)
	s := ServerDir(t, binary, dir)
	WriteFiles(t, s.Contexts, map[string]string{"system.toml": "toplevel = [" + toplevel + "]\n"})
	fill(s.Packages)
	s.StartIndexed(t)
	return s
}

// OpenFUSE lets everybody use FUSE until all tests have ended, as udev does.
func OpenFUSE(t testing.TB) {
	t.Helper()
	openFUSE.Get(t)
}

var openFUSE = Shared[fs.FileMode]{Make: func(t testing.TB) fs.FileMode {
	const device = "/dev/fuse"
	info, err := os.Stat(device)
	if err != nil {
		t.Fatalf("%v: the tests of contexts need it; in a container give it with --device /dev/fuse --cap-add SYS_ADMIN", err)
	}
	if err := os.Chmod(device, 0o666); err != nil {
		t.Fatal(err)
	}
	was := info.Mode().Perm()
	AtEnd(func() error { return os.Chmod(device, was) })
	return was
}}

// Command is a command as the visitor, without any capability but for root.
func (v *Visitor) Command(argv ...string) *exec.Cmd {
	if v.UID != 0 {
		id := fmt.Sprint(v.UID)
		argv = append([]string{"setpriv", "--reuid", id, "--regid", id, "--clear-groups", "--inh-caps=-all", "--bounding-set=-all"}, argv...)
	}
	cmd := exec.Command(argv[0], argv[1:]...)
	cmd.Dir = "/"
	cmd.Env = []string{"PATH=/usr/bin:/bin", "LC_ALL=C", "HOME=" + v.Home, "HISTFILE=", "TMPDIR=" + v.Home, "XDG_RUNTIME_DIR=" + v.Home,
		"PACKAGEFS_SERVER=" + v.Server.Listen[0], "PACKAGEFS_IDLE=" + v.Idle}
	return cmd
}

// Packagefs is a command of the program.
func (v *Visitor) Packagefs(args ...string) *exec.Cmd {
	return v.Command(append([]string{v.Server.Binary}, args...)...)
}

// Run runs the program and returns its exit status and what it printed.
func (v *Visitor) Run(args ...string) (status int, out, errOut string) {
	return Finish(v.Packagefs(args...))
}

// Finish runs a command.
func Finish(cmd *exec.Cmd) (status int, out, errOut string) {
	var o, e bytes.Buffer
	cmd.Stdout, cmd.Stderr = &o, &e
	err := cmd.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		return -1, o.String(), err.Error()
	}
	return cmd.ProcessState.ExitCode(), o.String(), e.String()
}

// Says fails unless the program ends well and prints exactly this.
func (v *Visitor) Says(t *testing.T, want string, args ...string) {
	t.Helper()
	if status, out, errOut := v.Run(args...); status != 0 || out != want || errOut != "" {
		t.Errorf("packagefs %q: status %d, %q, %q; want %q", args, status, out, errOut, want)
	}
}

// A keeper is a process that keeps a mount of a visitor's.
type keeper struct {
	PID    int
	Socket string // where it takes entries
}

// Keepers finds the visitor's keepers.
func (v *Visitor) Keepers() (all []keeper) {
	lines, _ := filepath.Glob("/proc/[0-9]*/cmdline")
	for _, name := range lines {
		line, err := os.ReadFile(name)
		args := strings.Split(string(line), "\x00")
		if err != nil || args[0] != "packagefs-keeper" || args[2] != v.Server.Listen[0] {
			continue
		}
		k := keeper{Socket: "@" + args[4]}
		var st syscall.Stat_t
		_, _ = fmt.Sscanf(name, "/proc/%d", &k.PID)
		if syscall.Stat(filepath.Dir(name), &st) == nil && int(st.Uid) == v.UID {
			all = append(all, k)
		}
	}
	return all
}

// left lists what there is of any visitor of this server: processes, mounts in any
// namespace, files.
func (v *Visitor) left() error {
	if k := v.Keepers(); len(k) > 0 {
		return fmt.Errorf("keepers %v run", k)
	}
	tables, _ := filepath.Glob("/proc/[0-9]*/mountinfo")
	if len(tables) == 0 {
		return errors.New("no processes in /proc")
	}
	for _, name := range tables {
		if table, err := os.ReadFile(name); err == nil && bytes.Contains(table, []byte("contexts@"+v.Server.Listen[0])) {
			return fmt.Errorf("%s has a mount of the server", name)
		}
	}
	files, err := os.ReadDir(v.Home)
	if err == nil && len(files) > 0 {
		err = fmt.Errorf("%s is left in the visitor's directory", files[0].Name())
	}
	return err
}

func (v *Visitor) CheckNothingLeft(t testing.TB) {
	t.Helper()
	if err := Retry(v.left); err != nil {
		t.Errorf("waited %v for what entries leave behind to go: %v", Patience, err)
	}
}

// Taken tells whether an abstract socket is there.
func Taken(name string) (bool, error) {
	table, err := os.ReadFile("/proc/net/unix")
	return strings.Contains(string(table), " "+name+"\n"), err
}

// Squat takes an abstract socket as another user would.
func Squat(t *testing.T, name string) net.Listener {
	t.Helper()
	l, err := net.Listen("unixpacket", name)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// LauncherDebs are two packages whose programs need different versions of a third,
// and call each other: as prog-a N [how to start the next].
func LauncherDebs(t testing.TB) func(dir string) {
	return func(dir string) {
		for i, name := range []string{"a", "b"} {
			version, other := fmt.Sprint(i+1), string("ba"[i])
			MakeDeb(t, dir, DebSpec{Name: "interp", Version: version, Fill: func(tree string) {
				Script(t, tree, "usr/bin/interp", "echo interp "+version)
			}})
			MakeDeb(t, dir, DebSpec{Name: "prog-" + name, Version: "1", Control: "Depends: interp (= " + version + ")\n", Fill: func(tree string) {
				Script(t, tree, "usr/bin/prog-"+name, fmt.Sprintf(
					"echo %s $(interp) as $0\nn=${1:-0}; [ $# = 0 ] || shift\n[ $n -gt 0 ] || exit 0\n${@:-exec} prog-%s $((n-1)) \"$@\"", name, other))
				Script(t, tree, "usr/bin/run-"+name, `exec "$@"`)
				if err := os.Symlink("prog-"+name, filepath.Join(tree, "usr/bin/multi-"+name)); err != nil {
					t.Fatal(err)
				}
				WriteFiles(t, tree, map[string]string{"etc/entered/" + name: name + "\n", "nowhere/file": ""})
			}})
		}
	}
}

// Script makes an executable for /bin/sh.
func Script(t testing.TB, tree, name, text string) {
	t.Helper()
	WriteFiles(t, tree, map[string]string{name: "#!/bin/sh\n" + text + "\n"})
	if err := os.Chmod(filepath.Join(tree, name), 0o755); err != nil {
		t.Fatal(err)
	}
}
