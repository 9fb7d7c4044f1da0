package mount

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

// Unmount takes away what is mounted on point, if it is a 9P or packagefs
// mount. With lazy set it goes at once and those who use it keep it until they
// are done; an overlay of a Union always does.
func Unmount(point string, lazy bool) error {
	point, err := filepath.Abs(point)
	if err != nil {
		return err
	}
	fsType, source, err := mountedOn(point)
	if err != nil {
		return err
	}
	if fsType == "overlay" && strings.HasPrefix(source, UnionSource) {
		// What is stacked on /usr is in use by this very program.
		fsType, lazy = UnionSource, true
	}
	if fsType == "" { // perhaps reached through a symlink
		if real, err := filepath.EvalSymlinks(point); err == nil && real != point {
			return Unmount(real, lazy)
		}
	}
	switch fsType {
	case "9p", "fuse." + FUSEType, UnionSource:
	case "":
		return fmt.Errorf("umount %s: nothing is mounted there", point)
	default:
		return fmt.Errorf("umount %s: it is a mount of type %s, not one of packagefs; use umount(8)", point, fsType)
	}
	if os.Geteuid() != 0 && fsType == "fuse."+FUSEType {
		return fusermount(point, lazy)
	}
	flags := unix.UMOUNT_NOFOLLOW
	if lazy {
		flags |= unix.MNT_DETACH
	}
	switch err := unix.Unmount(point, flags); {
	case errors.Is(err, unix.EBUSY):
		return busy(point)
	case err != nil:
		return fmt.Errorf("umount %s: %w", point, err)
	}
	return nil
}

func busy(point string) error {
	return fmt.Errorf("umount %s: something uses it: end that (fuser -m %s names it), or give --lazy", point, point)
}

// fusermount unmounts for those who are not root.
func fusermount(point string, lazy bool) error {
	args := []string{"-u", point}
	if lazy {
		args = []string{"-u", "-z", point}
	}
	for _, name := range []string{"fusermount3", "fusermount"} {
		path, err := exec.LookPath(name)
		if err != nil {
			continue
		}
		out, err := exec.Command(path, args...).CombinedOutput()
		switch {
		case err == nil:
			return nil
		case bytes.Contains(out, []byte("busy")):
			return busy(point)
		}
		return fmt.Errorf("umount %s: %s", point, bytes.TrimSpace(out))
	}
	return fmt.Errorf("umount %s: fusermount3 is missing: install the package fuse3", point)
}

// mountedOn gives the type and the origin of what is mounted on exactly this
// path, the uppermost if several are, or "".
func mountedOn(point string) (fsType, source string, err error) {
	table, err := Table()
	for _, l := range table {
		if l.Point == point {
			fsType, source = l.Type, l.Source
		}
	}
	return fsType, source, err
}
