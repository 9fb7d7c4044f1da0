package harness

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"testing"
)

// A Stock is package files that a server has indexed, for other servers to begin
// with: reading them anew would be most of the work of many tests.
type Stock struct {
	Dir string // with the directories packages and state
}

// NewStock has a server index package files, in a directory below Scratch.
func NewStock(t testing.TB, name string, files ...string) Stock {
	t.Helper()
	k := Stock{filepath.Join(Scratch(), name)}
	s := ServerDir(t, Program(t), k.Dir)
	if err := CopyFiles(s.Packages, files...); err != nil {
		t.Fatal(err)
	}
	s.StartIndexed(t)
	CheckAllInstalled(t, s, len(files))
	if err := s.Stop(); err != nil {
		t.Fatal(err)
	}
	return k
}

// Files are the package files.
func (k Stock) Files() ([]string, error) {
	return filepath.Glob(filepath.Join(k.Dir, "packages/*"))
}

// Lend gives package files of the stock to a server that does not run yet, with what
// was made of them: a server knows a package file by its inode, size and time, and
// then by its bytes. It writes into an index, so that it has a copy; payloads are
// never written to.
func (k Stock) Lend(s *Server, files ...string) error {
	index, payload := filepath.Join(s.State, "index"), filepath.Join(s.State, "payload")
	for _, dir := range []string{index, payload} {
		if err := os.MkdirAll(dir, 0o700); err != nil {
			return err
		}
	}
	for _, file := range files {
		file = filepath.Join(k.Dir, "packages", filepath.Base(file))
		info, err := os.Stat(file)
		if err != nil {
			return err
		}
		made := fmt.Sprintf("%x-*", info.Sys().(*syscall.Stat_t).Ino)
		indexes, _ := filepath.Glob(filepath.Join(k.Dir, "state/index", made))
		payloads, _ := filepath.Glob(filepath.Join(k.Dir, "state/payload", made))
		if len(indexes) != 1 || len(payloads) != 1 {
			return fmt.Errorf("of %s there are %q and %q, want one of each", file, indexes, payloads)
		}
		if err := errors.Join(os.Link(file, filepath.Join(s.Packages, filepath.Base(file))), CopyFiles(index, indexes...),
			os.Link(payloads[0], filepath.Join(payload, filepath.Base(payloads[0])))); err != nil {
			return err
		}
	}
	return nil
}

// CheckAllInstalled fails unless a server has n package files, all of them
// installed.
func CheckAllInstalled(t testing.TB, s *Server, n int) {
	t.Helper()
	listed, err := s.List()
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range listed {
		if p.State != "installed" {
			t.Errorf("%s was set aside: %s", p.File, p.Reason)
		}
	}
	if len(listed) != n {
		t.Errorf("%d package files are listed, want %d", len(listed), n)
	}
}
