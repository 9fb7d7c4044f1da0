package enter

import (
	"context"
	"errors"
	"fmt"
	"os"
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
			_ = mount.InNamespace(joining(file), refreshHere) // the process may have ended
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

// joining is how a thread gets into the mount namespace that a file is of.
func joining(file string) func() error {
	return func() error {
		ns, err := os.Open(file)
		if err != nil {
			return err
		}
		defer ns.Close()
		return unix.Setns(int(ns.Fd()), unix.CLONE_NEWNS)
	}
}
