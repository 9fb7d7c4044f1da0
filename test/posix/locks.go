package posix

import (
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// setLock sets a lock of an open file description, which is what other
// descriptors of this process meet as others' locks.
func setLock(d *Dir, fd int, typ int16, start, length int64) error {
	l := unix.Flock_t{Type: typ, Start: start, Len: length}
	return d.FcntlFlock(fd, unix.F_OFD_SETLK, &l)
}

func lockCases() []Case {
	two := func(d *Dir, other string) (int, int) {
		d.file("x", strings.Repeat("x", 100))
		return d.open(d.at("x"), unix.O_RDWR), d.open(other+"/x", unix.O_RDWR)
	}
	table := func(name string, other func(d *Dir) string) []Case {
		return []Case{
			{"lock keeps " + name + " out", func(d *Dir) {
				a, b := two(d, other(d))
				d.ok(setLock(d, a, unix.F_WRLCK, 10, 10))
				d.is("inside", setLock(d, b, unix.F_WRLCK, 15, 1), unix.EAGAIN)
				d.is("to read", setLock(d, b, unix.F_RDLCK, 15, 1), unix.EAGAIN)
				d.ok(setLock(d, b, unix.F_WRLCK, 20, 10))
			}},
			{"lock for reading is shared with " + name, func(d *Dir) {
				a, b := two(d, other(d))
				d.ok(setLock(d, a, unix.F_RDLCK, 0, 0))
				d.ok(setLock(d, b, unix.F_RDLCK, 0, 0))
				d.is("to write", setLock(d, b, unix.F_WRLCK, 0, 0), unix.EAGAIN)
			}},
			{"lock ends for " + name, func(d *Dir) {
				a, b := two(d, other(d))
				d.ok(setLock(d, a, unix.F_WRLCK, 0, 0))
				d.ok(setLock(d, a, unix.F_UNLCK, 0, 0))
				d.ok(setLock(d, b, unix.F_WRLCK, 0, 0))
			}},
			{"lock is split for " + name, func(d *Dir) {
				a, b := two(d, other(d))
				d.ok(setLock(d, a, unix.F_WRLCK, 0, 30))
				d.ok(setLock(d, a, unix.F_UNLCK, 10, 10))
				d.ok(setLock(d, b, unix.F_WRLCK, 10, 10))
				d.is("before", setLock(d, b, unix.F_WRLCK, 9, 1), unix.EAGAIN)
				d.is("behind", setLock(d, b, unix.F_WRLCK, 20, 1), unix.EAGAIN)
			}},
			{"flock keeps " + name + " out", func(d *Dir) {
				a, b := two(d, other(d))
				d.ok(d.Flock(a, unix.LOCK_EX|unix.LOCK_NB))
				d.is("flock", d.Flock(b, unix.LOCK_EX|unix.LOCK_NB), unix.EWOULDBLOCK)
				d.ok(d.Flock(a, unix.LOCK_UN))
				d.ok(d.Flock(b, unix.LOCK_SH|unix.LOCK_NB))
			}},
		}
	}
	cases := table("another descriptor", func(d *Dir) string { return d.Path })
	cases = append(cases, table("another client", func(d *Dir) string { return d.Other })...)
	return append(cases,
		Case{"lock ends with its descriptor", func(d *Dir) {
			d.file("x", "x")
			a, err := d.Open(d.at("x"), unix.O_RDWR|unix.O_CLOEXEC, 0)
			d.ok(err)
			b := d.open(d.Other+"/x", unix.O_RDWR)
			d.ok(setLock(d, a, unix.F_WRLCK, 0, 0))
			d.is("while it is held", setLock(d, b, unix.F_WRLCK, 0, 0), unix.EAGAIN)
			d.Close(a)
			soon(d, "it is free", func() bool { return setLock(d, b, unix.F_WRLCK, 0, 0) == nil })
		}},
		Case{"lock of another is told", func(d *Dir) {
			a, b := two(d, d.Other)
			d.ok(setLock(d, a, unix.F_WRLCK, 3, 4))
			l := unix.Flock_t{Type: unix.F_RDLCK}
			d.ok(d.FcntlFlock(b, unix.F_GETLK, &l))
			if l.Type != unix.F_WRLCK || l.Start != 3 || l.Len != 4 {
				d.Errorf("type %d, start %d, length %d", l.Type, l.Start, l.Len)
			}
			l = unix.Flock_t{Type: unix.F_WRLCK, Start: 7}
			d.ok(d.FcntlFlock(b, unix.F_GETLK, &l))
			equal(d, "type where it is free", l.Type, unix.F_UNLCK)
		}},
		Case{"flock waits", func(d *Dir) {
			a, b := two(d, d.Path)
			d.ok(d.Flock(a, unix.LOCK_EX))
			got := make(chan error, 1)
			go func() { got <- d.Flock(b, unix.LOCK_EX) }()
			select {
			case err := <-got:
				d.Fatalf("it does not wait: %v", err)
			case <-time.After(100 * time.Millisecond):
			}
			d.ok(d.Flock(a, unix.LOCK_UN))
			d.ok(<-got)
		}},
	)
}

func mapCases() []Case {
	return []Case{
		{"map for reading", func(d *Dir) {
			fd := d.open(d.file("x", "mapped"), unix.O_RDONLY)
			m, err := d.Mmap(fd, 0, 6, unix.PROT_READ, unix.MAP_PRIVATE)
			d.ok(err)
			defer unix.Munmap(m)
			equal(d, "content", string(m), "mapped")
		}},
		{"map private is not written", func(d *Dir) {
			fd := d.open(d.file("x", "mapped"), unix.O_RDWR)
			m, err := d.Mmap(fd, 0, 6, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE)
			d.ok(err)
			copy(m, "MAPPED")
			d.ok(unix.Munmap(m))
			d.content(d.at("x"), "mapped")
		}},
		{"map shared is written", func(d *Dir) {
			fd := d.open(d.file("x", strings.Repeat("-", 10_000)), unix.O_RDWR)
			m, err := d.Mmap(fd, 0, 10_000, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
			d.ok(err)
			copy(m[5000:], "mapped")
			d.ok(unix.Msync(m, unix.MS_SYNC))
			d.ok(unix.Munmap(m))
			d.content(d.at("x"), strings.Repeat("-", 5000)+"mapped"+strings.Repeat("-", 10_000-5006))
		}},
		{"program is run", func(d *Dir) {
			path := d.file("x", "#!/bin/sh\nexit 7\n")
			d.ok(d.Chmod(path, 0o755))
			status, err := d.Run(path)
			d.ok(err)
			equal(d, "exit status", status, 7)
		}},
	}
}
