package p9ltest

import (
	"bufio"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/hugelgupf/p9/linux"
	"github.com/rs/zerolog"

	"github.com/packagefs/packagefs/server/p9l/wire"
)

// Patience is how long a test waits for what must come.
const Patience = 20 * time.Second

// A Client sends and reads raw messages, and may send what no honest client
// would.
type Client struct {
	Conn net.Conn
	tb   testing.TB
	in   *bufio.Reader
	buf  []byte
}

// A Server is what a test serves; that of the engine is one.
type Server interface {
	Serve(context.Context, net.Listener) error
	Shutdown(context.Context) error
}

// Serve runs s on a unix socket until the test ends, and returns how to
// connect.
func Serve(tb testing.TB, s Server) func() *Client {
	sock := filepath.Join(tb.TempDir(), "sock")
	l, err := net.Listen("unix", sock)
	if err != nil {
		tb.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- s.Serve(context.Background(), l) }()
	tb.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), Patience)
		defer cancel()
		if err := s.Shutdown(ctx); err != nil {
			tb.Errorf("Shutdown: %v", err)
		}
		if err := <-done; err != nil {
			tb.Errorf("Serve: %v", err)
		}
	})
	return func() *Client {
		nc, err := net.Dial("unix", sock)
		if err != nil {
			tb.Fatal(err)
		}
		tb.Cleanup(func() { nc.Close() })
		return NewClient(tb, nc)
	}
}

// Pipe has one end of a net.Pipe served until the test ends.
func Pipe(tb testing.TB, serve func(net.Conn)) *Client {
	nc, far := net.Pipe()
	done := make(chan struct{})
	go func() { defer close(done); serve(far) }()
	tb.Cleanup(func() { nc.Close(); <-done })
	return NewClient(tb, nc)
}

// NewClient returns the client of a connection.
func NewClient(tb testing.TB, nc net.Conn) *Client {
	return &Client{tb: tb, Conn: nc, in: bufio.NewReaderSize(nc, 1<<20)}
}

// Log has the warnings of a server in the log of its test.
func Log(tb testing.TB) zerolog.Logger {
	return zerolog.New(zerolog.NewTestWriter(tb)).Level(zerolog.WarnLevel)
}

// Start agrees on messages of 1 MiB and attaches a fid to the tree of no name.
func (c *Client) Start(fid uint32) {
	c.Must(wire.Tversion, wire.NoTag, Body(uint32(1<<20), wire.Dialect))
	c.Must(wire.Tattach, 0, Body(fid, wire.NoFid, "root", "", uint32(0)))
}

// Body codes the fields of a message: numbers by their size, strings, byte
// slices as they are.
func Body(fields ...any) []byte {
	var b []byte
	for _, f := range fields {
		switch f := f.(type) {
		case string:
			b = wire.AppendStr(b, f)
		case []string:
			b = le.AppendUint16(b, uint16(len(f)))
			for _, s := range f {
				b = wire.AppendStr(b, s)
			}
		default:
			var err error
			if b, err = binary.Append(b, le, f); err != nil {
				panic(err)
			}
		}
	}
	return b
}

// Frame makes a whole message.
func Frame(typ byte, tag uint16, body []byte) []byte {
	b := append(wire.AppendHeader(nil, typ, tag), body...)
	wire.PutSize(b, 0)
	return b
}

// Send sends a request and waits for nothing.
func (c *Client) Send(typ byte, tag uint16, body []byte) {
	c.tb.Helper()
	c.Raw(Frame(typ, tag, body))
}

// Raw sends bytes as they are.
func (c *Client) Raw(b []byte) {
	c.tb.Helper()
	c.Conn.SetWriteDeadline(time.Now().Add(Patience))
	if _, err := c.Conn.Write(b); err != nil {
		c.tb.Fatalf("send: %v", err)
	}
}

// Recv returns the next message, valid until the next Recv.
func (c *Client) Recv() []byte {
	c.tb.Helper()
	b, err := c.TryRecv(Patience)
	if err != nil {
		c.tb.Fatalf("no reply: %v", err)
	}
	return b
}

// TryRecv is Recv that waits so long at most, and may fail.
func (c *Client) TryRecv(wait time.Duration) ([]byte, error) {
	c.Conn.SetReadDeadline(time.Now().Add(wait))
	head, err := c.in.Peek(4)
	if err != nil {
		return nil, err
	}
	n := int(le.Uint32(head))
	if n < wire.HeaderSize || n > 1<<20 {
		return nil, fmt.Errorf("reply of %d bytes", n)
	}
	if cap(c.buf) < n {
		c.buf = make([]byte, n)
	}
	c.buf = c.buf[:n]
	_, err = io.ReadFull(c.in, c.buf)
	return c.buf, err
}

// Call sends a request and returns the body of its reply, or its errno.
func (c *Client) Call(typ byte, tag uint16, body []byte) ([]byte, linux.Errno) {
	c.tb.Helper()
	c.Send(typ, tag, body)
	r := c.Recv()
	switch {
	case le.Uint16(r[5:]) != tag:
		c.tb.Fatalf("reply to %s: %s", wire.Text(Frame(typ, tag, body)), wire.Text(r))
	case r[4] == wire.Rlerror:
		return nil, linux.Errno(le.Uint32(r[wire.HeaderSize:]))
	case r[4] != typ+1:
		c.tb.Fatalf("reply to %s: %s", wire.Text(Frame(typ, tag, body)), wire.Text(r))
	}
	return r[wire.HeaderSize:], 0
}

// Must is Call of a request that has to succeed.
func (c *Client) Must(typ byte, tag uint16, body []byte) []byte {
	c.tb.Helper()
	r, errno := c.Call(typ, tag, body)
	if errno != 0 {
		c.tb.Fatalf("%s: %v", wire.Text(Frame(typ, tag, body)), errno)
	}
	return r
}

// Fails sends a request that has to fail with an errno.
func (c *Client) Fails(want linux.Errno, typ byte, body []byte) {
	c.tb.Helper()
	if _, errno := c.Call(typ, 1, body); errno != want {
		c.tb.Errorf("%s: errno %v, want %v", wire.Text(Frame(typ, 1, body)), errno, want)
	}
}

// Walk walks the whole way and makes a new fid.
func (c *Client) Walk(from, to uint32, path string) {
	c.tb.Helper()
	var names []string
	if path != "" {
		names = strings.Split(path, "/")
	}
	r := c.Must(wire.Twalk, 1, Body(from, to, names))
	if n := int(le.Uint16(r)); n != len(names) {
		c.tb.Fatalf("walk to %s came %d names far", path, n)
	}
}

// Open is Walk that opens the file to read.
func (c *Client) Open(from, to uint32, path string) {
	c.tb.Helper()
	c.Walk(from, to, path)
	c.Must(wire.Tlopen, 1, Body(to, uint32(0)))
}

// Clunk gives a fid up.
func (c *Client) Clunk(fid uint32) {
	c.tb.Helper()
	c.Must(wire.Tclunk, 1, Body(fid))
}

// Skip reads n replies, none of which may be an error.
func (c *Client) Skip(n int) {
	for range n {
		head, err := c.in.Peek(5)
		if err != nil {
			c.tb.Fatal(err)
		}
		if head[4] == wire.Rlerror {
			c.tb.Fatalf("reply: %s", wire.Text(c.Recv()))
		}
		if _, err := c.in.Discard(int(le.Uint32(head))); err != nil {
			c.tb.Fatal(err)
		}
	}
}

// Next expects one message, given as text; see Matches.
func (c *Client) Next(pattern string) {
	c.tb.Helper()
	if got := wire.Text(c.Recv()); !Matches(got, pattern, 1) {
		c.tb.Fatalf("got %s, want %s", got, pattern)
	}
}

// Closed waits for the server to close the connection. It fails if another
// reply comes, or nothing does.
func (c *Client) Closed() error {
	b, err := c.TryRecv(Patience)
	var ne net.Error
	switch {
	case err == nil:
		return fmt.Errorf("%s, want the connection closed", wire.Text(b))
	case errors.As(err, &ne) && ne.Timeout():
		return errors.New("the connection stays open")
	}
	return nil
}

// Eventually waits for what happens in the background.
func Eventually(tb testing.TB, what string, ok func() bool) {
	tb.Helper()
	for end := time.Now().Add(Patience); !ok(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			tb.Fatalf("never: %s", what)
		}
	}
}
