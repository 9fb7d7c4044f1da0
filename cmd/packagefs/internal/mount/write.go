package mount

import (
	"context"
	"errors"
	"syscall"

	"github.com/hanwen/go-fuse/v2/fuse"
	"github.com/hugelgupf/p9/p9"

	"github.com/packagefs/packagefs/server/p9l/client"
	"github.com/packagefs/packagefs/server/p9l/wire"
)

// once runs fn on an attachment. Unlike do it does not run it again: what changes
// names may have been done although the answer was lost.
func (b *bridge) once(ctx context.Context, fn func(*attachment) error) error {
	s, err := b.get(ctx)
	if err != nil {
		return err
	}
	if err = fn(s); errors.Is(err, client.ErrLost) {
		return syscall.EIO
	}
	return err
}

// Write writes at once: there is no cache of what is to be written. Data at an
// offset may be sent twice; what goes to the end may not.
func (b *bridge) Write(cancel <-chan struct{}, in *fuse.WriteIn, data []byte) (uint32, fuse.Status) {
	f, ok := b.handle(in.Fh).(*file)
	if !ok {
		return 0, fuse.EBADF
	}
	ctx := request(&in.InHeader, cancel)
	send := func(s *attachment) error {
		fid, err := f.on(ctx, b, s)
		if err != nil {
			return err
		}
		f.unsynced.Store(true)
		return fid.Write(ctx, data, int64(in.Offset))
	}
	var err error
	if f.flags&syscall.O_APPEND != 0 {
		err = b.once(ctx, send)
	} else {
		err = b.do(ctx, send)
	}
	if err != nil {
		return 0, status(err)
	}
	return uint32(len(data)), fuse.OK
}

// Fsync fails if the server went away between a write and now: it is not known
// what of it reached the disk.
func (b *bridge) Fsync(cancel <-chan struct{}, in *fuse.FsyncIn) fuse.Status {
	f, ok := b.handle(in.Fh).(*file)
	if !ok {
		return fuse.EBADF
	}
	if f.inode.immutable() {
		return fuse.OK
	}
	ctx := request(&in.InHeader, cancel)
	err := b.once(ctx, func(s *attachment) error {
		fid, err := f.on(ctx, b, s)
		if err != nil {
			return err
		}
		f.unsynced.Store(false)
		err = fid.FSync(ctx)
		f.mu.Lock()
		defer f.mu.Unlock()
		if err == nil && f.lost {
			f.lost, err = false, syscall.EIO
		}
		if err != nil {
			f.unsynced.Store(true)
		}
		return err
	})
	return status(err)
}

// FsyncDir waits until the names of a directory are on the server's disk.
func (b *bridge) FsyncDir(cancel <-chan struct{}, in *fuse.FsyncIn) fuse.Status {
	d, ok := b.handle(in.Fh).(*dirHandle)
	if !ok {
		return fuse.EBADF
	}
	ctx := request(&in.InHeader, cancel)
	return status(b.withDir(ctx, d.inode, func(_ *attachment, dir *client.Fid) error {
		f, _, err := dir.Walk(ctx)
		if err != nil {
			return stale(err)
		}
		defer f.Clunk()
		if _, err = f.Open(ctx, syscall.O_RDONLY); err == nil {
			err = f.FSync(ctx)
		}
		return err
	}))
}

// SetAttr sets attributes, through the open file where the kernel names one.
func (b *bridge) SetAttr(cancel <-chan struct{}, in *fuse.SetAttrIn, out *fuse.AttrOut) fuse.Status {
	n := b.inode(in.NodeId)
	if n == nil {
		return fuse.Status(syscall.ESTALE)
	}
	ctx := request(&in.InHeader, cancel)
	defer b.noteChange()
	mask, attr := setAttr(in)
	set := func(f *client.Fid) error {
		if mask != 0 {
			if err := f.SetAttr(ctx, mask, attr); err != nil {
				return err
			}
		}
		q, a, err := f.GetAttr(ctx)
		if err != nil {
			return err
		}
		if q.Version == 0 {
			b.becomesMutable(n)
		}
		out.Attr = fillAttr(q, &a)
		b.renew(n, out.Attr, 0)
		out.SetTimeout(b.attrTTL(n, b.ttl))
		return nil
	}
	fh, given := in.GetFh()
	open, _ := b.handle(fh).(*file)
	if !given || !open.writes() {
		open = nil
	}
	var err error
	if open == nil {
		err = b.asUser(ctx, in.Caller.Uid, n, set)
		if errors.Is(err, syscall.ESTALE) || errors.Is(err, syscall.ENOENT) {
			open = b.anyFile(n) // it has no name any more
		}
	}
	if open != nil {
		err = b.withOpen(ctx, open, set)
	}
	if err == errReleased {
		err = syscall.ESTALE
	}
	return status(err)
}

// setAttr makes what the server is told of what the kernel says.
func setAttr(in *fuse.SetAttrIn) (mask uint32, a p9.SetAttr) {
	if mode, ok := in.GetMode(); ok {
		mask |= wire.SetMode
		a.Permissions = p9.FileMode(mode)
	}
	if uid, ok := in.GetUID(); ok {
		mask |= wire.SetUID
		a.UID = p9.UID(uid)
	}
	if gid, ok := in.GetGID(); ok {
		mask |= wire.SetGID
		a.GID = p9.GID(gid)
	}
	if size, ok := in.GetSize(); ok {
		mask |= wire.SetSize
		a.Size = size
	}
	if in.Valid&fuse.FATTR_ATIME != 0 {
		mask |= wire.SetATime
		if in.Valid&fuse.FATTR_ATIME_NOW == 0 {
			mask |= wire.SetATimeExact
			a.ATimeSeconds, a.ATimeNanoSeconds = in.Atime, uint64(in.Atimensec)
		}
	}
	if in.Valid&fuse.FATTR_MTIME != 0 {
		mask |= wire.SetMTime
		if in.Valid&fuse.FATTR_MTIME_NOW == 0 {
			mask |= wire.SetMTimeExact
			a.MTimeSeconds, a.MTimeNanoSeconds = in.Mtime, uint64(in.Mtimensec)
		}
	}
	return mask, a
}

// SetXAttr sets an extended attribute.
func (b *bridge) SetXAttr(cancel <-chan struct{}, in *fuse.SetXAttrIn, name string, data []byte) fuse.Status {
	return b.changeXattr(cancel, &in.InHeader, func(ctx context.Context, f *client.Fid) error {
		return f.SetXattr(ctx, name, data, in.Flags)
	})
}

// RemoveXAttr removes one.
func (b *bridge) RemoveXAttr(cancel <-chan struct{}, h *fuse.InHeader, name string) fuse.Status {
	return b.changeXattr(cancel, h, func(ctx context.Context, f *client.Fid) error {
		return f.RemoveXattr(ctx, name)
	})
}

func (b *bridge) changeXattr(cancel <-chan struct{}, h *fuse.InHeader, change func(context.Context, *client.Fid) error) fuse.Status {
	n := b.inode(h.NodeId)
	if n == nil {
		return fuse.Status(syscall.ESTALE)
	}
	ctx := request(h, cancel)
	defer b.noteChange()
	return status(b.asUser(ctx, h.Uid, n, func(f *client.Fid) error {
		if err := change(ctx, f); err != nil {
			return err
		}
		b.becomesMutable(n)
		return nil
	}))
}
