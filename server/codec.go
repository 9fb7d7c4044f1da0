package server

import (
	"encoding/binary"
	"unsafe"

	"github.com/hugelgupf/p9/p9"
)

var le = binary.LittleEndian

// A decoder takes a message's body apart. It never reads past the end: from
// the first field that is not there on, every field is zero and end is false.
type decoder struct {
	b   []byte
	bad bool
}

func decode(b []byte) decoder { return decoder{b: b} }

// short tells that a field was not there.
func (d *decoder) short() bool { return d.bad }

// take returns the next n bytes, or nil if there are fewer.
func (d *decoder) take(n int) []byte {
	if uint(n) > uint(len(d.b)) {
		d.bad, d.b = true, nil
		return nil
	}
	p := d.b[:n:n]
	d.b = d.b[n:]
	return p
}

func (d *decoder) u8() uint8 {
	if p := d.take(1); p != nil {
		return p[0]
	}
	return 0
}

func (d *decoder) u16() uint16 {
	if p := d.take(2); p != nil {
		return le.Uint16(p)
	}
	return 0
}

func (d *decoder) u32() uint32 {
	if p := d.take(4); p != nil {
		return le.Uint32(p)
	}
	return 0
}

func (d *decoder) u64() uint64 {
	if p := d.take(8); p != nil {
		return le.Uint64(p)
	}
	return 0
}

// raw returns a string field as bytes of the message.
func (d *decoder) raw() []byte {
	return d.take(int(d.u16()))
}

// str returns a string field, copied.
func (d *decoder) str() string {
	return string(d.raw())
}

// view returns a string field without copying: it is valid as long as the
// message.
func (d *decoder) view() string {
	p := d.raw()
	return unsafe.String(unsafe.SliceData(p), len(p))
}

// data returns a field of count[4] bytes.
func (d *decoder) data() []byte {
	n := d.u32()
	if uint64(n) > uint64(len(d.b)) {
		d.bad, d.b = true, nil
		return nil
	}
	return d.take(int(n))
}

func (d *decoder) qid() p9.QID {
	return p9.QID{Type: p9.QIDType(d.u8()), Version: d.u32(), Path: d.u64()}
}

// end tells that all fields were there and nothing is left.
func (d *decoder) end() bool {
	return !d.bad && len(d.b) == 0
}

func appendStr(b []byte, s string) []byte {
	return append(le.AppendUint16(b, uint16(len(s))), s...)
}

func appendQID(b []byte, q p9.QID) []byte {
	b = append(b, byte(q.Type))
	b = le.AppendUint32(b, q.Version)
	return le.AppendUint64(b, q.Path)
}

// appendHeader begins a message; setSize ends it.
func appendHeader(b []byte, typ byte, tag uint16) []byte {
	return append(b, 0, 0, 0, 0, typ, byte(tag), byte(tag>>8))
}

// setSize writes the size of the message that begins at b[at] and ends with b.
func setSize(b []byte, at int) {
	le.PutUint32(b[at:], uint32(len(b)-at))
}

func appendError(b []byte, tag uint16, errno uint32) []byte {
	return le.AppendUint32(append(b, headerSize+4, 0, 0, 0, msgRlerror, byte(tag), byte(tag>>8)), errno)
}
