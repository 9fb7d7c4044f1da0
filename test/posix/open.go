package posix

import (
	"fmt"
	"syscall"

	"golang.org/x/sys/unix"
)

// openCases opens each kind with each set of flags that matters for it.
func openCases() []Case {
	const (
		rd, wr, rw = unix.O_RDONLY, unix.O_WRONLY, unix.O_RDWR
		create     = unix.O_CREAT
		excl       = unix.O_CREAT | unix.O_EXCL
	)
	table := []struct {
		kind  string
		how   string
		flags int
		want  syscall.Errno
	}{
		{"nothing", "to read", rd, unix.ENOENT},
		{"nothing", "to write", wr, unix.ENOENT},
		{"nothing", "to create", rw | create, 0},
		{"nothing", "to create for reading", rd | create, 0},
		{"nothing", "to create exclusively", wr | excl, 0},
		{"nothing", "to truncate", wr | unix.O_TRUNC, unix.ENOENT},
		{"nothing", "as a directory", rd | unix.O_DIRECTORY, unix.ENOENT},
		{"file", "to read", rd, 0},
		{"file", "to write", wr, 0},
		{"file", "to read and write", rw, 0},
		{"file", "to append", wr | unix.O_APPEND, 0},
		{"file", "to create", wr | create, 0},
		{"file", "to create exclusively", wr | excl, unix.EEXIST},
		{"file", "as a directory", rd | unix.O_DIRECTORY, unix.ENOTDIR},
		{"file", "without following", rd | unix.O_NOFOLLOW, 0},
		{"directory", "to read", rd, 0},
		{"directory", "as a directory", rd | unix.O_DIRECTORY, 0},
		{"directory", "to write", wr, unix.EISDIR},
		{"directory", "to read and write", rw, unix.EISDIR},
		{"directory", "to create", wr | create, unix.EISDIR},
		{"directory", "to create exclusively", wr | excl, unix.EEXIST},
		{"directory", "to truncate", wr | unix.O_TRUNC, unix.EISDIR},
		{"symlink", "to read", rd, 0},
		{"symlink", "to write", wr, 0},
		{"symlink", "without following", rd | unix.O_NOFOLLOW, unix.ELOOP},
		{"symlink", "to create exclusively", wr | excl, unix.EEXIST},
		{"symlink", "as a directory", rd | unix.O_DIRECTORY, unix.ENOTDIR},
		{"dangling symlink", "to read", rd, unix.ENOENT},
		{"dangling symlink", "to create", wr | create, 0},
		{"dangling symlink", "to create exclusively", wr | excl, unix.EEXIST},
		{"loop", "to read", rd, unix.ELOOP},
		{"loop", "to create", wr | create, unix.ELOOP},
		{"fifo", "to write without a reader", wr | unix.O_NONBLOCK, unix.ENXIO},
		{"fifo", "to read without waiting", rd | unix.O_NONBLOCK, 0},
		{"socket", "to read", rd, unix.ENXIO},
	}
	var cases []Case
	for _, c := range table {
		cases = append(cases, Case{fmt.Sprintf("open %s %s", c.kind, c.how), func(d *Dir) {
			d.make(c.kind, "x")
			fd, err := d.Open(d.at("x"), c.flags, 0o600)
			if err == nil {
				d.Close(fd)
			}
			d.is("open", err, c.want)
		}})
	}
	return append(cases, openMore()...)
}

func openMore() []Case {
	return []Case{
		{"open truncates", func(d *Dir) {
			d.file("x", "long content")
			fd := d.open(d.at("x"), unix.O_WRONLY|unix.O_TRUNC)
			equal(d, "size", d.fstat(fd).Size, 0)
			d.content(d.at("x"), "")
		}},
		{"open with umask", func(d *Dir) {
			defer d.Umask(d.Umask(0o027))
			fd, err := d.Open(d.at("x"), unix.O_CREAT|unix.O_WRONLY, 0o666)
			d.ok(err)
			defer d.Close(fd)
			equal(d, "mode", d.fstat(fd).Mode&07777, 0o640)
		}},
		{"open of mode 0 writes through its descriptor", func(d *Dir) {
			u := User{UID: 7001, GID: 7001}
			d.ok(d.Chmod(d.Path, 0o777))
			d.ok(d.as(u, func(u Calls) error {
				fd, err := u.Open(d.at("x"), unix.O_CREAT|unix.O_EXCL|unix.O_RDWR, 0)
				if err != nil {
					return err
				}
				defer u.Close(fd)
				_, err = u.Write(fd, []byte("in"))
				return err
			}))
			d.ok(d.Chmod(d.at("x"), 0o600))
			d.content(d.at("x"), "in")
		}},
		{"read of a descriptor for writing", func(d *Dir) {
			fd := d.open(d.file("x", "c"), unix.O_WRONLY)
			_, err := d.Read(fd, make([]byte, 1))
			d.is("read", err, unix.EBADF)
		}},
		{"write to a descriptor for reading", func(d *Dir) {
			fd := d.open(d.file("x", "c"), unix.O_RDONLY)
			_, err := d.Write(fd, []byte("y"))
			d.is("write", err, unix.EBADF)
		}},
		{"ftruncate of a descriptor for reading", func(d *Dir) {
			fd := d.open(d.file("x", "c"), unix.O_RDONLY)
			d.is("ftruncate", d.Ftruncate(fd, 0), unix.EINVAL)
		}},
		{"read of a directory", func(d *Dir) {
			fd := d.open(d.mkdir("x"), unix.O_RDONLY)
			_, err := d.Read(fd, make([]byte, 1))
			d.is("read", err, unix.EISDIR)
		}},
		{"open with a slash behind a file", func(d *Dir) {
			d.file("x", "")
			_, err := d.Open(d.at("x")+"/", unix.O_RDONLY, 0)
			d.is("open", err, unix.ENOTDIR)
		}},
		{"open below a file", func(d *Dir) {
			d.file("x", "")
			_, err := d.Open(d.at("x/y"), unix.O_CREAT|unix.O_WRONLY, 0o644)
			d.is("open", err, unix.ENOTDIR)
		}},
		{"open in a missing directory", func(d *Dir) {
			_, err := d.Open(d.at("x/y"), unix.O_CREAT|unix.O_WRONLY, 0o644)
			d.is("open", err, unix.ENOENT)
		}},
	}
}
