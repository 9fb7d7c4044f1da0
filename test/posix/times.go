package posix

import (
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"
)

// past is a time that nothing has by itself.
var past = unix.Timespec{Sec: 1_234_567_890}

// aged makes a file of the past. It waits until the clock of files has moved
// since.
func aged(d *Dir, path string) unix.Stat_t {
	d.Helper()
	d.ok(d.UtimesNano(path, []unix.Timespec{past, past}, unix.AT_SYMLINK_NOFOLLOW))
	st := d.stat(path)
	probe := filepath.Join(d.TempDir(), "probe") // the clock of files is the kernel's
	for tick := st.Ctim; tick == st.Ctim; time.Sleep(time.Millisecond) {
		d.ok(writeFile(kernel{}, probe, []byte("x"), 0o644))
		var now unix.Stat_t
		d.ok(unix.Stat(probe, &now))
		tick = now.Mtim
	}
	time.Sleep(20 * time.Millisecond) // the clocks of two machines' file systems tick apart
	return st
}

// touched makes a case of a call that changes times.
func touched(name string, mtime, ctime bool, call func(d *Dir, path string)) Case {
	return Case{"times after " + name, func(d *Dir) {
		path := d.file("x", "content")
		before := aged(d, path)
		call(d, path)
		after := d.stat(path)
		if moved := after.Mtim != before.Mtim; moved != mtime {
			d.Errorf("mtime moved: %v, want %v", moved, mtime)
		}
		if moved := after.Ctim != before.Ctim; moved != ctime {
			d.Errorf("ctime moved: %v, want %v", moved, ctime)
		}
	}}
}

func timeCases() []Case {
	return []Case{
		{"times are set to the nanosecond", func(d *Dir) {
			d.file("x", "")
			a, m := unix.Timespec{Sec: 1, Nsec: 2}, unix.Timespec{Sec: 4_000_000_000, Nsec: 999_999_999}
			d.ok(d.UtimesNano(d.at("x"), []unix.Timespec{a, m}, 0))
			st := d.stat(d.at("x"))
			equal(d, "atime", st.Atim, a)
			equal(d, "mtime", st.Mtim, m)
		}},
		{"times of a directory are set", func(d *Dir) {
			d.mkdir("x")
			d.ok(d.UtimesNano(d.at("x"), []unix.Timespec{past, past}, 0))
			equal(d, "mtime", d.stat(d.at("x")).Mtim, past)
		}},
		{"times of a symlink are set", func(d *Dir) {
			d.make("symlink", "x")
			d.ok(d.UtimesNano(d.at("x"), []unix.Timespec{past, past}, unix.AT_SYMLINK_NOFOLLOW))
			equal(d, "mtime", d.stat(d.at("x")).Mtim, past)
			if d.stat(d.at("x.to")).Mtim == past {
				d.Error("the target has the times")
			}
		}},
		{"times are set to now", func(d *Dir) {
			d.file("x", "")
			aged(d, d.at("x"))
			d.ok(d.UtimesNano(d.at("x"), nil, 0))
			if d.stat(d.at("x")).Mtim.Sec < time.Now().Unix()-1000 {
				d.Error("mtime is of the past")
			}
		}},
		{"times are set one by one", func(d *Dir) {
			d.file("x", "")
			d.ok(d.UtimesNano(d.at("x"), []unix.Timespec{past, past}, 0))
			other := unix.Timespec{Sec: 77}
			d.ok(d.UtimesNano(d.at("x"), []unix.Timespec{{Nsec: unix.UTIME_OMIT}, other}, 0))
			st := d.stat(d.at("x"))
			equal(d, "atime", st.Atim, past)
			equal(d, "mtime", st.Mtim, other)
		}},
		{"times through a descriptor", func(d *Dir) {
			fd := d.open(d.file("x", ""), unix.O_RDWR)
			d.ok(d.Futimes(fd, []unix.Timeval{{Sec: 5}, {Sec: 6}}))
			equal(d, "mtime", d.fstat(fd).Mtim.Sec, 6)
		}},
		{"times of the future stay after a write elsewhere", func(d *Dir) {
			d.file("x", "")
			d.file("y", "")
			d.ok(d.UtimesNano(d.at("x"), []unix.Timespec{past, past}, 0))
			d.ok(writeFile(d, d.at("y"), []byte("z"), 0))
			equal(d, "mtime", d.stat(d.at("x")).Mtim, past)
		}},
		touched("write", true, true, func(d *Dir, path string) { d.ok(writeFile(d, path, []byte("more than before"), 0)) }),
		touched("truncate", true, true, func(d *Dir, path string) { d.ok(d.Truncate(path, 2)) }),
		touched("chmod", false, true, func(d *Dir, path string) { d.ok(d.Chmod(path, 0o600)) }),
		touched("chown", false, true, func(d *Dir, path string) { d.ok(d.Chown(path, 7001, 7001)) }),
		touched("link", false, true, func(d *Dir, path string) { d.ok(d.Link(path, path+"2")) }),
		touched("stat", false, false, func(d *Dir, path string) { d.stat(path) }),
		{"times of a directory after a new name", func(d *Dir) {
			d.mkdir("x")
			before := aged(d, d.at("x"))
			d.file("x/f", "")
			if d.stat(d.at("x")).Mtim == before.Mtim {
				d.Error("mtime stays")
			}
		}},
		{"times of a directory after a removal", func(d *Dir) {
			d.mkdir("x")
			d.file("x/f", "")
			before := aged(d, d.at("x"))
			d.ok(d.Unlink(d.at("x/f")))
			if d.stat(d.at("x")).Mtim == before.Mtim {
				d.Error("mtime stays")
			}
		}},
	}
}
