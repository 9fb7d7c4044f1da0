package posix

import (
	"fmt"
	"os"
	"path/filepath"
	"sync"

	"golang.org/x/sys/unix"
)

func dirCases() []Case {
	return []Case{
		{"directory is made with its mode", func(d *Dir) {
			d.ok(unix.Mkdir(d.at("x"), 0o1751))
			equal(d, "mode", d.stat(d.at("x")).Mode, unix.S_IFDIR|0o1751)
		}},
		{"directory is made with the umask", func(d *Dir) {
			defer unix.Umask(unix.Umask(0o077))
			d.ok(unix.Mkdir(d.at("x"), 0o777))
			equal(d, "mode", d.stat(d.at("x")).Mode&07777, 0o700)
		}},
		{"directory counts the directories in it", func(d *Dir) {
			d.mkdir("x")
			equal(d, "nlink of an empty one", d.stat(d.at("x")).Nlink, 2)
			d.mkdir("x/a")
			d.mkdir("x/b")
			soon(d, "nlink 4", func() bool { return d.stat(d.at("x")).Nlink == 4 })
			d.ok(unix.Rmdir(d.at("x/a")))
			soon(d, "nlink 3", func() bool { return d.stat(d.at("x")).Nlink == 3 })
		}},
		{"directory is removed", func(d *Dir) {
			d.ok(unix.Rmdir(d.mkdir("x")))
			d.gone(d.at("x"))
		}},
		{"directory is removed and made again", func(d *Dir) {
			for range 5 {
				d.mkdir("x")
				d.file("x/f", "c")
				d.ok(unix.Unlink(d.at("x/f")))
				d.ok(unix.Rmdir(d.at("x")))
			}
			d.mkdir("x")
			d.gone(d.at("x/f"))
		}},
		{"directory that was removed takes no names", func(d *Dir) {
			fd := d.open(d.mkdir("x"), unix.O_RDONLY|unix.O_DIRECTORY)
			d.ok(unix.Rmdir(d.at("x")))
			_, err := unix.Openat(fd, "f", unix.O_CREAT|unix.O_WRONLY, 0o644)
			if err == nil {
				d.Error("a file is made in it")
			}
		}},
		{"directory lists what is in it", func(d *Dir) {
			for _, k := range kinds {
				k.make(d, k.name)
			}
			types := map[string]os.FileMode{
				"file": 0, "directory": os.ModeDir, "full directory": os.ModeDir, "symlink": os.ModeSymlink, "symlink.to": 0,
				"dangling symlink": os.ModeSymlink, "loop": os.ModeSymlink, "fifo": os.ModeNamedPipe, "socket": os.ModeSocket,
			}
			list, err := os.ReadDir(d.Path)
			d.ok(err)
			equal(d, "entries", len(list), len(types))
			for _, e := range list {
				if want, ok := types[e.Name()]; !ok || e.Type() != want {
					d.Errorf("%s has type %v, want %v (%v)", e.Name(), e.Type(), want, ok)
				}
			}
		}},
		{"directory lists the inode numbers that stat tells", func(d *Dir) {
			for i := range 20 {
				d.file(fmt.Sprint(i), "")
			}
			for name, ino := range inodes(d, d.Path) {
				equal(d, name, ino, d.stat(d.at(name)).Ino)
			}
		}},
		{"directory of 5000 names", func(d *Dir) {
			for i := range 5000 {
				d.ok(unix.Mknod(d.at(fmt.Sprintf("name-%05d", i)), unix.S_IFREG|0o644, 0))
			}
			list, err := os.ReadDir(d.Path)
			d.ok(err)
			for i, e := range list {
				if e.Name() != fmt.Sprintf("name-%05d", i) {
					d.Fatalf("entry %d is %s", i, e.Name())
				}
			}
			equal(d, "entries", len(list), 5000)
		}},
		{"directory is read while it changes", readWhileChanging},
		{"directory is read again from the start", func(d *Dir) {
			d.file("a", "")
			f, err := os.Open(d.Path)
			d.ok(err)
			defer f.Close()
			first, err := f.Readdirnames(-1)
			d.ok(err)
			d.file("b", "")
			_, err = f.Seek(0, 0)
			d.ok(err)
			again, err := f.Readdirnames(-1)
			d.ok(err)
			equal(d, "entries", fmt.Sprint(len(first), len(again)), "1 2")
		}},
		{"directory is filled by many at once", func(d *Dir) {
			var wg sync.WaitGroup
			for g := range 8 {
				wg.Go(func() {
					for i := range 25 {
						if err := os.WriteFile(d.at(fmt.Sprintf("%d-%d", g, i)), nil, 0o644); err != nil {
							d.Error(err)
						}
					}
				})
			}
			wg.Wait()
			list, err := os.ReadDir(d.Path)
			d.ok(err)
			equal(d, "entries", len(list), 200)
		}},
		{"one of many makes a name", func(d *Dir) {
			var wg sync.WaitGroup
			won := make(chan int, 16)
			for range 16 {
				wg.Go(func() {
					fd, err := unix.Open(d.at("x"), unix.O_CREAT|unix.O_EXCL|unix.O_WRONLY, 0o644)
					if err == nil {
						won <- fd
					}
				})
			}
			wg.Wait()
			close(won)
			n := 0
			for fd := range won {
				unix.Close(fd)
				n++
			}
			equal(d, "who made it", n, 1)
		}},
		{"one of two clients makes a name", func(d *Dir) {
			d.mkdir("x")
			d.ok(os.WriteFile(d.Other+"/x/f", nil, 0o644))
			soon(d, "the other client cannot", func() bool {
				return unix.Mkdir(d.at("x/f"), 0o755) == unix.EEXIST
			})
		}},
		{"tree is removed", func(d *Dir) {
			for i := range 10 {
				d.ok(os.MkdirAll(d.at(fmt.Sprintf("t/%d/%d", i%3, i)), 0o755))
				d.file(fmt.Sprintf("t/%d/%d/f", i%3, i), "c")
			}
			d.ok(os.RemoveAll(d.at("t")))
			d.gone(d.at("t"))
		}},
		{"statfs", func(d *Dir) {
			var st unix.Statfs_t
			d.ok(unix.Statfs(d.Path, &st))
			equal(d, "namelen", st.Namelen, 255)
			if st.Bsize <= 0 || st.Blocks == 0 || st.Bfree > st.Blocks || st.Bavail > st.Bfree {
				d.Errorf("%+v", st)
			}
		}},
	}
}

// inodes lists a directory with the numbers that it has itself.
func inodes(d *Dir, path string) map[string]uint64 {
	fd := d.open(path, unix.O_RDONLY|unix.O_DIRECTORY)
	all := make(map[string]uint64)
	buf := make([]byte, 32<<10)
	for {
		n, err := unix.ReadDirent(fd, buf)
		d.ok(err)
		if n == 0 {
			return all
		}
		for b := buf[:n]; len(b) > 0; {
			size := int(b[16]) | int(b[17])<<8
			name := b[19:size]
			for i, c := range name {
				if c == 0 {
					name = name[:i]
					break
				}
			}
			if s := string(name); s != "." && s != ".." {
				var ino uint64
				for i := 7; i >= 0; i-- {
					ino = ino<<8 | uint64(b[i])
				}
				all[s] = ino
			}
			b = b[size:]
		}
	}
}

// readWhileChanging makes and removes names beside those that stay: these are
// listed exactly once each.
func readWhileChanging(d *Dir) {
	const stay = 500
	for i := range stay {
		d.file(fmt.Sprintf("stay-%d", i), "")
	}
	f, err := os.Open(d.Path)
	d.ok(err)
	defer f.Close()
	seen := make(map[string]int)
	for i := 0; ; i++ {
		d.file(fmt.Sprintf("new-%d", i), "")
		if i > 0 {
			d.ok(os.Remove(filepath.Join(d.Path, fmt.Sprintf("new-%d", i-1))))
		}
		names, err := f.Readdirnames(20)
		if len(names) == 0 {
			break
		}
		d.ok(err)
		for _, n := range names {
			seen[n]++
		}
	}
	for i := range stay {
		if n := seen[fmt.Sprintf("stay-%d", i)]; n != 1 {
			d.Errorf("stay-%d is listed %d times", i, n)
		}
	}
}
