package posix

import (
	"fmt"
	"sync"

	"golang.org/x/sys/unix"
)

func dirCases() []Case {
	return []Case{
		{"directory is made with its mode", func(d *Dir) {
			d.ok(d.Mkdir(d.at("x"), 0o1751))
			equal(d, "mode", d.stat(d.at("x")).Mode, unix.S_IFDIR|0o1751)
		}},
		{"directory is made with the umask", func(d *Dir) {
			defer d.Umask(d.Umask(0o077))
			d.ok(d.Mkdir(d.at("x"), 0o777))
			equal(d, "mode", d.stat(d.at("x")).Mode&07777, 0o700)
		}},
		{"directory counts the directories in it", func(d *Dir) {
			d.mkdir("x")
			equal(d, "nlink of an empty one", d.stat(d.at("x")).Nlink, 2)
			d.mkdir("x/a")
			d.mkdir("x/b")
			soon(d, "nlink 4", func() bool { return d.stat(d.at("x")).Nlink == 4 })
			d.ok(d.Rmdir(d.at("x/a")))
			soon(d, "nlink 3", func() bool { return d.stat(d.at("x")).Nlink == 3 })
		}},
		{"directory is removed", func(d *Dir) {
			d.ok(d.Rmdir(d.mkdir("x")))
			d.gone(d.at("x"))
		}},
		{"directory is removed and made again", func(d *Dir) {
			for range 5 {
				d.mkdir("x")
				d.file("x/f", "c")
				d.ok(d.Unlink(d.at("x/f")))
				d.ok(d.Rmdir(d.at("x")))
			}
			d.mkdir("x")
			d.gone(d.at("x/f"))
		}},
		{"directory that was removed takes no names", func(d *Dir) {
			fd := d.open(d.mkdir("x"), unix.O_RDONLY|unix.O_DIRECTORY)
			d.ok(d.Rmdir(d.at("x")))
			_, err := d.Openat(fd, "f", unix.O_CREAT|unix.O_WRONLY, 0o644)
			if err == nil {
				d.Error("a file is made in it")
			}
		}},
		{"directory lists what is in it", func(d *Dir) {
			for _, k := range kinds {
				k.make(d, k.name)
			}
			types := map[string]uint8{
				"file": unix.DT_REG, "directory": unix.DT_DIR, "full directory": unix.DT_DIR, "symlink": unix.DT_LNK, "symlink.to": unix.DT_REG,
				"dangling symlink": unix.DT_LNK, "loop": unix.DT_LNK, "fifo": unix.DT_FIFO, "socket": unix.DT_SOCK,
			}
			list, err := readDir(d, d.Path)
			d.ok(err)
			equal(d, "entries", len(list), len(types))
			for _, e := range list {
				if want, ok := types[e.Name]; !ok || e.Type != want {
					d.Errorf("%s has type %v, want %v (%v)", e.Name, e.Type, want, ok)
				}
			}
		}},
		{"directory lists the inode numbers that stat tells", func(d *Dir) {
			for i := range 20 {
				d.file(fmt.Sprint(i), "")
			}
			list, err := readDir(d, d.Path)
			d.ok(err)
			equal(d, "entries", len(list), 20)
			for _, e := range list {
				equal(d, e.Name, e.Ino, d.stat(d.at(e.Name)).Ino)
			}
		}},
		{"directory of 5000 names", func(d *Dir) {
			for i := range 5000 {
				d.ok(d.Mknod(d.at(fmt.Sprintf("name-%05d", i)), unix.S_IFREG|0o644, 0))
			}
			list, err := readDir(d, d.Path)
			d.ok(err)
			for i, e := range list {
				if e.Name != fmt.Sprintf("name-%05d", i) {
					d.Fatalf("entry %d is %s", i, e.Name)
				}
			}
			equal(d, "entries", len(list), 5000)
		}},
		{"directory is read while it changes", readWhileChanging},
		{"directory is read again from the start", func(d *Dir) {
			d.file("a", "")
			fd := d.open(d.Path, unix.O_RDONLY|unix.O_DIRECTORY)
			first := d.rest(fd)
			d.file("b", "")
			d.ok(d.Rewind(fd))
			equal(d, "entries", fmt.Sprint(len(first), len(d.rest(fd))), "1 2")
		}},
		{"directory is filled by many at once", func(d *Dir) {
			var wg sync.WaitGroup
			for g := range 8 {
				wg.Go(func() {
					for i := range 25 {
						if err := writeFile(d, d.at(fmt.Sprintf("%d-%d", g, i)), nil, 0o644); err != nil {
							d.Error(err)
						}
					}
				})
			}
			wg.Wait()
			list, err := readDir(d, d.Path)
			d.ok(err)
			equal(d, "entries", len(list), 200)
		}},
		{"one of many makes a name", func(d *Dir) {
			var wg sync.WaitGroup
			won := make(chan int, 16)
			for range 16 {
				wg.Go(func() {
					fd, err := d.Open(d.at("x"), unix.O_CREAT|unix.O_EXCL|unix.O_WRONLY, 0o644)
					if err == nil {
						won <- fd
					}
				})
			}
			wg.Wait()
			close(won)
			n := 0
			for fd := range won {
				d.Close(fd)
				n++
			}
			equal(d, "who made it", n, 1)
		}},
		{"one of two clients makes a name", func(d *Dir) {
			d.mkdir("x")
			d.ok(writeFile(d, d.Other+"/x/f", nil, 0o644))
			soon(d, "the other client cannot", func() bool {
				return d.Mkdir(d.at("x/f"), 0o755) == unix.EEXIST
			})
		}},
		{"tree is removed", func(d *Dir) {
			for i := range 10 {
				d.ok(mkdirAll(d, d.at(fmt.Sprintf("t/%d/%d", i%3, i)), 0o755))
				d.file(fmt.Sprintf("t/%d/%d/f", i%3, i), "c")
			}
			d.ok(removeAll(d, d.at("t")))
			d.gone(d.at("t"))
		}},
		{"statfs", func(d *Dir) {
			var st unix.Statfs_t
			d.ok(d.Statfs(d.Path, &st))
			equal(d, "namelen", st.Namelen, 255)
			if st.Bsize <= 0 || st.Blocks == 0 || st.Bfree > st.Blocks || st.Bavail > st.Bfree {
				d.Errorf("%+v", st)
			}
		}},
	}
}

// rest reads a directory to its end.
func (d *Dir) rest(fd int) (all []Entry) {
	d.Helper()
	for {
		some, err := d.Getdents(fd)
		d.ok(err)
		if len(some) == 0 {
			return all
		}
		all = append(all, some...)
	}
}

// readWhileChanging makes and removes names beside those that stay: these are
// listed exactly once each.
func readWhileChanging(d *Dir) {
	const stay = 500
	for i := range stay {
		d.file(fmt.Sprintf("stay-%d", i), "")
	}
	fd := d.open(d.Path, unix.O_RDONLY|unix.O_DIRECTORY)
	seen := make(map[string]int)
	for i := 0; ; i++ {
		d.file(fmt.Sprintf("new-%d", i), "")
		if i > 0 {
			d.ok(d.Unlink(d.at(fmt.Sprintf("new-%d", i-1))))
		}
		some, err := d.Getdents(fd)
		d.ok(err)
		if len(some) == 0 {
			break
		}
		for _, e := range some {
			seen[e.Name]++
		}
	}
	for i := range stay {
		if n := seen[fmt.Sprintf("stay-%d", i)]; n != 1 {
			d.Errorf("stay-%d is listed %d times", i, n)
		}
	}
}
