package mount

import (
	"context"
	"errors"
	"sync"
	"syscall"
	"unsafe"

	"github.com/hanwen/go-fuse/v2/fuse"
	"github.com/hugelgupf/p9/p9"

	"github.com/packagefs/packagefs/server/p9l/client"
)

// A dirHandle is an open directory. It lists the entries as they were when the
// list was read, so that it neither repeats nor misses what stays, and goes
// on over a reconnect.
type dirHandle struct {
	inode *inode

	mu   sync.Mutex // guards list; held while the server is asked
	list *entryList // nil before it was read
}

func (b *bridge) OpenDir(_ <-chan struct{}, in *fuse.OpenIn, out *fuse.OpenOut) fuse.Status {
	n := b.inode(in.NodeId)
	if n == nil {
		return fuse.Status(syscall.ESTALE)
	}
	out.Fh = b.addHandle(&dirHandle{inode: n})
	return fuse.OK
}

func (b *bridge) ReleaseDir(in *fuse.ReleaseIn) { b.dropHandle(in.Fh) }

// load reads the directory if it is read from the start. d.mu is held.
func (d *dirHandle) load(ctx context.Context, b *bridge, offset uint64) error {
	if d.list != nil && offset > 0 {
		return nil
	}
	// Who can change something here is shown at once what somebody else did.
	var stamp uint64
	if b.readOnly {
		stamp, _ = b.currentStamp(ctx, d.inode)
	}
	if known := b.cachedList(d.inode, stamp); known != nil {
		d.list = known
		return nil
	}
	var list []p9.Dirent
	err := b.withDir(ctx, d.inode, func(_ *attachment, dir *client.Fid) error {
		f, _, err := dir.Walk(ctx)
		if err != nil {
			return stale(err)
		}
		defer f.Clunk()
		if _, err = f.Open(ctx, syscall.O_RDONLY); err == nil {
			list, err = f.ReadDirAll(ctx)
		}
		return err
	})
	if err != nil {
		return err
	}
	up := d.inode
	if above := d.inode.parent(); above != nil {
		up = above
	}
	l := &entryList{stamp: stamp}
	l.qids = append(make([]p9.QID, 0, len(list)+2), d.inode.qid, up.qid)
	l.entries = append(make([]fuse.DirEntry, 0, len(list)+2),
		fuse.DirEntry{Name: ".", Ino: d.inode.qid.Path, Mode: syscall.S_IFDIR, Off: 1},
		fuse.DirEntry{Name: "..", Ino: up.qid.Path, Mode: syscall.S_IFDIR, Off: 2})
	for i, e := range list {
		l.qids = append(l.qids, e.QID)
		l.entries = append(l.entries, fuse.DirEntry{
			Name: e.Name, Ino: e.QID.Path, Mode: typeBits(&e), Off: uint64(i) + 3,
		})
	}
	d.list = l
	b.cacheList(d.inode, l)
	return nil
}

// typeBits gives the type bits of an entry's mode, or 0 where the server does
// not tell the type.
func typeBits(e *p9.Dirent) uint32 {
	switch {
	case e.QID.Type&p9.TypeDir != 0:
		return syscall.S_IFDIR
	case e.QID.Type&p9.TypeSymlink != 0:
		return syscall.S_IFLNK
	case e.Type <= syscall.DT_SOCK:
		return uint32(e.Type) << 12
	}
	return 0
}

func (b *bridge) ReadDir(cancel <-chan struct{}, in *fuse.ReadIn, out *fuse.DirEntryList) fuse.Status {
	d, ok := b.handle(in.Fh).(*dirHandle)
	if !ok {
		return fuse.EBADF
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if err := d.load(request(&in.InHeader, cancel), b, in.Offset); err != nil {
		return status(err)
	}
	for i := in.Offset; i < uint64(len(d.list.entries)); i++ {
		if !out.AddDirEntry(d.list.entries[i]) {
			break
		}
	}
	return fuse.OK
}

// plusSize is what an entry takes in the kernel's buffer beside its name.
const plusSize = int(unsafe.Sizeof(fuse.EntryOut{})) + 24

// A lookupResult is what was found out of one directory entry.
type lookupResult struct {
	qid   p9.QID
	attr  fuse.Attr
	stamp uint64 // of the top of a tree
	err   error
}

func (b *bridge) ReadDirPlus(cancel <-chan struct{}, in *fuse.ReadIn, out *fuse.DirEntryList) fuse.Status {
	d, ok := b.handle(in.Fh).(*dirHandle)
	if !ok {
		return fuse.EBADF
	}
	ctx := request(&in.InHeader, cancel)
	d.mu.Lock()
	defer d.mu.Unlock()
	if err := d.load(ctx, b, in.Offset); err != nil {
		return status(err)
	}
	first := int(min(in.Offset, uint64(len(d.list.entries))))
	last, room := first, int(in.Size)
	for ; last < len(d.list.entries); last++ {
		if room -= plusSize + (len(d.list.entries[last].Name)+7)&^7; room < 0 {
			break
		}
	}
	stamp, left := b.currentStamp(ctx, d.inode)
	found, err := d.lookupEntries(ctx, b, stamp, first, last)
	if err != nil {
		return status(err)
	}
	life := b.ttl
	if stamp != 0 { // some may come from memory
		life = left
	}
	for i := first; i < last; i++ {
		e := out.AddDirLookupEntry(d.list.entries[i])
		if e == nil {
			break
		}
		// An entry without an inode is one that the kernel lists and looks up
		// itself if it needs it.
		if a := &found[i-first]; i >= 2 && a.err == nil {
			out.FixMode(a.attr.Mode)
			b.fillEntry(e, b.acquire(d.inode, d.list.entries[i].Name, a.qid, a.attr, stamp), a.attr, life)
		}
	}
	return fuse.OK
}

// lookupEntries finds the attributes of entries first to last-1, all at once, with the stamp
// that the tree has. d.mu is held. It fails only where the server cannot be reached.
func (d *dirHandle) lookupEntries(ctx context.Context, b *bridge, stamp uint64, first, last int) ([]lookupResult, error) {
	var found []lookupResult
	err := b.withDir(ctx, d.inode, func(_ *attachment, dir *client.Fid) error {
		found = make([]lookupResult, last-first)
		var wg sync.WaitGroup
		for i := max(first, 2); i < last; i++ {
			a := &found[i-first]
			at := dentry{d.inode, d.list.entries[i].Name}
			if attr, ok := b.immutableAttr(d.list.qids[i]); ok {
				a.qid, a.attr = d.list.qids[i], attr
				b.cacheName(at, cachedName{stamp: d.list.stamp, qid: a.qid, attr: attr})
				continue
			}
			if m, ok := b.cachedName(at, stamp); ok && !m.none && m.qid.Path == d.list.qids[i].Path {
				a.qid, a.attr = m.qid, m.attr
				continue
			}
			wg.Go(func() {
				var f *client.Fid
				if f, *a = b.walkStat(ctx, dir, at.name); f != nil {
					f.Clunk()
					b.cacheName(at, cachedName{stamp: stamp, qid: a.qid, attr: a.attr})
				}
			})
		}
		wg.Wait()
		for i := range found {
			if err := found[i].err; errors.Is(err, client.ErrLost) || errors.Is(err, syscall.EINTR) {
				return err
			}
		}
		return nil
	})
	return found, err
}
