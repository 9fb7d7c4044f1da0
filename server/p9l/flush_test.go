package p9l

import (
	"fmt"
	"math/rand"
	"strings"
	"testing"

	"github.com/hugelgupf/p9/linux"

	"github.com/packagefs/packagefs/server/p9l/p9ltest"
	"github.com/packagefs/packagefs/server/p9l/wire"
)

// dialHeld serves g and attaches fid 0.
func dialHeld(t *testing.T, g *heldTree, limits Limits) *p9ltest.Client {
	c := p9ltest.Serve(t, &Server{Attacher: g, Limits: limits})()
	c.Start(0)
	t.Cleanup(func() { // before the server's Shutdown, which waits for what is held up
		c.Conn.Close()
		close(g.pass)
	})
	return c
}

// next expects one message, given as text; see matches.
var mkdirBody = p9ltest.Body(uint32(0), "new", uint32(0o755), uint32(0))

func readBody(fid uint32) []byte { return p9ltest.Body(fid, uint64(0), uint32(100)) }

func TestFlushOfRead(t *testing.T) {
	g := newHeldTree()
	c := dialHeld(t, g, Limits{})
	c.Open(0, 1, "slow")
	c.Open(0, 2, "fast")
	c.Send(wire.Tread, 7, readBody(1))
	<-g.started
	c.Send(wire.Tflush, 8, p9ltest.Body(uint16(7)))
	c.Next("Rflush tag 8") // while the read still runs
	c.Send(wire.Tread, 7, readBody(2))
	c.Next(`Rread tag 7 9 "fast data"`)
	g.pass <- struct{}{}
	c.Send(wire.Tflush, 8, p9ltest.Body(uint16(7)))
	c.Next("Rflush tag 8")
	c.Clunk(1) // the late reply would come before this one's
}

func TestFlushOfChange(t *testing.T) {
	g := newHeldTree()
	c := dialHeld(t, g, Limits{})
	c.Send(wire.Tmkdir, 7, mkdirBody)
	<-g.started
	c.Send(wire.Tflush, 8, p9ltest.Body(uint16(7)))
	c.Send(wire.Tflush, 9, p9ltest.Body(uint16(8)))  // of a flush that waits
	c.Send(wire.Tflush, 10, p9ltest.Body(uint16(7))) // once more
	c.Send(wire.Tgetattr, 11, p9ltest.Body(uint32(0), uint64(wire.BasicMask)))
	c.Next("Rgetattr tag 11 ...")
	g.pass <- struct{}{}
	c.Next("Rmkdir tag 7 dir")
	c.Next("Rflush tag 8")
	c.Next("Rflush tag 9")
	c.Next("Rflush tag 10")
	c.Must(wire.Tgetattr, 7, p9ltest.Body(uint32(0), uint64(wire.BasicMask)))
}

func TestFlushOfQueued(t *testing.T) {
	g := newHeldTree()
	c := dialHeld(t, g, Limits{Running: 1})
	c.Send(wire.Tmkdir, 7, mkdirBody)
	<-g.started
	for tag := range uint16(10) {
		c.Send(wire.Tmkdir, 20+tag, mkdirBody)
	}
	for tag := range uint16(10) {
		c.Send(wire.Tflush, 8, p9ltest.Body(20+tag))
		c.Next("Rflush tag 8")
	}
	g.pass <- struct{}{}
	c.Next("Rmkdir tag 7 dir")
	c.Must(wire.Tclunk, 8, p9ltest.Body(uint32(0)))
	if n := len(g.started); n != 0 {
		t.Errorf("%d requests that were flushed in the queue ran", n)
	}
}

// TestQueueBytesComeBack fills the queue, and takes out of it what is there in each
// way there is: then as much goes in as before.
func TestQueueBytesComeBack(t *testing.T) {
	g := newHeldTree()
	c := dialHeld(t, g, Limits{Running: 1, QueueBytes: 8192})
	const first = uint16(100)
	taken := func(tag uint16) bool { // or refused
		t.Helper()
		c.Send(wire.Tmkdir, tag, mkdirBody)
		c.Send(wire.Tflush, 1, p9ltest.Body(uint16(1))) // answered at once, and behind a refusal
		text := wire.Text(c.Recv())
		if text == "Rflush tag 1" {
			return true
		}
		if !strings.HasSuffix(text, "EAGAIN") {
			t.Fatalf("reply: %s", text)
		}
		c.Next("Rflush tag 1")
		return false
	}
	run := func() {
		t.Helper()
		if !taken(first) {
			t.Fatal("no request is taken")
		}
		<-g.started
	}
	fill := func() (queued uint16) {
		t.Helper()
		for taken(first + 1 + queued) {
			queued++
		}
		return queued
	}
	run()
	room := fill()
	if room < 5 {
		t.Fatalf("only %d requests fit", room)
	}
	again := func(what string) {
		t.Helper()
		if n := fill(); n != room {
			t.Fatalf("after %s %d requests fit, %d before", what, n, room)
		}
	}

	for tag := range room {
		c.Send(wire.Tflush, 1, p9ltest.Body(first+1+tag))
		c.Next("Rflush tag 1")
	}
	again("flushes")

	for range room + 1 {
		g.pass <- struct{}{}
	}
	for range room + 1 {
		c.Next("Rmkdir tag * dir")
	}
	for range room { // of those that ran beside the first
		<-g.started
	}
	run()
	again("they ran")

	c.Must(wire.Tversion, wire.NoTag, p9ltest.Body(uint32(8192), wire.Dialect))
	g.pass <- struct{}{}
	c.Start(0)
	run()
	again("a new session")
	for range room + 1 {
		g.pass <- struct{}{}
	}
	for range room + 1 {
		c.Next("Rmkdir tag * dir")
	}
}

// TestFlushOfLong flushes what takes long, or goes away: the file is told.
func TestFlushOfLong(t *testing.T) {
	g := newHeldTree()
	c := dialHeld(t, g, Limits{Running: 1})
	told := func(want string) {
		t.Helper()
		if got := <-g.started; got != want {
			t.Errorf("the file was told %q, want %q", got, want)
		}
	}
	write := p9ltest.Body(uint32(1), uint64(0), uint32(3), []byte("abc"))
	c.Walk(0, 1, "long")
	c.Must(wire.Tlopen, 1, p9ltest.Body(uint32(1), uint32(2)))

	c.Send(wire.Twrite, 7, write)
	told("write")
	c.Send(wire.Tflush, 8, p9ltest.Body(uint16(7)))
	told("write ended")
	c.Next("Rlerror tag 7 EINTR")
	c.Next("Rflush tag 8")

	c.Send(wire.Tread, 7, readBody(1))
	told("read")
	c.Send(wire.Tflush, 8, p9ltest.Body(uint16(7)))
	c.Next("Rflush tag 8")
	told("read ended")

	c.Send(wire.Twrite, 7, write)
	told("write")
	c.Conn.Close()
	told("write ended")
}

func TestFlushOfNothing(t *testing.T) {
	c := dialTree(t, sampleTree(true))
	for _, old := range []uint16{8, 9, wire.NoTag} { // itself, unknown, none
		c.Send(wire.Tflush, 8, p9ltest.Body(old))
		c.Next("Rflush tag 8")
	}
}

// TestFlushStorm sends requests and flushes of them in one go, and counts on
// each tag: one reply or none, then one Rflush, then nothing until the tag is
// used again.
func TestFlushStorm(t *testing.T) {
	for _, fast := range []bool{true, false} {
		t.Run(fmt.Sprintf("fast=%v", fast), func(t *testing.T) {
			c := p9ltest.Serve(t, &Server{Attacher: sampleTree(fast), Limits: Limits{Running: 3}})()
			c.Start(0)
			c.Open(0, 1, "etc/motd")
			rng := rand.New(rand.NewSource(1))
			for range 500 {
				var batch []byte
				const n = 16
				for tag := range uint16(n) {
					switch rng.Intn(3) {
					case 0:
						batch = append(batch, p9ltest.Frame(wire.Tread, tag, readBody(1))...)
					case 1:
						batch = append(batch, p9ltest.Frame(wire.Tgetattr, tag, p9ltest.Body(uint32(1), uint64(wire.BasicMask)))...)
					case 2: // it changes nothing that lasts, but the engine cannot know
						batch = append(batch, p9ltest.Frame(wire.Tmkdir, tag, mkdirBody)...)
					}
					batch = append(batch, p9ltest.Frame(wire.Tflush, 100+tag, p9ltest.Body(tag))...)
				}
				c.Raw(batch)
				flushed := map[uint16]bool{}
				for len(flushed) < n {
					r := c.Recv()
					tag := le.Uint16(r[5:])
					if r[4] == wire.Tflush+1 {
						tag -= 100
					}
					if flushed[tag] {
						t.Fatalf("after the Rflush: %s", wire.Text(r))
					}
					flushed[tag] = r[4] == wire.Tflush+1
					if !flushed[tag] {
						delete(flushed, tag)
					}
				}
			}
			c.Clunk(1)
		})
	}
}

// TestReaderNeverStuck blocks all workers and fills the queue: what does not
// fit is refused, and flushes are answered as ever.
func TestReaderNeverStuck(t *testing.T) {
	g := newHeldTree()
	c := dialHeld(t, g, Limits{Running: 2, QueueBytes: 8192})
	c.Walk(0, 1, "")
	refused := 0
	for tag := range uint16(100) {
		c.Send(wire.Tmkdir, 200+tag, mkdirBody)
	}
	c.Send(wire.Tflush, 1, p9ltest.Body(uint16(1)))
	for r := c.Recv(); r[4] != wire.Tflush+1; r = c.Recv() {
		if r[4] != wire.Rlerror || linux.Errno(le.Uint32(r[wire.HeaderSize:])) != linux.EAGAIN {
			t.Fatalf("reply: %s", wire.Text(r))
		}
		refused++
	}
	if refused < 80 || refused > 98 {
		t.Errorf("%d of 100 requests refused", refused)
	}
	c.Send(wire.Tclunk, 2, p9ltest.Body(uint32(1))) // always taken
	done := make(chan bool)
	go func() {
		for range 100 - refused {
			g.pass <- struct{}{}
		}
		done <- true
	}()
	replies := map[byte]int{}
	for range 100 - refused + 1 {
		replies[c.Recv()[4]]++
	}
	if replies[wire.Tmkdir+1] != 100-refused || replies[wire.Tclunk+1] != 1 {
		t.Errorf("replies by type: %v, %d refused", replies, refused)
	}
	<-done
}

func TestEvents(t *testing.T) {
	g := newHeldTree()
	c := dialHeld(t, g, Limits{Running: 1, Waiting: 5})
	waits := func(n int64) {
		t.Helper()
		p9ltest.Eventually(t, fmt.Sprintf("%d reads wait for events", n), func() bool { return g.waiting.Load() == n })
	}
	c.Open(0, 1, "events")
	big := p9ltest.Body(uint32(1), uint64(0), uint32(1<<20))
	for tag := range uint16(5) {
		c.Send(wire.Tread, 10+tag, big)
	}
	waits(5)
	c.Fails(linux.EAGAIN, wire.Tread, big)
	c.Open(0, 2, "fast") // they do not keep others from running
	if n := g.biggest.Load(); n > EventRead {
		t.Errorf("a read that waits holds %d bytes", n)
	}
	g.events <- "something"
	c.Next(`Rread tag * 9 "something"`)
	waits(4)

	for tag := range uint16(5) { // one of them is answered already
		c.Send(wire.Tflush, 1, p9ltest.Body(10+tag))
		c.Next("Rflush tag 1")
	}
	waits(0)

	c.Send(wire.Tread, 20, big)
	waits(1)
	c.Send(wire.Tclunk, 21, p9ltest.Body(uint32(1)))
	replies := map[uint16]string{}
	for range 2 {
		r := c.Recv()
		replies[le.Uint16(r[5:])] = wire.Text(r)
	}
	if replies[20] != "Rlerror tag 20 EINTR" || replies[21] != "Rclunk tag 21" {
		t.Errorf("clunk under a read that waits: %v", replies)
	}
	waits(0)

	c.Open(0, 3, "events")
	c.Send(wire.Tread, 22, p9ltest.Body(uint32(3), uint64(0), uint32(100)))
	waits(1)
	c.Must(wire.Tversion, wire.NoTag, p9ltest.Body(uint32(8192), wire.Dialect))
	waits(0)
	c.Start(0)
	c.Open(0, 3, "events")
	c.Send(wire.Tread, 22, p9ltest.Body(uint32(3), uint64(0), uint32(100)))
	waits(1)
	c.Conn.Close()
	waits(0)
	p9ltest.Eventually(t, "all files closed", func() bool { return g.handles.Load() == 0 })
}
