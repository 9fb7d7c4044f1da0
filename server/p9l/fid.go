package p9l

import (
	"sync/atomic"

	"github.com/hugelgupf/p9/linux"
	"github.com/hugelgupf/p9/p9"

	"github.com/packagefs/packagefs/server/p9l/wire"
)

// A fid is a file handle of a client. The table of its session holds one
// reference, and each request that uses it another; the last to go closes the
// file.
type fid struct {
	file File // nil for the fid of a Txattrwalk
	qid  p9.QID
	uid  uint32 // n_uname of the attach that it comes from
	refs atomic.Int32

	// Guarded by conn.mu.
	state  fidState
	access p9.OpenFlags // read, write or both, once open
	gone   bool         // clunked: not in the table any more
	locked bool         // has set advisory locks
	events int          // reads that wait for events
	xattr  *xattr       // if not nil, reads and writes are about this
}

// argument returns the file as a method of another one takes it. What came from
// an Attacher or a file is a p9.File.
func (f *fid) argument() p9.File { return f.file.(p9.File) }

type fidState uint8

const (
	fidClosed  fidState = iota
	fidOpening          // a Tlopen or Tlcreate is at work
	fidOpen
)

// onFid ends the decoding of a message, and runs the rest of its handler with the
// file that a fid number stands for; see find.
func (r *request) onFid(d *wire.Decoder, id uint32, do func(f *fid) error) error {
	if !d.End() {
		return errMalformed
	}
	f, err := r.find(id)
	if err != nil {
		return err
	}
	defer r.drop(f)
	return do(f)
}

// onOpen is onFid for reads and writes; see findOpen.
func (r *request) onOpen(d *wire.Decoder, id uint32, need p9.OpenFlags, do func(f *fid, x *xattr) error) error {
	if !d.End() {
		return errMalformed
	}
	f, x, err := r.findOpen(id, need)
	if err != nil {
		return err
	}
	defer r.drop(f)
	return do(f, x)
}

// find returns the file that a fid number stands for. The caller gives it back
// by drop. It fails with EBADF if there is none, or if the fid is one of an
// extended attribute.
func (r *request) find(id uint32) (*fid, error) {
	c := r.c
	c.mu.Lock()
	f := r.s.fids[id]
	if f == nil || f.xattr != nil {
		c.mu.Unlock()
		return nil, linux.EBADF
	}
	f.refs.Add(1)
	c.mu.Unlock()
	return f, nil
}

// findOpen is find for reads and writes: it fails with EBADF unless the file is
// open for what need says, ReadOnly or WriteOnly. Of the fid of an extended
// attribute it returns that, too.
func (r *request) findOpen(id uint32, need p9.OpenFlags) (*fid, *xattr, error) {
	c := r.c
	c.mu.Lock()
	defer c.mu.Unlock()
	f := r.s.fids[id]
	if f == nil {
		return nil, nil, linux.EBADF
	}
	if f.xattr == nil && (f.state != fidOpen || f.access != need && f.access != p9.ReadWrite) {
		return nil, nil, linux.EBADF
	}
	f.refs.Add(1)
	return f, f.xattr, nil
}

func (r *request) isOpen(f *fid) bool {
	r.c.mu.Lock()
	defer r.c.mu.Unlock()
	return f.state == fidOpen
}

// findAny is find that accepts fids of extended attributes.
func (r *request) findAny(id uint32) (*fid, *xattr, error) {
	c := r.c
	c.mu.Lock()
	defer c.mu.Unlock()
	f := r.s.fids[id]
	if f == nil {
		return nil, nil, linux.EBADF
	}
	f.refs.Add(1)
	return f, f.xattr, nil
}

// drop gives a fid back.
func (r *request) drop(f *fid) {
	if f.refs.Add(-1) == 0 && f.file != nil {
		r.closeFile(f.file)
	}
}

// closeFile closes a file that no fid uses any more. The reader hands a close
// that may block to a goroutine.
func (r *request) closeFile(file File) {
	if r.mayCall(file) {
		r.c.closeFile(file)
		return
	}
	r.c.wg.Go(func() { r.c.closeFile(file) })
}

// open marks a fid as being opened, so that its file is opened once. The
// caller ends that state by opened.
func (r *request) open(f *fid) error {
	c := r.c
	c.mu.Lock()
	defer c.mu.Unlock()
	if f.state != fidClosed || f.xattr != nil {
		return linux.EINVAL
	}
	f.state = fidOpening
	return nil
}

func (r *request) opened(f *fid, state fidState, access p9.OpenFlags) {
	c := r.c
	c.mu.Lock()
	f.state, f.access = state, access
	c.mu.Unlock()
}

// mayCall tells whether the request can call the methods of f that are marked
// "now".
func (r *request) mayCall(f File) bool {
	if r.wait {
		return true
	}
	ready, ok := f.(Ready)
	return ok && ready.Ready()
}

// free fails where a new fid number cannot be used.
func (r *request) free(id uint32) error {
	c := r.c
	c.mu.Lock()
	defer c.mu.Unlock()
	return r.freeLocked(id)
}

func (r *request) freeLocked(id uint32) error {
	switch {
	case id == wire.NoFid || r.s.fids[id] != nil:
		return linux.EBADF
	case len(r.s.fids) >= r.c.srv.limit.Fids:
		r.c.srv.stats.refused.Add(1)
		return linux.EMFILE
	case r.s.ended:
		return linux.EINTR
	}
	return nil
}

// insert puts f into the table under a new number. Where it fails f stays the
// caller's.
func (r *request) insert(id uint32, f *fid) error {
	c := r.c
	c.mu.Lock()
	defer c.mu.Unlock()
	if err := r.freeLocked(id); err != nil {
		return err
	}
	f.refs.Store(1)
	r.s.fids[id] = f
	return nil
}

// replace puts f into the table in the place of old, which the caller still
// holds. It fails if old is not there any more; then f stays the caller's.
func (r *request) replace(id uint32, old, f *fid) error {
	c := r.c
	c.mu.Lock()
	if r.s.fids[id] != old {
		c.mu.Unlock()
		return linux.EBADF
	}
	f.refs.Store(1)
	r.s.fids[id] = f
	c.release(old)
	c.mu.Unlock()
	r.drop(old)
	return nil
}

// remove takes a fid out of the table; the table's reference is the caller's
// then. It tells whether f was there, and of which attribute it is the fid.
func (r *request) remove(id uint32, f *fid) (*xattr, bool) {
	c := r.c
	c.mu.Lock()
	defer c.mu.Unlock()
	if r.s.fids[id] != f {
		return nil, false
	}
	delete(r.s.fids, id)
	if f.events > 0 {
		for _, q := range r.s.tags {
			if q.fid == f {
				q.cancel()
			}
		}
	}
	c.release(f)
	return f.xattr, true
}

// release gives back what a fid that leaves the table holds beside its file.
// It runs with mu locked.
func (c *conn) release(f *fid) {
	f.gone = true
	c.unlock(f)
	if f.xattr != nil {
		c.xattrs -= f.xattr.held
		f.xattr.held = 0
	}
}

// unlock releases the advisory locks of a fid. It runs with mu locked.
func (c *conn) unlock(f *fid) {
	if f.locked {
		f.locked = false
		c.srv.locks.release(c, f)
	}
}
