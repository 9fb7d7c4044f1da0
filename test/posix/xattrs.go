package posix

import (
	"fmt"
	"slices"
	"strings"

	"golang.org/x/sys/unix"
)

// xattr reads an attribute.
func xattr(c Calls, path, name string) (string, error) {
	buf := make([]byte, 64<<10)
	n, err := c.Lgetxattr(path, name, buf)
	return string(buf[:max(n, 0)]), err
}

func xattrCases() []Case {
	return []Case{
		{"xattr is set and read", func(d *Dir) {
			path := d.file("x", "")
			d.ok(d.Setxattr(path, "user.a", []byte("value"), 0))
			got, err := xattr(d, path, "user.a")
			d.ok(err)
			equal(d, "value", got, "value")
		}},
		{"xattr that is missing", func(d *Dir) {
			_, err := xattr(d, d.file("x", ""), "user.none")
			d.is("getxattr", err, unix.ENODATA)
		}},
		{"xattr is replaced and removed", func(d *Dir) {
			path := d.file("x", "")
			d.ok(d.Setxattr(path, "user.a", []byte("one"), 0))
			d.ok(d.Setxattr(path, "user.a", []byte("second"), unix.XATTR_REPLACE))
			got, err := xattr(d, path, "user.a")
			d.ok(err)
			equal(d, "value", got, "second")
			d.ok(d.Removexattr(path, "user.a"))
			_, err = xattr(d, path, "user.a")
			d.is("getxattr", err, unix.ENODATA)
			d.is("removexattr", d.Removexattr(path, "user.a"), unix.ENODATA)
		}},
		{"xattr flags", func(d *Dir) {
			path := d.file("x", "")
			d.is("replace", d.Setxattr(path, "user.a", []byte("v"), unix.XATTR_REPLACE), unix.ENODATA)
			d.ok(d.Setxattr(path, "user.a", []byte("v"), unix.XATTR_CREATE))
			d.is("create", d.Setxattr(path, "user.a", []byte("v"), unix.XATTR_CREATE), unix.EEXIST)
		}},
		{"xattr list", func(d *Dir) {
			path := d.file("x", "")
			for i := range 5 {
				d.ok(d.Setxattr(path, fmt.Sprintf("user.n%d", i), []byte("v"), 0))
			}
			buf := make([]byte, 1000)
			n, err := d.Listxattr(path, buf)
			d.ok(err)
			names := strings.Split(strings.TrimSuffix(string(buf[:n]), "\x00"), "\x00")
			names = slices.DeleteFunc(names, func(n string) bool { return !strings.HasPrefix(n, "user.") })
			slices.Sort(names)
			equal(d, "list", strings.Join(names, " "), "user.n0 user.n1 user.n2 user.n3 user.n4")
		}},
		{"xattr of 2000 bytes", func(d *Dir) {
			path, value := d.file("x", ""), strings.Repeat("v", 2000)
			d.ok(d.Setxattr(path, "user.big", []byte(value), 0))
			got, err := xattr(d, path, "user.big")
			if err != nil || got != value {
				d.Errorf("%d bytes, %v", len(got), err)
			}
		}},
		{"xattr into too small a buffer", func(d *Dir) {
			path := d.file("x", "")
			d.ok(d.Setxattr(path, "user.a", []byte("value"), 0))
			_, err := d.Getxattr(path, "user.a", make([]byte, 2))
			d.is("getxattr", err, unix.ERANGE)
			n, err := d.Getxattr(path, "user.a", nil)
			d.ok(err)
			equal(d, "length", n, 5)
		}},
		{"xattr of a directory", func(d *Dir) {
			path := d.mkdir("x")
			d.ok(d.Setxattr(path, "user.a", []byte("v"), 0))
			got, err := xattr(d, path, "user.a")
			d.ok(err)
			equal(d, "value", got, "v")
		}},
		{"xattr without write", func(d *Dir) {
			path := d.file("x", "")
			d.is("setxattr", d.as(ben, func(u Calls) error { return u.Setxattr(path, "user.a", []byte("v"), 0) }), unix.EACCES)
		}},
		{"xattr stays over a rename", func(d *Dir) {
			path := d.file("x", "")
			d.ok(d.Setxattr(path, "user.a", []byte("v"), 0))
			d.ok(d.Rename(path, d.at("y")))
			got, err := xattr(d, d.at("y"), "user.a")
			d.ok(err)
			equal(d, "value", got, "v")
		}},
	}
}
