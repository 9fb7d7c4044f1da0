package pkgindex_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"hash/crc32"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/packagefs/packagefs/pkgindex"
	"github.com/packagefs/packagefs/pkgindex/format/mkpkg"
	"golang.org/x/sys/unix"
)

func native(t *testing.T, spec mkpkg.Spec) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := mkpkg.Pfs(&b, spec); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// noise does not compress, so that every byte of a package file matters.
func noise(size int) string {
	b := make([]byte, size)
	random := rand.NewChaCha8([32]byte{1})
	random.Read(b)
	return string(b)
}

// large is a native package of 12 MiB, whose contents are not verified before it
// is live.
func large(t *testing.T) []byte {
	return native(t, mkpkg.Spec{Name: "large", Version: "1", Files: []mkpkg.File{
		{Path: "usr/share/a", Body: noise(6 << 20)}, {Path: "usr/share/b", Body: noise(6 << 20)},
	}})
}

// TestNativeInPlace: nothing of a native package is unpacked, and it goes with
// its file, but not for who has it open.
func TestNativeInPlace(t *testing.T) {
	s := newShop(t)
	s.write("a.pfs", large(t))
	s.expect("copied in", "large=1")
	if s.read("large", "usr/share/a") != noise(6<<20) {
		t.Error("other content")
	}
	if size := s.stateSize(); size > 100<<10 {
		t.Errorf("the state directory has %d bytes", size)
	}
	s.must(os.Rename(s.path("a.pfs"), s.path("b.pfs")))
	s.expect("renamed", "large=1")
	if s.read("large", "usr/share/b") != noise(6<<20) {
		t.Error("other content behind a rename")
	}
	payload, off := s.payload("large", "usr/share/a")
	defer payload.Close()
	s.must(os.Remove(s.path("b.pfs")))
	s.expect("removed", "")
	b := make([]byte, 6<<20)
	if _, err := payload.ReadAt(b, off); err != nil || string(b) != noise(6<<20) {
		t.Errorf("open when it was removed: %v", err)
	}
	if size := s.stateSize(); size != 0 {
		t.Errorf("%d bytes are left", size)
	}
}

// payload opens the contents of a package, and tells where a file is in them.
func (s *shop) payload(name, path string) (*pkgindex.Payload, int64) {
	s.Helper()
	p := s.store.Set().Named(name)[0]
	layers, err := p.Layers()
	s.must(err)
	ino, ok := layers[0].Lookup(path)
	if !ok {
		s.Fatalf("%s has no %s", name, path)
	}
	payload, err := p.Payload()
	s.must(err)
	return payload, layers[0].Offset(ino)
}

// stateSize is how many bytes index and payload directory have.
func (s *shop) stateSize() (size int64) {
	for _, dir := range []string{"index", "payload"} {
		entries, err := os.ReadDir(s.state + "/" + dir)
		s.must(err)
		for _, e := range entries {
			info, err := e.Info()
			s.must(err)
			size += info.Size()
		}
	}
	return size
}

// TestNativeSmallDamage: a small package with a wrong byte is never live.
func TestNativeSmallDamage(t *testing.T) {
	s := newShop(t)
	data := native(t, mkpkg.Spec{Name: "small", Files: []mkpkg.File{{Path: "usr/a", Body: noise(100 << 10)}}})
	data[len(data)/2] ^= 1
	s.write("small.pfs", data)
	s.expect("copied in", "!small.pfs")
	s.restart()
	s.expect("after a restart", "!small.pfs")
}

// TestNativeLargeDamage: a large package with a wrong byte is live at first, the
// byte is never read, and the package is set aside for good.
func TestNativeLargeDamage(t *testing.T) {
	s := newShop(t)
	data := large(t)
	data[len(data)/2] ^= 1
	s.write("large.pfs", data)
	s.await("it is set aside", func() bool { return s.stock() == "!large.pfs" })
	s.expect("verified", "!large.pfs")
	if reason := s.store.Set().Rejected[0].Reason; !strings.Contains(reason, "frame") || !strings.Contains(reason, "fetch or build") {
		t.Errorf("reason: %s", reason)
	}
	s.restart()
	s.expect("after a restart", "!large.pfs")
	s.write("large.pfs", large(t))
	s.expect("mended", "large=1")
}

func (s *shop) await(what string, done func() bool) {
	s.Helper()
	for deadline := time.Now().Add(time.Minute); !done(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			s.Fatalf("after a minute: not so that %s", what)
		}
	}
}

// TestNativeRot: a package file that changes behind the server's back is marked,
// what changed is not served, and the rest is.
func TestNativeRot(t *testing.T) {
	s := &shop{T: t, dir: t.TempDir(), state: t.TempDir()}
	told := make(chan pkgindex.FileDamage, 10)
	s.onDamage = func(d pkgindex.FileDamage) { told <- d }
	s.start()
	data := native(t, mkpkg.Spec{Name: "small", Version: "1", Files: []mkpkg.File{
		{Path: "usr/a", Body: noise(2 << 20)}, {Path: "usr/b", Body: noise(300 << 10)},
	}})
	s.write("small.pfs", data)
	s.expect("copied in", "small=1")
	payload, off := s.payload("small", "usr/a")
	defer payload.Close()
	s.rot("small.pfs", 100<<10)

	b := make([]byte, 1)
	for range 2 {
		if _, err := payload.ReadAt(b, off); !errors.Is(err, syscall.EIO) {
			t.Errorf("damaged content: %v", err)
		}
	}
	if s.read("small", "usr/b") != noise(300<<10) {
		t.Error("other content")
	}
	p := s.store.Set().Named("small")[0]
	if p.Damage() == "" || len(told) != 1 {
		t.Errorf("damage %q, told %d times", p.Damage(), len(told))
	}
	damages, err := p.Verify(context.Background())
	if err != nil || len(damages) != 1 || damages[0].Path != "usr/a" {
		t.Errorf("verified: %+v, %v", damages, err)
	}
	if d := <-told; d.Ref != p.Ref || d.File != "small.pfs" || !strings.Contains(d.Reason, "fetch or build") {
		t.Errorf("told %q, %q, %q", d.Ref, d.File, d.Reason)
	}
	for range 2 {
		s.restart()
		s.expect("after a restart", "small=1")
		if s.store.Set().Named("small")[0].Damage() == "" {
			t.Error("after a restart there is no mark")
		}
		if s.read("small", "usr/b") != noise(300<<10) {
			t.Error("other content after a restart")
		}
	}
	s.must(os.Remove(s.path("small.pfs")))
	s.write("small.pfs", data)
	s.expect("mended", "small=1")
	if damage := s.store.Set().Named("small")[0].Damage(); damage != "" {
		t.Errorf("mended, and marked: %s", damage)
	}
}

// rot changes a byte of the only package file and leaves no trace of it, as a disk
// does: nobody is told, and the index agrees with the time of the file's change.
func (s *shop) rot(name string, at int64) {
	s.Helper()
	unseen := filepath.Join(s.TempDir(), name)
	s.must(os.Link(s.path(name), unseen))
	f, err := os.OpenFile(unseen, os.O_RDWR, 0)
	s.must(err)
	info, err := f.Stat()
	s.must(err)
	b := make([]byte, 1)
	_, err = f.ReadAt(b, at)
	s.must(err)
	b[0] ^= 1
	_, err = f.WriteAt(b, at)
	s.must(err)
	s.must(os.Chtimes(f.Name(), info.ModTime(), info.ModTime()))
	s.must(f.Close())
	s.must(os.Remove(unseen))
	var st unix.Stat_t
	s.must(unix.Stat(s.path(name), &st))
	index, err := os.ReadFile(s.only("index"))
	s.must(err)
	le := binary.LittleEndian
	le.PutUint64(index[72:], uint64(st.Ctim.Nano()))
	le.PutUint32(index[12:], crc32.Checksum(index[16:144+le.Uint32(index[32:])], crc32.MakeTable(crc32.Castagnoli)))
	s.must(os.WriteFile(s.only("index"), index, 0o600))
}

// TestNativeTableLost: what the state directory has is made again, and the
// package is there meanwhile.
func TestNativeTableLost(t *testing.T) {
	for what, harm := range map[string]func(file string) error{
		"removed": os.Remove,
		"other": func(file string) error {
			table, err := os.ReadFile(file)
			if err != nil {
				return err
			}
			table[len(table)/2] ^= 1
			return os.WriteFile(file, table, 0o600)
		},
	} {
		s := newShop(t)
		s.write("a.pfs", native(t, mkpkg.Spec{Name: "small", Version: "1", Files: []mkpkg.File{{Path: "usr/a", Body: "a"}}}))
		s.expect("copied in", "small=1")
		s.must(harm(s.only("payload")))
		p := s.store.Set().Named("small")[0]
		if _, err := p.Payload(); err == nil {
			t.Errorf("%s: a table that is not what was written is used", what)
		}
		s.must(s.store.Repair(p)) // while it is being repaired
		s.await("the table is made again", func() bool {
			all := s.store.Set().Named("small")
			if len(all) != 1 {
				t.Fatalf("%s: the package is gone meanwhile", what)
			}
			payload, err := all[0].Payload()
			if err == nil {
				payload.Close()
			}
			return err == nil
		})
		s.expect(what, "small=1")
		if got := s.read("small", "usr/a"); got != "a" {
			t.Errorf("%s: got %q", what, got)
		}
	}
}
