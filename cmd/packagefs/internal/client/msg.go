package client

import (
	"encoding/binary"
	"fmt"

	"github.com/hugelgupf/p9/p9"
)

// Types of T-messages. The reply has the next number.
const (
	rlerror      = 7
	tstatfs      = 8
	tlopen       = 12
	tlcreate     = 14
	tsymlink     = 16
	tmknod       = 18
	treadlink    = 22
	tgetattr     = 24
	tsetattr     = 26
	txattrwalk   = 30
	txattrcreate = 32
	treaddir     = 40
	tfsync       = 50
	tlock        = 52
	tgetlock     = 54
	tlink        = 70
	tmkdir       = 72
	trenameat    = 74
	tunlinkat    = 76
	tversion     = 100
	tattach      = 104
	tflush       = 108
	twalk        = 110
	tread        = 116
	twrite       = 118
	tclunk       = 120
)

const (
	headerLen = 7  // size[4] type[1] tag[2]
	ioHeader  = 24 // what a message with payload needs beside it, at most
	noTag     = 0xFFFF
	noFid     = 0xFFFFFFFF
	maxWalk   = 16 // names in one Twalk
)

var le = binary.LittleEndian

// A msg is a T-message in the making: the header, whose size and tag are
// filled in when it is sent, and the fields so far.
type msg struct{ b []byte }

func newMsg(t uint8) *msg {
	b := make([]byte, headerLen, 64)
	b[4] = t
	return &msg{b}
}

func (m *msg) u8(v uint8) *msg   { m.b = append(m.b, v); return m }
func (m *msg) u32(v uint32) *msg { m.b = le.AppendUint32(m.b, v); return m }
func (m *msg) u64(v uint64) *msg { m.b = le.AppendUint64(m.b, v); return m }

// str adds a string, which must be shorter than 64 KiB.
func (m *msg) str(s string) *msg {
	m.b = append(le.AppendUint16(m.b, uint16(len(s))), s...)
	return m
}

// A reply is the fields of an R-message. Reading past its end gives zeros and
// sets short.
type reply struct {
	b     []byte
	short bool
}

// take gives the next n bytes or, past the end, as many zeros as a number needs.
func (r *reply) take(n int) []byte {
	if len(r.b) < n {
		r.short, r.b = true, nil
		return make([]byte, min(n, 8))
	}
	v := r.b[:n]
	r.b = r.b[n:]
	return v
}

func (r *reply) u8() uint8   { return r.take(1)[0] }
func (r *reply) u16() uint16 { return le.Uint16(r.take(2)) }
func (r *reply) u32() uint32 { return le.Uint32(r.take(4)) }
func (r *reply) u64() uint64 { return le.Uint64(r.take(8)) }
func (r *reply) str() string { return string(r.take(int(r.u16()))) }

func (r *reply) qid() p9.QID {
	return p9.QID{Type: p9.QIDType(r.u8()), Version: r.u32(), Path: r.u64()}
}

func (r *reply) attr() p9.Attr {
	return p9.Attr{
		Mode:             p9.FileMode(r.u32()),
		UID:              p9.UID(r.u32()),
		GID:              p9.GID(r.u32()),
		NLink:            p9.NLink(r.u64()),
		RDev:             p9.Dev(r.u64()),
		Size:             r.u64(),
		BlockSize:        r.u64(),
		Blocks:           r.u64(),
		ATimeSeconds:     r.u64(),
		ATimeNanoSeconds: r.u64(),
		MTimeSeconds:     r.u64(),
		MTimeNanoSeconds: r.u64(),
		CTimeSeconds:     r.u64(),
		CTimeNanoSeconds: r.u64(),
		BTimeSeconds:     r.u64(),
		BTimeNanoSeconds: r.u64(),
		Gen:              r.u64(),
		DataVersion:      r.u64(),
	}
}

// dirents reads entries until the end of the message.
func (r *reply) dirents() []p9.Dirent {
	var list []p9.Dirent
	for len(r.b) > 0 && !r.short {
		d := p9.Dirent{QID: r.qid(), Offset: r.u64(), Type: p9.QIDType(r.u8()), Name: r.str()}
		list = append(list, d)
	}
	return list
}

// end fails unless the message had all fields that were read from it.
func (r *reply) end(t uint8) error {
	if r.short {
		return fmt.Errorf("the server's reply of type %d is too short", t+1)
	}
	return nil
}
