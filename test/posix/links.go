package posix

import (
	"strings"

	"golang.org/x/sys/unix"
)

func linkCases() []Case {
	return []Case{
		{"link is another name", func(d *Dir) {
			d.file("a", "c")
			d.ok(d.Link(d.at("a"), d.at("b")))
			a, b := d.stat(d.at("a")), d.stat(d.at("b"))
			equal(d, "inode", b.Ino, a.Ino)
			equal(d, "nlink", a.Nlink, 2)
			equal(d, "nlink", b.Nlink, 2)
			d.content(d.at("b"), "c")
		}},
		{"link counts names", func(d *Dir) {
			fd := d.open(d.file("a", ""), unix.O_RDONLY)
			d.ok(d.Link(d.at("a"), d.at("b")))
			d.ok(d.Link(d.at("b"), d.at("c")))
			equal(d, "nlink", d.fstat(fd).Nlink, 3)
			d.ok(d.Unlink(d.at("a")))
			equal(d, "nlink", d.stat(d.at("b")).Nlink, 2)
			d.ok(d.Unlink(d.at("b")))
			equal(d, "nlink", d.stat(d.at("c")).Nlink, 1)
			equal(d, "nlink of the open file", d.fstat(fd).Nlink, 1)
		}},
		{"link shows what is written through the other name", func(d *Dir) {
			d.file("a", "old")
			d.ok(d.Link(d.at("a"), d.at("b")))
			d.ok(writeFile(d, d.at("b"), []byte("new"), 0))
			d.content(d.at("a"), "new")
			d.ok(d.Chmod(d.at("a"), 0o600))
			equal(d, "mode", d.stat(d.at("b")).Mode&0o777, 0o600)
		}},
		{"link over a name", func(d *Dir) {
			d.file("a", "")
			d.file("b", "")
			d.is("link", d.Link(d.at("a"), d.at("b")), unix.EEXIST)
		}},
		{"link to nothing", func(d *Dir) { d.is("link", d.Link(d.at("a"), d.at("b")), unix.ENOENT) }},
		{"link to a directory", func(d *Dir) { d.is("link", d.Link(d.mkdir("a"), d.at("b")), unix.EPERM) }},
		{"link to a symlink", func(d *Dir) {
			d.make("dangling symlink", "a")
			d.ok(d.Link(d.at("a"), d.at("b")))
			equal(d, "inode", d.stat(d.at("b")).Ino, d.stat(d.at("a")).Ino)
		}},
		{"link in another directory", func(d *Dir) {
			d.mkdir("x")
			d.file("a", "c")
			d.ok(d.Link(d.at("a"), d.at("x/b")))
			d.ok(d.Unlink(d.at("a")))
			d.content(d.at("x/b"), "c")
		}},
		{"link to a fifo", func(d *Dir) {
			d.make("fifo", "a")
			d.ok(d.Link(d.at("a"), d.at("b")))
			equal(d, "nlink", d.stat(d.at("a")).Nlink, 2)
		}},
		{"symlink keeps its target", func(d *Dir) {
			for _, target := range []string{"x", "../..", "/absolute/path", "with blank", strings.Repeat("t", 255), strings.Repeat("long/", 800)} {
				d.ok(d.Symlink(target, d.at("l")))
				got, err := d.Readlink(d.at("l"))
				if err != nil || got != target {
					d.Errorf("target of %d bytes reads %.40q, %v", len(target), got, err)
				}
				equal(d, "size", d.stat(d.at("l")).Size, int64(len(target)))
				d.ok(d.Unlink(d.at("l")))
			}
		}},
		{"symlink is followed", func(d *Dir) {
			d.mkdir("x")
			d.file("x/f", "c")
			d.ok(d.Symlink("x", d.at("l")))
			d.content(d.at("l/f"), "c")
			d.ok(writeFile(d, d.at("l/g"), []byte("new"), 0o644))
			d.content(d.at("x/g"), "new")
		}},
		{"symlink of no target", func(d *Dir) { d.is("symlink", d.Symlink("", d.at("l")), unix.ENOENT) }},
		{"symlink of 4096 bytes", func(d *Dir) {
			d.is("symlink", d.Symlink(strings.Repeat("t", 4096), d.at("l")), unix.ENAMETOOLONG)
		}},
	}
}
