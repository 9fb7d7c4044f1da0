package pfs

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"hash"
	"io"
)

// Walk reads the whole package file of size bytes in r: what Open reads, and
// all contents, in one pass over the archive after it. add is called for each
// member but the metadata; content holds a regular file's bytes, is nil for
// everything else, and is valid during the call. What add leaves of it is read
// all the same: when Walk has returned nil, every byte of the file was verified.
//
// pace, if not nil, is called before each frame is read, and can end the walk
// with an error.
func Walk(r io.ReaderAt, size int64, pace func() error, start Start, add func(m *Member, content io.Reader) error) error {
	table, err := Open(r, size, start, func(*Member) error { return nil })
	if err != nil {
		return err
	}
	t, err := readTail(r, size)
	if err != nil {
		return err
	}
	w := &walker{r: r, table: table, pace: pace, whole: sha256.New()}
	first, offset := true, int64(0)
	err = readTOC(r, t, func(int64, int64) error { return nil }, func(e *tocEntry) error {
		if Type(e.typ) == chunk {
			return nil
		}
		m := new(Member)
		if err := e.member(m); err != nil {
			return err
		}
		m.Offset = offset
		offset += m.Size
		if first {
			first = false
			return nil
		}
		return w.member(m, add)
	})
	if err != nil {
		return err
	}
	return w.rest()
}

// Check reads the whole package file and verifies it, as Walk does.
func Check(r io.ReaderAt, size int64, pace func() error) error {
	return Walk(r, size, pace, func([]byte, int) error { return nil }, func(*Member, io.Reader) error { return nil })
}

// A walker reads frames in order.
type walker struct {
	r     io.ReaderAt
	table *Table
	pace  func() error
	whole hash.Hash // of a file of several chunks

	next  int    // frame to be read next
	start int64  // of held, in the contents
	held  []byte // the contents of the frame before it
	buf   []byte
	err   error
}

// advance reads the next frame.
func (w *walker) advance() error {
	if w.err == nil && w.pace != nil {
		w.err = w.pace()
	}
	if w.err != nil {
		return w.err
	}
	if w.buf == nil {
		w.buf = make([]byte, 0, chunkBytes)
	}
	w.start = w.table.frame(w.next).start
	w.held, w.err = w.table.read(w.r, w.next, w.buf)
	w.next++
	return w.err
}

// rest reads the frames that no content was wanted from.
func (w *walker) rest() error {
	for w.next < w.table.Frames() {
		if err := w.advance(); err != nil {
			return err
		}
	}
	return nil
}

// member hands one member on.
func (w *walker) member(m *Member, add func(m *Member, content io.Reader) error) error {
	if m.Type != Regular {
		return add(m, nil)
	}
	c := &content{w: w, at: m.Offset, end: m.Offset + m.Size}
	if m.Size > minChunk { // it may have several chunks, whose digests say nothing of the whole
		w.whole.Reset()
		c.sum = w.whole
	}
	if err := add(m, c); err != nil {
		if w.err != nil {
			return w.err
		}
		return err
	}
	if _, err := io.Copy(io.Discard, c); err != nil {
		return err
	}
	if c.sum != nil && [32]byte(c.sum.Sum(nil)) != m.Digest {
		return &DamageError{fmt.Sprintf("%q does not match its digest", m.Path)}
	}
	return nil
}

// content is one file's.
type content struct {
	w       *walker
	at, end int64
	sum     hash.Hash // or nil
}

func (c *content) Read(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	if c.at == c.end {
		return 0, io.EOF
	}
	w := c.w
	for c.at >= w.start+int64(len(w.held)) {
		if w.next == w.table.Frames() {
			return 0, errors.New("the table of contents has changed")
		}
		if err := w.advance(); err != nil {
			return 0, err
		}
	}
	if c.at < w.start {
		return 0, errors.New("the table of contents has changed")
	}
	n := copy(p[:min(int64(len(p)), c.end-c.at)], w.held[c.at-w.start:])
	if c.sum != nil {
		c.sum.Write(p[:n])
	}
	c.at += int64(n)
	return n, nil
}
