package mount

import (
	"errors"
	"os"
	"runtime"

	"golang.org/x/sys/unix"
)

// InNamespace runs f on a thread that enter has brought into another mount
// namespace. The thread shares neither root nor working directory with others.
func InNamespace(enter, f func() error) error {
	result := make(chan error, 1)
	go func() {
		// The thread ends with this goroutine; only the process's first one would
		// not, so that it goes back, too.
		runtime.LockOSThread()
		result <- onThread(enter, f)
	}()
	return <-result
}

func onThread(enter, f func() error) error {
	home, err := os.Open("/proc/thread-self/ns/mnt")
	if err != nil {
		return err
	}
	defer home.Close()
	if err := unix.Unshare(unix.CLONE_FS); err != nil {
		return err
	}
	if err = enter(); err == nil {
		err = f()
	}
	return errors.Join(err, unix.Setns(int(home.Fd()), unix.CLONE_NEWNS))
}
