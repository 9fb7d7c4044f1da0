package mount

import (
	"context"
	"errors"
	"math"
	"strconv"
	"syscall"
	"time"

	"github.com/hanwen/go-fuse/v2/fuse"

	"github.com/packagefs/packagefs/server/p9l/client"
	"github.com/packagefs/packagefs/server/p9l/wire"
)

// Locks are the server's, so that all its clients share them. The owner that the
// kernel names, a process or an open file, is the owner there.

// lock is what is to be remembered of an owner of locks: the process that they
// were set for.
type lock struct{ pid uint32 }

// lockPoll is how long a process that waits for a lock waits before it asks
// again: it grows to lockPollMost.
const (
	lockPoll     = 2 * time.Millisecond
	lockPollMost = 200 * time.Millisecond
)

func ownerName(owner uint64) string { return strconv.FormatUint(owner, 16) }

// lockOf is what the server is told of what the kernel asks for.
func lockOf(in *fuse.LkIn) client.Lock {
	l := client.Lock{Start: in.Lk.Start, PID: in.Lk.Pid, Owner: ownerName(in.Owner)}
	if in.Lk.End < math.MaxInt64 {
		l.Length = in.Lk.End - in.Lk.Start + 1
	}
	switch in.Lk.Typ {
	case syscall.F_RDLCK:
		l.Type = wire.LockRead
	case syscall.F_WRLCK:
		l.Type = wire.LockWrite
	default:
		l.Type = wire.LockUnlock
	}
	return l
}

func (b *bridge) GetLk(cancel <-chan struct{}, in *fuse.LkIn, out *fuse.LkOut) fuse.Status {
	f, ok := b.handle(in.Fh).(*file)
	if !ok {
		return fuse.EBADF
	}
	ctx := request(&in.InHeader, cancel)
	return status(b.withOpen(ctx, f, func(fid *client.Fid) error {
		l, err := fid.GetLock(ctx, lockOf(in))
		if err != nil {
			return err
		}
		out.Lk = fuse.FileLock{Typ: syscall.F_UNLCK}
		if l.Type == wire.LockUnlock {
			return nil
		}
		out.Lk = fuse.FileLock{Start: l.Start, End: math.MaxInt64, Typ: syscall.F_RDLCK, Pid: l.PID}
		if l.Type == wire.LockWrite {
			out.Lk.Typ = syscall.F_WRLCK
		}
		if l.Length > 0 {
			out.Lk.End = l.Start + l.Length - 1
		}
		return nil
	}))
}

func (b *bridge) SetLk(cancel <-chan struct{}, in *fuse.LkIn) fuse.Status {
	f, ok := b.handle(in.Fh).(*file)
	if !ok {
		return fuse.EBADF
	}
	ctx := request(&in.InHeader, cancel)
	l := lockOf(in)
	// At the server a process is part of the owner, and the kernel names none
	// when it unlocks.
	for _, open := range b.allFiles(f.inode) {
		if known, ok := open.owner(l.Owner); ok {
			l.PID = known.pid
			break
		}
	}
	return status(f.lock(ctx, b, l))
}

// owner tells what is remembered of one who has set locks through f.
func (f *file) owner(name string) (lock, bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	l, ok := f.owners[name]
	return l, ok
}

func (f *file) lock(ctx context.Context, b *bridge, l client.Lock) error {
	return b.withOpen(ctx, f, func(fid *client.Fid) error {
		err := fid.Lock(ctx, l)
		if err == nil && l.Type != wire.LockUnlock {
			f.mu.Lock()
			if f.owners == nil {
				f.owners = make(map[string]lock)
			}
			f.owners[l.Owner] = lock{l.PID}
			f.mu.Unlock()
		}
		return err
	})
}

// SetLkw asks until the lock is had or the process is interrupted.
func (b *bridge) SetLkw(cancel <-chan struct{}, in *fuse.LkIn) fuse.Status {
	for wait := lockPoll; ; wait = min(2*wait, lockPollMost) {
		got := b.SetLk(cancel, in)
		if got != fuse.Status(syscall.EAGAIN) {
			return got
		}
		t := time.NewTimer(wait)
		select {
		case <-cancel:
			t.Stop()
			return fuse.EINTR
		case <-t.C:
		}
	}
}

// Flush comes with each close of a descriptor. The locks of the process end
// then.
func (b *bridge) Flush(cancel <-chan struct{}, in *fuse.FlushIn) fuse.Status {
	f, ok := b.handle(in.Fh).(*file)
	if !ok {
		return fuse.OK
	}
	ctx := request(&in.InHeader, cancel)
	owner := ownerName(in.LockOwner)
	var err error
	for _, open := range b.allFiles(f.inode) {
		err = errors.Join(err, open.unlock(ctx, b, owner))
	}
	if err != nil {
		return status(err)
	}
	return fuse.OK
}

// unlock ends the locks that an owner has set through f.
func (f *file) unlock(ctx context.Context, b *bridge, owner string) error {
	f.mu.Lock()
	l, had := f.owners[owner]
	delete(f.owners, owner)
	f.mu.Unlock()
	if !had {
		return nil
	}
	err := f.lock(ctx, b, client.Lock{Type: wire.LockUnlock, PID: l.pid, Owner: owner})
	if err == errReleased {
		return nil // and the locks with it
	}
	return err
}

// allFiles gives the open files of an inode.
func (b *bridge) allFiles(n *inode) []*file {
	b.inodes.mu.Lock()
	defer b.inodes.mu.Unlock()
	all := make([]*file, 0, len(n.files))
	for f := range n.files {
		all = append(all, f)
	}
	return all
}
