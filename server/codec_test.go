package server

import (
	"net"
	"testing"

	"github.com/hugelgupf/p9/p9"
)

// TestDecoderBounds cuts a body with fields of all kinds at every length: only
// the whole one is good, and none is read past its end.
func TestDecoderBounds(t *testing.T) {
	whole := body(uint8(1), uint16(2), uint32(3), uint64(4), "five", "six", uint32(5), []byte("seven"), make([]byte, qidSize))
	for n := range len(whole) + 2 {
		b := append(append([]byte(nil), whole...), 0)[:n:n]
		d := decode(b)
		d.u8()
		d.u16()
		d.u32()
		d.u64()
		a, v, data, q := d.str(), d.view(), d.data(), d.qid()
		if got, want := d.end(), n == len(whole); got != want {
			t.Errorf("%d of %d bytes: end %v", n, len(whole), got)
		}
		if n == len(whole) && (a != "five" || v != "six" || string(data) != "seven" || q != (p9.QID{})) {
			t.Errorf("decoded %q %q %q %v", a, v, data, q)
		}
	}
}

// TestNoAllocations runs the requests of a busy client through the reader:
// what is allocated is the fid and the file of the walk.
func TestNoAllocations(t *testing.T) {
	tree := sampleTree(true)
	c := newConn(&Server{Attacher: tree, limit: Limits{}.withDefaults()}, discardConn{}, Peer{})
	c.sess.msize, c.attached = 1<<20, true
	root := &fid{file: tree.handle(tree.root), qid: tree.root.qid}
	if err := c.inline.insert(0, root); err != nil {
		t.Fatal(err)
	}
	run := func(b []byte) {
		if err := c.handle(b, false); err != nil {
			t.Fatal(err)
		}
		if out := c.inline.out; out[c.inline.at+4] == msgRlerror {
			t.Fatal(messageText(out[c.inline.at:]))
		}
		c.inline.out = c.inline.out[:0]
	}
	walk := frame(msgTwalk, 1, body(uint32(0), uint32(1), []string{"usr", "bin", "env"}))
	clunk := frame(msgTclunk, 1, body(uint32(1)))
	walkAndClunk := func() { run(walk); run(clunk) }
	if n := testing.AllocsPerRun(100, walkAndClunk); n > 2 {
		t.Errorf("walk and clunk: %v allocations, want 2", n)
	}
	run(walk)
	run(frame(msgTlopen, 1, body(uint32(1), uint32(0))))
	for name, b := range map[string][]byte{
		"getattr": frame(msgTgetattr, 1, body(uint32(1), uint64(basicMask))),
		"read":    frame(msgTread, 1, body(uint32(1), uint64(0), uint32(4096))),
		"statfs":  frame(msgTstatfs, 1, body(uint32(1))),
		"flush":   frame(msgTflush, 1, body(uint16(9))),
	} {
		if n := testing.AllocsPerRun(100, func() { run(b) }); n > 0 {
			t.Errorf("%s: %v allocations", name, n)
		}
	}
	c.close(false)
}

// discardConn is a connection that nothing comes from.
type discardConn struct{ net.Conn }

func (discardConn) Write(p []byte) (int, error) { return len(p), nil }
func (discardConn) Close() error                { return nil }
