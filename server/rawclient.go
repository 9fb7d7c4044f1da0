package server

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
)

// patience is how long a test waits for what must come.
const patience = 20 * time.Second

// A client sends and reads raw messages, and may send what no honest client
// would.
type client struct {
	tb  testing.TB
	nc  net.Conn
	in  *bufio.Reader
	buf []byte
}

// A servant is what a test serves; a Server is one.
type servant interface {
	Serve(context.Context, net.Listener) error
	Shutdown(context.Context) error
}

// serveUnix runs s on a unix socket until the test ends, and returns how to
// connect.
func serveUnix(tb testing.TB, s servant) func() *client {
	sock := filepath.Join(tb.TempDir(), "sock")
	l, err := net.Listen("unix", sock)
	if err != nil {
		tb.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- s.Serve(context.Background(), l) }()
	tb.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		if err := s.Shutdown(ctx); err != nil {
			tb.Errorf("Shutdown: %v", err)
		}
		if err := <-done; err != nil {
			tb.Errorf("Serve: %v", err)
		}
	})
	return func() *client {
		nc, err := net.Dial("unix", sock)
		if err != nil {
			tb.Fatal(err)
		}
		tb.Cleanup(func() { nc.Close() })
		return newClient(tb, nc)
	}
}

// servePipe has one end of a net.Pipe served until the test ends.
func servePipe(tb testing.TB, serve func(net.Conn)) *client {
	nc, far := net.Pipe()
	done := make(chan struct{})
	go func() { defer close(done); serve(far) }()
	tb.Cleanup(func() { nc.Close(); <-done })
	return newClient(tb, nc)
}

func newClient(tb testing.TB, nc net.Conn) *client {
	return &client{tb: tb, nc: nc, in: bufio.NewReaderSize(nc, 1<<20)}
}

func testLog(tb testing.TB) zerolog.Logger {
	return zerolog.New(zerolog.NewTestWriter(tb)).Level(zerolog.WarnLevel)
}

func (c *client) start(fid uint32) {
	c.must(msgTversion, noTag, body(uint32(1<<20), dialect))
	c.must(msgTattach, 0, body(fid, noFid, "root", "", uint32(0)))
}

// body codes the fields of a message: numbers by their size, strings, byte
// slices as they are.
func body(fields ...any) []byte {
	var b []byte
	for _, f := range fields {
		switch f := f.(type) {
		case string:
			b = appendStr(b, f)
		case []string:
			b = le.AppendUint16(b, uint16(len(f)))
			for _, s := range f {
				b = appendStr(b, s)
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

func frame(typ byte, tag uint16, body []byte) []byte {
	b := append(appendHeader(nil, typ, tag), body...)
	setSize(b, 0)
	return b
}

func (c *client) send(typ byte, tag uint16, body []byte) {
	c.tb.Helper()
	c.raw(frame(typ, tag, body))
}

func (c *client) raw(b []byte) {
	c.tb.Helper()
	c.nc.SetWriteDeadline(time.Now().Add(patience))
	if _, err := c.nc.Write(b); err != nil {
		c.tb.Fatalf("send: %v", err)
	}
}

// recv returns the next message, valid until the next recv.
func (c *client) recv() []byte {
	c.tb.Helper()
	b, err := c.tryRecv(patience)
	if err != nil {
		c.tb.Fatalf("no reply: %v", err)
	}
	return b
}

func (c *client) tryRecv(wait time.Duration) ([]byte, error) {
	c.nc.SetReadDeadline(time.Now().Add(wait))
	head, err := c.in.Peek(4)
	if err != nil {
		return nil, err
	}
	n := int(le.Uint32(head))
	if n < headerSize || n > 1<<20 {
		return nil, fmt.Errorf("reply of %d bytes", n)
	}
	if cap(c.buf) < n {
		c.buf = make([]byte, n)
	}
	c.buf = c.buf[:n]
	_, err = io.ReadFull(c.in, c.buf)
	return c.buf, err
}

// call sends a request and returns the body of its reply, or its errno.
func (c *client) call(typ byte, tag uint16, body []byte) ([]byte, linux.Errno) {
	c.tb.Helper()
	c.send(typ, tag, body)
	r := c.recv()
	switch {
	case le.Uint16(r[5:]) != tag:
		c.tb.Fatalf("reply to %s: %s", messageText(frame(typ, tag, body)), messageText(r))
	case r[4] == msgRlerror:
		return nil, linux.Errno(le.Uint32(r[headerSize:]))
	case r[4] != typ+1:
		c.tb.Fatalf("reply to %s: %s", messageText(frame(typ, tag, body)), messageText(r))
	}
	return r[headerSize:], 0
}

func (c *client) must(typ byte, tag uint16, body []byte) []byte {
	c.tb.Helper()
	r, errno := c.call(typ, tag, body)
	if errno != 0 {
		c.tb.Fatalf("%s: %v", messageText(frame(typ, tag, body)), errno)
	}
	return r
}

// fails sends a request that has to fail with an errno.
func (c *client) fails(want linux.Errno, typ byte, body []byte) {
	c.tb.Helper()
	if _, errno := c.call(typ, 1, body); errno != want {
		c.tb.Errorf("%s: errno %v, want %v", messageText(frame(typ, 1, body)), errno, want)
	}
}

func (c *client) walk(from, to uint32, path string) {
	c.tb.Helper()
	var names []string
	if path != "" {
		names = strings.Split(path, "/")
	}
	r := c.must(msgTwalk, 1, body(from, to, names))
	if n := int(le.Uint16(r)); n != len(names) {
		c.tb.Fatalf("walk to %s came %d names far", path, n)
	}
}

func (c *client) open(from, to uint32, path string) {
	c.tb.Helper()
	c.walk(from, to, path)
	c.must(msgTlopen, 1, body(to, uint32(0)))
}

func (c *client) clunk(fid uint32) {
	c.tb.Helper()
	c.must(msgTclunk, 1, body(fid))
}

// skip reads n replies.
func (c *client) skip(n int) {
	for range n {
		head, err := c.in.Peek(5)
		if err != nil {
			c.tb.Fatal(err)
		}
		if head[4] == msgRlerror {
			c.tb.Fatalf("reply: %s", messageText(c.recv()))
		}
		if _, err := c.in.Discard(int(le.Uint32(head))); err != nil {
			c.tb.Fatal(err)
		}
	}
}

func (c *client) next(pattern string) {
	c.tb.Helper()
	if got := messageText(c.recv()); !matches(got, pattern, 1) {
		c.tb.Fatalf("got %s, want %s", got, pattern)
	}
}

// closed waits for the server to close the connection. It fails if another
// reply comes, or nothing does.
func (c *client) closed() error {
	b, err := c.tryRecv(patience)
	var ne net.Error
	switch {
	case err == nil:
		return fmt.Errorf("%s, want the connection closed", messageText(b))
	case errors.As(err, &ne) && ne.Timeout():
		return errors.New("the connection stays open")
	}
	return nil
}

// eventually waits for what happens in the background.
func eventually(tb testing.TB, what string, ok func() bool) {
	tb.Helper()
	for end := time.Now().Add(patience); !ok(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			tb.Fatalf("never: %s", what)
		}
	}
}
