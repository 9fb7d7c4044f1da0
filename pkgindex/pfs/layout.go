package pfs

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"hash"
)

// A layout lays the archive that the entries stand for over the frames, and so
// makes a Table. Frames come first, then the members in order, then end.
type layout struct {
	table *Table
	hash  hash.Hash // of the headers and padding in the frame

	at  int   // the frame that comes next or is being filled
	f   frame // it
	pos int   // in it
	end int64 // of the frames so far, in the package file

	file string // whose chunks come
	left int64  // bytes of them
	pad  int64  // zeros behind them
	size int64  // of the whole file
	buf  []byte
	m    Member // returned last
}

func newLayout() *layout { return &layout{table: new(Table), hash: sha256.New()} }

// addFrame takes the sizes of the next frame.
func (l *layout) addFrame(packed, size int64) error {
	n := l.table.Frames()
	switch {
	case size < 1 || size > maxFrame || packed < 1 || packed > size+size>>8+64:
		return fmt.Errorf("frame %d cannot have %d bytes that unpack to %d", n, packed, size)
	case n == maxCount:
		return fmt.Errorf("it has more than %d frames", maxCount)
	}
	f := frame{off: l.end, packed: int(packed), size: int(size)}
	l.end += packed
	l.table.frames = append(l.table.frames, make([]byte, frameSize)...)
	f.encode(l.table.frames[n*frameSize:])
	l.table.Archive += size
	return nil
}

// begin turns to the first frame.
func (l *layout) begin() {
	if l.table.Frames() > 0 {
		l.f = l.table.frame(0)
	}
	l.hash.Reset()
}

var errFrames = errors.New("the archive that it describes is longer than its frames")

// glue lays headers or padding.
func (l *layout) glue(b []byte) error {
	for len(b) > 0 {
		if l.at == l.table.Frames() {
			return errFrames
		}
		n := min(len(b), l.f.size-l.pos)
		l.hash.Write(b[:n])
		l.f.glue += n
		b = b[n:]
		l.advance(n)
	}
	return nil
}

// content lays a piece of a file, which must be where off and inner say.
func (l *layout) content(off, inner, size int64, digest [32]byte) error {
	switch {
	case l.at == l.table.Frames():
		return errFrames
	case off != l.f.off || inner != int64(l.pos):
		return fmt.Errorf("its content is said to be at %d+%d, and by the frames is at %d+%d", off, inner, l.f.off, l.pos)
	case size > int64(l.f.size-l.pos):
		return errors.New("its content goes beyond its frame")
	case len(l.table.pieces) == maxCount*pieceSize:
		return fmt.Errorf("it has more than %d chunks", maxCount)
	}
	l.table.addPiece(piece{at: l.pos, size: int(size), digest: digest})
	l.table.Contents += size
	l.advance(int(size))
	return nil
}

// advance moves on by n bytes of the frame, and behind its end to the next.
func (l *layout) advance(n int) {
	if l.pos += n; l.pos < l.f.size {
		return
	}
	if l.f.glue > 0 {
		l.hash.Sum(l.f.digest[:0])
		l.hash.Reset()
	}
	l.f.encode(l.table.frames[l.at*frameSize:])
	l.at, l.pos = l.at+1, 0
	if l.at < l.table.Frames() {
		l.f = l.table.frame(l.at)
		l.f.start, l.f.first = l.table.Contents, len(l.table.pieces)/pieceSize
		l.f.encode(l.table.frames[l.at*frameSize:]) // where the pieces of the frame before end
	}
}

// add lays the member that t stands for, or a further chunk of the one before,
// for which m is nil. m is valid until the next call.
func (l *layout) add(t *tocEntry) (m *Member, err error) {
	if (Type(t.typ) == chunk) != (l.left > 0) {
		return nil, fmt.Errorf("a chunk is there that does not belong, or %q lacks one", l.file)
	}
	if l.left > 0 {
		return nil, l.chunk(t)
	}
	m = &l.m
	if err := t.member(m); err != nil {
		return nil, err
	}
	l.buf = appendHeader(l.buf[:0], &m.Entry)
	if err := l.glue(l.buf); err != nil {
		return nil, err
	}
	m.Offset = l.table.Contents
	if m.Size == 0 {
		if t.offset != 0 || t.inner != 0 || t.chunkSize != 0 || t.chunkOffset != 0 || t.hasChunkDigest {
			return nil, errors.New("it has no content, but a place of it")
		}
		return m, nil
	}
	if t.chunkOffset != 0 {
		return nil, errors.New("its first chunk is missing")
	}
	l.file, l.size, l.left, l.pad = t.name, m.Size, m.Size, padding(m.Size)
	if t.chunkSize == 0 {
		t.chunkSize = m.Size
	}
	if !t.hasChunkDigest && t.chunkSize == m.Size {
		t.hasChunkDigest, t.chunkDigest = true, t.digest
	} else if t.chunkSize == m.Size && t.chunkDigest != t.digest {
		return nil, errors.New("its only chunk has another digest")
	}
	return m, l.chunk(t)
}

// chunk lays the next chunk of the file.
func (l *layout) chunk(t *tocEntry) error {
	switch {
	case t.name != l.file:
		return fmt.Errorf("a chunk of %q is there before %q is whole", t.name, l.file)
	case t.chunkOffset != l.size-l.left || t.chunkSize <= 0 || t.chunkSize > l.left || !t.hasChunkDigest:
		return fmt.Errorf("the chunk of %d bytes at %d is not the next one, or has no digest", t.chunkSize, t.chunkOffset)
	case t.chunkSize < minChunk && t.chunkSize < l.left:
		return fmt.Errorf("a chunk has %d bytes; %d is the least", t.chunkSize, minChunk)
	}
	if err := l.content(t.offset, t.inner, t.chunkSize, t.chunkDigest); err != nil {
		return err
	}
	if l.left -= t.chunkSize; l.left > 0 {
		return nil
	}
	return l.glue(zeros[:l.pad])
}

// zeros are padding.
var zeros [trailerSize]byte

// finish returns the table, if the archive ends where its frames do, and these
// at the end of the package file's first size bytes.
func (l *layout) finish(size int64) (*Table, error) {
	if l.left > 0 {
		return nil, fmt.Errorf("%q lacks a chunk", l.file)
	}
	if err := l.glue(zeros[:trailerSize]); err != nil {
		return nil, err
	}
	if l.at != l.table.Frames() || l.pos != 0 {
		return nil, errors.New("the archive that it describes is shorter than its frames")
	}
	if l.end != size {
		return nil, fmt.Errorf("its frames have %d bytes, and there are %d", l.end, size)
	}
	return l.table, nil
}

// member checks an element that is no chunk, and makes m of it.
func (t *tocEntry) member(m *Member) error {
	if t.size < 0 || t.uid >= 1<<32 || t.gid >= 1<<32 || t.mode > 0o7777 {
		return errors.New("a number is too large")
	}
	*m = Member{Entry: Entry{
		Path: t.name, Type: Type(t.typ), Mode: uint32(t.mode), UID: uint32(t.uid), GID: uint32(t.gid),
		Size: t.size, Target: t.link, Xattrs: t.xattrs,
	}, Digest: t.digest}
	if m.Type == Directory {
		if len(t.name) < 2 || t.name[len(t.name)-1] != '/' {
			return errors.New("the name of a directory ends in a slash")
		}
		m.Path = t.name[:len(t.name)-1]
	}
	var err error
	if m.Time, err = timeOf(t.modtime); err != nil {
		return err
	}
	if t.hasDigest != (m.Type == Regular) {
		return errors.New("a digest belongs to regular files, and each has one")
	}
	return m.check()
}
