package server

import (
	"fmt"
	"math/rand"
	"testing"

	"github.com/hugelgupf/p9/linux"
)

// dialGate serves g and attaches fid 0.
func dialGate(t *testing.T, g *gate, limits Limits) *client {
	c := serveUnix(t, &Server{Attacher: g, Limits: limits})()
	c.start(0)
	t.Cleanup(func() { // before the server's Shutdown, which waits for what is held up
		c.nc.Close()
		close(g.pass)
	})
	return c
}

// next expects one message, given as text; see matches.
var mkdirBody = body(uint32(0), "new", uint32(0o755), uint32(0))

func readBody(fid uint32) []byte { return body(fid, uint64(0), uint32(100)) }

func TestFlushOfRead(t *testing.T) {
	g := newGate()
	c := dialGate(t, g, Limits{})
	c.open(0, 1, "slow")
	c.open(0, 2, "fast")
	c.send(msgTread, 7, readBody(1))
	<-g.started
	c.send(msgTflush, 8, body(uint16(7)))
	c.next("Rflush tag 8") // while the read still runs
	c.send(msgTread, 7, readBody(2))
	c.next(`Rread tag 7 9 "fast data"`)
	g.pass <- struct{}{}
	c.send(msgTflush, 8, body(uint16(7)))
	c.next("Rflush tag 8")
	c.clunk(1) // the late reply would come before this one's
}

func TestFlushOfChange(t *testing.T) {
	g := newGate()
	c := dialGate(t, g, Limits{})
	c.send(msgTmkdir, 7, mkdirBody)
	<-g.started
	c.send(msgTflush, 8, body(uint16(7)))
	c.send(msgTflush, 9, body(uint16(8)))  // of a flush that waits
	c.send(msgTflush, 10, body(uint16(7))) // once more
	c.send(msgTgetattr, 11, body(uint32(0), uint64(basicMask)))
	c.next("Rgetattr tag 11 ...")
	g.pass <- struct{}{}
	c.next("Rmkdir tag 7 dir")
	c.next("Rflush tag 8")
	c.next("Rflush tag 9")
	c.next("Rflush tag 10")
	c.must(msgTgetattr, 7, body(uint32(0), uint64(basicMask)))
}

func TestFlushOfQueued(t *testing.T) {
	g := newGate()
	c := dialGate(t, g, Limits{Running: 1})
	c.send(msgTmkdir, 7, mkdirBody)
	<-g.started
	for tag := range uint16(10) {
		c.send(msgTmkdir, 20+tag, mkdirBody)
	}
	for tag := range uint16(10) {
		c.send(msgTflush, 8, body(20+tag))
		c.next("Rflush tag 8")
	}
	g.pass <- struct{}{}
	c.next("Rmkdir tag 7 dir")
	c.must(msgTclunk, 8, body(uint32(0)))
	if n := len(g.started); n != 0 {
		t.Errorf("%d requests that were flushed in the queue ran", n)
	}
}

func TestFlushOfNothing(t *testing.T) {
	c := dialTree(t, sampleTree(true))
	for _, old := range []uint16{8, 9, noTag} { // itself, unknown, none
		c.send(msgTflush, 8, body(old))
		c.next("Rflush tag 8")
	}
}

// TestFlushStorm sends requests and flushes of them in one go, and counts on
// each tag: one reply or none, then one Rflush, then nothing until the tag is
// used again.
func TestFlushStorm(t *testing.T) {
	for _, fast := range []bool{true, false} {
		t.Run(fmt.Sprintf("fast=%v", fast), func(t *testing.T) {
			c := serveUnix(t, &Server{Attacher: sampleTree(fast), Limits: Limits{Running: 3}})()
			c.start(0)
			c.open(0, 1, "etc/motd")
			rng := rand.New(rand.NewSource(1))
			for range 500 {
				var batch []byte
				const n = 16
				for tag := range uint16(n) {
					switch rng.Intn(3) {
					case 0:
						batch = append(batch, frame(msgTread, tag, readBody(1))...)
					case 1:
						batch = append(batch, frame(msgTgetattr, tag, body(uint32(1), uint64(basicMask)))...)
					case 2: // it changes nothing that lasts, but the engine cannot know
						batch = append(batch, frame(msgTmkdir, tag, mkdirBody)...)
					}
					batch = append(batch, frame(msgTflush, 100+tag, body(tag))...)
				}
				c.raw(batch)
				flushed := map[uint16]bool{}
				for len(flushed) < n {
					r := c.recv()
					tag := le.Uint16(r[5:])
					if r[4] == msgTflush+1 {
						tag -= 100
					}
					if flushed[tag] {
						t.Fatalf("after the Rflush: %s", messageText(r))
					}
					flushed[tag] = r[4] == msgTflush+1
					if !flushed[tag] {
						delete(flushed, tag)
					}
				}
			}
			c.clunk(1)
		})
	}
}

// TestReaderNeverStuck blocks all workers and fills the queue: what does not
// fit is refused, and flushes are answered as ever.
func TestReaderNeverStuck(t *testing.T) {
	g := newGate()
	c := dialGate(t, g, Limits{Running: 2, QueueBytes: 8192})
	refused := 0
	for tag := range uint16(100) {
		c.send(msgTmkdir, 200+tag, mkdirBody)
	}
	c.send(msgTflush, 1, body(uint16(1)))
	for r := c.recv(); r[4] != msgTflush+1; r = c.recv() {
		if r[4] != msgRlerror || linux.Errno(le.Uint32(r[headerSize:])) != linux.EAGAIN {
			t.Fatalf("reply: %s", messageText(r))
		}
		refused++
	}
	if refused < 80 || refused > 98 {
		t.Errorf("%d of 100 requests refused", refused)
	}
	c.send(msgTclunk, 2, body(uint32(0))) // always taken
	done := make(chan bool)
	go func() {
		for range 100 - refused {
			g.pass <- struct{}{}
		}
		done <- true
	}()
	replies := map[byte]int{}
	for range 100 - refused + 1 {
		replies[c.recv()[4]]++
	}
	if replies[msgTmkdir+1] != 100-refused || replies[msgTclunk+1] != 1 {
		t.Errorf("replies by type: %v, %d refused", replies, refused)
	}
	<-done
}

func TestEvents(t *testing.T) {
	g := newGate()
	c := dialGate(t, g, Limits{Running: 1, Waiting: 5})
	waits := func(n int64) {
		t.Helper()
		eventually(t, fmt.Sprintf("%d reads wait for events", n), func() bool { return g.waiting.Load() == n })
	}
	c.open(0, 1, "events")
	big := body(uint32(1), uint64(0), uint32(1<<20))
	for tag := range uint16(5) {
		c.send(msgTread, 10+tag, big)
	}
	waits(5)
	c.fails(linux.EAGAIN, msgTread, big)
	c.open(0, 2, "fast") // they do not keep others from running
	if n := g.biggest.Load(); n > EventRead {
		t.Errorf("a read that waits holds %d bytes", n)
	}
	g.events <- "something"
	c.next(`Rread tag * 9 "something"`)
	waits(4)

	for tag := range uint16(5) { // one of them is answered already
		c.send(msgTflush, 1, body(10+tag))
		c.next("Rflush tag 1")
	}
	waits(0)

	c.send(msgTread, 20, big)
	waits(1)
	c.send(msgTclunk, 21, body(uint32(1)))
	replies := map[uint16]string{}
	for range 2 {
		r := c.recv()
		replies[le.Uint16(r[5:])] = messageText(r)
	}
	if replies[20] != "Rlerror tag 20 EINTR" || replies[21] != "Rclunk tag 21" {
		t.Errorf("clunk under a read that waits: %v", replies)
	}
	waits(0)

	c.open(0, 3, "events")
	c.send(msgTread, 22, body(uint32(3), uint64(0), uint32(100)))
	waits(1)
	c.must(msgTversion, noTag, body(uint32(8192), dialect))
	waits(0)
	c.start(0)
	c.open(0, 3, "events")
	c.send(msgTread, 22, body(uint32(3), uint64(0), uint32(100)))
	waits(1)
	c.nc.Close()
	waits(0)
	eventually(t, "all files closed", func() bool { return g.handles.Load() == 0 })
}
