package client

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"syscall"
	"time"

	"github.com/packagefs/packagefs/server/p9l/wire"
)

// ErrLost is the error of every call on a connection that has broken.
var ErrLost = errors.New("connection to the server lost")

const (
	// MaxMessage is the message size that Dial asks for where Options has none.
	MaxMessage = 1 << 20

	maxInFlight  = 128
	flushBit     = 0x8000 // set in the tag of the Tflush for a tag
	dialTimeout  = 10 * time.Second
	writeTimeout = 30 * time.Second
	flushTimeout = 5 * time.Second
)

// Options of a connection. The zero value works.
type Options struct {
	MessageSize uint32 // to ask for, in bytes; 0 is MaxMessage

	// Patience is how long a call that was sent still waits for its answer
	// after its context has ended. Then it is taken back.
	Patience time.Duration
}

// A Conn is one connection to a server.
//
// Lock order: mu and wmu are never held together.
type Conn struct {
	patience time.Duration

	net   net.Conn
	msize uint32
	tags  chan uint16   // tags that are free
	dead  chan struct{} // closed when err is set

	mu       sync.Mutex // guards the fields below
	pending  map[uint16]*call
	err      error // why the connection is of no use, or nil
	freeFids []uint32
	nextFid  uint32

	wmu     sync.Mutex // guards the fields below
	out     []byte     // frames that wait for the writer
	spare   []byte     // the buffer written last, for use again
	writing bool       // a caller is at Write; it takes along what comes into out
}

// A call is a request without its reply. Its fields are written by the reader
// before done is closed, and read by others after.
type call struct {
	t    uint8         // type of the request
	dst  []byte        // takes the payload of an Rread
	n    int           // bytes in dst
	body []byte        // the fields of any other reply
	err  error         // a syscall.Errno, or is ErrLost
	done chan struct{} // nil in a Tclunk, for which nobody waits
	fid  uint32        // that the Tclunk gives up
}

// Dial connects to the server and agrees on the protocol. It fails if that
// takes longer than ctx allows, or 10 seconds.
func Dial(ctx context.Context, addr Addr, o Options) (*Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, dialTimeout)
	defer cancel()
	nc, err := dial(ctx, addr)
	if err != nil {
		return nil, err
	}
	stop := context.AfterFunc(ctx, func() { nc.Close() })
	c, err := handshake(nc, o)
	if !stop() && err == nil {
		err = ctx.Err()
	}
	if err != nil {
		nc.Close()
		return nil, fmt.Errorf("agree on 9P2000.L with %s: %w", addr, err)
	}
	return c, nil
}

// handshake exchanges Tversion, alone on the connection, and starts the reader.
func handshake(nc net.Conn, o Options) (*Conn, error) {
	want := o.MessageSize
	if want == 0 {
		want = MaxMessage
	}
	m := newMsg(wire.Tversion).u32(want).str(wire.Dialect)
	le.PutUint32(m.b, uint32(len(m.b)))
	le.PutUint16(m.b[5:], wire.NoTag)
	if _, err := nc.Write(m.b); err != nil {
		return nil, err
	}
	var head [wire.HeaderSize]byte
	if _, err := io.ReadFull(nc, head[:]); err != nil {
		return nil, err
	}
	size := le.Uint32(head[:])
	if head[4] != wire.Tversion+1 || size < wire.HeaderSize || size > wire.MinMsize {
		return nil, errors.New("the server does not speak 9P")
	}
	body := make([]byte, size-wire.HeaderSize)
	if _, err := io.ReadFull(nc, body); err != nil {
		return nil, err
	}
	r := wire.Decode(body)
	msize, version := r.U32(), r.Str()
	if version != wire.Dialect {
		return nil, fmt.Errorf("the server speaks %q", version)
	}
	if msize < wire.MinMsize || msize > want {
		return nil, fmt.Errorf("the server wants messages of %d bytes; %d to %d are possible", msize, wire.MinMsize, want)
	}
	c := &Conn{
		patience: o.Patience,
		net:      nc, msize: msize, tags: make(chan uint16, maxInFlight),
		dead: make(chan struct{}), pending: map[uint16]*call{},
	}
	for t := range uint16(maxInFlight) {
		c.tags <- t
	}
	go c.read()
	return c, nil
}

// Close ends the connection; calls that wait fail.
func (c *Conn) Close() error {
	c.fail(net.ErrClosed)
	<-c.dead
	return nil
}

// Dead is closed when the connection has broken or was closed.
func (c *Conn) Dead() <-chan struct{} { return c.dead }

// Err is nil while the connection works, and else an error that is ErrLost.
func (c *Conn) Err() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.err
}

// MaxIO is the most that one Tread or Twrite can carry, in bytes.
func (c *Conn) MaxIO() int { return int(c.msize) - wire.IOHeader }

// fail ends the connection for this reason, unless it has ended. The reader
// notices, and lets the calls that wait know.
func (c *Conn) fail(why error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.err == nil {
		c.err = fmt.Errorf("%w: %w", ErrLost, why)
		c.net.Close()
	}
}

// read delivers replies until the connection ends. It is the connection's one
// goroutine, and the only one that completes calls.
func (c *Conn) read() {
	br := bufio.NewReaderSize(c.net, 64<<10)
	for {
		if err := c.readOne(br); err != nil {
			c.fail(err)
			break
		}
	}
	c.mu.Lock()
	calls := c.pending
	c.pending = nil
	c.mu.Unlock()
	for _, cl := range calls {
		cl.err = c.err
		if cl.done != nil {
			close(cl.done)
		}
	}
	close(c.dead)
}

func (c *Conn) readOne(br *bufio.Reader) error {
	var head [wire.HeaderSize]byte
	if _, err := io.ReadFull(br, head[:]); err != nil {
		return err
	}
	size, t, tag := le.Uint32(head[:]), head[4], le.Uint16(head[5:])
	if size < wire.HeaderSize || size > c.msize {
		return fmt.Errorf("the server sent a message of %d bytes", size)
	}
	c.mu.Lock()
	cl := c.pending[tag]
	c.mu.Unlock()
	if cl == nil || t != cl.t+1 && t != wire.Rlerror {
		return fmt.Errorf("the server sent a message of type %d, tag %d, that answers nothing", t, tag)
	}
	if err := cl.receive(br, t, int(size)-wire.HeaderSize); err != nil {
		return err
	}
	c.mu.Lock()
	delete(c.pending, tag)
	if cl.done == nil && cl.err == nil {
		c.freeFids = append(c.freeFids, cl.fid)
	}
	c.mu.Unlock()
	if cl.done != nil {
		close(cl.done)
	} else {
		c.tags <- tag
	}
	return nil
}

// receive reads a reply's n bytes after the header.
func (cl *call) receive(br *bufio.Reader, t uint8, n int) error {
	if t == wire.Tread+1 {
		var count [4]byte
		if _, err := io.ReadFull(br, count[:]); err != nil {
			return err
		}
		cl.n = int(le.Uint32(count[:]))
		if cl.n != n-4 || cl.n > len(cl.dst) {
			return fmt.Errorf("the server sent %d bytes where %d were asked for", cl.n, len(cl.dst))
		}
		_, err := io.ReadFull(br, cl.dst[:cl.n])
		return err
	}
	cl.body = make([]byte, n)
	if _, err := io.ReadFull(br, cl.body); err != nil {
		return err
	}
	if t == wire.Rlerror {
		r := wire.Decode(cl.body)
		cl.err = syscall.Errno(r.U32())
		return check(&r, t)
	}
	return nil
}

// start sends a request under a tag, or fails if the connection has ended.
func (c *Conn) start(tag uint16, m *msg, cl *call) error {
	cl.t = m.b[4]
	if len(m.b) > int(c.msize) {
		return syscall.EMSGSIZE
	}
	le.PutUint32(m.b, uint32(len(m.b)))
	le.PutUint16(m.b[5:], tag)
	c.mu.Lock()
	if c.err != nil {
		defer c.mu.Unlock()
		return c.err
	}
	c.pending[tag] = cl
	c.mu.Unlock()
	c.write(m.b)
	return nil
}

// write queues a frame and, unless another caller is at it, writes the queue.
func (c *Conn) write(frame []byte) {
	c.wmu.Lock()
	defer c.wmu.Unlock()
	c.out = append(c.out, frame...)
	if c.writing {
		return
	}
	c.writing = true
	for len(c.out) > 0 {
		buf := c.out
		c.out = c.spare[:0]
		c.wmu.Unlock()
		c.net.SetWriteDeadline(time.Now().Add(writeTimeout))
		_, err := c.net.Write(buf)
		if err != nil {
			c.fail(err)
		}
		c.wmu.Lock()
		c.spare = buf
		if cap(buf) > MaxMessage {
			c.spare = nil
		}
	}
	c.writing = false
}

// rpc sends a request and waits for the reply. dst takes the payload of an
// Rread, and n tells its length.
func (c *Conn) rpc(ctx context.Context, m *msg, dst []byte) (r wire.Decoder, n int, err error) {
	tag, err := c.tag(ctx)
	if err != nil {
		return r, 0, err
	}
	cl := &call{dst: dst, done: make(chan struct{})}
	if err := c.start(tag, m, cl); err != nil {
		c.tags <- tag
		return r, 0, err
	}
	select {
	case <-cl.done:
	case <-ctx.Done():
		if !c.awaitLate(cl) && !c.flush(tag, cl) {
			c.tags <- tag
			return r, 0, syscall.EINTR
		}
	}
	c.tags <- tag
	return wire.Decode(cl.body), cl.n, cl.err
}

// tag gives a tag that is free. One that is there at once is given even if the
// context has ended: a call may be one of several that a patient caller makes.
func (c *Conn) tag(ctx context.Context) (uint16, error) {
	if c.patience > 0 {
		select {
		case tag := <-c.tags:
			return tag, nil
		default:
		}
	}
	select {
	case tag := <-c.tags:
		return tag, nil
	case <-ctx.Done():
		return 0, syscall.EINTR
	case <-c.dead:
		return 0, c.Err()
	}
}

// awaitLate waits for an answer for as long as the connection is patient.
func (c *Conn) awaitLate(cl *call) (answered bool) {
	if c.patience == 0 {
		return false
	}
	t := time.NewTimer(c.patience)
	defer t.Stop()
	select {
	case <-cl.done:
		return true
	case <-t.C:
		return false
	}
}

// flush takes a request back and reports whether it was answered all the same.
// A server that does not even answer that is given up.
func (c *Conn) flush(tag uint16, cl *call) (answered bool) {
	fl := &call{done: make(chan struct{})}
	m := newMsg(wire.Tflush)
	m.b = le.AppendUint16(m.b, tag)
	if c.start(tag|flushBit, m, fl) == nil {
		t := time.NewTimer(flushTimeout)
		defer t.Stop()
		select {
		case <-fl.done:
		case <-t.C:
			c.fail(errors.New("the server does not answer"))
			<-fl.done
		}
	}
	c.mu.Lock()
	answered = c.pending[tag] != cl
	if !answered {
		delete(c.pending, tag)
	}
	c.mu.Unlock()
	if answered {
		<-cl.done
	}
	return answered
}

// newFid gives a number that no fid of the connection has.
func (c *Conn) newFid() uint32 {
	c.mu.Lock()
	defer c.mu.Unlock()
	if n := len(c.freeFids); n > 0 {
		f := c.freeFids[n-1]
		c.freeFids = c.freeFids[:n-1]
		return f
	}
	c.nextFid++
	return c.nextFid
}

// dropFid takes back a number that the server has not come to know.
func (c *Conn) dropFid(f uint32) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.freeFids = append(c.freeFids, f)
}
