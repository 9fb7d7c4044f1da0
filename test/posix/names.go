package posix

import (
	"strings"

	"golang.org/x/sys/unix"
)

// nameCases make, find and remove names of every sort.
func nameCases() []Case {
	table := []struct{ what, name string }{
		{"of 255 bytes", strings.Repeat("n", 255)},
		{"of 255 bytes of UTF-8", strings.Repeat("ü", 127) + "x"},
		{"that is no UTF-8", "a\xff\xfe"},
		{"with a newline", "a\nb"},
		{"with a leading dash", "-rf"},
		{"with a leading dot", ".hidden"},
		{"of three dots", "..."},
		{"with blanks", " a b "},
		{"with a backslash", `a\b`},
		{"with a colon and an equals sign", "a:b=c"},
		{"that looks like overlayfs's", ".wh.x"},
	}
	var cases []Case
	for _, c := range table {
		cases = append(cases, Case{"name " + c.what, func(d *Dir) {
			d.file(c.name, "content")
			d.content(d.Path+"/"+c.name, "content")
			list, err := readDir(d, d.Path)
			if err != nil || len(list) != 1 || list[0].Name != c.name {
				d.Fatalf("the directory has %v, %v", list, err)
			}
			d.ok(d.Rename(d.Path+"/"+c.name, d.at("other")))
			d.ok(d.Rename(d.at("other"), d.Path+"/"+c.name))
			d.ok(d.Unlink(d.Path + "/" + c.name))
			d.gone(d.Path + "/" + c.name)
		}})
	}
	return append(cases,
		Case{"name of 256 bytes", func(d *Dir) {
			name := d.Path + "/" + strings.Repeat("n", 256)
			_, err := d.Open(name, unix.O_CREAT|unix.O_WRONLY, 0o644)
			d.is("open", err, unix.ENAMETOOLONG)
			d.is("mkdir", d.Mkdir(name, 0o755), unix.ENAMETOOLONG)
			d.is("symlink", d.Symlink("x", name), unix.ENAMETOOLONG)
			d.is("stat", d.Stat(name, new(unix.Stat_t)), unix.ENAMETOOLONG)
		}},
		Case{"names differ by case", func(d *Dir) {
			d.file("name", "lower")
			d.file("NAME", "upper")
			d.content(d.at("name"), "lower")
		}},
		Case{"names in a deep directory", func(d *Dir) {
			path := "d"
			for range 40 {
				d.mkdir(path)
				path += "/d"
			}
			d.file(path, "deep")
			d.content(d.at(path), "deep")
		}},
	)
}
