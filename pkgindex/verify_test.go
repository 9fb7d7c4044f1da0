package pkgindex_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// only returns the one file of a folder of the state directory.
func (s *shop) only(folder string) string {
	s.Helper()
	files, err := filepath.Glob(filepath.Join(s.state, folder, "*."+folder))
	s.must(err)
	if len(files) != 1 {
		s.Fatalf("%s: %q", folder, files)
	}
	return files[0]
}

// TestVerifyAndRepair damages what was unpacked in every place.
func TestVerifyAndRepair(t *testing.T) {
	s := newShop(t)
	s.write("a.deb", deb(t, hello("1", "one")))
	s.expect("live", "hello=1")
	verify := func() string {
		t.Helper()
		damages, err := s.store.Set().Packages[0].Verify(context.Background())
		s.must(err)
		return fmt.Sprint(damages)
	}
	flip := func(at int64) func(string) {
		return func(file string) {
			f, err := os.OpenFile(file, os.O_RDWR, 0)
			s.must(err)
			defer f.Close()
			b := make([]byte, 1)
			_, err = f.ReadAt(b, at)
			s.must(err)
			b[0] ^= 1
			_, err = f.WriteAt(b, at)
			s.must(err)
		}
	}
	if got := verify(); got != "[]" {
		t.Errorf("whole: %s", got)
	}
	info, err := os.Stat(s.only("index"))
	s.must(err)
	for _, c := range []struct {
		folder, want string
		do           func(file string)
	}{
		{"payload", "[{usr/bin/hello its content does not match its digest}]", flip(1)},
		{"payload", "[{usr/bin/hello its content has 1 bytes of 3}]", func(f string) { s.must(os.Truncate(f, 1)) }},
		{"payload", "its contents cannot be read", func(f string) { s.must(os.Remove(f)) }},
		{"index", "index is corrupt", flip(info.Size() - 1)},
		{"index", "index is corrupt", flip(9)},
		{"index", "no such file", func(f string) { s.must(os.Remove(f)) }},
	} {
		c.do(s.only(c.folder))
		if got := verify(); !strings.Contains(got, c.want) {
			t.Errorf("%s: %s, want %s", c.folder, got, c.want)
		}
		s.must(s.store.Repair(s.store.Set().Packages[0]))
		settled := make(chan error, 1)
		go func() { settled <- s.store.Settle(context.Background()) }()
		for done := false; !done; { // it is there all the time
			select {
			case err := <-settled:
				s.must(err)
				done = true
			case <-time.After(time.Millisecond):
			}
			if n := len(s.store.Set().Packages); n != 1 {
				t.Fatalf("%s: %d packages while it is repaired", c.folder, n)
			}
		}
		if got := verify(); got != "[]" {
			t.Errorf("%s, repaired: %s", c.folder, got)
		}
		if got := s.read("hello", "usr/bin/hello"); got != "one" {
			t.Errorf("%s, repaired: it has %q", c.folder, got)
		}
	}
}
