package pfs

import (
	"bufio"
	"crypto/sha256"
	"errors"
	"fmt"
	"hash"
	"io"
	"sync"

	"github.com/klauspost/compress/zstd"
)

// A Start is told the metadata, the text of package.toml, and about how many
// members follow.
type Start func(metadata []byte, about int) error

const (
	tocEntryBytes = 250 // of the table of contents, about, for an entry

	maxMetadata = 4 << 20 // bytes of package.toml
	maxWindow   = 8 << 20 // that the table of contents may be compressed with
	tocRatio    = 1000    // how many times its size it may unpack to,
	tocFloor    = 64 << 20
)

// Open reads the metadata and the table of contents of the package file of size
// bytes in r. start is called once, with the metadata and about how many members
// follow, and then add for each of them, in the order of the archive, valid
// during the call, by another goroutine; an error from one of them comes back as
// it is.
//
// All that can be checked without the contents is: the table's own digest, and
// that the archive it describes fills the frames, and the frames the file. The
// metadata is verified; the rest is when it is read.
func Open(r io.ReaderAt, size int64, start Start, add func(*Member) error) (*Table, error) {
	t, err := readTail(r, size)
	if err != nil {
		return nil, err
	}
	if err := checkSeal(r, t); err != nil {
		return nil, err
	}
	l := newLayout()
	members := newRelay(add)
	first := true
	err = readTOC(r, t, l.addFrame, func(e *tocEntry) error {
		if first {
			l.begin()
		}
		m, err := l.add(e)
		if err != nil {
			return fmt.Errorf("table of contents: %q: %w", e.name, err)
		}
		if !first {
			if m != nil && !members.put(m) {
				return errStop
			}
			return nil
		}
		first = false
		text, err := l.metadata(r, m)
		if err != nil {
			return err
		}
		return start(text, int(min(t.size/tocEntryBytes, 1<<16)))
	})
	if addErr := members.end(); addErr != nil {
		return nil, addErr
	}
	if err != nil {
		return nil, err
	}
	if first {
		return nil, errors.New("it has no metadata")
	}
	table, err := l.finish(t.off - frameHead)
	if err != nil {
		return nil, fmt.Errorf("table of contents: %w", err)
	}
	return table, nil
}

// errStop ends the reading of a table whose members nobody wants any more.
var errStop = errors.New("stop")

// metadata reads the first member, which has the first frame to itself.
func (l *layout) metadata(r io.ReaderAt, m *Member) ([]byte, error) {
	switch {
	case m.Path != MetadataPath || m.Type != Regular:
		return nil, fmt.Errorf("its first member is %q, not %s", m.Path, MetadataPath)
	case m.Size == 0 || m.Size > maxMetadata:
		return nil, fmt.Errorf("its metadata has %d bytes; 1 to %d are allowed", m.Size, maxMetadata)
	case l.at != 1 || l.pos != 0:
		return nil, errors.New("its metadata is not in a frame of its own")
	}
	return l.table.read(r, 0, nil)
}

// checkSeal compares the table of contents with its digest.
func checkSeal(r io.ReaderAt, t tail) error {
	h := sha256.New()
	if _, err := io.Copy(h, io.NewSectionReader(r, t.off, t.packed)); err != nil {
		return err
	}
	if [32]byte(h.Sum(nil)) != t.digest {
		return errors.New("its table of contents does not match its digest")
	}
	return nil
}

// callerError sets the errors of a caller's function apart.
type callerError struct{ err error }

func (e callerError) Error() string { return e.err.Error() }

// readTOC reads the table of contents. An error of entry comes back as it is.
func readTOC(r io.ReaderAt, t tail, frame func(packed, size int64) error, entry func(*tocEntry) error) (err error) {
	if t.size < 0 || t.size > tocFloor && (t.size-tocFloor)/tocRatio > t.packed {
		return fmt.Errorf("its table of contents unpacks to %d bytes from %d: looks like a decompression bomb", t.size, t.packed)
	}
	z, err := zstd.NewReader(io.NewSectionReader(r, t.off, t.packed), zstd.WithDecoderConcurrency(1),
		zstd.WithDecoderLowmem(true), zstd.WithDecoderMaxWindow(maxWindow))
	if err != nil {
		return err
	}
	defer z.Close()
	defer func() { // the decoder is not ours, and what it reads is anybody's
		if fault := recover(); fault != nil {
			err = fmt.Errorf("its table of contents is corrupt: %v", fault)
		}
	}()
	counted := &io.LimitedReader{R: z, N: t.size + 1}
	err = newTOCReader(bufio.NewReaderSize(counted, 32<<10)).read(frame, func(e *tocEntry) error {
		if err := entry(e); err != nil {
			return callerError{err}
		}
		return nil
	})
	if own, ok := err.(callerError); ok {
		return own.err
	}
	if err != nil {
		return fmt.Errorf("table of contents: %w", err)
	}
	if counted.N != 1 {
		return errors.New("its table of contents does not have the size that the footer says")
	}
	return nil
}

// frameDecoder unpacks single frames, as many at once as there are processors.
var frameDecoder = sync.OnceValue(func() *zstd.Decoder {
	d, err := zstd.NewReader(nil, zstd.WithDecoderConcurrency(0), zstd.IgnoreChecksum(true),
		zstd.WithDecoderMaxMemory(maxFrame), zstd.WithDecodeAllCapLimit(true))
	if err != nil {
		panic("zstd: " + err.Error()) // the options are constant
	}
	return d
})

// scratch is what reading a frame needs for itself.
type scratch struct {
	packed []byte
	hash   hash.Hash
}

var scratches = sync.Pool{New: func() any { return &scratch{hash: sha256.New()} }}

// read unpacks and verifies a frame and returns its contents, in dst if it has
// room for the frame. A DamageError tells that they are not what they should be.
func (t *Table) read(r io.ReaderAt, i int, dst []byte) ([]byte, error) {
	s := scratches.Get().(*scratch)
	defer scratches.Put(s)
	f := t.frame(i)
	if cap(s.packed) < f.packed {
		s.packed = make([]byte, max(f.packed, 64<<10))
	}
	s.packed = s.packed[:f.packed]
	if err := readFull(r, s.packed, f.off); err != nil {
		if errors.Is(err, io.ErrUnexpectedEOF) {
			return nil, &DamageError{"it has become shorter"}
		}
		return nil, err
	}
	if cap(dst) < f.size {
		dst = make([]byte, 0, f.size)
	}
	raw, err := unpackFrame(s.packed, dst[:0:f.size])
	if err != nil {
		return nil, &DamageError{fmt.Sprintf("frame %d does not unpack: %v", i, err)}
	}
	return t.verify(i, raw, s.hash)
}

func unpackFrame(packed, dst []byte) (raw []byte, err error) {
	defer func() {
		if fault := recover(); fault != nil {
			err = fmt.Errorf("corrupt: %v", fault)
		}
	}()
	return frameDecoder().DecodeAll(packed, dst)
}
