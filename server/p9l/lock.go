package p9l

import (
	"math"
	"slices"
	"sync"

	"github.com/hugelgupf/p9/linux"

	"github.com/packagefs/packagefs/server/p9l/wire"
)

// The engine keeps the advisory locks itself, one table for all connections of
// a server, for p9.File.Lock has no getlock and no release. A file is its
// qid.path. The rules are those of fcntl(2): ranges of bytes, shared by readers
// or held by one writer; who locks anew what it holds changes it. An owner is a
// process (pid) of a client (client id) of a connection. Nobody ever waits
// here: a client that wants to wait asks again.

// maxClientID is the length of the longest client id; Linux sends a host name.
const maxClientID = 1024

type lockOwner struct {
	conn   *conn
	client string
	pid    uint32
}

// A fileLock is one locked range, both ends included.
type fileLock struct {
	start, end uint64
	write      bool
	owner      lockOwner
	fid        *fid // through which it was set; its clunk ends the lock
}

type lockTable struct {
	mu    sync.Mutex            // guards what follows, and conn.locks; locked inside conn.mu
	files map[uint64][]fileLock // by qid.path
}

// lockRange makes a range of a start and a length, 0 for all that follows.
func lockRange(start, length uint64) (end uint64, err error) {
	if length == 0 {
		return math.MaxUint64, nil
	}
	if length-1 > math.MaxUint64-start {
		return 0, linux.EOVERFLOW
	}
	return start + length - 1, nil
}

// conflict returns a lock of another owner that keeps l from being set.
func conflict(held []fileLock, l *fileLock) *fileLock {
	var first *fileLock
	for i := range held {
		h := &held[i]
		if h.start <= l.end && l.start <= h.end && h.owner != l.owner && (h.write || l.write) &&
			(first == nil || h.start < first.start) {
			first = h
		}
	}
	return first
}

// set sets l, or ends what its owner holds of its range if unlock. It tells
// whether the lock is had. It fails with ENOLCK if the connection has too many.
func (t *lockTable) set(path uint64, l fileLock, unlock bool) (bool, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	held := t.files[path]
	c := l.owner.conn
	if !unlock {
		if conflict(held, &l) != nil {
			return false, nil
		}
		if c.locks+2 > c.srv.limit.Locks { // it may cut another lock in two
			return false, linux.ENOLCK
		}
	}
	next := make([]fileLock, 0, len(held)+2)
	for _, h := range held {
		if h.owner != l.owner || h.start > l.end || h.end < l.start {
			next = append(next, h)
			continue
		}
		if h.start < l.start {
			before := h
			before.end = l.start - 1
			next = append(next, before)
		}
		if h.end > l.end {
			behind := h
			behind.start = l.end + 1
			next = append(next, behind)
		}
	}
	if !unlock {
		next = append(joinLocks(next, &l), l)
	}
	t.store(path, c, next, len(next)-len(held))
	return true, nil
}

// joinLocks takes the locks out of held that l can be widened by, and does so.
func joinLocks(held []fileLock, l *fileLock) []fileLock {
	return slices.DeleteFunc(held, func(h fileLock) bool {
		if h.owner != l.owner || h.fid != l.fid || h.write != l.write {
			return false
		}
		switch {
		case h.end != math.MaxUint64 && h.end+1 == l.start:
			l.start = h.start
		case l.end != math.MaxUint64 && l.end+1 == h.start:
			l.end = h.end
		default:
			return false
		}
		return true
	})
}

// store runs with mu locked.
func (t *lockTable) store(path uint64, c *conn, held []fileLock, more int) {
	c.locks += more
	if len(held) == 0 {
		delete(t.files, path)
		return
	}
	if t.files == nil {
		t.files = map[uint64][]fileLock{}
	}
	t.files[path] = held
}

// test returns the lock that would keep l from being set.
func (t *lockTable) test(path uint64, l fileLock) (fileLock, bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if h := conflict(t.files[path], &l); h != nil {
		return *h, true
	}
	return fileLock{}, false
}

// release ends all locks that were set through f.
func (t *lockTable) release(c *conn, f *fid) {
	t.mu.Lock()
	defer t.mu.Unlock()
	held := t.files[f.qid.Path]
	n := len(held)
	held = slices.DeleteFunc(held, func(h fileLock) bool { return h.fid == f })
	t.store(f.qid.Path, c, held, len(held)-n)
}

func tlock(r *request) error {
	d := wire.Decode(r.body)
	id, typ, _, start, length, pid, client := d.U32(), d.U8(), d.U32(), d.U64(), d.U64(), d.U32(), d.Str()
	if !d.End() {
		return errMalformed
	}
	if typ > wire.LockUnlock || len(client) > maxClientID {
		return linux.EINVAL
	}
	end, err := lockRange(start, length)
	if err != nil {
		return err
	}
	c := r.c
	c.mu.Lock() // the fid must not be clunked meanwhile
	defer c.mu.Unlock()
	f := r.s.fids[id]
	if f == nil || f.state != fidOpen {
		return linux.EBADF
	}
	l := fileLock{start, end, typ == wire.LockWrite, lockOwner{c, client, pid}, f}
	had, err := c.srv.locks.set(f.qid.Path, l, typ == wire.LockUnlock)
	if err != nil {
		return err
	}
	f.locked = f.locked || had && typ != wire.LockUnlock
	status := byte(wire.LockSuccess)
	if !had {
		status = wire.LockBlocked
	}
	r.begin(1)
	r.out = append(r.out, status)
	return nil
}

// tgetlock tells which lock is in the way, or answers type unlock. The Linux
// client always sends type unlock, which is taken for the question after a
// write lock.
func tgetlock(r *request) error {
	d := wire.Decode(r.body)
	id, typ, start, length, pid, client := d.U32(), d.U8(), d.U64(), d.U64(), d.U32(), d.Str()
	if !d.End() {
		return errMalformed
	}
	if typ > wire.LockUnlock || len(client) > maxClientID {
		return linux.EINVAL
	}
	end, err := lockRange(start, length)
	if err != nil {
		return err
	}
	f, err := r.find(id)
	if err != nil {
		return err
	}
	defer r.drop(f)
	if !r.isOpen(f) {
		return linux.EBADF
	}
	typ, want := uint8(wire.LockUnlock), fileLock{start, end, typ != wire.LockRead, lockOwner{r.c, client, pid}, f}
	if h, ok := r.c.srv.locks.test(f.qid.Path, want); ok {
		typ, start, length, pid, client = wire.LockRead, h.start, 0, h.owner.pid, h.owner.client
		if h.end != math.MaxUint64 {
			length = h.end - h.start + 1
		}
		if h.write {
			typ = wire.LockWrite
		}
	}
	r.begin(1 + 8 + 8 + 4 + 2 + len(client))
	r.out = append(r.out, typ)
	r.out = le.AppendUint64(r.out, start)
	r.out = le.AppendUint64(r.out, length)
	r.out = wire.AppendStr(le.AppendUint32(r.out, pid), client)
	return nil
}
