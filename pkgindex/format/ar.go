package format

import (
	"fmt"
	"io"
	"strconv"
	"strings"
)

// The ar archives of .debs are read here by hand: readers in libraries go through the
// whole stream, and a .deb's archives are read from where they lie in the file.

const (
	arMagic      = "!<arch>\n"
	arHeaderSize = 60
)

// An arMember is one member of an ar archive.
type arMember struct {
	name      string
	off, size int64 // of its data
}

// arMember reads the header at off. It returns io.EOF at the end of the file.
func (p *packageFile) arMember(off int64) (arMember, error) {
	if off >= p.size {
		return arMember{}, io.EOF
	}
	var header [arHeaderSize]byte
	if p.size-off < arHeaderSize {
		return arMember{}, fmt.Errorf("the header of a member ends too soon: %w", io.ErrUnexpectedEOF)
	}
	if n, err := p.r.ReadAt(header[:], off); n < arHeaderSize {
		if err == io.EOF { // it has become shorter
			err = io.ErrUnexpectedEOF
		}
		return arMember{}, err
	}
	name := strings.TrimRight(string(header[:16]), " ")
	size, err := strconv.ParseInt(strings.TrimRight(string(header[48:58]), " "), 10, 64)
	if err != nil || size < 0 || string(header[58:]) != "`\n" {
		return arMember{}, fmt.Errorf("its ar archive is corrupt: no member header at byte %d", off)
	}
	m := arMember{strings.TrimSuffix(name, "/"), off + arHeaderSize, size}
	if size > p.size-m.off {
		return m, fmt.Errorf("its member %q has %d bytes of %d: %w", m.name, p.size-m.off, size, io.ErrUnexpectedEOF)
	}
	return m, nil
}

// next returns the offset of the header behind m.
func (m arMember) next() int64 { return m.off + m.size + m.size&1 }
