package p9l

import (
	"slices"
	"testing"

	"github.com/hugelgupf/p9/linux"

	"github.com/packagefs/packagefs/server/p9l/p9ltest"
	"github.com/packagefs/packagefs/server/p9l/wire"
)

// TestQueueLimit has a request run and another wait, which is what the queue takes:
// a third is refused, and a wait for events and a clunk are not.
func TestQueueLimit(t *testing.T) {
	g := newHeldTree()
	cost := wire.HeaderSize + len(mkdirBody) + 512
	c := dialHeld(t, g, Limits{Running: 1, QueueBytes: 2 * cost})
	c.Open(0, 1, "events")
	c.Walk(0, 2, "fast")
	c.Send(wire.Tmkdir, 5, mkdirBody)
	<-g.started
	c.Send(wire.Tmkdir, 6, mkdirBody)
	c.Fails(linux.EAGAIN, wire.Tmkdir, mkdirBody)
	c.Send(wire.Tread, 7, readBody(1))
	g.events <- "news"
	c.Next(`Rread tag 7 4 "news"`)
	c.Send(wire.Tclunk, 8, p9ltest.Body(uint32(2)))
	for tag := range 2 {
		g.pass <- struct{}{}
		c.Next([]string{"Rmkdir tag 5 dir", "Rmkdir tag 6 dir"}[tag])
	}
	c.Next("Rclunk tag 8")
	c.Send(wire.Tmkdir, 6, mkdirBody) // what was held is given back
	g.pass <- struct{}{}
	c.Next("Rmkdir tag 6 dir")
}

// TestTagInUse sends a tag that is in use, which ends the connection, but for a
// Tversion, which ends what uses it.
func TestTagInUse(t *testing.T) {
	g := newHeldTree()
	c := dialHeld(t, g, Limits{})
	c.Open(0, 1, "events")
	c.Send(wire.Tread, 5, readBody(1))
	p9ltest.Eventually(t, "the read waits", func() bool { return g.waiting.Load() == 1 })
	c.Must(wire.Tversion, 5, p9ltest.Body(uint32(8192), wire.Dialect))
	c.Must(wire.Tattach, 5, p9ltest.Body(uint32(0), wire.NoFid, "root", "", uint32(0)))
	c.Open(0, 1, "events")
	c.Send(wire.Tread, 5, readBody(1))
	p9ltest.Eventually(t, "the read waits", func() bool { return g.waiting.Load() == 1 })
	c.Send(wire.Tgetattr, 5, p9ltest.Body(uint32(0), uint64(wire.BasicMask)))
	if err := c.Closed(); err != nil {
		t.Error(err)
	}
}

// TestInterest asks, for requests that nobody waits for already, who waits.
func TestInterest(t *testing.T) {
	for what, c := range map[string]struct {
		r     request
		ended bool
	}{
		"waited for":                {request{}, false},
		"its session ended":         {request{silent: true}, true},
		"a flush waits for its end": {request{flushes: []uint16{1}}, true},
	} {
		c.r.c = new(conn)
		if ended := c.r.interest().Err() != nil; ended != c.ended {
			t.Errorf("%s: given up %v, want %v", what, ended, c.ended)
		}
	}
}

// TestWrongLength sends each message with a byte too many, and one with a byte too
// few: both end the connection.
func TestWrongLength(t *testing.T) {
	dial := p9ltest.Serve(t, &Server{Attacher: sampleTree(true)})
	for typ, body := range map[byte][]byte{
		wire.Tversion:     p9ltest.Body(uint32(8192), wire.Dialect),
		wire.Tauth:        p9ltest.Body(wire.NoFid, "root", "", uint32(0)),
		wire.Tattach:      p9ltest.Body(uint32(9), wire.NoFid, "root", "", uint32(0)),
		wire.Tflush:       p9ltest.Body(uint16(7)),
		wire.Twalk:        p9ltest.Body(uint32(0), uint32(9), []string{"usr"}),
		wire.Tlopen:       p9ltest.Body(uint32(0), uint32(0)),
		wire.Tread:        readBody(1),
		wire.Treaddir:     readBody(1),
		wire.Twrite:       p9ltest.Body(uint32(1), uint64(0), uint32(1), []byte("x")),
		wire.Tclunk:       p9ltest.Body(uint32(0)),
		wire.Tremove:      p9ltest.Body(uint32(0)),
		wire.Tstatfs:      p9ltest.Body(uint32(0)),
		wire.Tgetattr:     p9ltest.Body(uint32(0), uint64(wire.BasicMask)),
		wire.Tfsync:       p9ltest.Body(uint32(0), uint32(0)),
		wire.Tlock:        p9ltest.Body(uint32(1), uint8(0), uint32(0), uint64(0), uint64(0), uint32(1), "host"),
		wire.Tgetlock:     p9ltest.Body(uint32(1), uint8(0), uint64(0), uint64(0), uint32(1), "host"),
		wire.Txattrwalk:   p9ltest.Body(uint32(0), uint32(9), "user.a"),
		wire.Txattrcreate: p9ltest.Body(uint32(0), "user.a", uint64(1), uint32(0)),
		wire.Tmkdir:       mkdirBody,
		wire.Tunlinkat:    p9ltest.Body(uint32(0), "x", uint32(0)),
		wire.Trename:      p9ltest.Body(uint32(0), uint32(0), "x"),
		wire.Trenameat:    p9ltest.Body(uint32(0), "x", uint32(0), "y"),
	} {
		for _, wrong := range [][]byte{append(slices.Clone(body), 0), body[:len(body)-1]} {
			c := dial()
			c.Start(0)
			c.Send(typ, 5, wrong)
			if err := c.Closed(); err != nil {
				t.Errorf("%s of %d bytes, want %d: %v", wire.Name(typ), len(wrong), len(body), err)
			}
		}
	}
}

// TestNoAttacher attaches to a server that has nothing.
func TestNoAttacher(t *testing.T) {
	c := p9ltest.Serve(t, new(Server))()
	c.Must(wire.Tversion, wire.NoTag, p9ltest.Body(uint32(8192), wire.Dialect))
	c.Fails(linux.ENOENT, wire.Tattach, p9ltest.Body(uint32(0), wire.NoFid, "root", "", uint32(0)))
}
