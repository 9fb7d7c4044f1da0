package p9l

import (
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
