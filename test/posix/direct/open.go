package direct

import (
	"syscall"

	"github.com/hugelgupf/p9/p9"
	"golang.org/x/sys/unix"

	"github.com/packagefs/packagefs/server/p9l/client"
)

// An open file has two fids: 9P walks from none that is open.
type open struct {
	m    *mount
	fid  *client.Fid // open
	node *client.Fid // the same file; nil if the client cannot have it

	offset int64  // of Read and Write
	entry  uint64 // offset of the last entry that Getdents gave
}

func (o *open) close() {
	o.fid.Clunk()
	if o.node != nil {
		o.node.Clunk()
	}
}

// keep gives an open file a descriptor.
func (s *System) keep(o *open) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.next++
	s.fds[s.next] = o
	return s.next
}

func (s *System) file(fd int) (*open, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if o := s.fds[fd]; o != nil {
		return o, nil
	}
	return nil, syscall.EBADF
}

func (c *calls) Close(fd int) error {
	o, err := c.s.file(fd)
	if err != nil {
		return err
	}
	c.s.mu.Lock()
	delete(c.s.fds, fd)
	c.s.mu.Unlock()
	o.close()
	return nil
}

func (c *calls) masked(mode uint32) uint32 {
	c.s.mu.Lock()
	defer c.s.mu.Unlock()
	return mode &^ c.s.umask
}

func (c *calls) Umask(mask int) int {
	c.s.mu.Lock()
	defer c.s.mu.Unlock()
	old := c.s.umask
	c.s.umask = uint32(mask)
	return int(old)
}

func (c *calls) Open(path string, flags int, mode uint32) (int, error) {
	p, slashed, err := c.find(path)
	if err != nil {
		return 0, err
	}
	return c.openAt(p, slashed, flags, mode)
}

func (c *calls) Openat(dir int, name string, flags int, mode uint32) (int, error) {
	o, err := c.s.file(dir)
	if err != nil {
		return 0, err
	}
	fid, _, err := o.node.Walk(never)
	if err != nil {
		return 0, err
	}
	p, slashed, err := c.findIn(place{fid, ".", o.m}, name, new(int))
	if err != nil {
		return 0, err
	}
	return c.openAt(p, slashed, flags, mode)
}

// openAt opens what is at a place, which it takes over.
func (c *calls) openAt(p place, slashed bool, flags int, mode uint32) (int, error) {
	create, exclusive := flags&unix.O_CREAT != 0, flags&unix.O_EXCL != 0
	if create && exclusive {
		return c.create(p, flags, mode)
	}
	if flags&unix.O_NOFOLLOW != 0 {
		fid, _, link, err := c.walk(p)
		p.dir.Clunk()
		if err == nil && link {
			fid.Clunk()
			err = syscall.ELOOP
		}
		if err != nil {
			return 0, err
		}
		return c.open(p.m, fid, flags)
	}
	p, fid, err := c.follow(p, new(int))
	if create && err == syscall.ENOENT && !slashed {
		return c.create(p, flags, mode)
	}
	if p.dir != nil {
		p.dir.Clunk()
	}
	if err != nil {
		return 0, err
	}
	if slashed {
		flags |= unix.O_DIRECTORY
	}
	return c.open(p.m, fid, flags)
}

// open opens what fid is, which it takes over.
func (c *calls) open(m *mount, fid *client.Fid, flags int) (int, error) {
	o := &open{m: m, node: fid}
	var err error
	if o.fid, _, err = fid.Walk(never); err != nil {
		fid.Clunk()
		return 0, err
	}
	if _, err := o.fid.Open(never, uint32(flags)); err != nil {
		o.close()
		return 0, err
	}
	return c.s.keep(o), nil
}

// create makes a file at a place, which it takes over.
func (c *calls) create(p place, flags int, mode uint32) (int, error) {
	o := &open{m: p.m, fid: p.dir}
	dir, _, err := p.dir.Walk(never)
	if err != nil {
		p.dir.Clunk()
		return 0, err
	}
	defer dir.Clunk()
	if _, err := o.fid.Create(never, p.name, uint32(flags), c.masked(mode), uint32(c.user.GID)); err != nil {
		o.fid.Clunk()
		return 0, err
	}
	if o.node, _, err = dir.Walk(never, p.name); err != nil {
		o.node = nil // it may have been renamed since
	}
	return c.s.keep(o), nil
}

func (c *calls) Pread(fd int, p []byte, offset int64) (int, error) {
	o, err := c.s.file(fd)
	if err != nil {
		return 0, err
	}
	return o.fid.ReadAt(never, p, offset)
}

func (c *calls) Pwrite(fd int, p []byte, offset int64) (int, error) {
	o, err := c.s.file(fd)
	if err != nil {
		return 0, err
	}
	if err := o.fid.Write(never, p, offset); err != nil {
		return 0, err
	}
	return len(p), nil
}

func (c *calls) Read(fd int, p []byte) (int, error) {
	o, err := c.s.file(fd)
	if err != nil {
		return 0, err
	}
	n, err := o.fid.ReadAt(never, p, o.offset)
	o.offset += int64(n)
	return n, err
}

// Write writes at the offset. Where that is the end of a file that is appended to is
// the server's to know.
func (c *calls) Write(fd int, p []byte) (int, error) {
	o, err := c.s.file(fd)
	if err != nil {
		return 0, err
	}
	n, err := c.Pwrite(fd, p, o.offset)
	o.offset += int64(n)
	return n, err
}

func (c *calls) Readv(fd int, p [][]byte) (int, error)  { return each(p, fd, c.Read) }
func (c *calls) Writev(fd int, p [][]byte) (int, error) { return each(p, fd, c.Write) }

// each calls do for one buffer after the other, to the first that is not done whole.
func each(list [][]byte, fd int, do func(int, []byte) (int, error)) (total int, err error) {
	for _, p := range list {
		n, err := do(fd, p)
		total += n
		if err != nil || n < len(p) {
			return total, err
		}
	}
	return total, nil
}

func (c *calls) Mmap(int, int64, int, int, int) ([]byte, error) { return nil, syscall.ENOSYS }

func (c *calls) Fsync(fd int) error {
	o, err := c.s.file(fd)
	if err != nil {
		return err
	}
	return o.fid.FSync(never)
}

func (c *calls) Fdatasync(fd int) error { return c.Fsync(fd) }

// setOpen sets attributes of an open file.
func (c *calls) setOpen(fd int, mask uint32, a p9.SetAttr) error {
	o, err := c.s.file(fd)
	if err != nil {
		return err
	}
	return o.fid.SetAttr(never, mask, a)
}
