package format

import (
	"errors"
	"fmt"
	"io"
	"strconv"
)

// A cpioReader reads a cpio archive of the formats that rpm's payloads have:
// "newc", with a checksum or not, and rpm's own for large files, whose members
// say no more than which file of the package's header they are. It is written by hand
// because libraries for cpio do not know the latter.
type cpioReader struct {
	r     io.Reader
	align int64 // bytes of padding until the next header
	left  int64 // bytes of content until then
	buf   []byte
}

// A cpioMember is what the archive says of one member.
type cpioMember struct {
	name  string // empty in a numbered member
	index int64  // of a numbered member, else -1
	size  int64  // of its content; -1 in a numbered member, which does not tell
}

const (
	cpioNewc    = "070701"
	cpioCRC     = "070702"
	cpioNumber  = "07070X"
	cpioTrailer = "TRAILER!!!"

	cpioHeaderSize = 110
	cpioNumberSize = 14
)

var errCpio = errors.New("its archive is corrupt")

// next skips what is left of a member, and reads the header of the next one. It
// returns io.EOF at the archive's end. The caller must call expect before it
// reads content.
func (c *cpioReader) next() (m cpioMember, err error) {
	if err := c.skip(c.left + c.align); err != nil {
		return m, err
	}
	c.left, c.align = 0, 0
	var header [cpioHeaderSize]byte
	if err := c.full(header[:cpioNumberSize]); err != nil {
		return m, err
	}
	switch string(header[:6]) {
	case cpioNumber:
		m.size = -1
		if m.index, err = hexField(header[6:14]); err != nil {
			return m, err
		}
		return m, c.skip(pad4(cpioNumberSize))
	case cpioNewc, cpioCRC:
		m.index = -1
	default:
		return m, fmt.Errorf("%w: a member begins with %q", errCpio, header[:6])
	}
	if err := c.full(header[cpioNumberSize:]); err != nil {
		return m, err
	}
	if m.size, err = hexField(header[54:62]); err != nil {
		return m, err
	}
	length, err := hexField(header[94:102])
	if err != nil {
		return m, err
	}
	if length < 2 || length > 64*kib {
		return m, fmt.Errorf("%w: a name of %d bytes", errCpio, length)
	}
	name := make([]byte, length)
	if err := c.full(name); err != nil {
		return m, err
	}
	if name[length-1] != 0 {
		return m, fmt.Errorf("%w: a name without an end", errCpio)
	}
	m.name = string(name[:length-1])
	if m.name == cpioTrailer {
		return m, io.EOF
	}
	return m, c.skip(pad4(cpioHeaderSize + length))
}

// expect says how many bytes of content the member has.
func (c *cpioReader) expect(size int64) { c.left, c.align = size, pad4(size) }

// Read reads content.
func (c *cpioReader) Read(p []byte) (int, error) {
	if c.left == 0 {
		return 0, io.EOF
	}
	n, err := c.r.Read(p[:min(int64(len(p)), c.left)])
	c.left -= int64(n)
	if err == io.EOF && c.left > 0 {
		err = io.ErrUnexpectedEOF
	} else if err == io.EOF {
		err = nil
	}
	return n, err
}

func (c *cpioReader) full(b []byte) error {
	_, err := io.ReadFull(c.r, b)
	if err == io.EOF {
		err = io.ErrUnexpectedEOF
	}
	return err
}

func (c *cpioReader) skip(n int64) error {
	if c.buf == nil {
		c.buf = make([]byte, 32*kib)
	}
	for n > 0 {
		part := c.buf[:min(n, int64(len(c.buf)))]
		if err := c.full(part); err != nil {
			return err
		}
		n -= int64(len(part))
	}
	return nil
}

func pad4(n int64) int64 { return -n & 3 }

// hexField reads eight hexadecimal digits.
func hexField(b []byte) (int64, error) {
	n, err := strconv.ParseUint(string(b), 16, 32)
	if err != nil || b[0] == '+' {
		return 0, fmt.Errorf("%w: %q is no number", errCpio, b)
	}
	return int64(n), nil
}
