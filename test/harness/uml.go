package harness

import (
	"context"
	_ "embed"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
)

// umlState is the source of a library without which the kernel of User Mode Linux
// panics on some processors.
//
//go:embed umlstate/ptrace.c
var umlState []byte

// uml is the machine in User Mode Linux.
func (g Guest) uml(ctx context.Context, dir, script string) (cmd *exec.Cmd, stop func(), err error) {
	kernel, err := exec.LookPath("linux.uml")
	if err != nil {
		return nil, nil, fmt.Errorf("%w: install Debian's user-mode-linux", err)
	}
	source, library := filepath.Join(dir, "ptrace.c"), filepath.Join(dir, "ptrace.so")
	if err := os.WriteFile(source, umlState, 0o600); err != nil {
		return nil, nil, err
	}
	if out, err := exec.Command("gcc", "-shared", "-fPIC", "-O2", "-Wall", "-Werror", "-o", library, source).CombinedOutput(); err != nil {
		return nil, nil, fmt.Errorf("gcc: %w: %s", err, out)
	}
	cmd = exec.CommandContext(ctx, kernel, "mem="+g.memory(), "rootfstype=hostfs", "rootflags=/", "rw",
		"init="+script, "con=null", "con0=null,fd:1", "quiet", "panic=1", "uml_dir="+dir)
	cmd.Env = append(os.Environ(), "TMPDIR="+memoryDir(), "LD_PRELOAD="+library)
	return cmd, func() {}, nil
}

// memoryDir is where the guest's memory is kept as a file: where that is
// memory, if there is enough. A container often has little of it.
func memoryDir() string {
	const shm, enough = "/dev/shm", 3 << 30
	var st syscall.Statfs_t
	if err := syscall.Statfs(shm, &st); err != nil || st.Bavail*uint64(st.Bsize) < enough {
		return os.TempDir()
	}
	return shm
}
