package mount

import (
	"fmt"
	"io"
	"os"
	"os/exec"
	"slices"
	"syscall"

	"golang.org/x/sys/unix"
)

// A guard is a process that waits for the end of the one that serves a union by
// FUSE. If that is killed, nobody could open anything below the directories: the
// guard takes the overlays away, and the machine has its own files back.

// GuardName is what the program is called as, to be a guard.
const GuardName = "packagefs-guard"

type guard struct {
	pipe *os.File // that the guard reads from; nil where none is needed
	cmd  *exec.Cmd
}

// startGuard starts a guard for a union that this process will serve.
func (u *Union) startGuard() (*guard, error) {
	if u.Kernel {
		return &guard{}, nil
	}
	args := []string{GuardName, UnionSource + u.source()}
	for _, d := range u.Dirs {
		real, err := realDir(d)
		if err != nil {
			return nil, err
		}
		args = append(args, real)
	}
	// The kernel shall rather end anything else when memory is short.
	_ = os.WriteFile("/proc/self/oom_score_adj", []byte("-900"), 0)
	r, w, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	defer r.Close()
	cmd := &exec.Cmd{
		Path: "/proc/self/exe", Args: args, Dir: "/",
		ExtraFiles: []*os.File{r}, SysProcAttr: &syscall.SysProcAttr{Setsid: true},
	}
	if err := cmd.Start(); err != nil {
		w.Close()
		return nil, fmt.Errorf("mount --union: start a guard: %w", err)
	}
	return &guard{pipe: w, cmd: cmd}, nil
}

// dismissal is what the guard reads when all is well.
const dismissal = "well done"

// dismiss ends the guard.
func (g *guard) dismiss() {
	if g.pipe == nil {
		return
	}
	_, _ = io.WriteString(g.pipe, dismissal) // fails if the guard was killed
	g.pipe.Close()
	_ = g.cmd.Wait()
}

// Guard is the whole program of a guard, and returns its exit status. Descriptor 3
// is the pipe.
func Guard(args []string) int {
	if len(args) < 3 {
		fmt.Fprintln(os.Stderr, "packagefs: packagefs starts guards by itself, for mount --union")
		return 2
	}
	said, err := io.ReadAll(os.NewFile(3, "pipe"))
	if err != nil || string(said) == dismissal {
		return 0
	}
	table, err := Table()
	if err != nil {
		return 1
	}
	for _, l := range slices.Backward(table) {
		if l.Type == "overlay" && l.Source == args[1] && slices.Contains(args[2:], l.Point) {
			_ = unix.Unmount(l.Point, unix.MNT_DETACH|unix.UMOUNT_NOFOLLOW) // somebody else was quicker
		}
	}
	return 0
}
