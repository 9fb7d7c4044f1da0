package posix

import (
	"errors"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// renameMatrix renames each kind over each other.
func renameMatrix() []Case {
	var cases []Case
	for _, from := range []string{"nothing", "file", "directory", "full directory", "symlink", "dangling symlink", "fifo", "socket"} {
		for _, to := range []string{"nothing", "file", "directory", "full directory", "symlink", "fifo"} {
			cases = append(cases, Case{"rename " + from + " over " + to, func(d *Dir) { renameOver(d, from, to) }})
		}
	}
	return cases
}

func renameOver(d *Dir, from, to string) {
	d.make(from, "a")
	d.make(to, "b")
	var before unix.Stat_t
	if from != "nothing" {
		before = d.stat(d.at("a"))
	}
	err := d.Rename(d.at("a"), d.at("b"))
	isDir := func(kind string) bool { return strings.HasSuffix(kind, "directory") }
	var want syscall.Errno
	switch {
	case from == "nothing":
		want = unix.ENOENT
	case to == "nothing":
	case isDir(from) && !isDir(to):
		want = unix.ENOTDIR
	case !isDir(from) && isDir(to):
		want = unix.EISDIR
	case to == "full directory":
		want = unix.ENOTEMPTY
	}
	d.is("rename", err, want)
	if want != 0 {
		if from != "nothing" {
			equal(d, "inode", d.stat(d.at("a")).Ino, before.Ino)
		}
		return
	}
	d.gone(d.at("a"))
	after := d.stat(d.at("b"))
	equal(d, "inode", after.Ino, before.Ino)
	equal(d, "mode", after.Mode, before.Mode)
	switch from {
	case "file":
		d.content(d.at("b"), "content of a")
	case "full directory":
		d.content(d.at("b/inside"), "")
	}
}

func renameCases() []Case {
	return []Case{
		{"rename to another directory", func(d *Dir) {
			d.mkdir("a")
			d.mkdir("b")
			d.file("a/x", "c")
			d.ok(d.Rename(d.at("a/x"), d.at("b/y")))
			d.content(d.at("b/y"), "c")
			d.gone(d.at("a/x"))
		}},
		{"rename of a directory to another directory", func(d *Dir) {
			d.mkdir("a")
			d.mkdir("a/x")
			d.file("a/x/f", "c")
			d.mkdir("b")
			d.ok(d.Rename(d.at("a/x"), d.at("b/y")))
			d.content(d.at("b/y/f"), "c")
			equal(d, "..", d.stat(d.at("b/y/..")).Ino, d.stat(d.at("b")).Ino)
		}},
		{"rename into itself", func(d *Dir) {
			d.mkdir("a")
			d.is("rename", d.Rename(d.at("a"), d.at("a/b")), unix.EINVAL)
		}},
		{"rename deep into itself", func(d *Dir) {
			d.mkdir("a")
			d.mkdir("a/b")
			d.is("rename", d.Rename(d.at("a"), d.at("a/b/c")), unix.EINVAL)
		}},
		{"rename over its parent", func(d *Dir) {
			d.mkdir("a")
			d.mkdir("a/b")
			d.is("rename", d.Rename(d.at("a/b"), d.at("a")), unix.ENOTEMPTY)
		}},
		{"rename to itself", func(d *Dir) {
			d.file("a", "c")
			d.ok(d.Rename(d.at("a"), d.at("a")))
			d.content(d.at("a"), "c")
		}},
		{"rename over another name of the file", func(d *Dir) {
			d.file("a", "c")
			d.ok(d.Link(d.at("a"), d.at("b")))
			d.ok(d.Rename(d.at("a"), d.at("b")))
			d.content(d.at("a"), "c") // POSIX: nothing is done
			d.content(d.at("b"), "c")
		}},
		{"rename of dot", func(d *Dir) {
			d.mkdir("a")
			d.is("rename", d.Rename(d.at("a")+"/.", d.at("b")), unix.EBUSY)
		}},
		{"rename of an open file", func(d *Dir) {
			fd := d.open(d.file("a", "abc"), unix.O_RDWR)
			d.ok(d.Rename(d.at("a"), d.at("b")))
			_, err := d.Pwrite(fd, []byte("X"), 1)
			d.ok(err)
			d.content(d.at("b"), "aXc")
		}},
		{"rename above an open file", func(d *Dir) {
			d.mkdir("a")
			fd := d.open(d.file("a/f", "abc"), unix.O_RDWR)
			d.ok(d.Rename(d.at("a"), d.at("b")))
			_, err := d.Pwrite(fd, []byte("X"), 1)
			d.ok(err)
			d.content(d.at("b/f"), "aXc")
		}},
		{"rename of an open directory", func(d *Dir) {
			d.mkdir("a")
			fd := d.open(d.at("a"), unix.O_RDONLY|unix.O_DIRECTORY)
			d.ok(d.Rename(d.at("a"), d.at("b")))
			f, err := d.Openat(fd, "new", unix.O_CREAT|unix.O_WRONLY, 0o644)
			d.ok(err)
			d.Close(f)
			d.content(d.at("b/new"), "")
		}},
		{"rename there and back", func(d *Dir) {
			d.mkdir("a")
			d.file("a/f", "c")
			for range 10 {
				d.ok(d.Rename(d.at("a"), d.at("b")))
				d.ok(d.Rename(d.at("b"), d.at("a")))
			}
			d.content(d.at("a/f"), "c")
		}},
		{"rename exchanging names by a third", func(d *Dir) {
			d.file("a", "1")
			d.file("b", "2")
			d.ok(d.Rename(d.at("a"), d.at("t")))
			d.ok(d.Rename(d.at("b"), d.at("a")))
			d.ok(d.Rename(d.at("t"), d.at("b")))
			d.content(d.at("a"), "2")
			d.content(d.at("b"), "1")
		}},
		{"rename changes times of the directories", func(d *Dir) {
			d.mkdir("a")
			d.mkdir("b")
			d.file("a/x", "")
			past := []unix.Timespec{{Sec: 1_000_000}, {Sec: 1_000_000}}
			for _, name := range []string{"a", "b"} {
				d.ok(d.UtimesNano(d.at(name), past, 0))
			}
			d.ok(d.Rename(d.at("a/x"), d.at("b/x")))
			for _, name := range []string{"a", "b"} {
				if d.stat(d.at(name)).Mtim.Sec == 1_000_000 {
					d.Errorf("mtime of %s stays", name)
				}
			}
		}},
		{"rename to a name of 255 bytes", func(d *Dir) {
			d.file("a", "c")
			d.ok(d.Rename(d.at("a"), d.at(strings.Repeat("n", 255))))
			d.content(d.at(strings.Repeat("n", 255)), "c")
		}},
		{"rename to a name of 256 bytes", func(d *Dir) {
			d.file("a", "c")
			d.is("rename", d.Rename(d.at("a"), d.at(strings.Repeat("n", 256))), unix.ENAMETOOLONG)
		}},
		{"rename without replacing", func(d *Dir) {
			d.file("a", "1")
			d.file("b", "2")
			d.is("renameat2", d.Renameat2(d.at("a"), d.at("b"), unix.RENAME_NOREPLACE), unix.EEXIST)
			d.content(d.at("b"), "2")
		}},
		{"rename without replacing anything", func(d *Dir) {
			d.file("a", "1")
			d.ok(d.Renameat2(d.at("a"), d.at("b"), unix.RENAME_NOREPLACE))
			d.content(d.at("b"), "1")
		}},
		{"rename with exchange", func(d *Dir) {
			d.file("a", "1")
			d.file("b", "2")
			d.ok(d.Renameat2(d.at("a"), d.at("b"), unix.RENAME_EXCHANGE))
			d.content(d.at("a"), "2")
			d.content(d.at("b"), "1")
		}},
		{"rename seen by another client", func(d *Dir) {
			d.file("a", "1")
			d.content(d.Other+"/a", "1")
			d.ok(d.Rename(d.at("a"), d.at("b")))
			soon(d, "the new name is there and the old one gone", func() bool {
				oldErr := d.Lstat(d.Other+"/a", new(unix.Stat_t))
				got, err := readFile(d, d.Other+"/b")
				return errors.Is(oldErr, unix.ENOENT) && err == nil && string(got) == "1"
			})
		}},
	}
}
