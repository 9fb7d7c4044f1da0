package client

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"sync"
	"sync/atomic"
	"syscall"

	"github.com/hugelgupf/p9/p9"

	"github.com/packagefs/packagefs/server/p9l/wire"
)

const (
	// readChunk is what one Tread of a large read asks for: small enough that
	// the server fills one while the network carries another.
	readChunk   = 256 << 10
	readdirSize = 64 << 10
)

// A Fid is a file at the server. Clunk it when done.
type Fid struct {
	c       *Conn
	num     uint32
	clunked atomic.Bool
}

// Attach gives the root of the tree that aname names. uid is the user that the
// client speaks for; the server believes it as far as it trusts the peer.
func (c *Conn) Attach(ctx context.Context, uid uint32, aname string) (*Fid, p9.QID, error) {
	if len(aname) > math.MaxUint16 {
		return nil, p9.QID{}, syscall.ENAMETOOLONG
	}
	f := &Fid{c: c, num: c.newFid()}
	m := newMsg(wire.Tattach).u32(f.num).u32(wire.NoFid).str("").str(aname).u32(uid)
	r, _, err := c.rpc(ctx, m, nil)
	if err != nil {
		return nil, p9.QID{}, f.neverMade(err)
	}
	qid := r.QID()
	return f, qid, c.check(&r, wire.Tattach)
}

// check ends the connection if a reply was too short.
func (c *Conn) check(r *wire.Decoder, t uint8) error {
	err := check(r, t)
	if err != nil {
		c.fail(err)
		return c.Err()
	}
	return nil
}

// neverMade gives the number of a fid back that err kept from coming into being.
// After a flush the server may know it nevertheless; then it is not used again.
func (f *Fid) neverMade(err error) error {
	if !errors.Is(err, syscall.EINTR) {
		f.c.dropFid(f.num)
	}
	return err
}

// rpc sends a request about f and checks the reply with get.
func (f *Fid) rpc(ctx context.Context, m *msg, get func(*wire.Decoder)) error {
	r, _, err := f.c.rpc(ctx, m, nil)
	if err != nil {
		return err
	}
	get(&r)
	return f.c.check(&r, m.b[4])
}

// Conn is the connection that f belongs to.
func (f *Fid) Conn() *Conn { return f.c }

// Walk follows names from f, one component each, and returns the file reached
// with the qid of each step. No names give a second fid of the same file.
// Where a name is missing it fails with the server's errno, or ENOENT or
// ENOTDIR where the server only tells how far it came.
func (f *Fid) Walk(ctx context.Context, names ...string) (*Fid, []p9.QID, error) {
	at, qids, err := f.walk16(ctx, names[:min(len(names), wire.MaxWalk)])
	for err == nil && len(qids) < len(names) {
		var next *Fid
		var more []p9.QID
		next, more, err = at.walk16(ctx, names[len(qids):min(len(names), len(qids)+wire.MaxWalk)])
		at.Clunk()
		at = next
		qids = append(qids, more...)
	}
	if err != nil {
		return nil, nil, err
	}
	return at, qids, nil
}

// walk16 is one Twalk.
func (f *Fid) walk16(ctx context.Context, names []string) (*Fid, []p9.QID, error) {
	to := &Fid{c: f.c, num: f.c.newFid()}
	m := newMsg(wire.Twalk).u32(f.num).u32(to.num)
	m.b = le.AppendUint16(m.b, uint16(len(names)))
	for _, n := range names {
		if len(n) > wire.MaxName {
			return nil, nil, to.neverMade(syscall.ENAMETOOLONG)
		}
		m.str(n)
	}
	r, _, err := f.c.rpc(ctx, m, nil)
	if err != nil {
		return nil, nil, to.neverMade(err)
	}
	qids := make([]p9.QID, 0, len(names))
	for range min(int(r.U16()), wire.MaxWalk) {
		qids = append(qids, r.QID())
	}
	if err := f.c.check(&r, wire.Twalk); err != nil {
		return nil, nil, err
	}
	switch {
	case len(qids) == len(names):
		return to, qids, nil
	case len(qids) > 0 && qids[len(qids)-1].Type&(p9.TypeDir|p9.TypeSymlink) == 0:
		return nil, nil, to.neverMade(syscall.ENOTDIR)
	}
	return nil, nil, to.neverMade(syscall.ENOENT)
}

// Clunk gives the fid up, once; it does not wait for the server.
func (f *Fid) Clunk() {
	if f.clunked.Swap(true) {
		return
	}
	select {
	case tag := <-f.c.tags:
		if f.c.start(tag, newMsg(wire.Tclunk).u32(f.num), &call{fid: f.num}) != nil {
			f.c.tags <- tag
		}
	case <-f.c.dead:
	}
}

// GetAttr gives the file's attributes and its qid.
func (f *Fid) GetAttr(ctx context.Context) (qid p9.QID, attr p9.Attr, err error) {
	err = f.rpc(ctx, newMsg(wire.Tgetattr).u32(f.num).u64(wire.BasicMask), func(r *wire.Decoder) {
		r.U64()
		qid, attr = r.QID(), r.Attr()
	})
	return qid, attr, err
}

// Stamped is GetAttr that also gives the stamp of the top of a tree: a number that
// is another one after each change of what the tree shows, but for what is in
// mutable files. It is 0 where the server has none to give. The data version of a
// file is the qid's where the server tells none.
func (f *Fid) Stamped(ctx context.Context) (qid p9.QID, attr p9.Attr, stamp uint64, err error) {
	const mask = wire.BasicMask | wire.DataVersionMask | wire.StampMask
	err = f.rpc(ctx, newMsg(wire.Tgetattr).u32(f.num).u64(mask), func(r *wire.Decoder) {
		valid := r.U64()
		qid, attr = r.QID(), r.Attr()
		switch {
		case valid&wire.StampMask != 0:
			stamp = attr.DataVersion
		case valid&wire.DataVersionMask == 0:
			attr.DataVersion = uint64(qid.Version)
		}
	})
	return qid, attr, stamp, err
}

// Open makes the fid ready for reading or writing, as its Linux flags say.
func (f *Fid) Open(ctx context.Context, flags uint32) (qid p9.QID, err error) {
	err = f.rpc(ctx, newMsg(wire.Tlopen).u32(f.num).u32(flags), func(r *wire.Decoder) {
		qid = r.QID()
		r.U32()
	})
	return qid, err
}

// ReadAt reads until p is full or the file ends; only an error makes it
// otherwise shorter. At the end it returns what there is and no error. Large
// reads are split, and the parts are in flight at once.
func (f *Fid) ReadAt(ctx context.Context, p []byte, off int64) (int, error) {
	chunk := min(f.c.MaxIO()&^4095, readChunk)
	if len(p) <= chunk || chunk == 0 {
		return f.readAll(ctx, p, off)
	}
	parts := (len(p) + chunk - 1) / chunk
	ns, errs := make([]int, parts), make([]error, parts)
	var wg sync.WaitGroup
	for i := range parts {
		wg.Go(func() {
			at := i * chunk
			ns[i], errs[i] = f.readAll(ctx, p[at:min(at+chunk, len(p))], off+int64(at))
		})
	}
	wg.Wait()
	total := 0
	for i, n := range ns {
		total += n
		if errs[i] != nil || n < chunk {
			return total, errs[i]
		}
	}
	return total, nil
}

// readAll reads one part of a read, in order.
func (f *Fid) readAll(ctx context.Context, p []byte, off int64) (int, error) {
	total := 0
	for total < len(p) {
		part := p[total:min(len(p), total+f.c.MaxIO())]
		m := newMsg(wire.Tread).u32(f.num).u64(uint64(off) + uint64(total)).u32(uint32(len(part)))
		_, n, err := f.c.rpc(ctx, m, part)
		if err != nil || n == 0 {
			return total, err
		}
		total += n
	}
	return total, nil
}

// Write writes all of p at off, in order.
func (f *Fid) Write(ctx context.Context, p []byte, off int64) error {
	for len(p) > 0 {
		part := p[:min(len(p), f.c.MaxIO())]
		m := newMsg(wire.Twrite).u32(f.num).u64(uint64(off)).u32(uint32(len(part)))
		m.b = append(m.b, part...)
		var n int
		if err := f.rpc(ctx, m, func(r *wire.Decoder) { n = int(r.U32()) }); err != nil {
			return err
		}
		if n <= 0 || n > len(part) {
			return fmt.Errorf("the server took %d of %d bytes: %w", n, len(part), io.ErrShortWrite)
		}
		p, off = p[n:], off+int64(n)
	}
	return nil
}

// Readdir gives some entries of an open directory, those that follow the entry
// with this offset, or the first ones for 0. At the end it gives none. Type
// holds a DT_ value; some servers put the qid's type there.
func (f *Fid) Readdir(ctx context.Context, off uint64) (list []p9.Dirent, err error) {
	count := uint32(min(f.c.MaxIO(), readdirSize))
	err = f.rpc(ctx, newMsg(wire.Treaddir).u32(f.num).u64(off).u32(count), func(r *wire.Decoder) {
		list = r.Dirents()
	})
	return list, err
}

// ReadDirAll gives all entries of an open directory but "." and "..", in the
// server's order.
func (f *Fid) ReadDirAll(ctx context.Context) ([]p9.Dirent, error) {
	var all []p9.Dirent
	for off := uint64(0); ; {
		list, err := f.Readdir(ctx, off)
		if err != nil || len(list) == 0 {
			return all, err
		}
		for _, d := range list {
			if d.Name != "." && d.Name != ".." {
				all = append(all, d)
			}
		}
		last := list[len(list)-1].Offset
		if last == off {
			return nil, fmt.Errorf("the server repeats the entry %q", list[len(list)-1].Name)
		}
		off = last
	}
}

// Readlink gives a symlink's target.
func (f *Fid) Readlink(ctx context.Context) (target string, err error) {
	err = f.rpc(ctx, newMsg(wire.Treadlink).u32(f.num), func(r *wire.Decoder) { target = r.Str() })
	return target, err
}

// StatFS describes the file system that the file is on.
func (f *Fid) StatFS(ctx context.Context) (st p9.FSStat, err error) {
	err = f.rpc(ctx, newMsg(wire.Tstatfs).u32(f.num), func(r *wire.Decoder) {
		st = p9.FSStat{
			Type: r.U32(), BlockSize: r.U32(), Blocks: r.U64(), BlocksFree: r.U64(),
			BlocksAvailable: r.U64(), Files: r.U64(), FilesFree: r.U64(), FSID: r.U64(),
			NameLength: r.U32(),
		}
	})
	return st, err
}

// Xattr gives the value of an extended attribute or, for the name "", the list
// of their names, each ended by a zero byte.
func (f *Fid) Xattr(ctx context.Context, name string) ([]byte, error) {
	if len(name) > wire.MaxName {
		return nil, syscall.ERANGE
	}
	x := &Fid{c: f.c, num: f.c.newFid()}
	var size uint64
	err := x.rpc(ctx, newMsg(wire.Txattrwalk).u32(f.num).u32(x.num).str(name), func(r *wire.Decoder) { size = r.U64() })
	if err != nil {
		return nil, x.neverMade(err)
	}
	defer x.Clunk()
	if size > wire.MaxXattr {
		return nil, syscall.E2BIG
	}
	value := make([]byte, size)
	n, err := x.ReadAt(ctx, value, 0)
	return value[:n], err
}
