package p9l

import (
	"net"
	"testing"

	"github.com/packagefs/packagefs/server/p9l/p9ltest"
	"github.com/packagefs/packagefs/server/p9l/wire"
)

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
		if out := c.inline.out; out[c.inline.at+4] == wire.Rlerror {
			t.Fatal(wire.Text(out[c.inline.at:]))
		}
		c.inline.out = c.inline.out[:0]
	}
	walk := p9ltest.Frame(wire.Twalk, 1, p9ltest.Body(uint32(0), uint32(1), []string{"usr", "bin", "env"}))
	clunk := p9ltest.Frame(wire.Tclunk, 1, p9ltest.Body(uint32(1)))
	walkAndClunk := func() { run(walk); run(clunk) }
	if n := testing.AllocsPerRun(100, walkAndClunk); n > 2 {
		t.Errorf("walk and clunk: %v allocations, want 2", n)
	}
	run(walk)
	run(p9ltest.Frame(wire.Tlopen, 1, p9ltest.Body(uint32(1), uint32(0))))
	for name, b := range map[string][]byte{
		"getattr": p9ltest.Frame(wire.Tgetattr, 1, p9ltest.Body(uint32(1), uint64(wire.BasicMask))),
		"read":    p9ltest.Frame(wire.Tread, 1, p9ltest.Body(uint32(1), uint64(0), uint32(4096))),
		"statfs":  p9ltest.Frame(wire.Tstatfs, 1, p9ltest.Body(uint32(1))),
		"flush":   p9ltest.Frame(wire.Tflush, 1, p9ltest.Body(uint16(9))),
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
