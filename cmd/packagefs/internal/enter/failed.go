package enter

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// FailedName is what the program is called as, to tell what failed in a process
// that it had given up.
const FailedName = "packagefs-failed"

// An aim is what a step of a program is for, where a failure needs to be explained.
type aim uint8

const (
	anyAim     aim = iota
	aimUnshare     // make namespaces
	aimMap         // say which users the user namespace has
	aimMount       // change mounts in the namespace
	aimStack       // stack the context on a directory of the root
	aimRun         // run the program that it is all for
)

// A report tells what a program was to do. The program writes its table after it,
// with what each step returned.
type report struct {
	Context string
	Within  bool
	Command []string
	Steps   []reportStep
}

type reportStep struct {
	Label string
	Aim   aim
	Path  string
}

// failure adds the steps for when the program fails: this program is run in the
// process's place once more.
func (p *plan) failure() (first *step, err error) {
	g := &p.program
	first = g.add("", unix.SYS_PWRITE64, uint64(p.fd.report), tableAt)
	first.optional = true
	g.add("", unix.SYS_FCNTL, uint64(p.fd.report), unix.F_SETFD, 0).optional = true
	g.add("", unix.SYS_EXECVEAT, uint64(p.fd.self), g.str(""),
		g.strs([]string{FailedName, strconv.Itoa(p.fd.report)}), g.strs(p.options.Env), unix.AT_EMPTY_PATH).optional = true
	g.add("", unix.SYS_EXIT_GROUP, exitCannot)

	r := report{Context: p.options.Context, Within: p.contexts.within(), Command: p.options.Command}
	for _, s := range g.steps {
		r.Steps = append(r.Steps, reportStep{s.label, s.aim, s.path})
	}
	text, err := json.Marshal(r)
	if err != nil {
		return nil, err
	}
	first.args[2] = uint64(len(g.table(first)))
	first.args[3] = uint64(8 + len(text))
	_, err = p.report.Write(append(binary.LittleEndian.AppendUint64(nil, uint64(len(text))), text...))
	return first, err
}

// The exit statuses of a program that cannot be run, as shells have them.
const (
	exitCannot  = 126
	exitMissing = 127
)

// Failed is the whole program that tells what failed, and returns its exit
// status.
func Failed(args []string, stderr io.Writer) int {
	code, err := failed(args)
	fmt.Fprintf(stderr, "packagefs: %v\n", err)
	return code
}

func failed(args []string) (code int, err error) {
	if len(args) != 2 {
		return exitCannot, errors.New("packagefs calls itself so")
	}
	fd, err := strconv.Atoi(args[1])
	if err != nil {
		return exitCannot, err
	}
	unix.CloseOnExec(fd)
	f := os.NewFile(uintptr(fd), "report")
	data, err := io.ReadAll(io.NewSectionReader(f, 0, 1<<30))
	if err != nil {
		return exitCannot, err
	}
	if len(data) < 8 || le.Uint64(data) > uint64(len(data)-8) {
		return exitCannot, errors.New("the report of what failed is cut")
	}
	text, table := data[8:8+le.Uint64(data)], data[8+le.Uint64(data):]
	var r report
	if err := json.Unmarshal(text, &r); err != nil {
		return exitCannot, err
	}
	if len(table) < tableHead+len(r.Steps)*stepSize {
		return exitCannot, errors.New("the report of what failed is cut")
	}
	last := int(le.Uint64(table[8:])-tableAt-tableHead) / stepSize
	if last < 0 || last >= len(r.Steps) {
		return exitCannot, errors.New("the report of what failed makes no sense")
	}
	if r.Steps[last].Aim == aimRun {
		return r.notRun(table)
	}
	return exitCannot, r.explain(&r.Steps[last], result(table, last))
}

// result is what a step returned, as an error.
func result(table []byte, step int) syscall.Errno {
	return syscall.Errno(-int64(le.Uint64(table[tableHead+step*stepSize+7*8:])))
}

// notRun tells why the program could not be run: of the places that it was looked
// for in, the first one counts that is more than a missing name.
func (r *report) notRun(table []byte) (code int, err error) {
	name := r.Command[0]
	err = fmt.Errorf("%s: not found in the context %s", name, r.Context)
	code = exitMissing
	for i, s := range r.Steps {
		if s.Aim != aimRun {
			continue
		}
		path, errno := s.Path, result(table, i)
		if _, serr := os.Stat(path); serr != nil {
			continue // not there, or in a directory that is closed to this user
		}
		switch errno {
		case unix.ENOENT:
			err = fmt.Errorf("run %s in the context %s: the interpreter that it names is not there", path, r.Context)
		case unix.ENOEXEC: // a script that does not say for what
			err := syscall.Exec("/bin/sh", append([]string{"sh", path}, r.Command[1:]...), os.Environ())
			return exitCannot, fmt.Errorf("run %s by /bin/sh: %w", path, err)
		default:
			return exitCannot, fmt.Errorf("run %s in the context %s: %w", path, r.Context, errno)
		}
	}
	return code, err
}

// explain says what to do about a failed step.
func (r *report) explain(s *reportStep, errno syscall.Errno) error {
	err := fmt.Errorf("%s: %w", s.Label, errno)
	switch {
	case s.Aim == aimUnshare:
		if r.Within && errno == unix.ENOSPC {
			return fmt.Errorf("%w: programs of different contexts have started each other 32 deep, and the kernel allows no more", err)
		}
		return explainUserNamespace(err)
	case s.Aim == aimMap, s.Aim == aimMount:
		return explainUserNamespace(err)
	case s.Aim == aimStack && errno == unix.EINVAL && os.Geteuid() != 0:
		return fmt.Errorf("%w: something is mounted below it, and the kernel lets only root stack over that; see packagefs doctor", err)
	case s.Aim == aimStack && errno == unix.ENODEV:
		return fmt.Errorf("%w: this kernel has no overlay file system; try: modprobe overlay", err)
	}
	return fmt.Errorf("%w; see packagefs doctor", err)
}

// explainUserNamespace says what to do where a user namespace is refused.
func explainUserNamespace(err error) error {
	if os.Geteuid() == 0 {
		return fmt.Errorf("%w: this needs the capability CAP_SYS_ADMIN", err)
	}
	for _, s := range restrictions {
		if value, rerr := os.ReadFile("/proc/sys/" + strings.ReplaceAll(s.name, ".", "/")); rerr == nil && strings.TrimSpace(string(value)) == s.bad {
			return fmt.Errorf("%w: %s is %s, which forbids user namespaces; an administrator can allow them: sysctl %s=%s", err, s.name, s.bad, s.name, s.good)
		}
	}
	return fmt.Errorf("%w: user namespaces are not allowed here, perhaps by a container or in a chroot; see packagefs doctor", err)
}

// restrictions are the settings of kernels that keep users from user namespaces.
var restrictions = []struct{ name, bad, good string }{
	{"kernel.unprivileged_userns_clone", "0", "1"},
	{"user.max_user_namespaces", "0", "10000"},
	{"user.max_mnt_namespaces", "0", "10000"},
	{"kernel.apparmor_restrict_unprivileged_userns", "1", "0"},
}
