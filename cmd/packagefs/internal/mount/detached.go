package mount

import (
	"context"
	"fmt"
	"strings"

	"golang.org/x/sys/unix"
)

// OpenKernel mounts a tree with the kernel's 9P client nowhere as yet: what it
// gives is a descriptor for move_mount, and the mount ends with it. It needs
// CanKernel.
func OpenKernel(ctx context.Context, o Options) (fd int, err error) {
	source, options, err := o.kernel(ctx)
	if err != nil {
		return -1, err
	}
	fail := func(err error) (int, error) {
		return -1, fmt.Errorf("mount -t 9p -o %s: %w%s", options, err, explainKernel(err))
	}
	fs, err := unix.Fsopen("9p", unix.FSOPEN_CLOEXEC)
	if err != nil {
		return fail(err)
	}
	defer unix.Close(fs)
	if err := unix.FsconfigSetString(fs, "source", source); err != nil {
		return fail(err)
	}
	for option := range strings.SplitSeq(options, ",") {
		name, value, _ := strings.Cut(option, "=")
		if err := unix.FsconfigSetString(fs, name, value); err != nil {
			return fail(err)
		}
	}
	if err := unix.FsconfigCreate(fs); err != nil {
		return fail(err)
	}
	attributes := unix.MOUNT_ATTR_NODEV
	if o.ReadOnly {
		attributes |= unix.MOUNT_ATTR_RDONLY
	}
	if fd, err = unix.Fsmount(fs, unix.FSMOUNT_CLOEXEC, attributes); err != nil {
		return fail(err)
	}
	return fd, nil
}
