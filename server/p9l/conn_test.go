package p9l

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand"
	"net"
	"os"
	"runtime"
	"strings"
	"sync"
	"testing"

	"github.com/hugelgupf/p9/linux"
	"github.com/rs/zerolog"

	"github.com/packagefs/packagefs/server/p9l/p9ltest"
	"github.com/packagefs/packagefs/server/p9l/wire"
)

// TestLeaks makes and loses files in every way there is, and expects each to
// be closed once.
func TestLeaks(t *testing.T) {
	for _, fast := range []bool{true, false} {
		for _, end := range []string{"disconnect", "version", "clunk", "malformed"} {
			t.Run(fmt.Sprintf("fast=%v/%s", fast, end), func(t *testing.T) {
				tree := sampleTree(fast)
				c := p9ltest.Serve(t, &Server{Attacher: tree})()
				c.Start(0)
				rng := rand.New(rand.NewSource(1))
				paths := []string{"", "usr", "usr/bin", "usr/bin/env", "etc/motd", "a/b/c/d/e/f", "many/file-0042", "usr/nothing", "nothing", "usr/bin/env/x"}
				var batch []byte
				const n = 600
				for tag := range uint16(n) { // fids collide, so some fail
					fid, from := uint32(1+rng.Intn(40)), uint32(rng.Intn(2)*rng.Intn(40))
					var b []byte
					switch rng.Intn(6) {
					case 0, 1, 2:
						names := strings.FieldsFunc(paths[rng.Intn(len(paths))], func(r rune) bool { return r == '/' })
						b = p9ltest.Frame(wire.Twalk, tag, p9ltest.Body(from, fid, names))
					case 3:
						b = p9ltest.Frame(wire.Tclunk, tag, p9ltest.Body(fid))
					case 4:
						b = p9ltest.Frame(wire.Tlopen, tag, p9ltest.Body(fid, uint32(0)))
					case 5:
						b = p9ltest.Frame(wire.Txattrwalk, tag, p9ltest.Body(from, fid, "user.a"))
					}
					batch = append(batch, b...)
				}
				c.Raw(batch)
				for range n {
					c.Recv()
				}
				if tree.total.Load() < 50 {
					t.Fatalf("only %d handles made", tree.total.Load())
				}
				switch end {
				case "disconnect":
					c.Conn.Close()
				case "malformed":
					c.Raw(make([]byte, 7))
				case "version":
					c.Must(wire.Tversion, wire.NoTag, p9ltest.Body(uint32(8192), wire.Dialect))
				case "clunk":
					for fid := range uint32(50) {
						c.Call(wire.Tclunk, 1, p9ltest.Body(fid))
					}
				}
				p9ltest.Eventually(t, "all handles closed", func() bool { return tree.handles.Load() == 0 })
				if n := tree.wrong.Load(); n != 0 {
					t.Errorf("%d handles were closed twice, used after that, or opened twice", n)
				}
			})
		}
	}
}

// TestClunkUnderRead clunks a fid while a read of it runs: the file stays
// until the read is done.
func TestClunkUnderRead(t *testing.T) {
	g := newHeldTree()
	c := dialHeld(t, g, Limits{})
	c.Open(0, 1, "slow")
	c.Send(wire.Tread, 5, readBody(1))
	<-g.started
	c.Must(wire.Tclunk, 6, p9ltest.Body(uint32(1)))
	if n := g.handles.Load(); n != 2 {
		t.Errorf("%d handles while the read runs, want 2", n)
	}
	g.pass <- struct{}{}
	c.Next(`Rread tag 5 9 "slow data"`)
	p9ltest.Eventually(t, "the file is closed", func() bool { return g.handles.Load() == 1 })
	if g.wrong.Load() != 0 {
		t.Error("the file was closed under the read")
	}
}

// TestVersionResets ends a session with requests in flight: none is answered
// in the next one, and their fids and tags are free.
func TestVersionResets(t *testing.T) {
	g := newHeldTree()
	c := dialHeld(t, g, Limits{Running: 2})
	c.Open(0, 1, "slow")
	for tag := range uint16(6) { // two run, four wait
		c.Send(wire.Tread, 10+tag, readBody(1))
	}
	<-g.started
	<-g.started
	c.Must(wire.Tversion, wire.NoTag, p9ltest.Body(uint32(8192), wire.Dialect))
	g.pass <- struct{}{}
	g.pass <- struct{}{}
	c.Must(wire.Tattach, 10, p9ltest.Body(uint32(0), wire.NoFid, "root", "", uint32(0)))
	c.Open(0, 1, "fast")
	for tag := range uint16(6) {
		c.Must(wire.Tread, 10+tag, readBody(1))
	}
	if n := len(g.started); n != 0 {
		t.Errorf("%d reads of the old session began after it", n)
	}
}

func TestWrites(t *testing.T) {
	g := newHeldTree()
	c := dialHeld(t, g, Limits{})
	c.Walk(0, 1, "fast")
	c.Must(wire.Tlopen, 1, p9ltest.Body(uint32(1), uint32(1)))
	for _, n := range []int{1, 4096, inSize - 23, inSize, 1<<20 - wire.IOHeader} {
		r := c.Must(wire.Twrite, 1, p9ltest.Body(uint32(1), uint64(0), uint32(n), bytes.Repeat([]byte{7}, n)))
		if got := int(le.Uint32(r)); got != n {
			t.Errorf("write of %d bytes: %d", n, got)
		}
	}
	c.Fails(linux.EBADF, wire.Tread, readBody(1))
	c.Fails(linux.EFBIG, wire.Twrite, p9ltest.Body(uint32(1), uint64(1<<63-1), uint32(1), byte(0)))
	c.Must(wire.Tattach, 1, p9ltest.Body(uint32(5), wire.NoFid, "", "", uint32(1000)))
	r := c.Must(wire.Tlcreate, 1, p9ltest.Body(uint32(5), "new", uint32(0o102), uint32(0o100644), uint32(0)))
	if uid := le.Uint64(r[5:]); uid != 1000 {
		t.Errorf("the file is created for user %d, want that of the attach", uid)
	}
	c.Must(wire.Twrite, 1, p9ltest.Body(uint32(5), uint64(0), uint32(1), byte(0)))
	c.Fails(linux.ENOTDIR, wire.Tlcreate, p9ltest.Body(uint32(5), "new", uint32(0o102), uint32(0o644), uint32(0)))
}

func TestSetXattr(t *testing.T) {
	g := newHeldTree()
	c := dialHeld(t, g, Limits{XattrBytes: 100})
	set := func(name, value string, flags uint32) linux.Errno {
		c.Walk(0, 1, "fast")
		if _, errno := c.Call(wire.Txattrcreate, 1, p9ltest.Body(uint32(1), name, uint64(len(value)), flags)); errno != 0 {
			c.Clunk(1)
			return errno
		}
		if value != "" {
			c.Must(wire.Twrite, 1, p9ltest.Body(uint32(1), uint64(0), uint32(len(value)), []byte(value)))
		}
		_, errno := c.Call(wire.Tclunk, 1, p9ltest.Body(uint32(1)))
		return errno
	}
	for _, step := range []struct {
		name, value string
		flags       uint32
		errno       linux.Errno
		is          bool
	}{
		{"user.x", "value", 0, 0, true},
		{"user.refused", "value", 0, linux.EPERM, false},
		{"user.x", "", 0, 0, true},
		{"user.x", "", 2, 0, false},
	} {
		errno := set(step.name, step.value, step.flags)
		value, is := g.attribute(step.name)
		if errno != step.errno || is != step.is || is && value != step.value {
			t.Errorf("%+v: errno %v, value %q, %v", step, errno, value, is)
		}
	}
	if errno := set("user.x", strings.Repeat("x", 101), 0); errno != linux.ENOSPC {
		t.Errorf("over the limit of the connection: %v", errno)
	}
	for range 10 { // nothing is left held
		if errno := set("user.x", strings.Repeat("x", 100), 0); errno != 0 {
			t.Fatal(errno)
		}
	}
	c.Walk(0, 2, "fast")
	c.Must(wire.Txattrwalk, 1, p9ltest.Body(uint32(2), uint32(3), "user.x"))
	c.Fails(linux.ENOSPC, wire.Txattrwalk, p9ltest.Body(uint32(2), uint32(4), "user.x"))
	c.Clunk(3)
	c.Must(wire.Txattrwalk, 1, p9ltest.Body(uint32(2), uint32(3), "user.x"))
}

// TestReadSizes reads whole files with odd counts, small messages and large
// ones, on both kinds of files.
func TestReadSizes(t *testing.T) {
	for _, fast := range []bool{true, false} {
		tree := sampleTree(fast)
		data := tree.find("big").data
		dial := p9ltest.Serve(t, &Server{Attacher: tree})
		for _, msize := range []uint32{4096, 8192, 65560, 524312, 1 << 20, 1 << 30} {
			c := dial()
			c.Must(wire.Tversion, wire.NoTag, p9ltest.Body(msize, wire.Dialect))
			c.Must(wire.Tattach, 1, p9ltest.Body(uint32(0), wire.NoFid, "", "", uint32(0)))
			c.Open(0, 1, "big")
			msize = min(msize, 1<<20)
			for _, offset := range []int{0, 1, 1 << 20, len(data) - 5000, len(data) - 1, len(data)} {
				for _, count := range []uint32{1, 4096, 100_000, ^uint32(0)} {
					r := c.Must(wire.Tread, 1, p9ltest.Body(uint32(1), uint64(offset), count))
					want := data[offset:]
					if most := min(count, msize-wire.IOHeader); uint32(len(want)) > most {
						want = want[:most]
					}
					if !bytes.Equal(r[4:], want) {
						t.Fatalf("fast=%v msize %d: %d bytes at %d: got %d, want %d", fast, msize, count, offset, len(r)-4, len(want))
					}
				}
			}
		}
	}
}

// TestReaddirPieces lists a large directory with every small count, and
// expects each name once.
func TestReaddirPieces(t *testing.T) {
	for _, fast := range []bool{true, false} {
		c := dialTree(t, sampleTree(fast))
		c.Open(0, 1, "many")
		for _, count := range []uint32{33, 40, 100, 1000, 8168, 1 << 20} {
			var offset uint64
			var names []string
			for {
				r := c.Must(wire.Treaddir, 1, p9ltest.Body(uint32(1), offset, count))
				d := wire.Decode(r)
				entries := d.Dirents()
				if size := len(r) - 4; !d.End() || uint32(size) > count {
					t.Fatalf("%d bytes of whole entries, asked for %d", size, count)
				}
				if len(entries) == 0 {
					break
				}
				for _, e := range entries {
					offset = e.Offset
					names = append(names, e.Name)
				}
			}
			if len(names) != 1002 || names[0] != "." || names[1] != ".." || names[2] != "file-0000" || names[1001] != "file-0999" {
				t.Errorf("fast=%v count %d: %d names", fast, count, len(names))
			}
		}
	}
}

// TestManyNames walks to distinct names, found and not found, and expects the
// server to hold no memory for them.
func TestManyNames(t *testing.T) {
	c := dialTree(t, sampleTree(true))
	heap := func() uint64 {
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return m.HeapAlloc
	}
	round := func(from, to int) {
		for i := from; i < to; i += 100 {
			var batch []byte
			for k := range 100 {
				batch = append(batch, p9ltest.Frame(wire.Twalk, uint16(k), p9ltest.Body(uint32(0), uint32(k+1), []string{fmt.Sprintf("no-such-name-%d", i+k)}))...)
			}
			c.Raw(batch)
			for range 100 {
				if r := c.Recv(); r[4] != wire.Rlerror {
					t.Fatal(wire.Text(r))
				}
			}
		}
	}
	round(0, 10_000)
	before := heap()
	round(10_000, 210_000)
	if after := heap(); after > before+1<<20 {
		t.Errorf("%d bytes more after 200000 names", after-before)
	}
}

func TestPanicInFile(t *testing.T) {
	g := newHeldTree()
	c := dialHeld(t, g, Limits{})
	c.Open(0, 1, "panic")
	c.Fails(linux.EIO, wire.Tread, readBody(1))
	c.Clunk(1)
	c.Must(wire.Tgetattr, 1, p9ltest.Body(uint32(0), uint64(wire.BasicMask)))
}

func TestShutdownDrains(t *testing.T) {
	g := newHeldTree()
	s := &Server{Attacher: g}
	dial := p9ltest.Serve(t, s)
	c := dial()
	c.Start(0)
	c.Open(0, 1, "events")
	c.Send(wire.Tread, 4, readBody(1))
	p9ltest.Eventually(t, "a read waits", func() bool { return g.waiting.Load() == 1 })
	c.Send(wire.Tmkdir, 5, mkdirBody)
	<-g.started
	done := make(chan error)
	go func() { done <- s.Shutdown(context.Background()) }()
	c.Next("Rlerror tag 4 EINTR")
	select {
	case err := <-done:
		t.Fatalf("Shutdown did not wait: %v", err)
	default:
	}
	g.pass <- struct{}{}
	c.Next("Rmkdir tag 5 dir")
	if err := c.Closed(); err != nil {
		t.Error(err)
	}
	if err := <-done; err != nil {
		t.Error(err)
	}
	if g.handles.Load() != 0 {
		t.Error("files left open")
	}
	if err := s.Serve(context.Background(), failingListener{}); err != ErrClosed {
		t.Errorf("Serve after Shutdown: %v", err)
	}
}

// TestShutdownGivesUp has a request that never ends.
func TestShutdownGivesUp(t *testing.T) {
	g := newHeldTree()
	s := &Server{Attacher: g}
	c := p9ltest.Pipe(t, over(s))
	defer close(g.pass)
	c.Start(0)
	c.Send(wire.Tmkdir, 5, mkdirBody)
	<-g.started
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if err := s.Shutdown(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("Shutdown: %v", err)
	}
	if err := c.Closed(); err != nil {
		t.Error(err)
	}
}

type failingListener struct{}

func (failingListener) Accept() (net.Conn, error) { return nil, os.ErrPermission }
func (failingListener) Close() error              { return nil }
func (failingListener) Addr() net.Addr            { return &net.UnixAddr{Name: "failing"} }

func TestServeReportsFailure(t *testing.T) {
	err := new(Server).Serve(context.Background(), failingListener{})
	if !errors.Is(err, os.ErrPermission) {
		t.Errorf("Serve: %v", err)
	}
}

// TestPipe runs a session over net.Pipe, which buffers nothing.
func TestPipe(t *testing.T) {
	tree := sampleTree(true)
	c := p9ltest.Pipe(t, over(&Server{Attacher: tree}))
	c.Start(0)
	c.Open(0, 1, "big")
	r := c.Must(wire.Tread, 1, p9ltest.Body(uint32(1), uint64(5), uint32(1<<20)))
	if !bytes.Equal(r[4:], tree.find("big").data[5:5+1<<20-wire.IOHeader]) {
		t.Error("wrong data")
	}
	c.Raw(make([]byte, 7))
	if err := c.Closed(); err != nil {
		t.Error(err)
	}
	p9ltest.Eventually(t, "all files closed", func() bool { return tree.handles.Load() == 0 })
}

// A lockedBuffer is a log that may be read while it is written.
type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

func TestTraceAndStats(t *testing.T) {
	var log lockedBuffer
	s := &Server{Attacher: sampleTree(false), Log: zerolog.New(&log).Level(zerolog.TraceLevel)}
	c := p9ltest.Serve(t, s)()
	c.Start(0)
	c.Walk(0, 2, "usr/bin")
	c.Fails(linux.ENOENT, wire.Twalk, p9ltest.Body(uint32(0), uint32(3), []string{"x"}))
	c.Conn.Close()
	p9ltest.Eventually(t, "connection ended", func() bool { return s.Stats().Open == 0 })
	for _, want := range []string{
		"Twalk tag 1 fid 0 newfid 2 usr bin", "Rwalk tag 1 dir#", "Rlerror tag 1 ENOENT", "connection opened", "connection closed",
	} {
		if !strings.Contains(log.String(), want) {
			t.Errorf("log has no %q:\n%s", want, log.String())
		}
	}
	got := s.Stats()
	want := Stats{Conns: 1, Requests: 4, Errors: 1, Received: got.Received, Sent: got.Sent}
	if got != want || got.Sent != 21+20+35+11 || got.Received != 21+27+27+20 {
		t.Errorf("%+v", got)
	}
}

// over serves one end of a pipe.
func over(s *Server) func(net.Conn) {
	return func(nc net.Conn) { s.ServeConn(nc, Peer{Network: "pipe"}) }
}
