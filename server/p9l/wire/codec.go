package wire

import (
	"encoding/binary"
	"unsafe"

	"github.com/hugelgupf/p9/p9"
)

var le = binary.LittleEndian

// A Decoder takes a message's body apart. It never reads past the end: from
// the first field that is not there on, every field is zero and End is false.
type Decoder struct {
	b   []byte
	bad bool
}

// Decode returns a Decoder of the fields in b, which it does not change.
func Decode(b []byte) Decoder { return Decoder{b: b} }

// Short tells that a field was not there.
func (d *Decoder) Short() bool { return d.bad }

// take returns the next n bytes, or nil if there are fewer.
func (d *Decoder) take(n int) []byte {
	if uint(n) > uint(len(d.b)) {
		d.bad, d.b = true, nil
		return nil
	}
	p := d.b[:n:n]
	d.b = d.b[n:]
	return p
}

// U8 returns a field of one byte.
func (d *Decoder) U8() uint8 {
	if p := d.take(1); p != nil {
		return p[0]
	}
	return 0
}

// U16 returns a field of two bytes.
func (d *Decoder) U16() uint16 {
	if p := d.take(2); p != nil {
		return le.Uint16(p)
	}
	return 0
}

// U32 returns a field of four bytes.
func (d *Decoder) U32() uint32 {
	if p := d.take(4); p != nil {
		return le.Uint32(p)
	}
	return 0
}

// U64 returns a field of eight bytes.
func (d *Decoder) U64() uint64 {
	if p := d.take(8); p != nil {
		return le.Uint64(p)
	}
	return 0
}

// Raw returns a string field as bytes of the message.
func (d *Decoder) Raw() []byte {
	return d.take(int(d.U16()))
}

// Str returns a string field, copied.
func (d *Decoder) Str() string {
	return string(d.Raw())
}

// View returns a string field without copying: it is valid as long as the
// message.
func (d *Decoder) View() string {
	p := d.Raw()
	return unsafe.String(unsafe.SliceData(p), len(p))
}

// Data returns a field of count[4] bytes, which are those of the message.
func (d *Decoder) Data() []byte {
	n := d.U32()
	if uint64(n) > uint64(len(d.b)) {
		d.bad, d.b = true, nil
		return nil
	}
	return d.take(int(n))
}

// QID returns a field of type[1] version[4] path[8].
func (d *Decoder) QID() p9.QID {
	return p9.QID{Type: p9.QIDType(d.U8()), Version: d.U32(), Path: d.U64()}
}

// Attr returns what Rgetattr has behind its qid.
func (d *Decoder) Attr() p9.Attr {
	return p9.Attr{
		Mode: p9.FileMode(d.U32()), UID: p9.UID(d.U32()), GID: p9.GID(d.U32()),
		NLink: p9.NLink(d.U64()), RDev: p9.Dev(d.U64()),
		Size: d.U64(), BlockSize: d.U64(), Blocks: d.U64(),
		ATimeSeconds: d.U64(), ATimeNanoSeconds: d.U64(),
		MTimeSeconds: d.U64(), MTimeNanoSeconds: d.U64(),
		CTimeSeconds: d.U64(), CTimeNanoSeconds: d.U64(),
		BTimeSeconds: d.U64(), BTimeNanoSeconds: d.U64(),
		Gen: d.U64(), DataVersion: d.U64(),
	}
}

// Dirents returns a field of count[4] bytes that are entries of a directory, each
// qid[13] offset[8] type[1] name[s]. Their Type is a DT_ value.
func (d *Decoder) Dirents() (list []p9.Dirent) {
	e := Decode(d.Data())
	for len(e.b) > 0 {
		entry := p9.Dirent{QID: e.QID(), Offset: e.U64(), Type: p9.QIDType(e.U8()), Name: e.Str()}
		if e.bad {
			d.bad = true
			break
		}
		list = append(list, entry)
	}
	return list
}

// End tells that all fields were there and nothing is left.
func (d *Decoder) End() bool {
	return !d.bad && len(d.b) == 0
}

// AppendStr writes a string of at most 65,535 bytes.
func AppendStr(b []byte, s string) []byte {
	return append(le.AppendUint16(b, uint16(len(s))), s...)
}

// AppendQID writes a qid.
func AppendQID(b []byte, q p9.QID) []byte {
	b = append(b, byte(q.Type))
	b = le.AppendUint32(b, q.Version)
	return le.AppendUint64(b, q.Path)
}

// AppendAttr writes what Rgetattr has behind its qid.
func AppendAttr(b []byte, a *p9.Attr) []byte {
	b = le.AppendUint32(b, uint32(a.Mode))
	b = le.AppendUint32(b, uint32(a.UID))
	b = le.AppendUint32(b, uint32(a.GID))
	b = le.AppendUint64(b, uint64(a.NLink))
	b = le.AppendUint64(b, uint64(a.RDev))
	b = le.AppendUint64(b, a.Size)
	b = le.AppendUint64(b, a.BlockSize)
	b = le.AppendUint64(b, a.Blocks)
	b = le.AppendUint64(b, a.ATimeSeconds)
	b = le.AppendUint64(b, a.ATimeNanoSeconds)
	b = le.AppendUint64(b, a.MTimeSeconds)
	b = le.AppendUint64(b, a.MTimeNanoSeconds)
	b = le.AppendUint64(b, a.CTimeSeconds)
	b = le.AppendUint64(b, a.CTimeNanoSeconds)
	b = le.AppendUint64(b, a.BTimeSeconds)
	b = le.AppendUint64(b, a.BTimeNanoSeconds)
	b = le.AppendUint64(b, a.Gen)
	return le.AppendUint64(b, a.DataVersion)
}

// AppendHeader begins a message; PutSize ends it.
func AppendHeader(b []byte, typ byte, tag uint16) []byte {
	return append(b, 0, 0, 0, 0, typ, byte(tag), byte(tag>>8))
}

// PutSize writes the size of the message that begins at b[at] and ends with b.
func PutSize(b []byte, at int) {
	le.PutUint32(b[at:], uint32(len(b)-at))
}

// AppendError writes a whole Rlerror.
func AppendError(b []byte, tag uint16, errno uint32) []byte {
	return le.AppendUint32(append(b, HeaderSize+4, 0, 0, 0, Rlerror, byte(tag), byte(tag>>8)), errno)
}
