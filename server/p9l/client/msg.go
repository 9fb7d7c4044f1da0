package client

import (
	"encoding/binary"
	"fmt"

	"github.com/packagefs/packagefs/server/p9l/wire"
)

var le = binary.LittleEndian

// A msg is a T-message in the making: the header, whose size and tag are
// filled in when it is sent, and the fields so far.
type msg struct{ b []byte }

func newMsg(t uint8) *msg {
	b := make([]byte, wire.HeaderSize, 64)
	b[4] = t
	return &msg{b}
}

func (m *msg) u8(v uint8) *msg   { m.b = append(m.b, v); return m }
func (m *msg) u32(v uint32) *msg { m.b = le.AppendUint32(m.b, v); return m }
func (m *msg) u64(v uint64) *msg { m.b = le.AppendUint64(m.b, v); return m }

// str adds a string, which must be shorter than 64 KiB.
func (m *msg) str(s string) *msg {
	m.b = wire.AppendStr(m.b, s)
	return m
}

// check fails unless a reply had all fields that were read from it.
func check(d *wire.Decoder, t byte) error {
	if d.Short() {
		return fmt.Errorf("the server's reply of type %d is too short", t+1)
	}
	return nil
}
