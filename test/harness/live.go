package harness

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// LivePackages are the package files for CheckLive: versions 1 and 2 of one
// package, and one of 1,000 files. All put their files below usr/share/NAME.
type LivePackages struct {
	Old, New string // usr/share/live/version holds "1" and "2"; each has a file of its own, only-1 and only-2
	Many     string // usr/share/thousand/0 and 1
}

// CheckLive changes the package directory under two mounts of "all", which show
// each change without a remount. In the second one a file is held open: it
// stays readable. (In one mount, the kernel's client keeps to the name of an
// open file.)
func CheckLive(t *testing.T, s *Server, at, held string, p LivePackages) {
	in := func(name string) string { return filepath.Join(at, "usr/share", name) }
	present := func(name string) func() error {
		return func() error { _, err := os.Lstat(in(name)); return err }
	}
	absent := func(name string) func() error {
		return func() error {
			if _, err := os.Lstat(in(name)); !errors.Is(err, fs.ErrNotExist) {
				return fmt.Errorf("%s: %v, want that it is gone", name, err)
			}
			return nil
		}
	}
	if err := absent("live")(); err != nil {
		t.Fatal(err)
	}

	drop(t, s, p.Old)
	WaitFor(t, "a new package to show", present("live/version"))
	open, err := os.Open(filepath.Join(held, "usr/share/live/version"))
	if err != nil {
		t.Fatal(err)
	}
	defer open.Close()

	drop(t, s, p.New)
	WaitFor(t, "the new version to show", present("live/only-2"))
	WaitFor(t, "the new version's content", func() error { return Holds(in("live/version"), "2") })

	remove(t, s, p.Old)
	WaitFor(t, "the old version to go", absent("live/only-1"))
	buf := make([]byte, 10)
	if n, err := open.ReadAt(buf, 0); string(buf[:n]) != "1" {
		t.Errorf("an open file of a removed package reads %q, %v, want 1", buf[:n], err)
	}
	if info, err := open.Stat(); err != nil || info.Size() != 1 {
		t.Errorf("an open file of a removed package: stat: %v", err)
	}

	remove(t, s, p.New)
	WaitFor(t, "the package to go", absent("live"))
	checkThousand(t, s, in("thousand"), p.Many)
}

func Holds(file, want string) error {
	got, err := os.ReadFile(file)
	if err == nil && string(got) != want {
		err = fmt.Errorf("%s holds %q, want %q", file, got, want)
	}
	return err
}

// checkThousand copies a package of 1,000 files in, as cp does, and reports
// how long it takes until a mounted client sees all of them.
func checkThousand(t *testing.T, s *Server, dir, file string) {
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(s.Packages, filepath.Base(file)), data, 0o644); err != nil {
		t.Fatal(err)
	}
	start := time.Now()
	WaitFor(t, "1,000 files to show", func() error {
		names := 0
		for _, sub := range []string{"0", "1"} {
			entries, err := os.ReadDir(filepath.Join(dir, sub))
			if err != nil {
				return err
			}
			names += len(entries)
		}
		if names != 1000 {
			t.Fatalf("%d of 1,000 files show: a package must show whole or not at all", names)
		}
		return nil
	})
	t.Logf("1,000 files of a package show %v after it was copied in", time.Since(start).Round(time.Millisecond))
}

func drop(t *testing.T, s *Server, file string) {
	t.Helper()
	if err := CopyFiles(s.Packages, file); err != nil {
		t.Fatal(err)
	}
}

func remove(t *testing.T, s *Server, file string) {
	t.Helper()
	if err := os.Remove(filepath.Join(s.Packages, filepath.Base(file))); err != nil {
		t.Fatal(err)
	}
}
