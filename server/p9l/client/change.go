package client

import (
	"context"
	"syscall"

	"github.com/hugelgupf/p9/p9"

	"github.com/packagefs/packagefs/server/p9l/wire"
)

// The methods that make or remove names take an open or closed fid of the
// directory. gid is the group of what is made; its owner is the user that the
// fid's attach speaks for.

// make sends a request that is answered by a qid.
func (f *Fid) make(ctx context.Context, m *msg) (qid p9.QID, err error) {
	err = f.rpc(ctx, m, func(r *wire.Decoder) { qid = r.QID() })
	return qid, err
}

// done sends a request whose answer says nothing.
func (f *Fid) done(ctx context.Context, m *msg) error { return f.rpc(ctx, m, func(*wire.Decoder) {}) }

// Create makes a regular file, or opens the one that is there unless flags have
// O_EXCL, and makes the fid of the directory that of the file.
func (f *Fid) Create(ctx context.Context, name string, flags, mode, gid uint32) (qid p9.QID, err error) {
	m := newMsg(wire.Tlcreate).u32(f.num).str(name).u32(flags).u32(mode).u32(gid)
	err = f.rpc(ctx, m, func(r *wire.Decoder) {
		qid = r.QID()
		r.U32()
	})
	return qid, err
}

// Mkdir makes a directory.
func (f *Fid) Mkdir(ctx context.Context, name string, mode, gid uint32) (p9.QID, error) {
	return f.make(ctx, newMsg(wire.Tmkdir).u32(f.num).str(name).u32(mode).u32(gid))
}

// Symlink makes a symlink.
func (f *Fid) Symlink(ctx context.Context, name, target string, gid uint32) (p9.QID, error) {
	return f.make(ctx, newMsg(wire.Tsymlink).u32(f.num).str(name).str(target).u32(gid))
}

// Mknod makes a file of the type that mode has.
func (f *Fid) Mknod(ctx context.Context, name string, mode, major, minor, gid uint32) (p9.QID, error) {
	return f.make(ctx, newMsg(wire.Tmknod).u32(f.num).str(name).u32(mode).u32(major).u32(minor).u32(gid))
}

// Link gives target another name.
func (f *Fid) Link(ctx context.Context, target *Fid, name string) error {
	return f.done(ctx, newMsg(wire.Tlink).u32(f.num).u32(target.num).str(name))
}

// RenameAt renames name to newName in the directory to.
func (f *Fid) RenameAt(ctx context.Context, name string, to *Fid, newName string) error {
	return f.done(ctx, newMsg(wire.Trenameat).u32(f.num).str(name).u32(to.num).str(newName))
}

// UnlinkAt removes a name: that of a directory if dir.
func (f *Fid) UnlinkAt(ctx context.Context, name string, dir bool) error {
	const removeDir = 0x200
	flags := uint32(0)
	if dir {
		flags = removeDir
	}
	return f.done(ctx, newMsg(wire.Tunlinkat).u32(f.num).str(name).u32(flags))
}

// SetAttr sets the attributes that mask names; see wire.SetMode.
func (f *Fid) SetAttr(ctx context.Context, mask uint32, a p9.SetAttr) error {
	return f.done(ctx, newMsg(wire.Tsetattr).u32(f.num).u32(mask).
		u32(uint32(a.Permissions)).u32(uint32(a.UID)).u32(uint32(a.GID)).u64(a.Size).
		u64(a.ATimeSeconds).u64(a.ATimeNanoSeconds).u64(a.MTimeSeconds).u64(a.MTimeNanoSeconds))
}

// FSync waits until what was written is on the server's disk.
func (f *Fid) FSync(ctx context.Context) error {
	return f.done(ctx, newMsg(wire.Tfsync).u32(f.num).u32(0))
}

// SetXattr sets an extended attribute; flags are those of setxattr(2).
func (f *Fid) SetXattr(ctx context.Context, name string, value []byte, flags uint32) error {
	if len(name) > wire.MaxName {
		return syscall.ERANGE
	}
	x, _, err := f.Walk(ctx)
	if err != nil {
		return err
	}
	err = x.done(ctx, newMsg(wire.Txattrcreate).u32(x.num).str(name).u64(uint64(len(value))).u32(flags))
	if err == nil {
		err = x.Write(ctx, value, 0)
	}
	if err != nil {
		x.Clunk()
		return err
	}
	return x.clunkNow(ctx)
}

// RemoveXattr removes an extended attribute: a value of no bytes that replaces.
func (f *Fid) RemoveXattr(ctx context.Context, name string) error {
	const replace = 2
	return f.SetXattr(ctx, name, nil, replace)
}

// clunkNow gives the fid up and waits for what the server says to it.
func (f *Fid) clunkNow(ctx context.Context) error {
	if f.clunked.Swap(true) {
		return nil
	}
	_, _, err := f.c.rpc(ctx, newMsg(wire.Tclunk).u32(f.num), nil)
	return f.neverMade(err)
}

// A Lock is a range of a file that an owner locks. Length 0 goes to the end of
// all offsets.
type Lock struct {
	Type          uint8 // wire.LockRead, LockWrite or LockUnlock
	Start, Length uint64
	PID           uint32
	Owner         string
}

// Lock sets or ends a lock. It fails with EAGAIN where another owner has one.
func (f *Fid) Lock(ctx context.Context, l Lock) error {
	var status uint8
	m := newMsg(wire.Tlock).u32(f.num).u8(l.Type).u32(0).u64(l.Start).u64(l.Length).u32(l.PID).str(l.Owner)
	err := f.rpc(ctx, m, func(r *wire.Decoder) { status = r.U8() })
	switch {
	case err != nil:
		return err
	case status == wire.LockSuccess:
		return nil
	case status == wire.LockBlocked:
		return syscall.EAGAIN
	}
	return syscall.ENOLCK
}

// GetLock returns a lock that is in the way of l, or one of type wire.LockUnlock.
func (f *Fid) GetLock(ctx context.Context, l Lock) (found Lock, err error) {
	m := newMsg(wire.Tgetlock).u32(f.num).u8(l.Type).u64(l.Start).u64(l.Length).u32(l.PID).str(l.Owner)
	err = f.rpc(ctx, m, func(r *wire.Decoder) {
		found = Lock{Type: r.U8(), Start: r.U64(), Length: r.U64(), PID: r.U32(), Owner: r.Str()}
	})
	return found, err
}
