package posix

import (
	"cmp"
	"errors"
	"io"
	"path/filepath"
	"slices"
	"syscall"

	"golang.org/x/sys/unix"
)

// A User is whom calls are made as.
type User struct {
	UID, GID int
	Groups   []int // beside GID
}

// A System makes calls. There are the Linux kernel, and package direct, which speaks
// to a server itself.
type System interface {
	// Root returns what makes calls as user 0.
	Root() Calls
	// Me returns what makes calls as the user who runs the cases, but for those
	// that name their users.
	Me() Calls
	// As runs fn as another user. The calls of u are of use in fn only.
	As(u User, fn func(u Calls) error) error
}

// Calls are system calls on files, as package unix has them and with its numbers.
// Descriptors are of the system, so one user's calls may use what another's opened.
// They fail with a syscall.Errno; ENOSYS is for what a system does not have.
type Calls interface {
	Open(path string, flags int, mode uint32) (fd int, err error)
	Openat(dir int, name string, flags int, mode uint32) (fd int, err error)
	Close(fd int) error

	Read(fd int, p []byte) (int, error)
	Pread(fd int, p []byte, offset int64) (int, error)
	Readv(fd int, p [][]byte) (int, error)
	Write(fd int, p []byte) (int, error)
	Pwrite(fd int, p []byte, offset int64) (int, error)
	Writev(fd int, p [][]byte) (int, error)
	Mmap(fd int, offset int64, length, prot, flags int) ([]byte, error)

	// Getdents returns the next entries of a directory, none at its end. "." and
	// ".." are left out. Rewind begins again.
	Getdents(fd int) ([]Entry, error)
	Rewind(fd int) error

	Fstat(fd int, st *unix.Stat_t) error
	Fchmod(fd int, mode uint32) error
	Ftruncate(fd int, size int64) error
	Futimes(fd int, times []unix.Timeval) error
	Fsync(fd int) error
	Fdatasync(fd int) error
	FcntlFlock(fd, cmd int, l *unix.Flock_t) error
	Flock(fd, how int) error

	Stat(path string, st *unix.Stat_t) error
	Lstat(path string, st *unix.Stat_t) error
	Statfs(path string, st *unix.Statfs_t) error
	Access(path string, mode uint32) error
	Chmod(path string, mode uint32) error
	Chown(path string, uid, gid int) error
	Truncate(path string, size int64) error
	UtimesNano(path string, times []unix.Timespec, flags int) error // utimensat(2)

	Mkdir(path string, mode uint32) error
	Mknod(path string, mode uint32, dev int) error
	Mkfifo(path string, mode uint32) error
	Symlink(target, path string) error
	Readlink(path string) (string, error)
	Link(path, name string) error
	Unlink(path string) error
	Rmdir(path string) error
	Rename(from, to string) error
	Renameat2(from, to string, flags uint) error
	Umask(mask int) int

	Setxattr(path, name string, value []byte, flags int) error
	Getxattr(path, name string, p []byte) (int, error)
	Lgetxattr(path, name string, p []byte) (int, error)
	Listxattr(path string, p []byte) (int, error)
	Removexattr(path, name string) error

	// Run runs a program and returns its exit status.
	Run(path string) (int, error)
}

// An Entry is a name in a directory.
type Entry struct {
	Name string
	Type uint8 // a DT_ value
	Ino  uint64
}

// What follows is made of the calls.

// readFile returns the content of a file.
func readFile(c Calls, path string) ([]byte, error) {
	fd, err := c.Open(path, unix.O_RDONLY, 0)
	if err != nil {
		return nil, err
	}
	defer c.Close(fd)
	var all []byte
	buf := make([]byte, 256<<10)
	for {
		n, err := c.Read(fd, buf)
		if n <= 0 || err != nil {
			return all, err
		}
		all = append(all, buf[:n]...)
	}
}

// writeFile replaces the content of a file, which it makes if there is none.
func writeFile(c Calls, path string, data []byte, mode uint32) error {
	fd, err := c.Open(path, unix.O_WRONLY|unix.O_CREAT|unix.O_TRUNC, mode)
	if err != nil {
		return err
	}
	return errors.Join(writeAll(c, fd, data), c.Close(fd))
}

func writeAll(c Calls, fd int, data []byte) error {
	for len(data) > 0 {
		n, err := c.Write(fd, data)
		if err != nil {
			return err
		}
		if n == 0 {
			return io.ErrShortWrite
		}
		data = data[n:]
	}
	return nil
}

// readDir lists a directory by name.
func readDir(c Calls, path string) ([]Entry, error) {
	fd, err := c.Open(path, unix.O_RDONLY|unix.O_DIRECTORY, 0)
	if err != nil {
		return nil, err
	}
	defer c.Close(fd)
	var all []Entry
	for {
		some, err := c.Getdents(fd)
		if len(some) == 0 || err != nil {
			slices.SortFunc(all, func(a, b Entry) int { return cmp.Compare(a.Name, b.Name) })
			return all, err
		}
		all = append(all, some...)
	}
}

// mkdirAll makes a directory and those above it that are not there.
func mkdirAll(c Calls, path string, mode uint32) error {
	err := c.Mkdir(path, mode)
	if errors.Is(err, syscall.ENOENT) {
		if err := mkdirAll(c, filepath.Dir(path), mode); err != nil {
			return err
		}
		err = c.Mkdir(path, mode)
	}
	if errors.Is(err, syscall.EEXIST) {
		return nil
	}
	return err
}

// removeAll removes a tree.
func removeAll(c Calls, path string) error {
	err := c.Unlink(path)
	if !errors.Is(err, syscall.EISDIR) {
		return err
	}
	list, err := readDir(c, path)
	if err != nil {
		return err
	}
	for _, e := range list {
		if err := removeAll(c, path+"/"+e.Name); err != nil {
			return err
		}
	}
	return c.Rmdir(path)
}
