package posix

import (
	"fmt"
	"syscall"

	"golang.org/x/sys/unix"
)

// callCases make one call on one kind.
func callCases() []Case {
	calls := map[string]func(c Calls, path string) error{
		"mkdir":    func(c Calls, p string) error { return c.Mkdir(p, 0o755) },
		"rmdir":    Calls.Rmdir,
		"unlink":   Calls.Unlink,
		"symlink":  func(c Calls, p string) error { return c.Symlink("to", p) },
		"mkfifo":   func(c Calls, p string) error { return c.Mkfifo(p, 0o644) },
		"readlink": func(c Calls, p string) error { _, err := c.Readlink(p); return err },
		"chmod":    func(c Calls, p string) error { return c.Chmod(p, 0o600) },
		"stat":     func(c Calls, p string) error { return c.Stat(p, new(unix.Stat_t)) },
	}
	table := []struct {
		call, kind string
		want       syscall.Errno
	}{
		{"mkdir", "nothing", 0}, {"mkdir", "file", unix.EEXIST}, {"mkdir", "directory", unix.EEXIST}, {"mkdir", "dangling symlink", unix.EEXIST},
		{"rmdir", "nothing", unix.ENOENT}, {"rmdir", "file", unix.ENOTDIR}, {"rmdir", "directory", 0},
		{"rmdir", "full directory", unix.ENOTEMPTY}, {"rmdir", "symlink", unix.ENOTDIR}, {"rmdir", "fifo", unix.ENOTDIR},
		{"unlink", "nothing", unix.ENOENT}, {"unlink", "file", 0}, {"unlink", "directory", unix.EISDIR}, {"unlink", "full directory", unix.EISDIR},
		{"unlink", "symlink", 0}, {"unlink", "dangling symlink", 0}, {"unlink", "fifo", 0}, {"unlink", "socket", 0},
		{"symlink", "nothing", 0}, {"symlink", "file", unix.EEXIST}, {"symlink", "directory", unix.EEXIST}, {"symlink", "symlink", unix.EEXIST},
		{"mkfifo", "nothing", 0}, {"mkfifo", "file", unix.EEXIST}, {"mkfifo", "fifo", unix.EEXIST},
		{"readlink", "nothing", unix.ENOENT}, {"readlink", "file", unix.EINVAL}, {"readlink", "directory", unix.EINVAL},
		{"readlink", "symlink", 0}, {"readlink", "loop", 0}, {"readlink", "fifo", unix.EINVAL},
		{"chmod", "nothing", unix.ENOENT}, {"chmod", "file", 0}, {"chmod", "directory", 0}, {"chmod", "fifo", 0}, {"chmod", "socket", 0},
		{"chmod", "dangling symlink", unix.ENOENT}, {"chmod", "loop", unix.ELOOP},
		{"stat", "nothing", unix.ENOENT}, {"stat", "dangling symlink", unix.ENOENT}, {"stat", "loop", unix.ELOOP}, {"stat", "socket", 0},
	}
	var cases []Case
	for _, c := range table {
		cases = append(cases, Case{fmt.Sprintf("%s of %s", c.call, c.kind), func(d *Dir) {
			d.make(c.kind, "x")
			d.is(c.call, calls[c.call](d, d.at("x")), c.want)
		}})
	}
	return append(cases,
		Case{"rmdir of dot", func(d *Dir) { d.is("rmdir", d.Rmdir(d.mkdir("x")+"/."), unix.EINVAL) }},
		Case{"rmdir of dot dot", func(d *Dir) { d.is("rmdir", d.Rmdir(d.mkdir("x")+"/.."), unix.ENOTEMPTY) }},
		Case{"device cannot be made", func(d *Dir) {
			if err := d.Mknod(d.at("x"), unix.S_IFCHR|0o666, int(unix.Mkdev(1, 3))); err == nil {
				d.Error("a device is made")
			}
		}},
	)
}
