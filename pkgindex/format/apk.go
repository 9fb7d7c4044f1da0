package format

import (
	"archive/tar"
	"bufio"
	"bytes"
	"crypto/sha1"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"strings"

	"github.com/packagefs/packagefs/pkgindex/pkgmeta"
)

// An .apk of version 2 is two or more gzip streams one behind the other, each
// of a tar archive: signatures (optional), control (.PKGINFO and scripts), and
// data. .PKGINFO has the SHA-256 of the data stream as it is compressed; the
// PAX headers of the data have the SHA-1 of each file.

const apkSum = "APK-TOOLS.checksum.SHA1"

// hidden holds for paths that neither apk nor pacman puts into the tree:
// metadata and scripts.
func hidden(path string) bool { return strings.HasPrefix(path, ".") }

// isApk tells an .apk from an Arch package that is compressed by gzip.
func (p *packageFile) isApk() (bool, error) {
	br := bufio.NewReaderSize(p.section(0, p.size), 64*kib)
	u, err := unpackOne(br, p.size, p.limits)
	if err != nil {
		return false, err
	}
	defer u.close()
	apk, decided := false, false
	err = eachMember(u, p.limits, func(name string, h *tar.Header, r io.Reader) error {
		switch {
		case strings.HasPrefix(name, ".SIGN."):
			apk, decided = true, true
		case name == ".BUILDINFO" || name == ".MTREE" || !hidden(name):
			decided = true
		case name == ".PKGINFO":
			text, err := readMetadata(r, h, p.limits.Control)
			if err != nil {
				return err
			}
			apk = bytes.Contains(text, []byte("\ndatahash = "))
			decided = apk || bytes.Contains(text, []byte("\npkgbase = "))
		}
		if decided {
			return errStop
		}
		return nil
	})
	if err != nil || decided {
		return apk, err
	}
	_, err = br.Peek(1)
	return err == nil, nil
}

func (p *packageFile) readApk() error {
	control, off, err := p.apkControl()
	if err != nil {
		return err
	}
	meta, datahash, err := apkMeta(control)
	if err != nil {
		return err
	}
	if err := p.start(meta); err != nil {
		return err
	}
	if off >= p.size {
		return fmt.Errorf("it ends behind its control segment: %w", io.ErrUnexpectedEOF)
	}
	data, sum := p.section(off, p.size-off), sha256.New()
	if datahash != nil {
		data = io.TeeReader(data, sum)
	}
	u := unpack(data, p.size-off, gzipped, p.limits)
	defer u.close()
	w := tarWalk{limits: p.limits, sink: p.sink, checks: &apkSums{hash: sha1.New()}, filter: func(e *pkgmeta.Entry) bool {
		e.Mutable = e.Type == pkgmeta.Regular && strings.HasPrefix(e.Path, "etc/")
		return !hidden(e.Path)
	}}
	if err := w.walkTar(u, p.size-off); err != nil {
		return fmt.Errorf("data segment: %w", err)
	}
	if have := sum.Sum(nil); datahash != nil && !bytes.Equal(have, datahash) {
		return fmt.Errorf("its data segment does not match datahash in .PKGINFO: has %x, want %x", have, datahash)
	}
	return nil
}

// apkControl reads the segments before the data, and returns .PKGINFO and the
// offset of the data segment.
func (p *packageFile) apkControl() (text []byte, off int64, err error) {
	counter := &countReader{r: p.section(0, p.size)}
	br := bufio.NewReaderSize(counter, 64*kib)
	for segment := 1; ; segment++ {
		if _, err := br.Peek(1); err == io.EOF {
			return nil, 0, fmt.Errorf("it ends before its control segment: %w", io.ErrUnexpectedEOF)
		}
		signature := false
		err := p.apkSegment(br, func(name string, h *tar.Header, r io.Reader) (err error) {
			signature = signature || strings.HasPrefix(name, ".SIGN.")
			if name != ".PKGINFO" {
				return nil
			}
			if text != nil {
				return errors.New("is there twice")
			}
			text, err = readMetadata(r, h, p.limits.Control)
			return err
		})
		if err != nil {
			return nil, 0, fmt.Errorf("segment %d: %w", segment, err)
		}
		if text != nil {
			return text, counter.n - int64(br.Buffered()), nil
		}
		if !signature {
			return nil, 0, notPackage(fmt.Sprintf("segment %d has neither signature nor .PKGINFO", segment))
		}
	}
}

// apkSegment reads one segment and leaves br right behind it.
func (p *packageFile) apkSegment(br *bufio.Reader, do func(name string, h *tar.Header, r io.Reader) error) error {
	u, err := unpackOne(br, p.size, p.limits)
	if err != nil {
		return err
	}
	defer u.close()
	return eachMember(u, p.limits, do)
}

// countReader counts the bytes that were read.
type countReader struct {
	r io.Reader
	n int64
}

func (c *countReader) Read(p []byte) (int, error) {
	n, err := c.r.Read(p)
	c.n += int64(n)
	return n, err
}

// apkSums compares members with the checksums in their own PAX headers: of the
// content of files and of the targets of symlinks. Some tools write that of an
// empty file for every symlink.
type apkSums struct {
	hash hash.Hash
	want [sha1.Size]byte
}

func (a *apkSums) begin(e *pkgmeta.Entry, h *tar.Header) (hash.Hash, error) {
	text, ok := h.PAXRecords[apkSum]
	if !ok || e.Type == pkgmeta.Regular && e.HardLink != "" || e.Type != pkgmeta.Regular && e.Type != pkgmeta.Symlink {
		return nil, nil
	}
	if n, err := hex.Decode(a.want[:], []byte(text[:min(len(text), 2*sha1.Size)])); err != nil || n != sha1.Size || len(text) != 2*n {
		return nil, fmt.Errorf("its checksum %q is no SHA-1", text)
	}
	a.hash.Reset()
	if e.Type == pkgmeta.Symlink {
		io.WriteString(a.hash, e.Target)
	}
	return a.hash, nil
}

func (a *apkSums) end(e *pkgmeta.Entry, _ *tar.Header, h hash.Hash) error {
	if h == nil || e.Type == pkgmeta.Symlink && a.want == sha1.Sum(nil) {
		return nil
	}
	var have [sha1.Size]byte
	if h.Sum(have[:0]); have != a.want {
		return fmt.Errorf("does not match its checksum: has %x, want %x", have, a.want)
	}
	return nil
}
