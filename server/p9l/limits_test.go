package p9l

import (
	"bytes"
	"runtime"
	"testing"
	"time"

	"github.com/hugelgupf/p9/linux"

	"github.com/packagefs/packagefs/server/p9l/p9ltest"
	"github.com/packagefs/packagefs/server/p9l/wire"
)

func TestFidLimit(t *testing.T) {
	c := p9ltest.Serve(t, &Server{Attacher: sampleTree(true), Limits: Limits{Fids: 3}})()
	c.Start(0)
	c.Walk(0, 1, "usr")
	c.Walk(0, 2, "usr")
	for range 3 {
		c.Fails(linux.EMFILE, wire.Twalk, p9ltest.Body(uint32(0), uint32(3), []string{"usr"}))
		c.Fails(linux.EMFILE, wire.Txattrwalk, p9ltest.Body(uint32(0), uint32(3), ""))
		c.Fails(linux.EMFILE, wire.Tattach, p9ltest.Body(uint32(3), wire.NoFid, "", "", uint32(0)))
	}
	c.Clunk(2)
	c.Walk(0, 3, "usr")
}

func TestLockLimit(t *testing.T) {
	c := p9ltest.Serve(t, &Server{Attacher: sampleTree(true), Limits: Limits{Locks: 10}})()
	c.Start(0)
	c.Open(0, 1, "etc/motd")
	set := func(i int) linux.Errno {
		_, errno := c.Call(wire.Tlock, 1, p9ltest.Body(uint32(1), uint8(wire.LockWrite), uint32(0), uint64(2*i), uint64(1), uint32(1), "host"))
		return errno
	}
	n := 0
	for ; set(n) == 0 && n < 100; n++ {
	}
	if n != 9 {
		t.Errorf("%d locks, want 9", n)
	}
	c.Clunk(1)
	c.Open(0, 1, "etc/motd")
	if errno := set(0); errno != 0 {
		t.Errorf("after the clunk: %v", errno)
	}
}

// TestConnLimits expects connections over the limits to be told so by the
// errno of their attach, and their places to be free again when they end.
func TestConnLimits(t *testing.T) {
	for errno, limits := range map[linux.Errno]Limits{
		errTooManyConns:  {Conns: 2},
		errTooManyOfPeer: {ConnsPerPeer: 2},
	} {
		s := &Server{Attacher: sampleTree(true), Limits: limits}
		dial := p9ltest.Serve(t, s)
		a, b := dial(), dial()
		a.Start(0)
		b.Start(0)
		c := dial()
		c.Must(wire.Tversion, wire.NoTag, p9ltest.Body(uint32(8192), wire.Dialect))
		c.Fails(errno, wire.Tattach, p9ltest.Body(uint32(0), wire.NoFid, "root", "", uint32(0)))
		if err := c.Closed(); err != nil {
			t.Error(err)
		}
		var many []*p9ltest.Client
		for range refusing + 10 {
			many = append(many, dial())
		}
		cut := 0
		for _, c := range many { // served up to the attach, or cut at once
			c.Conn.Write(p9ltest.Frame(wire.Tversion, wire.NoTag, p9ltest.Body(uint32(8192), wire.Dialect)))
			if _, err := c.TryRecv(p9ltest.Patience); err != nil {
				cut++
			}
		}
		if cut != 10 {
			t.Errorf("%d connections cut, want 10", cut)
		}
		for _, c := range append(many, a) {
			c.Conn.Close()
		}
		p9ltest.Eventually(t, "connections ended", func() bool { return s.Stats().Open == 1 })
		dial().Start(0)
		if n := s.Stats().Refused; n != refusing+11 {
			t.Errorf("%d refused", n)
		}
	}
}

func TestSlowFirstMessage(t *testing.T) {
	s := &Server{Attacher: sampleTree(true), Limits: Limits{FirstMessage: time.Second}}
	dial := p9ltest.Serve(t, s)
	served := dial()
	served.Start(0)
	var slow []*p9ltest.Client
	for _, sent := range [][]byte{nil, {19, 0, 0}, p9ltest.Frame(wire.Tversion, wire.NoTag, p9ltest.Body(uint32(8192), "9P2000")),
		p9ltest.Frame(wire.Tversion, wire.NoTag, p9ltest.Body(uint32(8192), wire.Dialect))} {
		c := dial()
		c.Raw(sent)
		if len(sent) > 4 {
			c.Next("Rversion tag 65535 msize 8192 ...")
		}
		slow = append(slow, c)
	}
	for i, c := range slow {
		if err := c.Closed(); err != nil {
			t.Errorf("connection %d: %v", i, err)
		}
	}
	served.Walk(0, 1, "usr")
}

// TestFailedAttaches: as mallory, keep a place by attaches to nothing: one that failed
// does not begin the time anew.
func TestFailedAttaches(t *testing.T) {
	s := &Server{Attacher: refuser{}, Limits: Limits{FirstMessage: time.Second}}
	c := p9ltest.Serve(t, s)()
	c.Must(wire.Tversion, wire.NoTag, p9ltest.Body(uint32(8192), wire.Dialect))
	c.Fails(linux.EACCES, wire.Tattach, p9ltest.Body(uint32(0), wire.NoFid, "", "", uint32(0)))
	if err := c.Closed(); err != nil {
		t.Error(err)
	}
}

// TestPlaces: as mallory and three friends, take all connections that are to be had:
// there is a place for who has none, and one for root.
func TestPlaces(t *testing.T) {
	s := &Server{Limits: Limits{Conns: 32, ConnsPerPeer: 8}}
	s.init()
	enter := func(p Peer) (*conn, linux.Errno) {
		c := &conn{srv: s, peer: p}
		s.enter(c)
		return c, c.refuse
	}
	fill := func(peers ...Peer) (all []*conn) {
		for _, p := range peers {
			for {
				c, errno := enter(p)
				all = append(all, c)
				if errno != 0 {
					break
				}
			}
		}
		return all
	}
	user := func(uid uint32) Peer { return Peer{HasCred: true, UID: uid} }
	at := func(addr string) Peer { return Peer{Network: "tcp", Address: addr} }
	held := fill(user(1001), user(1002), user(1003), user(1004), user(1005))
	if s.served != 29 { // 8, 8, 8, 4 of 28 for those who have some, and one of who had none
		t.Errorf("%d connections, want 29", s.served)
	}
	for _, step := range []struct {
		peer  Peer
		errno linux.Errno
	}{{user(1006), 0}, {user(1006), errTooManyConns}, {user(1007), errTooManyConns}, {user(0), 0}, {user(0), 0}, {user(0), errTooManyConns}} {
		c, errno := enter(step.peer)
		if held = append(held, c); errno != step.errno {
			t.Errorf("%v: %v, want %v", step.peer, errno, step.errno)
		}
	}
	for _, c := range held {
		s.leave(c)
	}
	held = fill(at("10.0.0.1:999"), at("10.0.0.2:999"), at("[2001:db8::1]:999"), at("[2001:db8::ffff]:999"), at("[2001:db8:0:1::1]:999"))
	if s.served != 24 || s.anonymous != 24 || s.perPeer["2001:db8::/64"] != 8 {
		t.Errorf("%d connections, %d without a user, %v", s.served, s.anonymous, s.perPeer)
	}
	if _, errno := enter(user(1001)); errno != 0 {
		t.Errorf("a user beside them: %v", errno)
	}
	for _, c := range held {
		s.leave(c)
	}
	if s.anonymous != 0 {
		t.Errorf("%d left", s.anonymous)
	}
}

// TestUnreadReplies has a client that sends without reading. The server stops
// reading it at the limit, and goes on when the client reads.
func TestUnreadReplies(t *testing.T) {
	s := &Server{Attacher: sampleTree(true), Limits: Limits{ReplyBytes: 1 << 20}}
	c := p9ltest.Serve(t, s)()
	c.Start(0)
	c.Open(0, 1, "big")
	const n = 1000 // 500 MB of replies
	request := p9ltest.Frame(wire.Tread, 1, p9ltest.Body(uint32(1), uint64(0), uint32(512<<10)))
	go func() {
		for range n {
			c.Conn.Write(request)
		}
	}()
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	stalled := func() bool {
		n := s.Stats().Requests
		time.Sleep(50 * time.Millisecond)
		return n > 3 && s.Stats().Requests == n
	}
	p9ltest.Eventually(t, "the server pauses", stalled)
	runtime.ReadMemStats(&after)
	if grown := int64(after.HeapAlloc) - int64(before.HeapAlloc); grown > 32<<20 {
		t.Errorf("%d MB held for a client that does not read", grown>>20)
	}
	want := sampleTree(true).find("big").data[:512<<10]
	for range n {
		r := c.Recv()
		if !bytes.Equal(r[wire.HeaderSize+4:], want) {
			t.Fatalf("wrong data: %.100s", wire.Text(r))
		}
	}
}
