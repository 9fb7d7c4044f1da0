package p9l

import (
	"testing"

	"github.com/hugelgupf/p9/linux"

	"github.com/packagefs/packagefs/server/p9l/p9ltest"
	"github.com/packagefs/packagefs/server/p9l/wire"
)

// TestWalkOutlivesItsSession ends a session under a walk: what the walk finds is
// closed, for nobody will clunk it.
func TestWalkOutlivesItsSession(t *testing.T) {
	g := newHeldTree()
	c := dialHeld(t, g, Limits{})
	c.Send(wire.Twalk, 5, p9ltest.Body(uint32(0), uint32(1), []string{"far"}))
	<-g.started
	c.Must(wire.Tversion, wire.NoTag, p9ltest.Body(uint32(8192), wire.Dialect))
	g.pass <- struct{}{}
	p9ltest.Eventually(t, "all handles are closed", func() bool { return g.handles.Load() == 0 })
}

// TestWalkInPlaceOfClunked clunks a fid that is walked in its place: it does not come
// back.
func TestWalkInPlaceOfClunked(t *testing.T) {
	g := newHeldTree()
	c := dialHeld(t, g, Limits{})
	c.Walk(0, 1, "")
	c.Send(wire.Twalk, 5, p9ltest.Body(uint32(1), uint32(1), []string{"far"}))
	<-g.started
	c.Must(wire.Tclunk, 6, p9ltest.Body(uint32(1)))
	g.pass <- struct{}{}
	c.Next("Rlerror tag 5 EBADF")
	c.Fails(linux.EBADF, wire.Tclunk, p9ltest.Body(uint32(1)))
	p9ltest.Eventually(t, "what was walked to is closed", func() bool { return g.handles.Load() == 1 })
}

// TestWalkInPlaceOfLocked opens and locks a file while its fid is walked elsewhere: with
// the fid goes its lock.
func TestWalkInPlaceOfLocked(t *testing.T) {
	g := newHeldTree()
	c := dialHeld(t, g, Limits{})
	lock := func(fid, pid uint32) byte {
		return c.Must(wire.Tlock, 8, p9ltest.Body(fid, uint8(wire.LockWrite), uint32(0), uint64(0), uint64(0), pid, "host"))[0]
	}
	c.Walk(0, 1, "")
	c.Walk(0, 2, "")
	c.Must(wire.Tlopen, 7, p9ltest.Body(uint32(2), uint32(0)))
	c.Send(wire.Twalk, 5, p9ltest.Body(uint32(1), uint32(1), []string{"far"}))
	<-g.started
	c.Must(wire.Tlopen, 7, p9ltest.Body(uint32(1), uint32(0)))
	if s := lock(1, 1); s != wire.LockSuccess {
		t.Fatalf("the first lock: %d", s)
	}
	if s := lock(2, 2); s != wire.LockBlocked {
		t.Fatalf("while it is held: %d", s)
	}
	g.pass <- struct{}{}
	c.Next("Rwalk tag 5 ...")
	if s := lock(2, 2); s != wire.LockSuccess {
		t.Errorf("when its fid is another file's: %d", s)
	}
}

// TestClunkEndsItsOwnReads clunks one of two files that are waited on.
func TestClunkEndsItsOwnReads(t *testing.T) {
	g := newHeldTree()
	c := dialHeld(t, g, Limits{})
	c.Open(0, 1, "events")
	c.Open(0, 2, "events")
	c.Send(wire.Tread, 5, readBody(1))
	c.Send(wire.Tread, 6, readBody(2))
	p9ltest.Eventually(t, "both wait", func() bool { return g.waiting.Load() == 2 })
	c.Must(wire.Tclunk, 7, p9ltest.Body(uint32(1)))
	c.Next("Rlerror tag 5 EINTR")
	g.events <- "news"
	c.Next(`Rread tag 6 4 "news"`)
}

// TestCloseThatBlocks closes a file by a clunk and by a walk in its place, and by the
// end of the last request that uses it: whatever its close waits for, the connection
// goes on.
func TestCloseThatBlocks(t *testing.T) {
	g := newHeldTree()
	c := dialHeld(t, g, Limits{})
	c.Walk(0, 1, "sticky")
	c.Send(wire.Tclunk, 5, p9ltest.Body(uint32(1)))
	<-g.started
	c.Walk(0, 2, "fast")
	g.pass <- struct{}{}
	c.Next("Rclunk tag 5")
	c.Walk(0, 3, "sticky")
	c.Must(wire.Tversion, wire.NoTag, p9ltest.Body(uint32(8192), wire.Dialect))
	<-g.started
	c.Must(wire.Tattach, 1, p9ltest.Body(uint32(0), wire.NoFid, "root", "", uint32(0)))
	g.pass <- struct{}{}
	p9ltest.Eventually(t, "all but the root are closed", func() bool { return g.handles.Load() == 1 })
}

// TestTwoClunks lets two clunks find a fid before either takes it away: one does.
func TestTwoClunks(t *testing.T) {
	f := new(fid)
	s := &session{fids: map[uint32]*fid{1: f}}
	r := &request{c: &conn{srv: new(Server)}, s: s}
	if _, first := r.remove(1, f); !first {
		t.Error("the first finds nothing")
	}
	if _, second := r.remove(1, f); second {
		t.Error("the second takes it away again")
	}
}

// TestCloseThatPanics closes a file whose close panics: by a clunk, by a new session
// and by the end of the connection. Nobody else is the worse for it.
func TestCloseThatPanics(t *testing.T) {
	g := newHeldTree()
	dial := p9ltest.Serve(t, &Server{Attacher: g})
	c, other := dial(), dial()
	other.Start(0)
	c.Start(0)
	c.Walk(0, 1, "unclosable")
	c.Clunk(1)
	c.Walk(0, 1, "unclosable")
	c.Start(0)
	c.Walk(0, 1, "unclosable")
	c.Conn.Close()
	p9ltest.Eventually(t, "all but the other's root are closed", func() bool { return g.handles.Load() == 1 })
	other.Walk(0, 1, "fast")
}

// TestVersionUnderRead ends a session under a read: the file stays until the read is done.
func TestVersionUnderRead(t *testing.T) {
	g := newHeldTree()
	c := dialHeld(t, g, Limits{})
	c.Open(0, 1, "slow")
	c.Send(wire.Tread, 5, readBody(1))
	<-g.started
	c.Must(wire.Tversion, wire.NoTag, p9ltest.Body(uint32(8192), wire.Dialect))
	if n := g.handles.Load(); n != 1 {
		t.Errorf("%d handles while the read runs, want that of the file", n)
	}
	g.pass <- struct{}{}
	p9ltest.Eventually(t, "the file is closed", func() bool { return g.handles.Load() == 0 })
	if g.wrong.Load() != 0 {
		t.Error("the file was closed under the read")
	}
}
