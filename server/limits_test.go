package server

import (
	"bytes"
	"runtime"
	"testing"
	"time"

	"github.com/hugelgupf/p9/linux"
)

func TestFidLimit(t *testing.T) {
	c := serveUnix(t, &Server{Attacher: sampleTree(true), Limits: Limits{Fids: 3}})()
	c.start(0)
	c.walk(0, 1, "usr")
	c.walk(0, 2, "usr")
	for range 3 {
		c.fails(linux.EMFILE, msgTwalk, body(uint32(0), uint32(3), []string{"usr"}))
		c.fails(linux.EMFILE, msgTxattrwalk, body(uint32(0), uint32(3), ""))
		c.fails(linux.EMFILE, msgTattach, body(uint32(3), noFid, "", "", uint32(0)))
	}
	c.clunk(2)
	c.walk(0, 3, "usr")
}

func TestLockLimit(t *testing.T) {
	c := serveUnix(t, &Server{Attacher: sampleTree(true), Limits: Limits{Locks: 10}})()
	c.start(0)
	c.open(0, 1, "etc/motd")
	set := func(i int) linux.Errno {
		_, errno := c.call(msgTlock, 1, body(uint32(1), uint8(lockWrite), uint32(0), uint64(2*i), uint64(1), uint32(1), "host"))
		return errno
	}
	n := 0
	for ; set(n) == 0 && n < 100; n++ {
	}
	if n != 9 {
		t.Errorf("%d locks, want 9", n)
	}
	c.clunk(1)
	c.open(0, 1, "etc/motd")
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
		dial := serveUnix(t, s)
		a, b := dial(), dial()
		a.start(0)
		b.start(0)
		c := dial()
		c.must(msgTversion, noTag, body(uint32(8192), dialect))
		c.fails(errno, msgTattach, body(uint32(0), noFid, "root", "", uint32(0)))
		if err := c.closed(); err != nil {
			t.Error(err)
		}
		var many []*client
		for range refusing + 10 {
			many = append(many, dial())
		}
		cut := 0
		for _, c := range many { // served up to the attach, or cut at once
			c.nc.Write(frame(msgTversion, noTag, body(uint32(8192), dialect)))
			if _, err := c.tryRecv(patience); err != nil {
				cut++
			}
		}
		if cut != 10 {
			t.Errorf("%d connections cut, want 10", cut)
		}
		for _, c := range append(many, a) {
			c.nc.Close()
		}
		eventually(t, "connections ended", func() bool { return s.Stats().Open == 1 })
		dial().start(0)
		if n := s.Stats().Refused; n != refusing+11 {
			t.Errorf("%d refused", n)
		}
	}
}

func TestSlowFirstMessage(t *testing.T) {
	s := &Server{Attacher: sampleTree(true), Limits: Limits{FirstMessage: time.Second}}
	dial := serveUnix(t, s)
	served := dial()
	served.must(msgTversion, noTag, body(uint32(8192), dialect))
	var slow []*client
	for _, sent := range [][]byte{nil, {19, 0, 0}, frame(msgTversion, noTag, body(uint32(8192), "9P2000"))} {
		c := dial()
		c.raw(sent)
		if len(sent) > 4 {
			c.next("Rversion tag 65535 msize 8192 unknown")
		}
		slow = append(slow, c)
	}
	for i, c := range slow {
		if err := c.closed(); err != nil {
			t.Errorf("connection %d: %v", i, err)
		}
	}
	served.must(msgTattach, 1, body(uint32(0), noFid, "", "", uint32(0)))
}

// TestUnreadReplies has a client that sends without reading. The server stops
// reading it at the limit, and goes on when the client reads.
func TestUnreadReplies(t *testing.T) {
	s := &Server{Attacher: sampleTree(true), Limits: Limits{ReplyBytes: 1 << 20}}
	c := serveUnix(t, s)()
	c.start(0)
	c.open(0, 1, "big")
	const n = 1000 // 500 MB of replies
	request := frame(msgTread, 1, body(uint32(1), uint64(0), uint32(512<<10)))
	go func() {
		for range n {
			c.nc.Write(request)
		}
	}()
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	stalled := func() bool {
		n := s.Stats().Requests
		time.Sleep(50 * time.Millisecond)
		return n > 3 && s.Stats().Requests == n
	}
	eventually(t, "the server pauses", stalled)
	runtime.ReadMemStats(&after)
	if grown := int64(after.HeapAlloc) - int64(before.HeapAlloc); grown > 32<<20 {
		t.Errorf("%d MB held for a client that does not read", grown>>20)
	}
	want := sampleTree(true).find("big").data[:512<<10]
	for range n {
		r := c.recv()
		if !bytes.Equal(r[headerSize+4:], want) {
			t.Fatalf("wrong data: %.100s", messageText(r))
		}
	}
}
