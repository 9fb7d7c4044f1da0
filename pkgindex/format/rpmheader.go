package format

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"strings"
)

// An rpmHeader is one of the two headers of an rpm: tags with values, in a table
// of entries and a store of data. It is read by hand since every count in it is held
// against the limits before memory is taken, and since digests cover its raw bytes.
type rpmHeader struct {
	raw     []byte // the whole header, which digests cover
	entries map[uint32]rpmEntry
	store   string
	limits  Limits
}

// An rpmEntry says where the values of a tag are.
type rpmEntry struct{ kind, off, count uint32 }

// The types that values have.
const (
	rpmChar        = 1
	rpmInt8        = 2
	rpmInt16       = 3
	rpmInt32       = 4
	rpmInt64       = 5
	rpmString      = 6
	rpmBin         = 7
	rpmStringArray = 8
	rpmI18NString  = 9
)

const (
	rpmHeaderMagic = "\x8e\xad\xe8\x01"
	rpmIntroSize   = 16
	rpmEntrySize   = 16
)

// rpmHeader reads the header at off, of at most limit bytes.
func (p *packageFile) rpmHeader(off, limit int64) (*rpmHeader, error) {
	var intro [rpmIntroSize]byte
	if err := p.fullAt(intro[:], off); err != nil {
		return nil, err
	}
	if string(intro[:4]) != rpmHeaderMagic {
		return nil, fmt.Errorf("it is corrupt: no header at byte %d", off)
	}
	be := binary.BigEndian
	count, size := int64(be.Uint32(intro[8:])), int64(be.Uint32(intro[12:]))
	whole := rpmIntroSize + count*rpmEntrySize + size
	if whole > limit {
		return nil, fmt.Errorf("its header has %d bytes; %d is the most", whole, limit)
	}
	if off+whole > p.size {
		return nil, fmt.Errorf("its header ends too soon: %w", io.ErrUnexpectedEOF)
	}
	h := &rpmHeader{raw: make([]byte, whole), entries: make(map[uint32]rpmEntry, count), limits: p.limits}
	if err := p.fullAt(h.raw, off); err != nil {
		return nil, err
	}
	table := h.raw[rpmIntroSize : rpmIntroSize+count*rpmEntrySize]
	h.store = string(h.raw[rpmIntroSize+count*rpmEntrySize:])
	for ; len(table) > 0; table = table[rpmEntrySize:] {
		tag := be.Uint32(table)
		e := rpmEntry{be.Uint32(table[4:]), be.Uint32(table[8:]), be.Uint32(table[12:])}
		if _, twice := h.entries[tag]; twice {
			return nil, fmt.Errorf("its header has the tag %d twice", tag)
		}
		if int64(e.off) > size {
			return nil, fmt.Errorf("its header is corrupt: tag %d lies outside", tag)
		}
		h.entries[tag] = e
	}
	return h, nil
}

// fullAt fills b from off on.
func (p *packageFile) fullAt(b []byte, off int64) error {
	n, err := p.r.ReadAt(b, off)
	if n == len(b) {
		return nil
	}
	if err == io.EOF {
		err = io.ErrUnexpectedEOF
	}
	return err
}

func (h *rpmHeader) has(tag uint32) bool {
	_, ok := h.entries[tag]
	return ok
}

// text returns the first string of a tag, "" where there is none.
func (h *rpmHeader) text(tag uint32) (string, error) {
	e, ok := h.entries[tag]
	if !ok {
		return "", nil
	}
	switch e.kind {
	case rpmString, rpmStringArray, rpmI18NString:
	default:
		return "", h.wrong(tag)
	}
	value, _, ended := strings.Cut(h.store[e.off:], "\x00")
	if !ended || e.count == 0 {
		return "", h.wrong(tag)
	}
	return value, nil
}

// texts returns the strings of a tag, nil where there are none.
func (h *rpmHeader) texts(tag uint32) ([]string, error) {
	e, ok := h.entries[tag]
	if !ok {
		return nil, nil
	}
	rest := h.store[e.off:]
	if e.kind != rpmStringArray && e.kind != rpmString || e.kind == rpmString && e.count != 1 || int64(e.count) > int64(len(rest)) {
		return nil, h.wrong(tag)
	}
	if int64(e.count) > int64(h.limits.Members) {
		return nil, fmt.Errorf("tag %d has %d values; %d is the most", tag, e.count, h.limits.Members)
	}
	values := make([]string, e.count)
	for i := range values {
		var ended bool
		if values[i], rest, ended = strings.Cut(rest, "\x00"); !ended {
			return nil, h.wrong(tag)
		}
	}
	return values, nil
}

// rpmInts are the numbers of a tag.
type rpmInts struct {
	bytes string
	width int
}

func (n rpmInts) len() int {
	if n.width == 0 {
		return 0
	}
	return len(n.bytes) / n.width
}

// at returns the i-th number, taken as unsigned.
func (n rpmInts) at(i int) (v uint64) {
	for _, c := range []byte(n.bytes[i*n.width : (i+1)*n.width]) {
		v = v<<8 | uint64(c)
	}
	return v
}

// ints returns the numbers of a tag, none where it is not there.
func (h *rpmHeader) ints(tag uint32) (rpmInts, error) {
	e, ok := h.entries[tag]
	if !ok {
		return rpmInts{}, nil
	}
	width := map[uint32]int{rpmChar: 1, rpmInt8: 1, rpmInt16: 2, rpmInt32: 4, rpmInt64: 8}[e.kind]
	size := int64(e.count) * int64(width)
	if width == 0 || size > int64(len(h.store))-int64(e.off) {
		return rpmInts{}, h.wrong(tag)
	}
	return rpmInts{h.store[e.off : int64(e.off)+size], width}, nil
}

// binary returns the bytes of a tag, "" where it is not there.
func (h *rpmHeader) binary(tag uint32) (string, error) {
	e, ok := h.entries[tag]
	if !ok {
		return "", nil
	}
	if e.kind != rpmBin || int64(e.count) > int64(len(h.store))-int64(e.off) {
		return "", h.wrong(tag)
	}
	return h.store[e.off : e.off+e.count], nil
}

func (h *rpmHeader) wrong(tag uint32) error {
	return fmt.Errorf("its header is corrupt: tag %d has no such value", tag)
}

// A tagReader reads several tags and keeps the first error.
type tagReader struct {
	h   *rpmHeader
	err error
}

func (t *tagReader) text(tag uint32) string     { return keepFirst(t, tag, t.h.text) }
func (t *tagReader) texts(tag uint32) []string  { return keepFirst(t, tag, t.h.texts) }
func (t *tagReader) ints(tag uint32) rpmInts    { return keepFirst(t, tag, t.h.ints) }
func (t *tagReader) check(ok bool, what string) { t.err = firstOf(t.err, ok, what) }

func keepFirst[T any](t *tagReader, tag uint32, read func(uint32) (T, error)) T {
	v, err := read(tag)
	if t.err == nil {
		t.err = err
	}
	return v
}

func firstOf(err error, ok bool, what string) error {
	if err == nil && !ok {
		return errors.New("its header is corrupt: " + what)
	}
	return err
}
