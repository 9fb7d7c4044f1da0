package format

import (
	"bufio"
	"compress/bzip2"
	"errors"
	"fmt"
	"io"
	"sync"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
	"github.com/therootcompany/xz"
)

// A compression is named as in the names of Debian's archive members.
type compression string

const (
	plain     compression = ""
	gzipped   compression = ".gz"
	xzipped   compression = ".xz"
	zstandard compression = ".zst"
	bzipped   compression = ".bz2" // in rpms
)

// An unpacker reads one compressed archive. It is the buffered, limited end of
// a decoder; get it from unpack and give it back with close.
type unpacker struct {
	out    *bufio.Reader // of unpacked bytes
	kind   compression
	limits Limits
	left   int64 // unpacked bytes that the limits still allow
	src    *bufio.Reader
	gz     *gzip.Reader
	zst    *zstd.Decoder
	xz     *xz.Reader
	from   io.Reader // the decoder in use
	opened bool
	broken bool // a decoder panicked: not to be used again
}

// unpackers keeps decoders, whose tables are costly to make. Only those with
// the default window are kept.
var unpackers = sync.Pool{New: func() any {
	u := &unpacker{src: bufio.NewReaderSize(nil, 128*kib)}
	u.out = bufio.NewReaderSize(nil, 128*kib)
	return u
}}

// unpack reads r, of packed bytes, as kind says. limits has its defaults
// filled in.
func unpack(r io.Reader, packed int64, kind compression, limits Limits) *unpacker {
	u := unpackers.Get().(*unpacker)
	u.kind, u.limits, u.left, u.opened = kind, limits, limits.unpacked(packed), false
	u.src.Reset(r)
	u.out.Reset(rawUnpacker{u})
	return u
}

// unpackOne reads one gzip member of r and leaves r right behind it.
func unpackOne(r *bufio.Reader, packed int64, limits Limits) (*unpacker, error) {
	u := unpackers.Get().(*unpacker)
	u.kind, u.limits, u.left, u.opened = gzipped, limits, limits.unpacked(packed), true
	if err := u.openGzip(r); err != nil {
		u.close()
		return nil, u.explain(err)
	}
	u.gz.Multistream(false)
	u.out.Reset(rawUnpacker{u})
	return u, nil
}

func (u *unpacker) close() {
	if u.broken || u.limits.Window != defaultWindow {
		return
	}
	u.src.Reset(nil)
	u.out.Reset(nil)
	u.from = nil
	if u.zst != nil {
		u.zst.Reset(nil)
	}
	unpackers.Put(u)
}

func (u *unpacker) Read(p []byte) (int, error) { return u.out.Read(p) }

// rawUnpacker is the unbuffered side of an unpacker.
type rawUnpacker struct{ u *unpacker }

// Read turns a decoder's panic into an error: the decoders are not ours, and
// what they read is anybody's.
func (r rawUnpacker) Read(p []byte) (n int, err error) {
	u := r.u
	defer func() {
		if fault := recover(); fault != nil {
			u.broken = true
			n, err = 0, fmt.Errorf("%s data is corrupt: %v", u.kind.name(), fault)
		}
	}()
	if !u.opened {
		u.opened = true
		if err := u.open(); err != nil {
			return 0, u.explain(err)
		}
	}
	n, err = u.from.Read(p)
	u.left -= int64(n)
	if u.left < 0 {
		return 0, u.limits.ratioError()
	}
	if err != nil && err != io.EOF {
		err = u.explain(err)
	}
	return n, err
}

// open points the decoder at u.src.
func (u *unpacker) open() error {
	switch u.kind {
	case gzipped:
		return u.openGzip(u.src)
	case zstandard:
		if u.zst == nil {
			var err error
			u.zst, err = zstd.NewReader(nil, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxWindow(u.limits.Window))
			if err != nil {
				return err
			}
		}
		u.from = u.zst
		return u.zst.Reset(u.src)
	case xzipped:
		if u.xz == nil {
			z, err := xz.NewReader(nil, uint32(min(u.limits.Window, 1<<32-1)))
			if err != nil {
				return err
			}
			u.xz = z
		}
		u.from = u.xz
		return u.xz.Reset(u.src)
	case bzipped:
		u.from = bzip2.NewReader(u.src)
		return nil
	default:
		u.from = u.src
		return nil
	}
}

func (u *unpacker) openGzip(r *bufio.Reader) error {
	if u.gz == nil {
		u.gz = new(gzip.Reader)
	}
	u.from = u.gz
	return u.gz.Reset(r)
}

// explain puts a decoder's error into words. The end of the input before the
// end of the archive becomes io.ErrUnexpectedEOF.
func (u *unpacker) explain(err error) error {
	switch {
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, xz.ErrBuf):
		return fmt.Errorf("compressed data ends too soon: %w", io.ErrUnexpectedEOF)
	case errors.Is(err, xz.ErrMemlimit), errors.Is(err, zstd.ErrWindowSizeExceeded):
		return fmt.Errorf("its decompressor would keep more than %d MiB", u.limits.Window/mib)
	case errors.Is(err, xz.ErrFormat), errors.Is(err, gzip.ErrHeader), errors.Is(err, zstd.ErrMagicMismatch):
		return fmt.Errorf("not %s data, or something follows its end: %w", u.kind.name(), err)
	default:
		return fmt.Errorf("%s data: %w", u.kind.name(), err)
	}
}

func (c compression) name() string {
	switch c {
	case gzipped:
		return "gzip"
	case xzipped:
		return "xz"
	case zstandard:
		return "zstd"
	case bzipped:
		return "bzip2"
	}
	return "plain"
}
