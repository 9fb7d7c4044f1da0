package pfs

import (
	"bytes"
	"io"
	"testing"

	"github.com/containerd/stargz-snapshotter/estargz"
	"github.com/containerd/stargz-snapshotter/estargz/zstdchunked"
)

// TestEStargz: the reader of zstd:chunked finds every file.
func TestEStargz(t *testing.T) {
	data := write(t, Options{}, samples())
	r, err := estargz.Open(io.NewSectionReader(bytes.NewReader(data), 0, int64(len(data))),
		estargz.WithDecompressors(new(zstdchunked.Decompressor)))
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range append(samples(), file(MetadataPath, testMetadata)) {
		e, ok := r.Lookup(s.Path)
		if !ok {
			t.Errorf("%s is not there", s.Path)
			continue
		}
		if s.Type == HardLink {
			if e.Name != s.Target {
				t.Errorf("%s is a link to %s, want %s", s.Path, e.Name, s.Target)
			}
			continue
		}
		if e.Type != string(s.Type) || e.Mode != int64(s.Mode) || e.UID != int(s.UID) || e.GID != int(s.GID) || e.LinkName != s.Target || e.Size != s.Size {
			t.Errorf("%+v\nis %+v", s.Entry, e)
		}
		if s.Path != MetadataPath && e.ModTime().Unix() != s.Time {
			t.Errorf("%s is from %v, want %d", s.Path, e.ModTime(), s.Time)
		}
		for name, value := range s.Xattrs {
			if string(e.Xattrs[name]) != value {
				t.Errorf("%s has %s = %q", s.Path, name, e.Xattrs[name])
			}
		}
		if s.Type != Regular {
			continue
		}
		f, err := r.OpenFile(s.Path)
		if err != nil {
			t.Errorf("%s: %v", s.Path, err)
			continue
		}
		for off := int64(0); off < s.Size; off += max(chunkBytes/2, 1) {
			got := make([]byte, min(1000, s.Size-off))
			if _, err := f.ReadAt(got, off); err != nil || string(got) != s.body[off:][:len(got)] {
				t.Errorf("%s at %d: %v", s.Path, off, err)
			}
		}
	}
}
