package format

import (
	"archive/tar"
	"bytes"
	"errors"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"

	"github.com/packagefs/packagefs/pkgindex/format/mkpkg"
	"github.com/packagefs/packagefs/pkgindex/pkgmeta"
)

// samples are small package files, by name: ours in each format and compression
// and those of other programs.
func samples(t testing.TB) map[string][]byte {
	t.Helper()
	all := make(map[string][]byte)
	for name := range formats {
		all[name] = write(t, name, mkpkg.Spec{Name: "sample", Files: []mkpkg.File{
			{Path: "usr/bin/x", Mode: 0o755, Body: "#!/bin/sh\n"}, {Path: "usr/bin/y", HardLink: "usr/bin/x", Mode: 0o755},
			{Path: "usr/bin/z", Target: "x"}, {Path: "etc/x.conf", Body: "a=1\n", Conffile: true},
		}})
	}
	files, err := filepath.Glob("testdata/packages/*[bkztm]")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		// bzip2 takes long to begin with.
		if filepath.Ext(file) == ".txt" || strings.Contains(file, "bzip2") {
			continue
		}
		if all[filepath.Base(file)], err = os.ReadFile(file); err != nil {
			t.Fatal(err)
		}
	}
	if len(all) < len(formats)+6 {
		t.Fatalf("only %d samples", len(all))
	}
	return all
}

// TestTruncated cuts package files short at every length. The error says so;
// only the last byte may be mere padding.
func TestTruncated(t *testing.T) {
	for name, data := range samples(t) {
		whole, err := readBytes(t, name, data, Limits{})
		if err != nil {
			t.Error(err)
			continue
		}
		for n := range data {
			r, err := readBytes(t, name, data[:n], Limits{})
			switch {
			case err == nil && r.String() != whole.String():
				t.Errorf("%s cut to %d of %d bytes is read, and differs", name, n, len(data))
			case err == nil && n < len(data)-1:
				t.Errorf("%s cut to %d of %d bytes is read", name, n, len(data))
			case err != nil && !strings.Contains(err.Error(), "is it still being copied?"):
				t.Errorf("%s cut to %d of %d bytes: %v", name, n, len(data), err)
			}
		}
	}
}

// TestDamaged changes one byte at a time. The reader notices, or reads what it
// would have read.
func TestDamaged(t *testing.T) {
	for name, data := range samples(t) {
		whole, err := readBytes(t, name, data, Limits{})
		if err != nil {
			t.Error(err)
			continue
		}
		damaged := bytes.Clone(data)
		for i := range data {
			damaged[i] ^= 0x11
			r, err := readBytes(t, name, damaged, Limits{})
			// No checksum covers the headers of an archive that is not compressed.
			if err == nil && r.String() != whole.String() && name != "x.pkg.tar" && name != "plain.deb" {
				t.Errorf("%s with byte %d changed is read, and differs", name, i)
			}
			damaged[i] = data[i]
		}
	}
}

// TestStillCopied: a file that got its size before its content.
func TestStillCopied(t *testing.T) {
	for name, data := range samples(t) {
		for _, n := range []int{0, 100, len(data) / 2} {
			partly := make([]byte, len(data)+4096)
			copy(partly, data[:n])
			if _, err := readBytes(t, name, partly, Limits{}); err == nil {
				t.Errorf("%s with zeros behind %d bytes is read", name, n)
			} else if n == 0 && !strings.Contains(err.Error(), "still being copied") {
				t.Error(err)
			}
		}
	}
}

// zeros reads as n zeros.
func zeros(n int64) io.Reader { return io.LimitReader(zeroReader{}, n) }

type zeroReader struct{}

func (zeroReader) Read(p []byte) (int, error) {
	clear(p)
	return len(p), nil
}

// bomb is a data.tar with one file of n zeros, compressed.
func bomb(t testing.TB, kind string, n int64) []byte {
	t.Helper()
	var b bytes.Buffer
	var z io.WriteCloser
	var err error
	if kind == ".gz" {
		z = gzip.NewWriter(&b)
	} else if z, err = zstd.NewWriter(&b, zstd.WithEncoderConcurrency(1)); err != nil {
		t.Fatal(err)
	}
	tw := tar.NewWriter(z)
	if err := tw.WriteHeader(&tar.Header{Name: "zeros", Size: n, Mode: 0o644}); err != nil {
		t.Fatal(err)
	}
	if _, err := io.Copy(tw, zeros(n)); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(tw.Close(), z.Close()); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

var plainControl = []string{"control", "Package: x\nVersion: 1\nArchitecture: all\n"}

// TestBombs: a small package file that unpacks to very much is refused before
// it does.
func TestBombs(t *testing.T) {
	const size = 200 * mib
	// It is one file of 100 MiB of zeros, by tar and xz -9e.
	xzBomb, err := os.ReadFile("testdata/bomb.tar.xz")
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name string
		data []byte
	}{
		{"data.tar.zst", bomb(t, ".zst", size)},
		{"data.tar.gz", bomb(t, ".gz", size)},
		{"data.tar.xz", xzBomb},
	} {
		limits := Limits{}
		if strings.HasSuffix(c.name, ".gz") {
			limits.Ratio = 500 // gzip cannot do more than 1032
		}
		sink := &countingSink{}
		deb := debOf(t, tarOf(t, plainControl...), c.name, c.data)
		err := Read(bytes.NewReader(deb), int64(len(deb)), "x.deb", limits, sink)
		if err == nil || !strings.Contains(err.Error(), "decompression bomb") {
			t.Errorf("%s of %d bytes: %v", c.name, len(c.data), err)
		}
		if sink.n > 160*mib {
			t.Errorf("%s: the sink got %d bytes of it", c.name, sink.n)
		}
	}
}

// countingSink counts bytes.
type countingSink struct{ n int64 }

func (*countingSink) Start(pkgmeta.Meta) error { return nil }
func (s *countingSink) Add(_ pkgmeta.Entry, content io.Reader) error {
	if content == nil {
		return nil
	}
	n, err := io.Copy(io.Discard, content)
	s.n += n
	return err
}

// TestBombInPieces: many files count together, and so does what is behind the
// archive's end.
func TestBombInPieces(t *testing.T) {
	limits := Limits{Ratio: 1, RatioFloor: 100_000}
	var files []mkpkg.File
	for i := range 20 {
		files = append(files, mkpkg.File{Path: "f" + string(rune('a'+i)), Body: strings.Repeat("x", 10_000)})
	}
	for _, name := range []string{"x.deb", "x.apk", "x.pkg.tar.zst"} {
		_, err := readBytes(t, name, write(t, name, mkpkg.Spec{Files: files}), limits)
		if err == nil || !strings.Contains(err.Error(), "decompression bomb") {
			t.Errorf("%s: %v", name, err)
		}
	}
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	if _, err := io.Copy(z, io.MultiReader(bytes.NewReader(tarOf(t, "f", "x")), zeros(mib))); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	_, err := readBytes(t, "x.deb", debOf(t, tarOf(t, plainControl...), "data.tar.gz", b.Bytes()), limits)
	if err == nil || !strings.Contains(err.Error(), "decompression bomb") {
		t.Errorf("padding: %v", err)
	}
}

// TestWindow: a decompressor that would keep too much is refused.
func TestWindow(t *testing.T) {
	var b bytes.Buffer
	z, err := zstd.NewWriter(&b, zstd.WithWindowSize(8*mib), zstd.WithEncoderConcurrency(1))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.Copy(z, io.MultiReader(bytes.NewReader(tarOf(t, "f", "x")), zeros(9*mib))); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	xz, err := os.ReadFile("testdata/packages/dpkg-xz.deb") // 8 MiB too
	if err != nil {
		t.Fatal(err)
	}
	zst := debOf(t, tarOf(t, plainControl...), "data.tar.zst", b.Bytes())
	for _, deb := range [][]byte{zst, xz} {
		if _, err := readBytes(t, "x.deb", deb, Limits{Window: 8 * mib}); err != nil {
			t.Error(err)
		}
		_, err := readBytes(t, "x.deb", deb, Limits{Window: 4 * mib})
		if err == nil || !strings.Contains(err.Error(), "would keep more than 4 MiB") {
			t.Errorf("window: %v", err)
		}
	}
}

// TestLimits meets each limit that is not met elsewhere.
func TestLimits(t *testing.T) {
	files := []mkpkg.File{{Path: "usr/bin/x", Body: "x"}, {Path: "usr/bin/y", Body: "y"}}
	for _, c := range []struct {
		limits Limits
		want   string
	}{
		{Limits{Members: 3}, "more than 3 members"},
		{Limits{Control: 10}, "10 is the most"},
		{Limits{Checksums: 10}, "10 is the most"},
		{Limits{Paths: 20}, "more than 20 bytes"},
		{Limits{Path: 8}, "8 is the most"},
		{Limits{Name: 2}, "2 is the most"},
	} {
		for _, name := range []string{"x.deb", "x.apk", "x.pkg.tar.zst"} {
			if name == "x.apk" && c.limits.Checksums != 0 {
				continue // has no list of checksums
			}
			_, err := readBytes(t, name, write(t, name, mkpkg.Spec{Files: files}), c.limits)
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("%s: %+v: %v", name, c.limits, err)
			}
		}
	}
}

// TestMemory: a long archive does not take memory for its content.
func TestMemory(t *testing.T) {
	deb := debOf(t, tarOf(t, plainControl...), "data.tar.zst", bomb(t, ".zst", 60*mib))
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	err := Read(bytes.NewReader(deb), int64(len(deb)), "x.deb", Limits{}, &countingSink{})
	runtime.ReadMemStats(&after)
	if err != nil {
		t.Fatal(err)
	}
	if used := after.TotalAlloc - before.TotalAlloc; used > 24*mib {
		t.Errorf("%d bytes allocated to read 60 MiB", used)
	}
}
