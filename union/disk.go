package union

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/fnv"
	"strconv"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// What a layer has on disk is reached by directory descriptors and single names,
// and never through a symlink: what a client makes leads nowhere else.

// openBeneath opens path, relative and clean, below a directory for use as one.
func openBeneath(root int, path string) (int, error) {
	if path == "" {
		path = "."
	}
	for {
		fd, err := unix.Openat2(root, path, &unix.OpenHow{
			Flags:   unix.O_PATH | unix.O_DIRECTORY | unix.O_NOFOLLOW | unix.O_CLOEXEC,
			Resolve: unix.RESOLVE_BENEATH | unix.RESOLVE_NO_SYMLINKS | unix.RESOLVE_NO_MAGICLINKS | unix.RESOLVE_NO_XDEV,
		})
		if err != unix.EINTR && err != unix.EAGAIN {
			return fd, err
		}
	}
}

// retry repeats a call that a signal interrupted.
func retry(call func() error) error {
	for {
		if err := call(); err != unix.EINTR {
			return err
		}
	}
}

// openName opens one name of a directory, never through a symlink.
func openName(dir int, name string, flags int, mode uint32) (fd int, err error) {
	err = retry(func() error {
		fd, err = unix.Openat(dir, name, flags|unix.O_NOFOLLOW|unix.O_CLOEXEC, mode)
		return err
	})
	return fd, err
}

// statMask is what statName and statFD ask for.
const statMask = unix.STATX_BASIC_STATS | unix.STATX_BTIME

// statName describes one name of a directory.
func statName(dir int, name string) (st unix.Statx_t, err error) {
	err = retry(func() error {
		return unix.Statx(dir, name, unix.AT_SYMLINK_NOFOLLOW|unix.AT_NO_AUTOMOUNT, statMask, &st)
	})
	return st, err
}

// statFD describes an open file.
func statFD(fd int) (st unix.Statx_t, err error) {
	err = retry(func() error { return unix.Statx(fd, "", unix.AT_EMPTY_PATH, statMask, &st) })
	return st, err
}

// isWhiteout says whether st is the mark of overlayfs for a name that is gone.
func isWhiteout(st *unix.Statx_t) bool {
	return st.Mode&unix.S_IFMT == unix.S_IFCHR && st.Rdev_major == 0 && st.Rdev_minor == 0
}

// inoOf numbers a file that began in a layer. The birth time tells files apart
// that have one inode number after the other.
func inoOf(st *unix.Statx_t) uint64 {
	var b [20]byte
	binary.LittleEndian.PutUint64(b[:], st.Ino)
	binary.LittleEndian.PutUint64(b[8:], uint64(st.Btime.Sec))
	binary.LittleEndian.PutUint32(b[16:], st.Btime.Nsec)
	h := fnv.New64a()
	h.Write(b[:])
	return h.Sum64()
}

// procPath names an open file for the calls that know no descriptors of
// O_PATH.
func procPath(fd int) string { return "/proc/self/fd/" + strconv.Itoa(fd) }

// getXattrFD returns the value of an attribute of a file opened by O_PATH.
func getXattrFD(fd int, name string) ([]byte, error) {
	return readXattr(func(p []byte) (int, error) { return unix.Getxattr(procPath(fd), name, p) })
}

// readXattr reads what get returns into a buffer that is large enough.
func readXattr(get func([]byte) (int, error)) ([]byte, error) {
	buf := make([]byte, 256)
	for {
		n, err := get(buf)
		if !errors.Is(err, unix.ERANGE) {
			return buf[:max(n, 0)], err
		}
		if n, err = get(nil); err != nil {
			return nil, err
		}
		buf = make([]byte, n+64) // it may grow meanwhile
	}
}

// listXattrFD returns the names of the attributes of a file opened by O_PATH.
func listXattrFD(fd int) ([]string, error) {
	list, err := readXattr(func(p []byte) (int, error) { return unix.Listxattr(procPath(fd), p) })
	if err != nil || len(list) == 0 {
		return nil, err
	}
	return strings.Split(strings.TrimSuffix(string(list), "\x00"), "\x00"), nil
}

// noXattr says whether err means that there is no such attribute.
func noXattr(err error) bool {
	return errors.Is(err, unix.ENODATA) || errors.Is(err, unix.EOPNOTSUPP)
}

// A dialect is the names of the attributes in which a layer keeps what a file
// system has no place for. Without privileges only those of users can be set.
type dialect struct{ overlay, own string }

var (
	trusted   = dialect{"trusted.overlay.", "trusted.packagefs."}
	untrusted = dialect{"user.overlay.", "user.packagefs."}
)

// dialectOf finds out what can be set in the directory at path.
func dialectOf(path string) (dialect, error) {
	var err error
	for _, d := range []dialect{trusted, untrusted} {
		if err = unix.Setxattr(path, d.own+"test", []byte{'y'}, 0); err == nil {
			return d, unix.Removexattr(path, d.own+"test")
		}
	}
	return dialect{}, fmt.Errorf("extended attributes in %s: %w; a mutable layer needs a file system with them, such as ext4, xfs or btrfs", path, err)
}

// private says whether an attribute is the layer's and not the user's.
func private(name string) bool {
	for _, d := range []dialect{trusted, untrusted} {
		if strings.HasPrefix(name, d.overlay) || strings.HasPrefix(name, d.own) {
			return true
		}
	}
	return false
}

// notThere says whether err means that a name leads nowhere.
func notThere(err error) bool {
	return errors.Is(err, syscall.ENOENT) || errors.Is(err, syscall.ENOTDIR)
}
