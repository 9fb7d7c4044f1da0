package pkgindex

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/packagefs/packagefs/pkgindex/format/mkpkg"
	"github.com/packagefs/packagefs/pkgindex/pfs"
	"github.com/packagefs/packagefs/pkgindex/pkgmeta"
	"github.com/packagefs/packagefs/pkgindex/relation"
	"github.com/packagefs/packagefs/pkgindex/version"
)

// many fills dir with n small package files.
func many(b *testing.B, dir string, n int) {
	for i := range n {
		f, err := os.Create(filepath.Join(dir, fmt.Sprintf("p%05d.deb", i)))
		if err != nil {
			b.Fatal(err)
		}
		name := fmt.Sprintf("p%05d", i)
		err = mkpkg.Deb(f, mkpkg.Spec{Name: name, Depends: []string{"p00000 (>= 0)"}, Compression: mkpkg.Plain, Files: []mkpkg.File{
			{Path: "usr/bin/" + name, Body: "x"}, {Path: "usr/share/doc/" + name + "/copyright", Body: "y"},
		}})
		f.Close()
		if err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkOpen starts a store whose packages are indexed already.
func BenchmarkOpen(b *testing.B) {
	const n = 1000
	config := Config{Packages: []string{b.TempDir()}, State: b.TempDir()}
	many(b, config.Packages[0], n)
	s, err := Open(config)
	if err != nil {
		b.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() { s.Run(ctx); close(ended) }()
	if err := s.Settle(ctx); err != nil {
		b.Fatal(err)
	}
	cancel()
	<-ended
	for b.Loop() {
		s, err := Open(config)
		if err != nil {
			b.Fatal(err)
		}
		if len(s.Set().Packages) != n {
			b.Fatal("packages are missing")
		}
		s.Close()
	}
	b.ReportMetric(float64(b.Elapsed().Microseconds())/float64(b.N)/n, "µs/package")
}

// BenchmarkPublish makes a generation that differs by one package from one of
// the size of Debian's archive.
func BenchmarkPublish(b *testing.B) {
	var packages []*Package
	for i := range 60000 {
		packages = append(packages, &Package{Meta: pkgmeta.Meta{
			Ref: pkgmeta.Ref{Name: fmt.Sprintf("p%05d", i), Version: "1.0-1"}, Scheme: version.Debian, Architecture: "amd64", Provides: []relation.Term{{Name: "v"}},
		}})
	}
	set := NewSet(1, packages, nil)
	extra := []*Package{{Meta: pkgmeta.Meta{Ref: pkgmeta.Ref{Name: "p30000", Version: "1.0-2"}, Scheme: version.Debian}}}
	for b.Loop() {
		set.with(extra, nil)
	}
}

// BenchmarkImport reads a package of a thousand files into index and payload.
func BenchmarkImport(b *testing.B) {
	config := Config{Packages: []string{b.TempDir()}, State: b.TempDir()}
	spec := mkpkg.Spec{Name: "big", Compression: mkpkg.Zstd}
	body := make([]byte, 16<<10)
	for i := range 1000 {
		for j := range body {
			body[j] = byte(i * j >> 5)
		}
		spec.Files = append(spec.Files, mkpkg.File{Path: fmt.Sprintf("usr/share/big/%02d/%d", i%20, i), Body: string(body)})
	}
	name := filepath.Join(config.Packages[0], "big.deb")
	f, err := os.Create(name)
	if err != nil {
		b.Fatal(err)
	}
	if err := mkpkg.Deb(f, spec); err != nil {
		b.Fatal(err)
	}
	f.Close()
	info, err := os.Stat(name)
	if err != nil {
		b.Fatal(err)
	}
	s, err := Open(config)
	if err != nil {
		b.Fatal(err)
	}
	defer s.Close()
	b.SetBytes(int64(len(spec.Files) * len(body)))
	for b.Loop() {
		r := &result{job: job{path: name, id: fileID(info)}}
		if s.read(r); r.err != nil {
			b.Fatal(r.err)
		}
	}
}

// BenchmarkImportNative takes over native packages of 20,000 files, of 10 MB
// and of 1 GB, whose contents stay where they are.
func BenchmarkImportNative(b *testing.B) {
	const files = 20_000
	for _, size := range []int{500, 50_000} {
		b.Run(fmt.Sprint(files*size/1_000_000, "MB"), func(b *testing.B) {
			config := Config{Packages: []string{b.TempDir()}, State: b.TempDir()}
			name := filepath.Join(config.Packages[0], "big.pfs")
			f, err := os.Create(name)
			if err != nil {
				b.Fatal(err)
			}
			defer f.Close()
			w, err := pfs.NewWriter(f, []byte("name = 'big'\nversion = '1'\narchitecture = 'all'\n"), pfs.Options{Level: 1})
			if err != nil {
				b.Fatal(err)
			}
			body := make([]byte, size)
			for i := range files {
				for at := 0; at < len(body); at += 100 {
					binary.BigEndian.PutUint32(body[at:], uint32(i*at))
				}
				e := pfs.Entry{Path: fmt.Sprintf("usr/share/big/%03d/file-%05d", i/100, i), Type: pfs.Regular, Mode: 0o644, Size: int64(size), Time: 1700000000}
				if err := w.Add(e, bytes.NewReader(body)); err != nil {
					b.Fatal(err)
				}
			}
			if err := w.Close(); err != nil {
				b.Fatal(err)
			}
			info, err := f.Stat()
			if err != nil {
				b.Fatal(err)
			}
			s, err := Open(config)
			if err != nil {
				b.Fatal(err)
			}
			defer s.Close()
			for b.Loop() {
				if _, _, err := s.importFile(f, info.Size(), fileID(info), origin{}); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
