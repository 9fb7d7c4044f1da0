package enter

import (
	"context"
	"errors"
	"fmt"
	"os"
	"runtime"
	"strconv"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/packagefs/packagefs/cmd/packagefs/internal/mount"
)

// followUser keeps the sessions of a user in step with the user's context, until
// nobody uses the mount any more.
func followUser(o *keeperOrder, unused <-chan struct{}) {
	ctx, stop := context.WithCancel(context.Background())
	defer stop()
	go func() {
		<-unused
		stop()
	}()
	mo := mount.Options{Server: o.server, Context: fmt.Sprint("user:", o.user), UID: o.user}
	refresh := func() { refreshUser(o.user) }
	for mount.Follow(ctx, mo, mount.Followed{Alive: func() bool { return true }, Refresh: refresh}) != nil {
		select { // the context cannot be attached to now
		case <-time.After(10 * time.Second):
			refresh()
		case <-unused:
			return
		}
	}
}

// refreshUser makes what is stacked in the mount namespaces of a user's processes
// look at names again. It needs root.
func refreshUser(uid uint32) {
	all, err := os.ReadDir("/proc")
	if err != nil {
		return
	}
	seen := make(map[string]bool)
	for _, e := range all {
		if _, err := strconv.Atoi(e.Name()); err != nil {
			continue
		}
		fi, err := e.Info()
		if err != nil || fi.Sys().(*syscall.Stat_t).Uid != uid {
			continue
		}
		file := "/proc/" + e.Name() + "/ns/mnt"
		if ns, err := os.Readlink(file); err == nil && !seen[ns] {
			seen[ns] = true
			_ = inMountNamespace(file, refreshHere) // the process may have ended
		}
	}
}

// refreshHere is refreshUser for the mount namespace of this thread.
func refreshHere() error {
	lines, err := mount.TableOf(fmt.Sprint("/proc/self/task/", unix.Gettid(), "/mountinfo"))
	for i := range lines {
		if isStacked(&lines[i]) {
			err = errors.Join(err, mount.RefreshOverlay(lines[i].Point))
		}
	}
	return err
}

// inMountNamespace runs f on a thread in another mount namespace.
func inMountNamespace(file string, f func() error) error {
	result := make(chan error, 1)
	go func() {
		// The thread ends with this goroutine; only the process's first one would
		// not, so that it goes back, too.
		runtime.LockOSThread()
		result <- func() error {
			home, err := os.Open("/proc/thread-self/ns/mnt")
			if err != nil {
				return err
			}
			defer home.Close()
			other, err := os.Open(file)
			if err != nil {
				return err
			}
			defer other.Close()
			if err := unix.Unshare(unix.CLONE_FS); err != nil {
				return err
			}
			if err := unix.Setns(int(other.Fd()), unix.CLONE_NEWNS); err != nil {
				return err
			}
			return errors.Join(f(), unix.Setns(int(home.Fd()), unix.CLONE_NEWNS))
		}()
	}()
	return <-result
}
