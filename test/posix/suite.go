package posix

import (
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// A Case is one property.
type Case struct {
	Name string
	Run  func(d *Dir)
}

// A Mount is where cases run.
type Mount struct {
	Path  string // a directory that every user may search
	Other string // the same directory through another mount; Path if there is none

	// System makes the calls; nil is the Linux kernel, as root.
	System System

	// Cannot has the reasons of cases that cannot pass here, by name.
	Cannot map[string]string
}

// A Dir is the directory of one case.
type Dir struct {
	testing.TB
	Calls
	Path  string
	Other string // the same directory as another client has it

	system System
}

// Run runs all cases.
func Run(t *testing.T, m Mount) {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Fatal("the cases act as several users: run them as root")
	}
	if m.System == nil {
		m.System = kernel{}
	}
	me := m.System.Me()
	defer me.Umask(me.Umask(0))
	cases := Cases()
	known := make(map[string]bool)
	for _, c := range cases {
		if known[c.Name] {
			t.Errorf("two cases are named %s", c.Name)
		}
		known[c.Name] = true
		m.run(t, c)
	}
	for name := range m.Cannot {
		if !known[name] {
			t.Errorf("%s cannot pass, but there is no such case", name)
		}
	}
	t.Logf("%d cases", len(cases))
}

func (m Mount) run(t *testing.T, c Case) {
	reason, cannot := m.Cannot[c.Name]
	t.Run(c.Name, func(t *testing.T) {
		name := strings.NewReplacer("/", "-", " ", "_").Replace(c.Name)
		d := &Dir{TB: t, Calls: m.System.Me(), system: m.System, Path: filepath.Join(m.Path, name), Other: filepath.Join(m.Other, name)}
		d.ok(d.Mkdir(d.Path, 0o755))
		if !cannot {
			c.Run(d)
			return
		}
		r := &recorder{TB: t}
		d.TB = r
		done := make(chan struct{})
		go func() { defer close(done); c.Run(d) }()
		<-done
		if !r.failed {
			t.Errorf("it passes; it was not to: %s", reason)
		}
	})
}

// recorder takes failures without failing.
type recorder struct {
	testing.TB
	failed bool
}

func (r *recorder) Errorf(string, ...any) { r.failed = true }
func (r *recorder) Error(...any)          { r.failed = true }
func (r *recorder) Fatalf(string, ...any) { r.failed = true; runtime.Goexit() }
func (r *recorder) Fatal(...any)          { r.failed = true; runtime.Goexit() }
func (r *recorder) Helper()               {}

// at is a path in the directory.
func (d *Dir) at(name string) string { return filepath.Join(d.Path, name) }

// ok fails the case at an error.
func (d *Dir) ok(err error) {
	d.Helper()
	if err != nil {
		d.Fatal(err)
	}
}

// is fails the case unless err is want; nil is success.
func (d *Dir) is(what string, err error, want syscall.Errno) {
	d.Helper()
	if want == 0 && err == nil || want != 0 && errors.Is(err, want) {
		return
	}
	d.Fatalf("%s: %v, want %s", what, err, errnoName(want))
}

func errnoName(e syscall.Errno) string {
	if e == 0 {
		return "success"
	}
	return unix.ErrnoName(e)
}

// equal fails the case unless got is want.
func equal[T comparable](d *Dir, what string, got, want T) {
	d.Helper()
	if got != want {
		d.Errorf("%s is %v, want %v", what, got, want)
	}
}

// file makes a file.
func (d *Dir) file(name, content string) string {
	d.Helper()
	d.ok(writeFile(d, d.at(name), []byte(content), 0o644))
	return d.at(name)
}

func (d *Dir) mkdir(name string) string {
	d.Helper()
	d.ok(d.Mkdir(d.at(name), 0o755))
	return d.at(name)
}

// content fails the case unless a file has that content.
func (d *Dir) content(path, want string) {
	d.Helper()
	b, err := readFile(d, path)
	if err != nil || string(b) != want {
		d.Fatalf("%s has %.60q (%d bytes), %v; want %.60q", filepath.Base(path), b, len(b), err, want)
	}
}

// open opens a file until the case ends.
func (d *Dir) open(path string, flags int) int {
	d.Helper()
	fd, err := d.Open(path, flags|unix.O_CLOEXEC, 0o644)
	if err != nil {
		d.Fatalf("open %s: %v", filepath.Base(path), err)
	}
	d.Cleanup(func() { d.Close(fd) })
	return fd
}

func (d *Dir) stat(path string) unix.Stat_t {
	d.Helper()
	var st unix.Stat_t
	if err := d.Lstat(path, &st); err != nil {
		d.Fatalf("lstat %s: %v", filepath.Base(path), err)
	}
	return st
}

func (d *Dir) fstat(fd int) unix.Stat_t {
	d.Helper()
	var st unix.Stat_t
	if err := d.Fstat(fd, &st); err != nil {
		d.Fatalf("fstat: %v", err)
	}
	return st
}

// gone fails the case if the path is there.
func (d *Dir) gone(path string) {
	d.Helper()
	if err := d.Lstat(path, new(unix.Stat_t)); !errors.Is(err, syscall.ENOENT) {
		d.Fatalf("%s is there (%v)", filepath.Base(path), err)
	}
}

// as runs fn as a user.
func (d *Dir) as(u User, fn func(u Calls) error) error {
	d.Helper()
	return d.system.As(u, fn)
}
