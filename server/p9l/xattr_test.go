package p9l

import (
	"strings"
	"testing"

	"github.com/hugelgupf/p9/linux"

	"github.com/packagefs/packagefs/server/p9l/p9ltest"
	"github.com/packagefs/packagefs/server/p9l/wire"
)

// setAttribute gives all files of the tree an attribute.
func (g *heldTree) setAttribute(name string, size int) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.set[name] = strings.Repeat("x", size)
}

// TestXattrErrors reads and sets attributes that files, or the protocol, do not have.
func TestXattrErrors(t *testing.T) {
	g := newHeldTree()
	c := dialHeld(t, g, Limits{XattrBytes: 1 << 20})
	g.setAttribute("user.most", wire.MaxXattr)
	g.setAttribute("user.more", wire.MaxXattr+1)
	long := strings.Repeat("n", wire.MaxName)
	for _, step := range []struct {
		file, name string
		errno      linux.Errno
	}{
		{"fast", "user.none", linux.ENODATA},
		{"fast", "ENOSYS", linux.ENODATA},
		{"fast", "EOPNOTSUPP", linux.ENODATA},
		{"fast", "EIO", linux.EIO},
		{"fast", long, linux.ENODATA},
		{"fast", long + "n", linux.ERANGE},
		{"fast", "user.most", 0},
		{"fast", "user.more", linux.E2BIG},
		{"fast", "", 0},
		{"ENODATA", "", 0},
		{"EIO", "", linux.EIO},
	} {
		c.Walk(0, 1, step.file)
		_, errno := c.Call(wire.Txattrwalk, 1, p9ltest.Body(uint32(1), uint32(2), step.name))
		if errno != step.errno {
			t.Errorf("%.20q of %s: %v, want %v", step.name, step.file, errno, step.errno)
		}
		if errno == 0 {
			c.Clunk(2)
		}
		c.Clunk(1)
	}
	create := func(fid uint32, name string, size uint64) linux.Errno {
		_, errno := c.Call(wire.Txattrcreate, 1, p9ltest.Body(fid, name, size, uint32(0)))
		return errno
	}
	for _, step := range []struct {
		name  string
		size  uint64
		errno linux.Errno
	}{
		{"user.x", wire.MaxXattr, 0},
		{"user.x", wire.MaxXattr + 1, linux.E2BIG},
		{long, 1, 0},
		{long + "n", 1, linux.ERANGE},
		{"", 1, linux.ERANGE},
	} {
		c.Walk(0, 1, "fast")
		if errno := create(1, step.name, step.size); errno != step.errno {
			t.Errorf("set %.20q of %d bytes: %v, want %v", step.name, step.size, errno, step.errno)
		} else if errno == 0 {
			if errno := create(1, "user.y", 1); errno != linux.EBADF {
				t.Errorf("of a fid that is one of an attribute: %v", errno)
			}
			c.Fails(linux.EINVAL, wire.Tclunk, p9ltest.Body(uint32(1))) // less was written than said
			continue
		}
		c.Clunk(1)
	}
	if errno := create(9, "user.x", 1); errno != linux.EBADF {
		t.Errorf("of no fid: %v", errno)
	}
	c.Open(0, 1, "fast")
	if errno := create(1, "user.x", 1); errno != linux.EBUSY {
		t.Errorf("of an open file: %v", errno)
	}
	c.Walk(0, 2, "fast")
	if errno := create(2, "ENOSYS", 0); errno != 0 {
		t.Fatal(errno)
	}
	c.Fails(linux.EOPNOTSUPP, wire.Tclunk, p9ltest.Body(uint32(2)))
}

// TestXattrOfNoFid reads an attribute whose fid number is taken meanwhile: what was
// read counts for nothing, and the connection went on.
func TestXattrOfNoFid(t *testing.T) {
	g := newHeldTree()
	c := dialHeld(t, g, Limits{XattrBytes: 100})
	g.setAttribute("user.held", 100)
	c.Send(wire.Txattrwalk, 5, p9ltest.Body(uint32(0), uint32(1), "user.held"))
	<-g.started
	c.Walk(0, 1, "fast")
	g.pass <- struct{}{}
	c.Next("Rlerror tag 5 EBADF")
	c.Send(wire.Txattrwalk, 5, p9ltest.Body(uint32(0), uint32(2), "user.held"))
	<-g.started
	g.pass <- struct{}{}
	c.Next("Rxattrwalk tag 5 ...")
}
