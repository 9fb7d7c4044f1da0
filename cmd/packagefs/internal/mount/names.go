package mount

import (
	"context"
	"errors"
	"syscall"

	"github.com/hanwen/go-fuse/v2/fuse"
	"github.com/hugelgupf/p9/p9"
	"golang.org/x/sys/unix"

	"github.com/packagefs/packagefs/server/p9l/client"
)

// inDir calls fn with a fid of a directory, for the user who asks.
func (b *bridge) inDir(cancel <-chan struct{}, h *fuse.InHeader, name string, fn func(context.Context, *attachment, *inode, *client.Fid) error) fuse.Status {
	n := b.inode(h.NodeId)
	switch {
	case n == nil:
		return fuse.Status(syscall.ESTALE)
	case len(name) > maxName:
		return fuse.Status(syscall.ENAMETOOLONG)
	}
	ctx := request(h, cancel)
	defer b.noteChange()
	return status(b.once(ctx, func(s *attachment) error {
		return b.dirAs(ctx, s, h.Uid, n, func(dir *client.Fid) error { return fn(ctx, s, n, dir) })
	}))
}

// add makes a name and looks it up for the kernel.
func (b *bridge) add(cancel <-chan struct{}, h *fuse.InHeader, name string, out *fuse.EntryOut, add func(context.Context, *client.Fid) error) fuse.Status {
	return b.inDir(cancel, h, name, func(ctx context.Context, s *attachment, n *inode, dir *client.Fid) error {
		if err := add(ctx, dir); err != nil {
			return err
		}
		f, a := b.walkStat(ctx, dir, name)
		if a.err != nil {
			return a.err
		}
		f.Clunk()
		b.fillEntry(out, b.acquire(n, name, a.qid, a.attr, 0), a.attr, b.ttl)
		return nil
	})
}

func (b *bridge) Mkdir(cancel <-chan struct{}, in *fuse.MkdirIn, name string, out *fuse.EntryOut) fuse.Status {
	return b.add(cancel, &in.InHeader, name, out, func(ctx context.Context, dir *client.Fid) error {
		_, err := dir.Mkdir(ctx, name, in.Mode&07777, in.Gid)
		return err
	})
}

func (b *bridge) Mknod(cancel <-chan struct{}, in *fuse.MknodIn, name string, out *fuse.EntryOut) fuse.Status {
	return b.add(cancel, &in.InHeader, name, out, func(ctx context.Context, dir *client.Fid) error {
		_, err := dir.Mknod(ctx, name, in.Mode, unix.Major(uint64(in.Rdev)), unix.Minor(uint64(in.Rdev)), in.Gid)
		return err
	})
}

func (b *bridge) Symlink(cancel <-chan struct{}, h *fuse.InHeader, target, name string, out *fuse.EntryOut) fuse.Status {
	return b.add(cancel, h, name, out, func(ctx context.Context, dir *client.Fid) error {
		_, err := dir.Symlink(ctx, name, target, h.Gid)
		return err
	})
}

// Link fails with ESTALE if the kernel's idea of the file is out of date.
func (b *bridge) Link(cancel <-chan struct{}, in *fuse.LinkIn, name string, out *fuse.EntryOut) fuse.Status {
	old := b.inode(in.Oldnodeid)
	if old == nil {
		return fuse.Status(syscall.ESTALE)
	}
	return b.inDir(cancel, &in.InHeader, name, func(ctx context.Context, s *attachment, n *inode, dir *client.Fid) error {
		f, err := b.walkAs(ctx, s, in.Uid, old)
		if err != nil {
			return err
		}
		defer f.Clunk()
		if err := dir.Link(ctx, f, name); err != nil {
			return err
		}
		b.becomesMutable(old)
		q, a, err := f.GetAttr(ctx)
		if err != nil {
			return err
		}
		attr := fillAttr(q, &a)
		b.linked(old, n, name, attr)
		b.fillEntry(out, old, attr, b.ttl)
		return nil
	})
}

func (b *bridge) Create(cancel <-chan struct{}, in *fuse.CreateIn, name string, out *fuse.CreateOut) fuse.Status {
	return b.inDir(cancel, &in.InHeader, name, func(ctx context.Context, s *attachment, n *inode, dir *client.Fid) error {
		fid, _, err := dir.Walk(ctx)
		if err != nil {
			return err
		}
		flags := in.Flags & (keptFlags | syscall.O_EXCL | syscall.O_TRUNC)
		q, err := fid.Create(ctx, name, flags|syscall.O_CREAT, in.Mode&07777, in.Gid)
		var a p9.Attr
		if err == nil {
			q, a, err = fid.GetAttr(ctx)
		}
		if err != nil {
			fid.Clunk()
			return err
		}
		attr := fillAttr(q, &a)
		f := &file{inode: b.acquire(n, name, q, attr, 0), uid: in.Uid, flags: in.Flags & keptFlags, ready: make(chan struct{}), s: s, fid: fid}
		close(f.ready)
		b.fillEntry(&out.EntryOut, f.inode, attr, b.ttl)
		b.addFile(f)
		out.OpenFlags, out.Fh = fuse.FOPEN_DIRECT_IO, b.addHandle(f)
		return nil
	})
}

func (b *bridge) Unlink(cancel <-chan struct{}, h *fuse.InHeader, name string) fuse.Status {
	return b.unlink(cancel, h, name, false)
}

func (b *bridge) Rmdir(cancel <-chan struct{}, h *fuse.InHeader, name string) fuse.Status {
	return b.unlink(cancel, h, name, true)
}

func (b *bridge) unlink(cancel <-chan struct{}, h *fuse.InHeader, name string, isDir bool) fuse.Status {
	return b.inDir(cancel, h, name, func(ctx context.Context, s *attachment, n *inode, dir *client.Fid) error {
		if err := dir.UnlinkAt(ctx, name, isDir); err != nil {
			return err
		}
		b.forgetDir(s, b.removed(n, name))
		return nil
	})
}

// forgetDir gives up the fids of a directory that is gone.
func (b *bridge) forgetDir(s *attachment, n *inode) {
	if n != nil && n.dir() {
		s.dirs.drop(n)
	}
}

func (b *bridge) Rename(cancel <-chan struct{}, in *fuse.RenameIn, name, newName string) fuse.Status {
	to := b.inode(in.Newdir)
	switch {
	case to == nil:
		return fuse.Status(syscall.ESTALE)
	case len(newName) > maxName:
		return fuse.Status(syscall.ENAMETOOLONG)
	case in.Flags&^unix.RENAME_NOREPLACE != 0:
		return fuse.EINVAL
	}
	return b.inDir(cancel, &in.InHeader, name, func(ctx context.Context, s *attachment, n *inode, dir *client.Fid) error {
		return b.dirAs(ctx, s, in.Uid, to, func(toDir *client.Fid) error {
			if in.Flags&unix.RENAME_NOREPLACE != 0 {
				if err := absent(ctx, toDir, newName); err != nil {
					return err
				}
			}
			if err := dir.RenameAt(ctx, name, toDir, newName); err != nil {
				return err
			}
			b.forgetDir(s, b.renamed(n, name, to, newName))
			return nil
		})
	})
}

// absent fails with EEXIST where a name is there.
func absent(ctx context.Context, dir *client.Fid, name string) error {
	f, _, err := dir.Walk(ctx, name)
	switch {
	case err == nil:
		f.Clunk()
		return syscall.EEXIST
	case errors.Is(err, syscall.ENOENT):
		return nil
	}
	return err
}
