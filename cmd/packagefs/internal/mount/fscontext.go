package mount

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"golang.org/x/sys/unix"
)

// ErrRefused is what the kernel's 9P client answers of itself, whatever the server
// says: it does not take an option, or lacks a transport. FUSE may do.
var ErrRefused = errors.New("the kernel's 9P client refuses")

// OpenKernel mounts a tree with the kernel's 9P client nowhere as yet: what it
// gives is a descriptor for move_mount, and the mount ends with it. It needs
// CanKernel. It fails with ErrRefused where FUSE can do better.
func OpenKernel(ctx context.Context, o Options) (fd int, err error) {
	source, options, err := o.kernel(ctx)
	if err != nil {
		return -1, err
	}
	fail := func(err error) (int, error) {
		return -1, fmt.Errorf("mount -t 9p -o %s: %w", options, err)
	}
	fs, err := configure(source, options)
	if err != nil {
		return fail(err)
	}
	defer unix.Close(fs)
	if err := unix.FsconfigCreate(fs); err != nil {
		return fail(explain(err, contextLog(fs)))
	}
	attributes := unix.MOUNT_ATTR_NODEV
	if !o.SetUID {
		attributes |= unix.MOUNT_ATTR_NOSUID
	}
	if o.ReadOnly {
		attributes |= unix.MOUNT_ATTR_RDONLY
	}
	if fd, err = unix.Fsmount(fs, unix.FSMOUNT_CLOEXEC, attributes); err != nil {
		return fail(err)
	}
	return fd, nil
}

// configure gives a file system context of the kernel's client that has the
// options. Until 6.19 the client looks at them only when the context becomes a
// mount.
func configure(source, options string) (fs int, err error) {
	fs, err = unix.Fsopen("9p", unix.FSOPEN_CLOEXEC)
	if err != nil {
		return -1, fmt.Errorf("%w: fsopen: %w", ErrRefused, err)
	}
	if err := unix.FsconfigSetString(fs, "source", source); err != nil {
		defer unix.Close(fs)
		return -1, refusal("source="+source, err, contextLog(fs))
	}
	for option := range strings.SplitSeq(options, ",") {
		name, value, _ := strings.Cut(option, "=")
		if err := unix.FsconfigSetString(fs, name, value); err != nil {
			defer unix.Close(fs)
			return -1, refusal(option, err, contextLog(fs))
		}
	}
	return fs, nil
}

// refusal says which option the client does not take, and why as far as it told.
func refusal(option string, err error, log string) error {
	if strings.HasPrefix(option, "trans=") {
		log += "; it may lack the transport (module 9pnet_fd)"
	}
	return fmt.Errorf("%w %s: %w%s", ErrRefused, option, err, log)
}

// explainKernel says why mount(2) failed with err. That tells no more than a
// number, so that what the client does not take is tried again one by one.
func explainKernel(source, options string, err error) error {
	if isRefusal(err) {
		fs, why := configure(source, options)
		if why != nil {
			return why
		}
		unix.Close(fs)
	}
	return explain(err, "")
}

// explain says why a mount with options that were taken failed, with what the
// context's log has of it.
func explain(err error, log string) error {
	switch {
	case isRefusal(err):
		return fmt.Errorf("%w: %w%s; the kernel's log (dmesg) may say why, and that the transport is missing (module 9pnet_fd)", ErrRefused, err, log)
	case errors.Is(err, unix.ENOENT), errors.Is(err, unix.ENOPKG), errors.Is(err, unix.EACCES):
		return fmt.Errorf("%w%s: the server refuses the context; packagefs explain says why", err, log)
	}
	return fmt.Errorf("%w%s", err, log)
}

// isRefusal tells whether a mount failed for a reason of the client's own. A server
// does not answer so to an attach of a name that can be one.
func isRefusal(err error) bool {
	return errors.Is(err, unix.EINVAL) || errors.Is(err, unix.ENOPROTOOPT)
}

// contextLog reads what the kernel has written about the last failure in a context;
// it is empty, or begins with ": ".
func contextLog(fs int) string {
	var log strings.Builder
	line := make([]byte, 1024) // as one read gives it
	for {
		n, err := unix.Read(fs, line)
		if err != nil || n == 0 { // ENODATA: all was read
			return log.String()
		}
		// A letter for its weight and a space stand before each.
		_, text, _ := strings.Cut(strings.TrimSpace(string(line[:n])), " ")
		log.WriteString(": " + text)
	}
}
