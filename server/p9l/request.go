package p9l

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"slices"

	"github.com/hugelgupf/p9/linux"
	"github.com/rs/zerolog"

	"github.com/packagefs/packagefs/server/p9l/wire"
)

// A request is one message from the client while it is handled.
//
// The reader has one, which it uses again for each message. What it cannot
// answer at once is handled again, from the start, as a request of its own
// that may wait. Such a request is in its session's tags until its reply is
// queued, and both ends in one step, so that Rflush is behind the reply.
type request struct {
	c       *conn
	s       *session
	typ     byte
	tag     uint16
	wait    bool   // the handler may block
	body    []byte // the message behind its header; valid as long as the request
	frame   []byte // a chunk that has the message, to be given back; nil if none has
	out     []byte // replies; this request's begins at out[at]
	at      int
	scratch *scratch

	// What follows is of requests in session.tags, and guarded by conn.mu.
	ctx        context.Context // done when nobody waits for the reply; set where the file is told
	cancel     context.CancelFunc
	fid        *fid     // that the request waits on
	next, prev *request // in conn.queue
	queued     bool
	pure       bool // it changes nothing, so its reply may be left out
	silent     bool // its reply is left out; its tag is free already
	cost       int
	flushes    []uint16 // tags of the Tflushes to be answered behind the reply
	flushOf    *request // of a Tflush: what it waits for
}

var (
	// errLater says that the request has to wait, and that the handler had
	// no effect.
	errLater = errors.New("request has to wait")
	// errEvent says the same where the wait is for an event that may never
	// come.
	errEvent = errors.New("request waits for an event")
	// errNoReply says that the reply comes from elsewhere.
	errNoReply = errors.New("request is answered elsewhere")
)

// begin starts a reply whose body has n bytes at most.
func (r *request) begin(n int) {
	if cap(r.out)-len(r.out) < wire.HeaderSize+n {
		if r.wait {
			r.out, r.at = getChunk(wire.HeaderSize+n), 0
		} else {
			r.c.nextChunk(wire.HeaderSize + n)
		}
	}
	r.out = wire.AppendHeader(r.out, r.typ+1, r.tag)
}

// reply ends the reply that the handler made, or replaces it by an error.
func (r *request) reply(err error) {
	if err == nil {
		wire.PutSize(r.out, r.at)
		if size := len(r.out) - r.at; size >= int(max(r.s.msize, wire.MinMsize)) {
			panic("request: reply exceeds msize")
		}
	} else {
		errno, known := ErrnoOf(err, r.c.srv.Errno)
		if !known {
			r.c.complain(zerolog.WarnLevel).Str("error", Brief(err.Error())).Str("request", wire.Name(r.typ)).Msg("error has no errno, answered with EIO")
		}
		r.c.srv.stats.errors.Add(1)
		r.out = wire.AppendError(r.out[:r.at], r.tag, uint32(errno))
	}
	if r.c.trace {
		r.c.log.Trace().Msg(wire.Text(r.out[r.at:]))
	}
}

// handle handles one message in the reader. Its error ends the connection. If
// own, frame is a chunk that is given back when the request ends.
func (c *conn) handle(frame []byte, own bool) error {
	r := &c.inline
	r.typ, r.tag, r.body = frame[4], le.Uint16(frame[5:]), frame[wire.HeaderSize:]
	if c.trace {
		c.log.Trace().Msg(wire.Text(frame))
	}
	c.requests++
	c.received += uint64(len(frame))
	if err := c.checkHeader(r); err != nil {
		return err
	}
	if cap(r.out)-len(r.out) < 512 {
		c.nextChunk(smallChunk)
	}
	r.at = len(r.out)
	h := &handlers[r.typ]
	var err error
	switch {
	case r.s.msize == 0 && r.typ != wire.Tversion:
		err = linux.EPROTO
	case h.run == nil:
		err = linux.EOPNOTSUPP
	default:
		err = h.run(r)
	}
	switch err {
	case errMalformed:
		return fmt.Errorf("%w: %s", errMalformed, wire.Text(frame))
	case errLater, errEvent:
		r.out = r.out[:r.at]
		if err = c.later(r, frame, own, err == errEvent, h.pure); err != nil {
			r.reply(err)
		} else {
			own = false
		}
	case errNoReply:
		r.out = r.out[:r.at]
	default:
		r.reply(err)
	}
	if own {
		putChunk(frame)
	}
	if len(c.full) > 0 { // more than a chunk was gathered
		c.flush()
	}
	if r.typ == wire.Tattach && c.refuse != 0 {
		c.flush()
		return errRefused
	}
	return nil
}

var errRefused = errors.New("over the limit of connections")

// checkHeader fails for types and tags that no client may send.
func (c *conn) checkHeader(r *request) error {
	switch {
	case r.typ&1 != 0:
		return fmt.Errorf("%w: type %d is a reply", errMalformed, r.typ)
	case r.tag == wire.NoTag && r.typ != wire.Tversion:
		return fmt.Errorf("%w: %s without a tag", errMalformed, wire.Name(r.typ))
	}
	if c.tagged.Load() == 0 || r.typ == wire.Tversion {
		return nil
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if r.s.tags[r.tag] != nil {
		return fmt.Errorf("%w: tag %d is in use", errMalformed, r.tag)
	}
	return nil
}

// later hands a request to a worker, or puts it into the queue for one. It
// fails where too much runs and waits already; a Tclunk is always taken, for
// the fids are limited.
func (c *conn) later(r *request, frame []byte, own, event, pure bool) error {
	q := &request{c: c, s: r.s, typ: r.typ, tag: r.tag, wait: true, pure: pure, cost: len(frame) + 512}
	switch {
	case own:
		q.frame = frame
	case len(frame) > smallChunk/2:
		q.frame = append(getChunk(len(frame)), frame...)
		frame = q.frame
	default:
		frame = slices.Clone(frame)
	}
	q.body = frame[wire.HeaderSize:]
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case event && c.waiting >= c.srv.limit.Waiting,
		!event && c.held+q.cost > c.srv.limit.QueueBytes && r.typ != wire.Tclunk:
		return linux.EAGAIN
	case event:
		q.ctx, q.cancel = context.WithCancel(context.Background())
		q.cost = 0
		c.waiting++
		c.wg.Add(1)
		go c.waitEvent(q)
	case c.running < c.srv.limit.Running:
		c.held += q.cost
		c.running++
		c.wg.Add(1)
		go c.work(q)
	default:
		c.held += q.cost
		c.queue.push(q)
	}
	r.s.tags[q.tag] = q
	c.tagged.Add(1)
	return nil
}

// work runs q and then what is queued.
func (c *conn) work(q *request) {
	defer c.wg.Done()
	for q != nil {
		q.run()
		if q.frame != nil {
			putChunk(q.frame)
		}
		c.mu.Lock()
		c.held -= q.cost
		c.answer(q)
		if q = c.queue.pop(); q == nil {
			c.running--
		}
		c.mu.Unlock()
	}
}

// waitEvent runs a read that may wait for ever.
func (c *conn) waitEvent(q *request) {
	defer c.wg.Done()
	q.run()
	q.cancel()
	c.mu.Lock()
	c.waiting--
	c.answer(q)
	c.mu.Unlock()
}

// run handles a request in a worker and makes its reply.
func (r *request) run() {
	defer func() {
		if p := recover(); p != nil {
			r.c.complain(zerolog.ErrorLevel).Interface("panic", p).Bytes("stack", debug.Stack()).
				Str("request", wire.Name(r.typ)).Msg("request handler panicked, answered with EIO")
			r.reply(linux.EIO)
		}
	}()
	r.out = make([]byte, 0, 256)
	err := handlers[r.typ].run(r)
	if err == errMalformed || err == errLater || err == errEvent || err == errNoReply {
		panic("request: " + err.Error()) // the reader has seen to that
	}
	r.reply(err)
}

// answer queues the reply of a worker, frees its tag and answers the Tflushes
// that wait for it. It runs with mu locked.
func (c *conn) answer(q *request) {
	if q.silent {
		putChunk(q.out)
		return
	}
	delete(q.s.tags, q.tag)
	for _, tag := range q.flushes {
		delete(q.s.tags, tag)
		q.out = wire.AppendHeader(q.out, wire.Tflush+1, tag)
		wire.PutSize(q.out, len(q.out)-wire.HeaderSize)
	}
	c.tagged.Store(int32(len(q.s.tags)))
	c.queueReply(q.out)
	c.send()
}

// tflush ends a request early. One that waits in the queue never runs; one
// that runs and changes nothing goes on unseen; any other is waited for.
func tflush(r *request) error {
	d := wire.Decode(r.body)
	old := d.U16()
	if !d.End() {
		return errMalformed
	}
	c := r.c
	c.mu.Lock()
	defer c.mu.Unlock()
	q := r.s.tags[old]
	if q != nil && q.flushOf != nil {
		q = q.flushOf
	}
	switch {
	case q == nil:
	case q.queued:
		c.queue.remove(q)
		c.held -= q.cost
		c.forget(q)
	case q.pure:
		c.forget(q)
		q.giveUp()
	default:
		q.giveUp()
		q.flushes = append(q.flushes, r.tag)
		r.s.tags[r.tag] = &request{flushOf: q}
		c.tagged.Store(int32(len(r.s.tags)))
		return errNoReply
	}
	r.begin(0)
	return nil
}

// interest returns a context that is done when nobody waits for the reply of the
// request, which a worker runs.
func (r *request) interest() context.Context {
	r.c.mu.Lock()
	defer r.c.mu.Unlock()
	r.ctx, r.cancel = context.WithCancel(context.Background())
	if r.silent || len(r.flushes) > 0 {
		r.cancel()
	}
	return r.ctx
}

// forget frees the tag of q, which will not be answered. It runs with mu
// locked.
func (c *conn) forget(q *request) {
	q.silent = true
	delete(q.s.tags, q.tag)
	c.tagged.Store(int32(len(q.s.tags)))
}

// cancelWaiting makes the reads that wait for events return, and what takes long
// end early.
func (c *conn) cancelWaiting() {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, q := range c.sess.tags {
		q.giveUp()
	}
}

// giveUp tells the file that nobody waits for the request's reply. It runs with mu
// locked.
func (r *request) giveUp() {
	if r.cancel != nil {
		r.cancel()
	}
}

// A queue is a list of requests, first in first out.
type queue struct{ first, last *request }

func (l *queue) push(q *request) {
	q.queued, q.prev = true, l.last
	if l.last == nil {
		l.first = q
	} else {
		l.last.next = q
	}
	l.last = q
}

func (l *queue) pop() *request {
	q := l.first
	if q != nil {
		l.remove(q)
	}
	return q
}

func (l *queue) remove(q *request) {
	if q.prev == nil {
		l.first = q.next
	} else {
		q.prev.next = q.next
	}
	if q.next == nil {
		l.last = q.prev
	} else {
		q.next.prev = q.prev
	}
	q.queued, q.next, q.prev = false, nil, nil
}
