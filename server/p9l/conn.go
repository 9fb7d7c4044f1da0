package p9l

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"runtime"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hugelgupf/p9/linux"
	"github.com/hugelgupf/p9/p9"
	"github.com/rs/zerolog"

	"github.com/packagefs/packagefs/server/p9l/wire"
)

var le = binary.LittleEndian

// inSize is the size of a connection's input buffer, and of the largest
// message before the first attach. A peer that sends larger ones gets a buffer
// that a message of largeIn fits in, so that each is read in one go.
const (
	inSize  = 32 << 10
	largeIn = 128 << 10
)

// A conn is one connection. Its reader, the goroutine of serve, takes requests
// apart and answers those that cannot block; workers do the others.
type conn struct {
	srv    *Server
	nc     net.Conn
	peer   Peer
	log    zerolog.Logger
	trace  bool
	refuse linux.Errno // if not 0, every attach fails with it

	// The reader's own.
	reader   sockReader
	in       []byte
	r, w     int     // in[r:w] is read and not handled
	inline   request // the request at hand; its out gathers replies
	full     [][]byte
	attached bool      // an attach was sent, so messages may be large
	limit    time.Time // until when there is to be an attach
	scratch  scratch
	requests uint64 // not yet added to the server's counters
	received uint64

	draining atomic.Bool
	welcome  atomic.Bool    // an attach succeeded
	tagged   atomic.Int32   // len(sess.tags)
	wg       sync.WaitGroup // workers and drain

	writer tryWriter // of whoever set busy

	mu      sync.Mutex // guards what follows, sess.fids, sess.tags, and fids as fid says
	sess    *session   // replaced by the reader only
	queue   queue      // requests that wait for a worker
	held    int        // bytes of requests that run or wait
	running int
	waiting int // reads that wait for events
	xattrs  int // bytes of extended attribute values held

	list   [][]byte // replies to be sent
	spare  [][]byte
	unsent int  // bytes in list and being written
	busy   bool // somebody writes
	werr   error
	room   sync.Cond // unsent sank, or werr is set

	locks int // advisory locks held; guarded by srv.locks.mu
}

// A scratch is what a Twalk needs while it is handled.
type scratch struct {
	names [wire.MaxWalk]string
	qids  [wire.MaxWalk]p9.QID
}

func newConn(s *Server, nc net.Conn, peer Peer) *conn {
	c := &conn{srv: s, nc: nc, peer: peer, in: make([]byte, inSize)}
	c.log = s.Log.With().Stringer("peer", peer).Logger()
	c.trace = c.log.Trace().Enabled()
	c.room.L = &c.mu
	c.sess = newSession(0)
	c.inline = request{c: c, s: c.sess, scratch: &c.scratch}
	c.reader.init(nc)
	c.writer.init(nc)
	return c
}

// errMalformed ends a connection: what the peer sent is not 9P2000.L.
var errMalformed = errors.New("malformed message")

// serve runs the connection to its end and leaves nothing behind.
func (c *conn) serve() {
	start := time.Now()
	c.log.Debug().Msg("connection opened")
	err := c.read()
	graceful := c.draining.Load() && errors.Is(err, os.ErrDeadlineExceeded)
	c.close(graceful)
	e := c.log.Debug()
	switch {
	case errors.Is(err, errMalformed), errors.Is(err, errSlow), errors.Is(err, errPanic):
		e = c.complain(zerolog.WarnLevel)
		err = errors.New(Brief(err.Error()))
	case graceful || errors.Is(err, io.EOF) || errors.Is(err, net.ErrClosed):
		err = nil
	}
	e.Err(err).Dur("after", time.Since(start)).Msg("connection closed")
}

var (
	errSlow  = errors.New("no attach in time")
	errPanic = errors.New("internal error while a request was handled")
)

// read handles messages until the connection ends and says why it did.
func (c *conn) read() (err error) {
	defer func() {
		if p := recover(); p != nil {
			c.complain(zerolog.ErrorLevel).Interface("panic", p).Bytes("stack", debug.Stack()).Msg("request handler panicked")
			err = errPanic
		}
	}()
	c.limit = time.Now().Add(c.srv.limit.FirstMessage)
	c.expect(c.limit)
	for {
		if err := c.handleAll(); err != nil {
			c.flush()
			return err
		}
		c.flush()
		c.count()
		if c.tagged.Load() > 0 {
			// What the workers have goes first: a peer that waits for their
			// answers has nothing more to be read before.
			runtime.Gosched()
		}
		n, err := c.reader.Read(c.in[c.w:])
		c.w += n
		if n == 0 && err != nil {
			return c.readError(err)
		}
	}
}

func (c *conn) readError(err error) error {
	if !c.welcome.Load() && !c.draining.Load() && errors.Is(err, os.ErrDeadlineExceeded) {
		return fmt.Errorf("%w: waited %v", errSlow, c.srv.limit.FirstMessage)
	}
	if err == io.EOF && c.w > c.r {
		return fmt.Errorf("%w: connection ends inside a message", errMalformed)
	}
	return err
}

// handleAll handles the complete messages of the input buffer and makes room
// for the next one.
func (c *conn) handleAll() error {
	for c.w-c.r >= 4 {
		size := le.Uint32(c.in[c.r:])
		if size < wire.HeaderSize || size > c.maxMessage() {
			return fmt.Errorf("%w: size %d, at most %d", errMalformed, size, c.maxMessage())
		}
		switch {
		case size > largeIn:
			if err := c.handleLarge(int(size)); err != nil {
				return err
			}
			continue
		case int(size) > len(c.in):
			c.growIn()
		}
		if c.w-c.r < int(size) {
			break
		}
		frame := c.in[c.r : c.r+int(size) : c.r+int(size)]
		c.r += int(size)
		if err := c.handle(frame, false); err != nil {
			return err
		}
	}
	if c.r == c.w {
		c.r, c.w = 0, 0
	} else if c.r > 0 {
		c.w = copy(c.in, c.in[c.r:c.w])
		c.r = 0
	}
	return nil
}

// growIn makes the input buffer one for large messages.
func (c *conn) growIn() {
	b := getChunk(largeIn)[:largeIn]
	c.r, c.w, c.in = 0, copy(b, c.in[c.r:c.w]), b
}

// maxMessage is the size of the largest message that the peer may send now.
func (c *conn) maxMessage() uint32 {
	if c.sess.msize == 0 || !c.attached {
		return min(max(c.sess.msize, wire.MinMsize), inSize)
	}
	return c.sess.msize
}

// handleLarge handles a message that is larger than any input buffer, in a
// chunk of its own.
func (c *conn) handleLarge(size int) error {
	frame := getChunk(size)[:size]
	n := copy(frame, c.in[c.r:c.w])
	c.r += n
	if n < size {
		c.flush()
		if _, err := io.ReadFull(&c.reader, frame[n:]); err != nil {
			if errors.Is(err, io.ErrUnexpectedEOF) {
				err = fmt.Errorf("%w: connection ends inside a message", errMalformed)
			}
			return err
		}
	}
	return c.handle(frame, true)
}

// drainSoon makes the reader end; what runs is finished first.
func (c *conn) drainSoon() {
	c.draining.Store(true)
	c.nc.SetReadDeadline(time.Unix(1, 0))
}

// close ends the session and returns when no goroutine of the connection is
// left. If graceful, requests that run or wait are finished and their replies
// sent before.
func (c *conn) close(graceful bool) {
	if graceful {
		c.cancelWaiting()
		c.flush()
		c.wg.Wait() // for the workers, and for drain to send what they answered
	}
	c.nc.Close()
	c.mu.Lock()
	if c.werr == nil {
		c.werr = net.ErrClosed
	}
	c.room.Broadcast()
	c.mu.Unlock()
	for _, f := range c.endSession() {
		c.closeFile(f.file)
	}
	c.wg.Wait()
	c.count()
	putChunk(c.in)
}

// closeFile closes a file that no fid uses any more. A panic in it is nobody's but the
// file's.
func (c *conn) closeFile(f File) {
	defer func() {
		if p := recover(); p != nil {
			c.log.Error().Interface("panic", p).Bytes("stack", debug.Stack()).Msg("close of a file panicked")
		}
	}()
	f.Close()
}
