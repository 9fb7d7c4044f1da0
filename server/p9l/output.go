package p9l

import (
	"io"
	"net"
	"runtime"
	"sync"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Replies are gathered in chunks that come from pools, and a chunk is never
// grown, so that reply data is written once by the file and read once by the
// kernel. The capacities are powers of two and a page more, which is what a
// reply that carries a power of two needs.
const (
	smallChunk   = 32<<10 + 4096
	chunkClasses = 11 // up to 32 MiB
)

var chunkPools [chunkClasses]sync.Pool

func classSize(class int) int { return 32<<10<<class + 4096 }

// getChunk returns an empty slice with at least n bytes of capacity.
func getChunk(n int) []byte {
	for class := range chunkClasses {
		size := classSize(class)
		if size < n {
			continue
		}
		if p, ok := chunkPools[class].Get().(*byte); ok {
			return unsafe.Slice(p, size)[:0]
		}
		return make([]byte, 0, size)
	}
	return make([]byte, 0, n)
}

// putChunk takes back what getChunk returned; the caller keeps no slice of it.
func putChunk(b []byte) {
	for class := range chunkClasses {
		if cap(b) == classSize(class) {
			chunkPools[class].Put(unsafe.SliceData(b))
			return
		}
	}
}

// nextChunk puts the reader's chunk aside and takes one with room for n bytes.
func (c *conn) nextChunk(n int) {
	r := &c.inline
	if len(r.out) > 0 {
		c.full = append(c.full, r.out)
	} else if r.out != nil {
		putChunk(r.out)
	}
	r.out, r.at = getChunk(n), 0
}

// flush sends what the reader has gathered, as far as the socket takes it
// without waiting; the rest is sent in the background. Where too much is
// unread it waits until the peer has read half of that.
func (c *conn) flush() {
	r := &c.inline
	if len(r.out) > 0 {
		c.full = append(c.full, r.out)
		r.out, r.at = nil, 0
	}
	if len(c.full) == 0 {
		return
	}
	c.mu.Lock()
	for _, b := range c.full {
		c.unsent += len(b)
	}
	c.list = append(c.list, c.full...)
	clear(c.full)
	c.full = c.full[:0]
	c.send()
	if c.unsent > c.srv.limit.ReplyBytes {
		for c.unsent > c.srv.limit.ReplyBytes/2 && c.werr == nil {
			c.room.Wait()
		}
	}
	c.mu.Unlock()
}

// queueReply puts a worker's reply behind all others, and takes b over. It
// runs with mu locked.
func (c *conn) queueReply(b []byte) {
	c.unsent += len(b)
	if last := len(c.list) - 1; len(b) <= 4096 {
		if last < 0 || cap(c.list[last])-len(c.list[last]) < len(b) {
			c.list = append(c.list, getChunk(smallChunk))
			last++
		}
		c.list[last] = append(c.list[last], b...)
		putChunk(b)
		return
	}
	c.list = append(c.list, b)
}

// send writes what is queued, unless somebody is at it already. It runs with
// mu locked, and unlocks it while it writes. It never waits for the peer.
func (c *conn) send() {
	if c.busy {
		return
	}
	c.busy = true
	for len(c.list) > 0 {
		batch := c.list
		c.list, c.spare = c.spare[:0], nil
		if c.werr != nil {
			c.sent(batch)
			continue
		}
		c.mu.Unlock()
		n, err := c.tryWrite(batch)
		c.mu.Lock()
		if err != nil {
			c.fail(err)
		}
		if total(batch) > n && err == nil {
			c.wg.Add(1)
			go c.drain(batch, n)
			return // drain is busy now
		}
		c.sent(batch)
	}
	c.busy = false
}

// drain writes batch from its byte n on and then all that is queued, and waits
// for the peer where it must.
func (c *conn) drain(batch [][]byte, n int) {
	defer c.wg.Done()
	var bufs net.Buffers
	for {
		bufs = bufs[:0]
		for _, b := range batch {
			k := min(n, len(b))
			n -= k
			if k < len(b) {
				bufs = append(bufs, b[k:])
			}
		}
		rest := bufs
		_, err := rest.WriteTo(c.nc)
		c.mu.Lock()
		if err != nil {
			c.fail(err)
		}
		c.sent(batch)
		for c.werr != nil && len(c.list) > 0 {
			batch, c.list = c.list, nil
			c.sent(batch)
		}
		if len(c.list) == 0 {
			c.busy = false
			c.room.Broadcast()
			c.mu.Unlock()
			return
		}
		batch, c.list, c.spare, n = c.list, c.spare[:0], nil, 0
		c.mu.Unlock()
	}
}

// sent gives back the chunks of batch. It runs with mu locked.
func (c *conn) sent(batch [][]byte) {
	n := total(batch)
	c.unsent -= n
	c.srv.stats.sent.Add(uint64(n))
	for _, b := range batch {
		putChunk(b)
	}
	clear(batch)
	c.spare = batch
	c.room.Broadcast()
}

// fail notes that nothing can be written any more and makes the reader end.
// It runs with mu locked.
func (c *conn) fail(err error) {
	if c.werr == nil {
		c.werr = err
		c.nc.Close()
	}
}

func total(bufs [][]byte) int {
	n := 0
	for _, b := range bufs {
		n += len(b)
	}
	return n
}

// A tryWriter writes to a socket without waiting.
type tryWriter struct {
	rc  syscall.RawConn // nil: not a socket
	fn  func(fd uintptr) bool
	in  [][]byte
	n   int
	err error
}

func (w *tryWriter) init(nc net.Conn) {
	w.fn = w.write
	w.rc = rawConn(nc)
}

func (w *tryWriter) write(fd uintptr) bool {
	for {
		if len(w.in) == 1 && len(w.in[0]) > 0 {
			w.n, w.err = rawIO(unix.SYS_WRITE, fd, w.in[0])
		} else {
			w.n, w.err = unix.Writev(int(fd), w.in)
		}
		switch w.err {
		case unix.EINTR:
			continue
		case unix.EAGAIN:
			w.n, w.err = 0, nil
		}
		return true
	}
}

// rawIO reads or writes a socket, which does not wait. It does not tell the
// scheduler either: that would look for other work to do in this thread, which
// costs more than the call where there is one processor.
func rawIO(call, fd uintptr, p []byte) (int, error) {
	n, _, errno := unix.RawSyscall(call, fd, uintptr(unsafe.Pointer(unsafe.SliceData(p))), uintptr(len(p)))
	if errno != 0 {
		return -1, errno
	}
	return int(n), nil
}

// A sockReader reads from a socket.
type sockReader struct {
	nc  net.Conn
	rc  syscall.RawConn // nil: not a socket
	fn  func(fd uintptr) bool
	in  []byte
	n   int
	err error
}

func (r *sockReader) init(nc net.Conn) {
	r.nc, r.fn = nc, r.read
	r.rc = rawConn(nc)
}

func rawConn(nc net.Conn) (rc syscall.RawConn) {
	switch nc := nc.(type) {
	case *net.UnixConn:
		rc, _ = nc.SyscallConn()
	case *net.TCPConn:
		rc, _ = nc.SyscallConn()
	}
	return rc
}

// giveWay is how often a reader lets others run before it sleeps. A peer on the
// same and only processor sends its next request then, and to sleep and wake
// costs more. With several processors the peer runs anyway.
var giveWay = func() int {
	if runtime.NumCPU() == 1 {
		return 4
	}
	return 0
}()

// read says whether that is all for now.
func (r *sockReader) read(fd uintptr) bool {
	for left := giveWay; ; {
		r.n, r.err = rawIO(unix.SYS_READ, fd, r.in)
		switch {
		case r.err == unix.EINTR:
		case r.err == unix.EAGAIN && left > 0:
			left--
			unix.RawSyscall(unix.SYS_SCHED_YIELD, 0, 0, 0)
		default:
			return r.err != unix.EAGAIN
		}
	}
}

// Read implements io.Reader. p is not empty.
func (r *sockReader) Read(p []byte) (int, error) {
	if r.rc == nil {
		return r.nc.Read(p)
	}
	r.in = p
	err := r.rc.Read(r.fn)
	r.in = nil
	switch {
	case err != nil:
		return 0, err
	case r.err != nil:
		return 0, r.err
	case r.n == 0:
		return 0, io.EOF
	}
	return r.n, nil
}

// tryWrite writes as much of bufs as goes without waiting. Only one goroutine
// calls it at a time: the one that made the connection busy.
func (c *conn) tryWrite(bufs [][]byte) (int, error) {
	w := &c.writer
	if w.rc == nil {
		return 0, nil
	}
	const maxVecs = 64
	w.in = bufs[:min(len(bufs), maxVecs)]
	err := w.rc.Write(w.fn)
	w.in = nil
	if err == nil {
		err = w.err
	}
	return max(w.n, 0), err
}
