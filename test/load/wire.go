package load

import (
	"bufio"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"syscall"

	"github.com/packagefs/packagefs/server/p9l/wire"
)

const rootFID = 0

// A Conn is one connection to a server, attached to a tree.
type Conn struct {
	nc    net.Conn
	in    *bufio.Reader
	msize uint32

	out   []byte // requests that are not sent yet
	start int    // in out: where the message begins that is being written
	reply []byte // the last reply's body
}

// Dial connects, agrees on a message size of at most msize, and attaches as
// root.
func Dial(network, addr, aname string, msize uint32) (*Conn, error) {
	nc, err := net.Dial(network, addr)
	if err != nil {
		return nil, err
	}
	c := &Conn{nc: nc, in: bufio.NewReaderSize(nc, 1<<20), msize: msize}
	if err := c.attach(aname); err != nil {
		nc.Close()
		return nil, err
	}
	return c, nil
}

func (c *Conn) attach(aname string) error {
	c.begin(wire.Tversion, wire.NoTag)
	c.u32(c.msize)
	c.str(wire.Dialect)
	body, err := c.call(wire.Tversion)
	if err != nil {
		return fmt.Errorf("version: %w", err)
	}
	d := wire.Decode(body)
	if c.msize = d.U32(); d.Short() {
		return fmt.Errorf("version: a reply of %d bytes", len(body))
	}
	c.begin(wire.Tattach, 0)
	c.u32(rootFID)
	c.u32(wire.NoFid)
	c.str("root")
	c.str(aname)
	c.u32(0)
	if _, err := c.call(wire.Tattach); err != nil {
		return fmt.Errorf("attach %q: %w", aname, err)
	}
	return nil
}

// Close ends the connection.
func (c *Conn) Close() error { return c.nc.Close() }

// begin starts a message; fields are appended to out, and end ends it.
func (c *Conn) begin(kind byte, tag uint16) {
	c.start = len(c.out)
	c.out = wire.AppendHeader(c.out, kind, tag)
}

func (c *Conn) u16(v uint16) { c.out = binary.LittleEndian.AppendUint16(c.out, v) }
func (c *Conn) u32(v uint32) { c.out = binary.LittleEndian.AppendUint32(c.out, v) }
func (c *Conn) u64(v uint64) { c.out = binary.LittleEndian.AppendUint64(c.out, v) }

func (c *Conn) str(s string) { c.out = wire.AppendStr(c.out, s) }

func (c *Conn) end() { wire.PutSize(c.out, c.start) }

// flush sends all messages that were ended.
func (c *Conn) flush() error {
	_, err := c.nc.Write(c.out)
	c.out = c.out[:0]
	return err
}

// call ends the message that was begun, sends it, and returns the body of its
// reply.
func (c *Conn) call(kind byte) ([]byte, error) {
	c.end()
	return c.answer(kind)
}

// answer sends the one message that was ended and returns the body of its
// reply.
func (c *Conn) answer(kind byte) ([]byte, error) {
	if err := c.flush(); err != nil {
		return nil, err
	}
	got, _, body, err := c.read()
	if err != nil {
		return nil, err
	}
	return body, checkType(kind, got, body)
}

// checkType fails unless got answers a request of type kind.
func checkType(kind, got byte, body []byte) error {
	switch {
	case got == kind+1:
		return nil
	case got == wire.Rlerror && len(body) == 4:
		return syscall.Errno(binary.LittleEndian.Uint32(body))
	default:
		return fmt.Errorf("a message of type %d answers one of type %d", got, kind)
	}
}

// read returns the next reply. The body is valid until the next read.
func (c *Conn) read() (kind byte, tag uint16, body []byte, err error) {
	var head [wire.HeaderSize]byte
	if _, err := io.ReadFull(c.in, head[:]); err != nil {
		return 0, 0, nil, err
	}
	size := binary.LittleEndian.Uint32(head[:])
	if size < wire.HeaderSize || size > c.msize {
		return 0, 0, nil, fmt.Errorf("a reply of %d bytes, the message size is %d", size, c.msize)
	}
	if cap(c.reply) < int(size) {
		c.reply = make([]byte, size)
	}
	body = c.reply[:size-wire.HeaderSize]
	_, err = io.ReadFull(c.in, body)
	return head[4], binary.LittleEndian.Uint16(head[5:]), body, err
}
