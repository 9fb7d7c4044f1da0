package p9l

import (
	"errors"

	"github.com/hugelgupf/p9/linux"
	"github.com/hugelgupf/p9/p9"

	"github.com/packagefs/packagefs/server/p9l/wire"
)

// An xattr is what is read or written through a fid of Txattrwalk or
// Txattrcreate.
type xattr struct {
	name  string
	size  int // of the value to be written
	flags p9.XattrFlags
	write bool

	// Guarded by conn.mu.
	value []byte
	held  int // bytes that conn.xattrs counts for it
}

// mustCommit tells that the clunk of x's fid sets the attribute. x may be nil.
func (x *xattr) mustCommit() bool { return x != nil && x.write }

// hold counts n bytes against the limit. It runs with conn.mu locked.
func (c *conn) holdXattr(x *xattr, n int) error {
	if c.xattrs+n > c.srv.limit.XattrBytes {
		c.srv.stats.refused.Add(1)
		return linux.ENOSPC
	}
	c.xattrs += n
	x.held = n
	return nil
}

// txattrwalk makes a fid to read one attribute's value, or the list of names,
// from.
func txattrwalk(r *request) error {
	d := wire.Decode(r.body)
	id, newID, name := d.U32(), d.U32(), d.Str()
	return r.onFid(&d, id, func(f *fid) error {
		if err := r.free(newID); err != nil {
			return err
		}
		if !r.mayCall(f.file) {
			return errLater
		}
		value, err := r.readXattr(f.file, name)
		if err != nil {
			return err
		}
		x := &xattr{name: name, value: value}
		r.c.mu.Lock()
		err = r.c.holdXattr(x, len(value))
		r.c.mu.Unlock()
		if err != nil {
			return err
		}
		if err := r.insert(newID, &fid{qid: f.qid, uid: f.uid, xattr: x}); err != nil {
			r.c.mu.Lock()
			r.c.xattrs -= x.held
			r.c.mu.Unlock()
			return err
		}
		r.begin(8)
		r.out = le.AppendUint64(r.out, uint64(len(value)))
		return nil
	})
}

// readXattr returns an attribute's value, or for the empty name the list of
// names. Files that know of no attributes have none: any other answer than
// ENODATA and the empty list makes programs on the client fail.
func (r *request) readXattr(file File, name string) (value []byte, err error) {
	if len(name) > wire.MaxName {
		return nil, linux.ERANGE
	}
	if name == "" {
		var names []string
		names, err = file.ListXattrs()
		for _, n := range names {
			value = append(append(value, n...), 0)
		}
	} else {
		value, err = file.GetXattr(name)
	}
	if err != nil {
		errno, _ := ErrnoOf(err, r.c.srv.Errno)
		none := errno == linux.ENODATA || errno == linux.EOPNOTSUPP || errno == linux.ENOSYS
		switch {
		case none && name == "":
			return nil, nil
		case none:
			return nil, linux.ENODATA
		}
		return nil, err
	}
	if len(value) > wire.MaxXattr {
		return nil, linux.E2BIG
	}
	return value, nil
}

// read copies the value from offset on. Like a read of a file it ends short.
func (x *xattr) read(p []byte, offset uint64) (int, error) {
	if x.write {
		return 0, linux.EBADF
	}
	if offset >= uint64(len(x.value)) {
		return 0, nil
	}
	return copy(p, x.value[offset:]), nil
}

// append takes the next piece of the value to be set.
func (x *xattr) append(c *conn, offset uint64, p []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case !x.write:
		return 0, linux.EBADF
	case offset != uint64(len(x.value)) || len(p) > x.size-len(x.value):
		return 0, linux.EINVAL
	}
	x.value = append(x.value, p...)
	return len(p), nil
}

// txattrcreate turns a fid into one that an attribute's value is written to;
// its clunk sets the attribute.
func txattrcreate(r *request) error {
	d := wire.Decode(r.body)
	id, name, size, flags := d.U32(), d.Str(), d.U64(), d.U32()
	switch {
	case !d.End():
		return errMalformed
	case size > wire.MaxXattr:
		return linux.E2BIG
	case name == "" || len(name) > wire.MaxName:
		return linux.ERANGE
	case p9.XattrFlags(flags)&^(p9.XattrCreate|p9.XattrReplace) != 0:
		return linux.EINVAL
	}
	c := r.c
	c.mu.Lock()
	defer c.mu.Unlock()
	f := r.s.fids[id]
	if f == nil || f.xattr != nil {
		return linux.EBADF
	}
	if f.state != fidClosed {
		return linux.EBUSY
	}
	x := &xattr{name: name, size: int(size), flags: p9.XattrFlags(flags), write: true}
	if err := c.holdXattr(x, x.size); err != nil {
		return err
	}
	f.xattr = x
	r.begin(0)
	return nil
}

// commitXattr sets what was written to x, or removes the attribute: that is
// size 0 with the flag of a pure replace.
func (r *request) commitXattr(file File, x *xattr) error {
	r.c.mu.Lock()
	value := x.value
	r.c.mu.Unlock()
	switch {
	case len(value) != x.size:
		return linux.EINVAL
	case x.size == 0 && x.flags == p9.XattrReplace:
		return noXattrs(file.RemoveXattr(x.name))
	}
	return noXattrs(file.SetXattr(x.name, value, x.flags))
}

// noXattrs makes EOPNOTSUPP of the errno of files that know no attributes, for
// Linux programs take that as the answer of such a file system.
func noXattrs(err error) error {
	if errors.Is(err, linux.ENOSYS) {
		return linux.EOPNOTSUPP
	}
	return err
}
