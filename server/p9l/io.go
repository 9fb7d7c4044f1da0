package p9l

import (
	"io"
	"math"

	"github.com/hugelgupf/p9/linux"
	"github.com/hugelgupf/p9/p9"

	"github.com/packagefs/packagefs/server/p9l/wire"
)

// The flags of Tlopen and Tlcreate are those of open(2) on Linux for x86.
const (
	openAccess    = 3
	openDirectory = 0o200000
	// openCreation are flags that the client has dealt with when it opens a
	// file that exists: O_CREAT, O_EXCL, O_NOCTTY, O_LARGEFILE, O_CLOEXEC.
	openCreation = 0o100 | 0o200 | 0o400 | 0o100000 | 0o2000000
)

// EventRead is the most bytes that a read of an event stream returns, so that many
// that wait hold little memory.
const EventRead = 16 << 10

func tlopen(r *request) error {
	d := wire.Decode(r.body)
	id, flags := d.U32(), d.U32()
	return r.onFid(&d, id, func(f *fid) error {
		access := p9.OpenFlags(flags & openAccess)
		switch {
		case access == openAccess || isSymlink(f.qid):
			return linux.EINVAL
		case isDir(f.qid) && access != p9.ReadOnly:
			return linux.EISDIR
		case !isDir(f.qid) && flags&openDirectory != 0:
			return linux.ENOTDIR
		case !r.mayCall(f.file):
			return errLater
		}
		if err := r.open(f); err != nil {
			return err
		}
		qid, unit, err := openFile(f, p9.OpenFlags(flags&^openCreation))
		if err != nil {
			r.opened(f, fidClosed, 0)
			return err
		}
		r.opened(f, fidOpen, access)
		r.beginOpen(qid, unit)
		return nil
	})
}

// openFile opens a file, unless it is a fifo, a socket or a device: those are
// the client's to open, never the server's.
func openFile(f *fid, flags p9.OpenFlags) (p9.QID, uint32, error) {
	if !isDir(f.qid) {
		_, _, attr, err := f.file.GetAttr(p9.AttrMask{Mode: true})
		if err != nil {
			return p9.QID{}, 0, err
		}
		if !attr.Mode.IsRegular() {
			return p9.QID{}, 0, linux.ENXIO
		}
	}
	return f.file.Open(flags)
}

// beginOpen makes the reply to Tlopen and Tlcreate.
func (r *request) beginOpen(qid p9.QID, unit uint32) {
	r.begin(wire.QIDSize + 4)
	r.out = wire.AppendQID(r.out, qid)
	r.out = le.AppendUint32(r.out, min(unit, r.s.msize-wire.IOHeader))
}

func tlcreate(r *request) error {
	d := wire.Decode(r.body)
	id, name, flags, mode, gid := d.U32(), d.Str(), d.U32(), d.U32(), d.U32()
	if !d.End() {
		return errMalformed
	}
	f, err := r.findDir(id, name)
	if err != nil {
		return err
	}
	defer r.drop(f)
	if flags&openAccess == openAccess {
		return linux.EINVAL
	}
	if !r.wait {
		return errLater
	}
	if err := r.open(f); err != nil {
		return err
	}
	file, qid, unit, err := f.file.Create(name, p9.OpenFlags(flags), p9.FileMode(mode&07777), p9.UID(f.uid), p9.GID(gid))
	if err != nil {
		r.opened(f, fidClosed, 0)
		return err
	}
	created := &fid{file: file, qid: qid, uid: f.uid, state: fidOpen, access: p9.OpenFlags(flags & openAccess)}
	if err := r.replace(id, f, created); err != nil {
		file.Close()
		return err
	}
	r.beginOpen(qid, unit)
	return nil
}

func tread(r *request) error {
	d := wire.Decode(r.body)
	id, offset, count := d.U32(), d.U64(), d.U32()
	return r.onOpen(&d, id, p9.ReadOnly, func(f *fid, x *xattr) error {
		switch {
		case offset > math.MaxInt64:
			return linux.EINVAL
		case x == nil && isDir(f.qid):
			return linux.EISDIR
		}
		n := int(min(uint64(count), uint64(r.s.msize-wire.IOHeader), math.MaxInt64-offset))
		if x != nil {
			return r.fill(n, func(p []byte) (int, error) { return x.read(p, offset) })
		}
		if r.wait {
			return r.readWait(f, int64(offset), n)
		}
		return r.readNow(f, int64(offset), n)
	})
}

// fill makes the Rread of at most n bytes, which read puts into the reply
// itself.
func (r *request) fill(n int, read func(p []byte) (int, error)) error {
	r.begin(4 + n)
	at := len(r.out)
	r.out = r.out[:at+4+n]
	got, err := read(r.out[at+4:])
	if err == io.EOF || err != nil && got > 0 {
		err = nil
	}
	if err != nil {
		return err
	}
	r.out = r.out[:at+4+got]
	le.PutUint32(r.out[at:], uint32(got))
	return nil
}

// readNow reads in the reader. It sets no more room aside than the file can
// need: a read may end short.
func (r *request) readNow(f *fid, offset int64, n int) error {
	now, ok := f.file.(NowReader)
	if ok {
		const little = 16 << 10
		if n > little && r.mayCall(f.file) {
			_, _, attr, err := f.file.GetAttr(p9.AttrMask{Size: true})
			if err == nil && attr.Size < uint64(offset)+uint64(n) {
				n = max(little, int(int64(attr.Size)-offset))
			}
		}
		err := r.fill(n, func(p []byte) (int, error) { return now.ReadNow(p, offset) })
		if !mustWait(err) {
			return err
		}
	}
	if _, ok := f.file.(ContextReader); ok {
		return errEvent
	}
	return errLater
}

// readWait reads in a worker.
func (r *request) readWait(f *fid, offset int64, n int) error {
	if long, ok := f.file.(LongReader); ok {
		ctx := r.interest()
		return r.fill(n, func(p []byte) (int, error) { return long.ReadLong(ctx, p, offset) })
	}
	if r.ctx == nil {
		return r.fill(n, func(p []byte) (int, error) { return f.file.ReadAt(p, offset) })
	}
	if !r.waitOn(f) {
		return linux.EINTR
	}
	defer r.waitOn(nil)
	return r.fill(min(n, EventRead), func(p []byte) (int, error) {
		return f.file.(ContextReader).ReadContext(r.ctx, p, offset)
	})
}

// waitOn notes that the clunk of f ends the request, or for nil that it does
// not any more. It fails if f is clunked already.
func (r *request) waitOn(f *fid) bool {
	c := r.c
	c.mu.Lock()
	defer c.mu.Unlock()
	if f == nil {
		r.fid.events--
		return true
	}
	r.fid = f
	f.events++
	return !f.gone
}

func twrite(r *request) error {
	d := wire.Decode(r.body)
	id, offset, data := d.U32(), d.U64(), d.Data()
	return r.onOpen(&d, id, p9.WriteOnly, func(f *fid, x *xattr) error {
		if offset > math.MaxInt64-uint64(len(data)) {
			return linux.EFBIG
		}
		var n int
		var err error
		switch {
		case x != nil:
			n, err = x.append(r.c, offset, data)
		case !r.wait:
			return errLater
		default:
			if long, ok := f.file.(LongWriter); ok {
				n, err = long.WriteLong(r.interest(), data, int64(offset))
			} else {
				n, err = f.file.WriteAt(data, int64(offset))
			}
		}
		if n == 0 && len(data) > 0 {
			if err == nil {
				err = linux.EIO // Rwrite 0 makes the Linux client try for ever
			}
			return err
		}
		if n == 0 && err != nil {
			return err
		}
		r.begin(4)
		r.out = le.AppendUint32(r.out, uint32(n))
		return nil
	})
}

// tfsync succeeds on files that cannot be written: what they hold is safe.
func tfsync(r *request) error {
	d := wire.Decode(r.body)
	id := d.U32()
	d.U32() // datasync, which p9.File does not know
	return r.onFid(&d, id, func(f *fid) error {
		if !r.isOpen(f) {
			return linux.EBADF
		}
		if !r.wait {
			return errLater
		}
		if err := f.file.FSync(); err != nil {
			switch errno, _ := ErrnoOf(err, r.c.srv.Errno); errno {
			case linux.EROFS, linux.EINVAL, linux.ENOSYS, linux.EOPNOTSUPP:
			default:
				return err
			}
		}
		r.begin(0)
		return nil
	})
}
