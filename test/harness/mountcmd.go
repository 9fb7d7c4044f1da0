package harness

import (
	"fmt"
	"os/exec"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// MountCommand mounts a context with packagefs mount until the test ends, and
// returns where.
func MountCommand(t testing.TB, s *Server, context, at string) string {
	t.Helper()
	before, err := deviceOf(at)
	if err != nil {
		t.Fatal(err)
	}
	log := &syncBuffer{}
	cmd := exec.Command(s.Binary, "-s", s.Listen[0], "-c", context, "mount", at)
	cmd.Stdout, cmd.Stderr = log, log
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGTERM}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	t.Cleanup(func() {
		if _, err := s.Run("umount", at); err != nil {
			t.Error(err)
			_ = unix.Unmount(at, unix.MNT_DETACH)
		}
		select {
		case <-ended:
		case <-time.After(Patience):
			t.Error("packagefs mount goes on after packagefs umount")
			_ = cmd.Process.Kill()
		}
		if now, err := deviceOf(at); err != nil || now != before {
			t.Errorf("%s is a mount after packagefs umount: %v", at, err)
		}
	})
	WaitFor(t, "the mount of "+context, func() error {
		now, err := deviceOf(at)
		if err == nil && now == before {
			err = fmt.Errorf("nothing is mounted; packagefs mount says: %s", log)
		}
		return err
	})
	return at
}

// deviceOf tells mounts apart.
func deviceOf(dir string) (uint64, error) {
	var st unix.Stat_t
	err := unix.Stat(dir, &st)
	return uint64(st.Dev), err
}
