package server

import (
	stdcontext "context"
	"encoding/binary"
	"strings"
	"syscall"
	"testing"

	"github.com/hugelgupf/p9/linux"

	"github.com/packagefs/packagefs/context"
	"github.com/packagefs/packagefs/server/p9l"
	"github.com/packagefs/packagefs/server/p9l/p9ltest"
	"github.com/packagefs/packagefs/server/p9l/wire"
)

// TestHeldQuestions: as mallory, who is anybody, write questions that are never asked and
// keep answers that are read already. What one user can make the server hold is
// limited, bob is answered meanwhile, and clunks and the end of the connection give
// all of it back.
func TestHeldQuestions(t *testing.T) {
	p := newFixture(t, map[string]string{"group:open": "public = true"})
	p.control.inquirers.most = 200 << 10
	dial := func(who string) *p9ltest.Client {
		c := p9ltest.Serve(t, &p9l.Server{Attacher: attachAs{p.FS, asking(who, "ctl")}, Errno: meaning})()
		c.Start(0)
		return c
	}
	write := func(c *p9ltest.Client, fid uint32, text string) linux.Errno {
		_, errno := c.Call(wire.Twrite, 1, p9ltest.Body(fid, uint64(0), uint32(len(text)), []byte(text)))
		return errno
	}
	openQuery := func(c *p9ltest.Client, fid uint32) {
		c.Walk(0, fid, "query")
		c.Must(wire.Tlopen, 1, p9ltest.Body(fid, uint32(2)))
	}
	read := func(c *p9ltest.Client, fid uint32) (int, linux.Errno) {
		r, errno := c.Call(wire.Tread, 1, p9ltest.Body(fid, uint64(0), uint32(1000)))
		if errno != 0 {
			return 0, errno
		}
		return int(binary.LittleEndian.Uint32(r)), 0
	}
	for _, who := range []string{"alice", "10.0.0.1"} {
		for _, end := range []string{"clunk", "disconnect"} {
			mallory, bob := dial(who), dial("bob")
			part := strings.Repeat("x", 50<<10)
			for fid := uint32(1); fid <= 4; fid++ {
				openQuery(mallory, fid)
				if errno := write(mallory, fid, part); errno != 0 {
					t.Errorf("%s: question %d: %v", who, fid, errno)
				}
			}
			openQuery(mallory, 5)
			if errno := write(mallory, 5, part); errno != linux.ENOMEM {
				t.Errorf("%s: one more question: %v", who, errno)
			}
			if n, errno := read(mallory, 1); n == 0 || errno != 0 { // what is not understood has an answer, too
				t.Errorf("%s: the answer has %d bytes, %v", who, n, errno)
			}
			if _, errno := read(mallory, 2); errno != linux.ENOMEM {
				t.Errorf("%s: an answer more: %v", who, errno)
			}
			openQuery(bob, 1)
			if errno := write(bob, 1, `{"op":"status"}`); errno != 0 {
				t.Errorf("bob writes: %v", errno)
			}
			if n, errno := read(bob, 1); n == 0 || errno != 0 {
				t.Errorf("bob is answered with %d bytes, %v", n, errno)
			}
			bob.Clunk(1)
			if end == "clunk" {
				for fid := uint32(1); fid <= 5; fid++ {
					mallory.Clunk(fid)
				}
			} else {
				mallory.Conn.Close()
			}
			p9ltest.Eventually(t, "nothing is held", func() bool {
				iq := p.control.inquirers
				iq.mu.Lock()
				defer iq.mu.Unlock()
				return len(iq.by) == 0 && len(iq.all) == 0
			})
		}
	}
}

// TestTurnsOfQueries: as mallory, ask sixteen times at once: one question is at work,
// the others wait until nobody waits for them, and bob's is begun at once.
func TestTurnsOfQueries(t *testing.T) {
	iq := newInquirers()
	mallory := &visitor{}
	bob := &visitor{caller: caller{User: &context.User{UID: 1001}}}
	end, err := iq.begin(t.Context(), mallory)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := stdcontext.WithCancel(t.Context())
	failed := make(chan error)
	for range 15 {
		go func() {
			_, err := iq.begin(ctx, mallory)
			failed <- err
		}()
	}
	bobs, err := iq.begin(t.Context(), bob)
	if err != nil {
		t.Fatal(err)
	}
	bobs()
	cancel()
	for range 15 {
		if err := <-failed; err != ctx.Err() {
			t.Errorf("one that waits: %v", err)
		}
	}
	end()
	if end, err = iq.begin(t.Context(), mallory); err != nil {
		t.Fatal(err)
	}
	end()
	if len(iq.by) != 0 || len(iq.all) != 0 {
		t.Errorf("left: %d askers, %d at work", len(iq.by), len(iq.all))
	}
	if err := iq.hold(mallory, iq.most+1, false); err != syscall.ENOMEM {
		t.Errorf("too much: %v", err)
	}
}

// TestQueriesEndWithTheirClient asks what takes long when nobody waits for the answer:
// nothing is worked off, and who asks afterwards is answered.
func TestQueriesEndWithTheirClient(t *testing.T) {
	p := newFixture(t, nil)
	as := visitor{caller: caller{Trusted: true}, admin: true}
	ended, cancel := stdcontext.WithCancel(t.Context())
	cancel()
	for _, question := range []string{`{"op":"check"}`, `{"op":"verify","package":"app"}`, `{"op":"files","package":"app"}`} {
		if _, err := p.control.answer(ended, as, []byte(question)); err != ended.Err() {
			t.Errorf("%s when nobody waits: %v", question, err)
		}
		if a, err := p.control.answer(t.Context(), as, []byte(question)); err != nil || strings.Contains(string(a), `"error"`) {
			t.Errorf("%s: %s, %v", question, a, err)
		}
	}
}
