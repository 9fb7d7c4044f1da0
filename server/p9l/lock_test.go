package p9l

import (
	"math"
	"math/rand"
	"strings"
	"testing"

	"github.com/hugelgupf/p9/linux"

	"github.com/packagefs/packagefs/server/p9l/p9ltest"
	"github.com/packagefs/packagefs/server/p9l/wire"
)

// TestLockModel compares the table with a model that keeps, for each byte of a
// short file and for what is behind it, who holds it.
func TestLockModel(t *testing.T) {
	const size, owners = 12, 3 // the last byte stands for all that follows
	type held struct {
		write bool
		fid   *fid
	}
	c := &conn{srv: &Server{limit: Limits{}.withDefaults()}}
	var table lockTable
	var model [owners][size]*held
	fids := []*fid{{}, {}}
	rng := rand.New(rand.NewSource(3))
	set, blocked := 0, 0
	for range 20_000 {
		who, first := rng.Intn(owners), rng.Intn(size)
		last := first + rng.Intn(size-first)
		l := fileLock{start: uint64(first), end: uint64(last), write: rng.Intn(2) == 0, fid: fids[rng.Intn(2)],
			owner: lockOwner{c, "host", uint32(who)}}
		if last == size-1 {
			l.end = math.MaxUint64
		}
		free := true
		for o := range owners {
			for i := first; i <= last; i++ {
				if h := model[o][i]; o != who && h != nil && (h.write || l.write) {
					free = false
				}
			}
		}
		switch op := rng.Intn(8); op {
		case 0: // the clunk of a fid
			table.release(c, l.fid)
			for o := range owners {
				for i := range size {
					if h := model[o][i]; h != nil && h.fid == l.fid {
						model[o][i] = nil
					}
				}
			}
			continue
		case 1, 2:
			if _, inTheWay := table.test(0, l); inTheWay == free {
				t.Fatalf("test of %+v: in the way %v", l, inTheWay)
			}
			continue
		default:
			unlock := op < 5
			had, err := table.set(0, l, unlock)
			if err != nil || had != (free || unlock) {
				t.Fatalf("set %+v: %v, %v; free %v", l, had, err, free)
			}
			if !had {
				blocked++
				continue
			}
			set++
			for i := first; i <= last; i++ {
				model[who][i] = &held{l.write, l.fid}
				if unlock {
					model[who][i] = nil
				}
			}
		}
	}
	if set < 1000 || blocked < 1000 {
		t.Errorf("%d set and %d blocked prove nothing", set, blocked)
	}
	if c.locks != len(table.files[0]) {
		t.Errorf("%d locks counted, %d held", c.locks, len(table.files[0]))
	}
	for _, f := range fids {
		table.release(c, f)
	}
	if len(table.files) != 0 || c.locks != 0 {
		t.Errorf("%d files and %d locks left", len(table.files), c.locks)
	}
}

// TestLocksAcrossConnections has two clients of one server, whose processes
// have the same number.
func TestLocksAcrossConnections(t *testing.T) {
	dial := p9ltest.Serve(t, &Server{Attacher: sampleTree(true)})
	a, b := dial(), dial()
	lock := func(c *p9ltest.Client, typ uint8) byte {
		return c.Must(wire.Tlock, 1, p9ltest.Body(uint32(1), typ, uint32(1), uint64(0), uint64(0), uint32(1), "host"))[0]
	}
	for _, c := range []*p9ltest.Client{a, b} {
		c.Start(0)
		c.Open(0, 1, "etc/motd")
		c.Open(0, 2, "usr/bin/env")
	}
	if s := lock(a, wire.LockWrite); s != wire.LockSuccess {
		t.Errorf("first: %d", s)
	}
	if s := lock(b, wire.LockRead); s != wire.LockBlocked {
		t.Errorf("second: %d", s)
	}
	if s := b.Must(wire.Tlock, 1, p9ltest.Body(uint32(2), uint8(wire.LockWrite), uint32(0), uint64(0), uint64(0), uint32(1), "host"))[0]; s != wire.LockSuccess {
		t.Errorf("another file: %d", s)
	}
	a.Conn.Close()
	p9ltest.Eventually(t, "the end of a connection ends its locks", func() bool { return lock(b, wire.LockRead) == wire.LockSuccess })
}

// TestLockRefusals sends what no lock can be, and what just can.
func TestLockRefusals(t *testing.T) {
	tree := sampleTree(true)
	c := dialTree(t, tree)
	c.Open(0, 1, "etc/motd")
	c.Walk(0, 2, "etc/motd")
	longest := strings.Repeat("h", maxClientID)
	for _, step := range []struct {
		fid           uint32
		typ           uint8
		start, length uint64
		client        string
		errno         linux.Errno
	}{
		{1, wire.LockRead, 0, 0, longest, 0},
		{1, wire.LockRead, 0, 0, longest + "h", linux.EINVAL},
		{1, wire.LockUnlock + 1, 0, 0, "host", linux.EINVAL},
		{1, wire.LockRead, 10, math.MaxUint64 - 9, "host", 0},
		{1, wire.LockRead, 10, math.MaxUint64 - 8, "host", linux.EOVERFLOW},
		{2, wire.LockRead, 0, 0, "host", linux.EBADF},
		{3, wire.LockRead, 0, 0, "host", linux.EBADF},
	} {
		_, set := c.Call(wire.Tlock, 1, p9ltest.Body(step.fid, step.typ, uint32(0), step.start, step.length, uint32(1), step.client))
		_, get := c.Call(wire.Tgetlock, 1, p9ltest.Body(step.fid, step.typ, step.start, step.length, uint32(1), step.client))
		if set != step.errno || get != step.errno {
			t.Errorf("%+.40v: set %v, get %v", step, set, get)
		}
	}
	c.Clunk(1)
	c.Clunk(2)
	p9ltest.Eventually(t, "nothing but the root is open", func() bool { return tree.handles.Load() == 1 })
}

// TestFirstConflict asks which lock is in the way where more are: the first one.
func TestFirstConflict(t *testing.T) {
	c := dialTree(t, sampleTree(true))
	c.Open(0, 1, "etc/motd")
	for _, start := range []uint64{20, 10, 30} {
		c.Must(wire.Tlock, 1, p9ltest.Body(uint32(1), uint8(wire.LockWrite), uint32(0), start, uint64(5), uint32(1), "host"))
	}
	r := c.Must(wire.Tgetlock, 1, p9ltest.Body(uint32(1), uint8(wire.LockWrite), uint64(0), uint64(0), uint32(2), "host"))
	if start := le.Uint64(r[1:]); start != 10 {
		t.Errorf("in the way is what begins at %d", start)
	}
}
