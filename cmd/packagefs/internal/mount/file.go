package mount

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"syscall"

	"github.com/hanwen/go-fuse/v2/fuse"

	"github.com/packagefs/packagefs/server/p9l/client"
)

// A file is an open file: a fid at the server that lasts as long as the kernel
// has it open, or until the attachment ends.
type file struct {
	inode *inode
	uid   uint32        // of who opened it
	flags uint32        // of the open
	ready chan struct{} // closed when the first attempt to open it has ended

	life     sync.RWMutex // held for reading by who uses fid, for writing to end that
	released bool         // guarded by life
	unsynced atomic.Bool  // written, and not known to be on the server's disk

	mu     sync.Mutex  // guards the fields below; taken after ready
	s      *attachment // that fid belongs to, or nil
	fid    *client.Fid
	lost   bool            // an attachment ended before what was written was synced
	owners map[string]lock // who has set locks, by owner
}

// keptFlags are the flags of an open that the server gets. The kernel sees to
// the others.
const keptFlags = syscall.O_ACCMODE | syscall.O_APPEND | syscall.O_DSYNC | syscall.O_SYNC

func (f *file) writes() bool { return f.flags&syscall.O_ACCMODE != syscall.O_RDONLY }

// Open opens a file. The kernel has checked the permissions, and an immutable
// file is what its qid says, so nobody waits for the server to open one: the
// first read does, and gets the error if there is one.
func (b *bridge) Open(cancel <-chan struct{}, in *fuse.OpenIn, out *fuse.OpenOut) fuse.Status {
	n := b.inode(in.NodeId)
	if n == nil {
		return fuse.Status(syscall.ESTALE)
	}
	f := &file{inode: n, uid: in.Uid, flags: in.Flags & keptFlags, ready: make(chan struct{})}
	if n.immutable() && !f.writes() {
		out.OpenFlags = fuse.FOPEN_KEEP_CACHE
		if f.s = b.attachment(); f.s != nil {
			f.fid = f.s.opened.take(n)
		}
		if f.fid != nil {
			close(f.ready)
		} else {
			f.s = nil
			go func() { // Release waits for it
				defer close(f.ready)
				_ = f.open(b.connection.ctx, b) // on tries again
			}()
		}
	} else {
		if f.writes() {
			defer b.noteChange() // it may be copied up
		}
		// Others may write, and what the server makes up has no size.
		out.OpenFlags = fuse.FOPEN_DIRECT_IO
		close(f.ready)
		if err := f.open(request(&in.InHeader, cancel), b); err != nil {
			return status(err)
		}
	}
	b.addFile(f)
	out.Fh = b.addHandle(f)
	return fuse.OK
}

// open opens f at the server for the first time.
func (f *file) open(ctx context.Context, b *bridge) error {
	return b.do(ctx, func(s *attachment) error {
		fid, err := f.walk(ctx, b, s)
		if err != nil {
			return err
		}
		used, err := f.use(ctx, b, s, fid)
		if !used {
			fid.Clunk() // it may be half open
		}
		return err
	})
}

// walk gives a fid of f's file that is not open.
func (f *file) walk(ctx context.Context, b *bridge, s *attachment) (*client.Fid, error) {
	if f.writes() {
		return b.walkAs(ctx, s, f.uid, f.inode)
	}
	return s.walkFile(ctx, f.inode)
}

// use makes fid, which is not open, the fid of f, and tells whether that went
// well.
func (f *file) use(ctx context.Context, b *bridge, s *attachment, fid *client.Fid) (bool, error) {
	q, err := fid.Open(ctx, f.flags)
	if err == nil && f.writes() && q.Path == f.inode.qid.Path {
		b.becomesMutable(f.inode)
	}
	if err == nil && !same(f.inode, q) {
		err = syscall.ESTALE
	}
	if err != nil {
		return false, err
	}
	f.s, f.fid = s, fid
	return true, nil
}

// on gives the fid of f in attachment s. If f was opened in an earlier one it is
// opened again by its path, provided that the same file is there.
func (f *file) on(ctx context.Context, b *bridge, s *attachment) (*client.Fid, error) {
	select {
	case <-f.ready:
	default:
		select {
		case <-f.ready:
		case <-ctx.Done():
			return nil, syscall.EINTR
		}
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.s == s {
		return f.fid, nil
	}
	f.lost = f.lost || f.unsynced.Load()
	if !f.inode.immutable() && !f.writes() {
		return nil, syscall.ESTALE
	}
	fid, err := f.walk(ctx, b, s)
	if err != nil {
		return nil, err
	}
	if used, err := f.use(ctx, b, s, fid); !used {
		fid.Clunk()
		return nil, err
	}
	f.owners = nil // the locks went with the attachment
	return fid, nil
}

// errReleased says that the kernel has closed a file meanwhile.
var errReleased = errors.New("the file is closed")

// withOpen calls fn with the fid of an open file. It fails with errReleased for a
// file that others than the caller have open and close.
func (b *bridge) withOpen(ctx context.Context, f *file, fn func(*client.Fid) error) error {
	f.life.RLock()
	defer f.life.RUnlock()
	if f.released {
		return errReleased
	}
	return b.do(ctx, func(s *attachment) error {
		fid, err := f.on(ctx, b, s)
		if err == nil {
			err = fn(fid)
		}
		return err
	})
}

func (b *bridge) Read(cancel <-chan struct{}, in *fuse.ReadIn, buf []byte) (fuse.ReadResult, fuse.Status) {
	f, ok := b.handle(in.Fh).(*file)
	if !ok {
		return nil, fuse.EBADF
	}
	if f.inode.immutable() { // spares the question whether there is more
		size := b.attrOf(f.inode).Size
		if in.Offset >= size {
			return fuse.ReadResultData(nil), fuse.OK
		}
		buf = buf[:min(uint64(len(buf)), size-in.Offset)]
	}
	ctx := request(&in.InHeader, cancel)
	var n int
	err := b.withOpen(ctx, f, func(fid *client.Fid) (err error) {
		n, err = fid.ReadAt(ctx, buf, int64(in.Offset))
		return err
	})
	if err != nil {
		return nil, status(err)
	}
	return fuse.ReadResultData(buf[:n]), fuse.OK
}

func (b *bridge) Release(_ <-chan struct{}, in *fuse.ReleaseIn) {
	f, ok := b.dropHandle(in.Fh).(*file)
	if !ok {
		return
	}
	b.inodes.mu.Lock()
	delete(f.inode.files, f)
	b.inodes.mu.Unlock()
	<-f.ready
	f.life.Lock()
	f.released = true
	f.life.Unlock()
	f.mu.Lock()
	defer f.mu.Unlock()
	switch {
	case f.fid == nil:
	case f.inode.immutable() && !f.writes() && f.owners == nil && b.hasStamp(f.inode):
		f.s.opened.put(f.inode, f.fid)
	default:
		f.fid.Clunk()
	}
}

// addFile notes that an inode is open.
func (b *bridge) addFile(f *file) {
	b.inodes.mu.Lock()
	defer b.inodes.mu.Unlock()
	if f.inode.files == nil {
		f.inode.files = map[*file]bool{}
	}
	f.inode.files[f] = true
}

// anyFile gives one of the open files of an inode, or nil.
func (b *bridge) anyFile(n *inode) *file {
	b.inodes.mu.Lock()
	defer b.inodes.mu.Unlock()
	for f := range n.files {
		return f
	}
	return nil
}

// addHandle gives the number under which the kernel has h open.
func (b *bridge) addHandle(h any) uint64 {
	b.hmu.Lock()
	defer b.hmu.Unlock()
	b.lastFh++
	b.handles[b.lastFh] = h
	return b.lastFh
}

func (b *bridge) handle(fh uint64) any {
	b.hmu.Lock()
	defer b.hmu.Unlock()
	return b.handles[fh]
}

func (b *bridge) dropHandle(fh uint64) any {
	b.hmu.Lock()
	defer b.hmu.Unlock()
	h := b.handles[fh]
	delete(b.handles, fh)
	return h
}
