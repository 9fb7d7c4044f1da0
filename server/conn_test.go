package server

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
)

// TestLeaks makes and loses files in every way there is, and expects each to
// be closed once.
func TestLeaks(t *testing.T) {
	for _, fast := range []bool{true, false} {
		for _, end := range []string{"disconnect", "version", "clunk", "malformed"} {
			t.Run(fmt.Sprintf("fast=%v/%s", fast, end), func(t *testing.T) {
				tree := sampleTree(fast)
				c := serveUnix(t, &Server{Attacher: tree})()
				c.start(0)
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
						b = frame(msgTwalk, tag, body(from, fid, names))
					case 3:
						b = frame(msgTclunk, tag, body(fid))
					case 4:
						b = frame(msgTlopen, tag, body(fid, uint32(0)))
					case 5:
						b = frame(msgTxattrwalk, tag, body(from, fid, "user.a"))
					}
					batch = append(batch, b...)
				}
				c.raw(batch)
				for range n {
					c.recv()
				}
				if tree.made.Load() < 50 {
					t.Fatalf("only %d handles made", tree.made.Load())
				}
				switch end {
				case "disconnect":
					c.nc.Close()
				case "malformed":
					c.raw(make([]byte, 7))
				case "version":
					c.must(msgTversion, noTag, body(uint32(8192), dialect))
				case "clunk":
					for fid := range uint32(50) {
						c.call(msgTclunk, 1, body(fid))
					}
				}
				eventually(t, "all handles closed", func() bool { return tree.handles.Load() == 0 })
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
	g := newGate()
	c := dialGate(t, g, Limits{})
	c.open(0, 1, "slow")
	c.send(msgTread, 5, readBody(1))
	<-g.started
	c.must(msgTclunk, 6, body(uint32(1)))
	if n := g.handles.Load(); n != 2 {
		t.Errorf("%d handles while the read runs, want 2", n)
	}
	g.pass <- struct{}{}
	c.next(`Rread tag 5 9 "slow data"`)
	eventually(t, "the file is closed", func() bool { return g.handles.Load() == 1 })
	if g.wrong.Load() != 0 {
		t.Error("the file was closed under the read")
	}
}

// TestVersionResets ends a session with requests in flight: none is answered
// in the next one, and their fids and tags are free.
func TestVersionResets(t *testing.T) {
	g := newGate()
	c := dialGate(t, g, Limits{Running: 2})
	c.open(0, 1, "slow")
	for tag := range uint16(6) { // two run, four wait
		c.send(msgTread, 10+tag, readBody(1))
	}
	<-g.started
	<-g.started
	c.must(msgTversion, noTag, body(uint32(8192), dialect))
	g.pass <- struct{}{}
	g.pass <- struct{}{}
	c.must(msgTattach, 10, body(uint32(0), noFid, "root", "", uint32(0)))
	c.open(0, 1, "fast")
	for tag := range uint16(6) {
		c.must(msgTread, 10+tag, readBody(1))
	}
	if n := len(g.started); n != 0 {
		t.Errorf("%d reads of the old session began after it", n)
	}
}

func TestWrites(t *testing.T) {
	g := newGate()
	c := dialGate(t, g, Limits{})
	c.walk(0, 1, "fast")
	c.must(msgTlopen, 1, body(uint32(1), uint32(1)))
	for _, n := range []int{1, 4096, inSize - 23, inSize, 1<<20 - ioHeader} {
		r := c.must(msgTwrite, 1, body(uint32(1), uint64(0), uint32(n), bytes.Repeat([]byte{7}, n)))
		if got := int(le.Uint32(r)); got != n {
			t.Errorf("write of %d bytes: %d", n, got)
		}
	}
	c.fails(linux.EBADF, msgTread, readBody(1))
	c.fails(linux.EFBIG, msgTwrite, body(uint32(1), uint64(1<<63-1), uint32(1), byte(0)))
	c.must(msgTattach, 1, body(uint32(5), noFid, "", "", uint32(1000)))
	r := c.must(msgTlcreate, 1, body(uint32(5), "new", uint32(0o102), uint32(0o100644), uint32(0)))
	if uid := le.Uint64(r[5:]); uid != 1000 {
		t.Errorf("the file is created for user %d, want that of the attach", uid)
	}
	c.must(msgTwrite, 1, body(uint32(5), uint64(0), uint32(1), byte(0)))
	c.fails(linux.ENOTDIR, msgTlcreate, body(uint32(5), "new", uint32(0o102), uint32(0o644), uint32(0)))
}

func TestSetXattr(t *testing.T) {
	g := newGate()
	c := dialGate(t, g, Limits{XattrBytes: 100})
	set := func(name, value string, flags uint32) linux.Errno {
		c.walk(0, 1, "fast")
		if _, errno := c.call(msgTxattrcreate, 1, body(uint32(1), name, uint64(len(value)), flags)); errno != 0 {
			c.clunk(1)
			return errno
		}
		if value != "" {
			c.must(msgTwrite, 1, body(uint32(1), uint64(0), uint32(len(value)), []byte(value)))
		}
		_, errno := c.call(msgTclunk, 1, body(uint32(1)))
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
	c.walk(0, 2, "fast")
	c.must(msgTxattrwalk, 1, body(uint32(2), uint32(3), "user.x"))
	c.fails(linux.ENOSPC, msgTxattrwalk, body(uint32(2), uint32(4), "user.x"))
	c.clunk(3)
	c.must(msgTxattrwalk, 1, body(uint32(2), uint32(3), "user.x"))
}

// TestReadSizes reads whole files with odd counts, small messages and large
// ones, on both kinds of files.
func TestReadSizes(t *testing.T) {
	for _, fast := range []bool{true, false} {
		tree := sampleTree(fast)
		data := tree.find("big").data
		dial := serveUnix(t, &Server{Attacher: tree})
		for _, msize := range []uint32{4096, 8192, 65560, 524312, 1 << 20, 1 << 30} {
			c := dial()
			c.must(msgTversion, noTag, body(msize, dialect))
			c.must(msgTattach, 1, body(uint32(0), noFid, "", "", uint32(0)))
			c.open(0, 1, "big")
			msize = min(msize, 1<<20)
			for _, offset := range []int{0, 1, 1 << 20, len(data) - 5000, len(data) - 1, len(data)} {
				for _, count := range []uint32{1, 4096, 100_000, ^uint32(0)} {
					r := c.must(msgTread, 1, body(uint32(1), uint64(offset), count))
					want := data[offset:]
					if most := min(count, msize-ioHeader); uint32(len(want)) > most {
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
		c.open(0, 1, "many")
		for _, count := range []uint32{33, 40, 100, 1000, 8168, 1 << 20} {
			var offset uint64
			var names []string
			for {
				r := c.must(msgTreaddir, 1, body(uint32(1), offset, count))
				d := decode(r)
				e := decode(d.data())
				if !d.end() || uint32(len(e.b)) > count {
					t.Fatalf("%d bytes of entries, asked for %d", len(e.b), count)
				}
				if len(e.b) == 0 {
					break
				}
				for len(e.b) > 0 {
					e.qid()
					offset = e.u64()
					e.u8()
					names = append(names, e.str())
				}
				if !e.end() || offset == 0 {
					t.Fatalf("entry split at count %d", count)
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
				batch = append(batch, frame(msgTwalk, uint16(k), body(uint32(0), uint32(k+1), []string{fmt.Sprintf("no-such-name-%d", i+k)}))...)
			}
			c.raw(batch)
			for range 100 {
				if r := c.recv(); r[4] != msgRlerror {
					t.Fatal(messageText(r))
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
	g := newGate()
	c := dialGate(t, g, Limits{})
	c.open(0, 1, "panic")
	c.fails(linux.EIO, msgTread, readBody(1))
	c.clunk(1)
	c.must(msgTgetattr, 1, body(uint32(0), uint64(basicMask)))
}

func TestShutdownDrains(t *testing.T) {
	g := newGate()
	s := &Server{Attacher: g}
	dial := serveUnix(t, s)
	c := dial()
	c.start(0)
	c.open(0, 1, "events")
	c.send(msgTread, 4, readBody(1))
	eventually(t, "a read waits", func() bool { return g.waiting.Load() == 1 })
	c.send(msgTmkdir, 5, mkdirBody)
	<-g.started
	done := make(chan error)
	go func() { done <- s.Shutdown(context.Background()) }()
	c.next("Rlerror tag 4 EINTR")
	select {
	case err := <-done:
		t.Fatalf("Shutdown did not wait: %v", err)
	default:
	}
	g.pass <- struct{}{}
	c.next("Rmkdir tag 5 dir")
	if err := c.closed(); err != nil {
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
	g := newGate()
	s := &Server{Attacher: g}
	c := servePipe(t, over(s))
	defer close(g.pass)
	c.start(0)
	c.send(msgTmkdir, 5, mkdirBody)
	<-g.started
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if err := s.Shutdown(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("Shutdown: %v", err)
	}
	if err := c.closed(); err != nil {
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
	c := servePipe(t, over(&Server{Attacher: tree}))
	c.start(0)
	c.open(0, 1, "big")
	r := c.must(msgTread, 1, body(uint32(1), uint64(5), uint32(1<<20)))
	if !bytes.Equal(r[4:], tree.find("big").data[5:5+1<<20-ioHeader]) {
		t.Error("wrong data")
	}
	c.raw(make([]byte, 7))
	if err := c.closed(); err != nil {
		t.Error(err)
	}
	eventually(t, "all files closed", func() bool { return tree.handles.Load() == 0 })
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
	c := serveUnix(t, s)()
	c.start(0)
	c.walk(0, 2, "usr/bin")
	c.fails(linux.ENOENT, msgTwalk, body(uint32(0), uint32(3), []string{"x"}))
	c.nc.Close()
	eventually(t, "connection ended", func() bool { return s.Stats().Open == 0 })
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
