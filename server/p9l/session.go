package p9l

import (
	"strings"
	"time"

	"github.com/hugelgupf/p9/linux"
	"github.com/hugelgupf/p9/p9"
	"github.com/rs/zerolog"

	"github.com/packagefs/packagefs/server/p9l/wire"
)

// A session is what lies between two Tversions.
type session struct {
	msize uint32 // 0 before a Tversion succeeded; does not change

	// Guarded by conn.mu.
	fids  map[uint32]*fid
	tags  map[uint16]*request // requests that are not answered, other than the reader's
	ended bool
}

func newSession(msize uint32) *session {
	return &session{msize: msize, fids: map[uint32]*fid{}, tags: map[uint16]*request{}}
}

// tversion starts a new session: nothing of the one before is left.
func tversion(r *request) error {
	d := wire.Decode(r.body)
	msize, version := d.U32(), d.View()
	if !d.End() {
		return errMalformed
	}
	c := r.c
	known := version == wire.Dialect || strings.HasPrefix(version, wire.Dialect+".")
	answer := wire.Dialect
	if !known || msize < wire.MinMsize {
		answer = "unknown"
	} else {
		msize = min(msize, c.srv.limit.MaxMsize)
	}
	for _, f := range c.endSession() {
		r.closeFile(f.file)
	}
	fresh := newSession(0)
	if answer == wire.Dialect {
		fresh.msize = msize
	}
	c.mu.Lock()
	c.sess = fresh
	c.mu.Unlock()
	r.s = fresh
	r.begin(4 + 2 + len(answer))
	r.out = wire.AppendStr(le.AppendUint32(r.out, msize), answer)
	return nil
}

// expect sets how long the reader waits; the zero time is for ever.
func (c *conn) expect(until time.Time) {
	c.nc.SetReadDeadline(until)
	if c.draining.Load() {
		c.drainSoon()
	}
}

// another is how long a peer may take after an attach that failed, at least.
const another = time.Second

// attachEnds lifts the time limit for good after an attach that succeeded. After one
// that failed it goes on.
func (c *conn) attachEnds(err error) {
	switch {
	case err == nil:
		c.welcome.Store(true)
		c.expect(time.Time{})
	case !c.welcome.Load():
		c.expect(time.Unix(0, max(c.limit.UnixNano(), time.Now().Add(another).UnixNano())))
	}
}

// endSession drops all requests and fids of the session. It returns the fids
// whose files are to be closed.
func (c *conn) endSession() []*fid {
	c.mu.Lock()
	defer c.mu.Unlock()
	s := c.sess
	s.ended = true
	for _, r := range s.tags {
		r.silent = true
		r.giveUp()
	}
	for r := c.queue.pop(); r != nil; r = c.queue.pop() {
		c.held -= r.cost
	}
	clear(s.tags)
	c.tagged.Store(0)
	var last []*fid
	for _, f := range s.fids {
		c.release(f)
		if f.refs.Add(-1) == 0 && f.file != nil {
			last = append(last, f)
		}
	}
	clear(s.fids)
	return last
}

// tauth says that no authentication is needed, as clients expect it to be
// said.
func tauth(r *request) error {
	d := wire.Decode(r.body)
	d.U32()
	d.Raw()
	d.Raw()
	d.U32()
	if !d.End() {
		return errMalformed
	}
	return linux.ENOENT
}

func tattach(r *request) error {
	d := wire.Decode(r.body)
	id, afid := d.U32(), d.U32()
	uname, aname := d.Str(), d.Str()
	uid := d.U32()
	c := r.c
	switch {
	case !d.End():
		return errMalformed
	case c.refuse != 0:
		return c.refuse
	case afid != wire.NoFid:
		return linux.EINVAL
	case c.srv.Attacher == nil:
		return linux.ENOENT
	}
	if err := r.free(id); err != nil {
		return err
	}
	if !r.wait {
		c.attached = true
		c.expect(time.Time{})
		return errLater
	}
	err := r.attach(id, uname, aname, uid)
	c.attachEnds(err)
	return err
}

// attach makes the fid of an attach, and the reply.
func (r *request) attach(id uint32, uname, aname string, uid uint32) error {
	c := r.c
	file, err := c.srv.Attacher.Attach(AttachRequest{Peer: c.peer, Uname: uname, Aname: aname, UID: uid})
	if err != nil {
		c.complain(zerolog.InfoLevel).Str("error", Brief(err.Error())).
			Str("uname", Brief(uname)).Str("aname", Brief(aname)).Uint32("uid", uid).Msg("attach failed")
		return err
	}
	qid, _, _, err := file.GetAttr(p9.AttrMask{Mode: true})
	if err == nil {
		err = r.insert(id, &fid{file: file, qid: qid, uid: uid})
	}
	if err != nil {
		file.Close()
		return err
	}
	r.begin(wire.QIDSize)
	r.out = wire.AppendQID(r.out, qid)
	return nil
}
