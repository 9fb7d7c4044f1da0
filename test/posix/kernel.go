package posix

import (
	"encoding/binary"
	"errors"
	"fmt"
	"os/exec"
	"runtime"
	"strings"

	"golang.org/x/sys/unix"
)

// kernel is Linux. Root makes its calls.
type kernel struct{}

func (kernel) Root() Calls { return kernel{} }
func (kernel) Me() Calls   { return kernel{} }

// As runs fn on a thread of its own.
func (kernel) As(u User, fn func(Calls) error) error {
	done := make(chan error)
	go func() {
		runtime.LockOSThread() // and never unlocked: the thread ends with it
		done <- func() error {
			groups := make([]uint32, len(u.Groups)+1)
			for i, g := range append([]int{u.GID}, u.Groups...) {
				groups[i] = uint32(g)
			}
			if err := setGroups(groups); err != nil {
				return fmt.Errorf("setgroups: %w", err)
			}
			if _, _, e := unix.RawSyscall(unix.SYS_SETRESGID, uintptr(u.GID), uintptr(u.GID), uintptr(u.GID)); e != 0 {
				return fmt.Errorf("setresgid: %w", e)
			}
			if _, _, e := unix.RawSyscall(unix.SYS_SETRESUID, uintptr(u.UID), uintptr(u.UID), uintptr(u.UID)); e != 0 {
				return fmt.Errorf("setresuid: %w", e)
			}
			return fn(kernel{})
		}()
	}()
	return <-done
}

// undisturbed makes a call again that a signal has interrupted: Go's runtime sends
// some.
func undisturbed(call func() error) error {
	for {
		if err := call(); err != unix.EINTR {
			return err
		}
	}
}

func undisturbedInt(call func() (int, error)) (n int, err error) {
	err = undisturbed(func() (err error) { n, err = call(); return err })
	return n, err
}

func (kernel) Open(path string, flags int, mode uint32) (int, error) {
	return undisturbedInt(func() (int, error) { return unix.Open(path, flags|unix.O_CLOEXEC, mode) })
}

func (kernel) Openat(dir int, name string, flags int, mode uint32) (int, error) {
	return undisturbedInt(func() (int, error) { return unix.Openat(dir, name, flags|unix.O_CLOEXEC, mode) })
}

func (kernel) Read(fd int, p []byte) (int, error) {
	return undisturbedInt(func() (int, error) { return unix.Read(fd, p) })
}

func (kernel) Write(fd int, p []byte) (int, error) {
	return undisturbedInt(func() (int, error) { return unix.Write(fd, p) })
}

// Getdents reads few entries at a time, so that directories change meanwhile.
func (kernel) Getdents(fd int) (list []Entry, err error) {
	buf := make([]byte, 4<<10)
	for {
		n, err := undisturbedInt(func() (int, error) { return unix.ReadDirent(fd, buf) })
		if err != nil || n == 0 {
			return nil, err
		}
		for b := buf[:n]; len(b) > 0; b = b[binary.LittleEndian.Uint16(b[16:]):] {
			name, _, _ := strings.Cut(string(b[19:binary.LittleEndian.Uint16(b[16:])]), "\x00")
			if name != "." && name != ".." {
				list = append(list, Entry{name, b[18], binary.LittleEndian.Uint64(b)})
			}
		}
		if len(list) > 0 {
			return list, nil
		}
	}
}

func (kernel) Rewind(fd int) error { _, err := unix.Seek(fd, 0, 0); return err }

func (kernel) Flock(fd, how int) error {
	return undisturbed(func() error { return unix.Flock(fd, how) })
}

func (kernel) Readlink(path string) (string, error) {
	buf := make([]byte, unix.PathMax)
	n, err := unix.Readlink(path, buf)
	return string(buf[:max(n, 0)]), err
}

func (kernel) Run(path string) (int, error) {
	err := exec.Command(path).Run()
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		return exit.ExitCode(), nil
	}
	return 0, err
}

func (kernel) Renameat2(from, to string, flags uint) error {
	return unix.Renameat2(unix.AT_FDCWD, from, unix.AT_FDCWD, to, flags)
}

func (kernel) UtimesNano(path string, times []unix.Timespec, flags int) error {
	return unix.UtimesNanoAt(unix.AT_FDCWD, path, times, flags)
}

func (kernel) FcntlFlock(fd, cmd int, l *unix.Flock_t) error {
	return unix.FcntlFlock(uintptr(fd), cmd, l)
}

func (kernel) Mmap(fd int, offset int64, length, prot, flags int) ([]byte, error) {
	return unix.Mmap(fd, offset, length, prot, flags)
}

// The others are as package unix has them.

func (kernel) Close(fd int) error                                 { return unix.Close(fd) }
func (kernel) Pread(fd int, p []byte, offset int64) (int, error)  { return unix.Pread(fd, p, offset) }
func (kernel) Readv(fd int, p [][]byte) (int, error)              { return unix.Readv(fd, p) }
func (kernel) Pwrite(fd int, p []byte, offset int64) (int, error) { return unix.Pwrite(fd, p, offset) }
func (kernel) Writev(fd int, p [][]byte) (int, error)             { return unix.Writev(fd, p) }
func (kernel) Fstat(fd int, st *unix.Stat_t) error                { return unix.Fstat(fd, st) }
func (kernel) Fchmod(fd int, mode uint32) error                   { return unix.Fchmod(fd, mode) }
func (kernel) Ftruncate(fd int, size int64) error                 { return unix.Ftruncate(fd, size) }
func (kernel) Futimes(fd int, times []unix.Timeval) error         { return unix.Futimes(fd, times) }
func (kernel) Fsync(fd int) error                                 { return unix.Fsync(fd) }
func (kernel) Fdatasync(fd int) error                             { return unix.Fdatasync(fd) }
func (kernel) Stat(path string, st *unix.Stat_t) error            { return unix.Stat(path, st) }
func (kernel) Lstat(path string, st *unix.Stat_t) error           { return unix.Lstat(path, st) }
func (kernel) Statfs(path string, st *unix.Statfs_t) error        { return unix.Statfs(path, st) }
func (kernel) Access(path string, mode uint32) error              { return unix.Access(path, mode) }
func (kernel) Chmod(path string, mode uint32) error               { return unix.Chmod(path, mode) }
func (kernel) Chown(path string, uid, gid int) error              { return unix.Chown(path, uid, gid) }
func (kernel) Truncate(path string, size int64) error             { return unix.Truncate(path, size) }
func (kernel) Mkdir(path string, mode uint32) error               { return unix.Mkdir(path, mode) }
func (kernel) Mknod(path string, mode uint32, dev int) error      { return unix.Mknod(path, mode, dev) }
func (kernel) Mkfifo(path string, mode uint32) error              { return unix.Mkfifo(path, mode) }
func (kernel) Symlink(target, path string) error                  { return unix.Symlink(target, path) }
func (kernel) Link(path, name string) error                       { return unix.Link(path, name) }
func (kernel) Unlink(path string) error                           { return unix.Unlink(path) }
func (kernel) Rmdir(path string) error                            { return unix.Rmdir(path) }
func (kernel) Rename(from, to string) error                       { return unix.Rename(from, to) }
func (kernel) Umask(mask int) int                                 { return unix.Umask(mask) }

func (kernel) Setxattr(path, name string, value []byte, flags int) error {
	return unix.Setxattr(path, name, value, flags)
}
func (kernel) Getxattr(path, name string, p []byte) (int, error) {
	return unix.Getxattr(path, name, p)
}
func (kernel) Lgetxattr(path, name string, p []byte) (int, error) {
	return unix.Lgetxattr(path, name, p)
}
func (kernel) Listxattr(path string, p []byte) (int, error) { return unix.Listxattr(path, p) }
func (kernel) Removexattr(path, name string) error          { return unix.Removexattr(path, name) }
