package mount

import (
	"context"
	"errors"
	"os"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/hanwen/go-fuse/v2/fuse"
	"github.com/hugelgupf/p9/p9"

	"github.com/packagefs/packagefs/server/p9l/client"
)

const (
	// shortTTL is how long names and directories are trusted that may come and go
	// with packages. What clients may change is not trusted at all; see lasts.
	shortTTL = 250 * time.Millisecond

	// longTTL is how long the kernel trusts the attributes of immutable files.
	longTTL = time.Hour

	// attrAge is how old attributes of an immutable file may be when they
	// answer another lookup.
	attrAge = time.Minute

	keptDirs = 1024 // fids of directories
	maxName  = 255
)

// A bridge answers the kernel's FUSE requests from a 9P server. What it does
// not define is answered with ENOSYS: the kernel then does without.
type bridge struct {
	fuse.RawFileSystem
	*connection
	*inodes
	name  string
	aname string
	uid   uint32 // that looks are made as
	many  bool   // others than uid use the mount, and the server lets uid speak for them

	contexts bool // the top is the directory of contexts
	readOnly bool // nothing is changed through the mount

	ttl time.Duration // shortTTL

	hmu     sync.Mutex // guards the fields below
	handles map[uint64]any
	lastFh  uint64
}

func newBridge(l *connection, o *Options) *bridge {
	return &bridge{
		RawFileSystem: fuse.NewDefaultRawFileSystem(),
		connection:    l,
		inodes:        newInodes(l.cur.qid),
		name:          o.source(),
		aname:         o.Context,
		uid:           o.UID,
		many:          o.UID == 0,
		contexts:      isContexts(o.Context),
		readOnly:      o.ReadOnly,
		ttl:           shortTTL,
		handles:       map[uint64]any{},
	}
}

func (b *bridge) String() string    { return b.name }
func (b *bridge) Init(*fuse.Server) {}
func (b *bridge) OnUnmount()        { b.shut() }

// request is the context of one of the kernel's requests.
func request(h *fuse.InHeader, cancel <-chan struct{}) context.Context {
	return &fuse.Context{Caller: h.Caller, Cancel: cancel}
}

// status is the one place that turns errors into what the kernel gets.
func status(err error) fuse.Status {
	var errno syscall.Errno
	switch {
	case err == nil:
		return fuse.OK
	case errors.As(err, &errno):
		return fuse.Status(errno)
	case errors.Is(err, os.ErrNotExist):
		return fuse.ENOENT
	case errors.Is(err, context.Canceled):
		return fuse.EINTR
	}
	return fuse.EIO
}

// stale is the error for a path that the kernel knows and that is gone: with
// ESTALE the kernel looks its names up once more before it gives up.
func stale(err error) error {
	if errors.Is(err, syscall.ENOENT) || errors.Is(err, syscall.ENOTDIR) {
		return syscall.ESTALE
	}
	return err
}

// withDir runs fn with a fid of directory n, on which nothing but walks and
// questions are allowed.
func (b *bridge) withDir(ctx context.Context, n *inode, fn func(*attachment, *client.Fid) error) error {
	return b.do(ctx, func(s *attachment) error {
		d, err := s.dirs.get(ctx, n)
		if err != nil {
			return stale(err)
		}
		defer s.dirs.release(d)
		return fn(s, d.fid)
	})
}

// withFile runs fn with a fid of n, whatever it is; of a file it is a new one.
// It fails with ESTALE if the path of n leads to another file now. fn tells
// whether it has taken a file's fid over.
func (b *bridge) withFile(ctx context.Context, n *inode, fn func(*attachment, *client.Fid) (taken bool, err error)) error {
	if n.dir() {
		return b.withDir(ctx, n, func(s *attachment, f *client.Fid) error {
			_, err := fn(s, f)
			return err
		})
	}
	return b.do(ctx, func(s *attachment) error {
		f, err := s.walkFile(ctx, n)
		if err != nil {
			return err
		}
		taken, err := fn(s, f)
		if !taken {
			s.drop(n, f)
		}
		return err
	})
}

// walkFile gives a fid of file n.
func (s *attachment) walkFile(ctx context.Context, n *inode) (*client.Fid, error) {
	if f := s.recent.take(n); f != nil {
		return f, nil
	}
	at := n.at.Load()
	d, err := s.dirs.get(ctx, at.parent)
	if err != nil {
		return nil, stale(err)
	}
	defer s.dirs.release(d)
	f, qids, err := d.fid.Walk(ctx, at.name)
	if err != nil {
		return nil, stale(err)
	}
	if !same(n, qids[0]) {
		f.Clunk()
		return nil, syscall.ESTALE
	}
	return f, nil
}

// drop gives up a fid of file n that is not open; what cannot change is kept
// for the next request.
func (s *attachment) drop(n *inode, f *client.Fid) {
	if n.immutable() {
		s.recent.put(n, f)
	} else {
		f.Clunk()
	}
}

// same tells whether a qid is still that of the file known as n.
func same(n *inode, now p9.QID) bool {
	return n.qid.Path == now.Path && n.qid.Type == now.Type && (!n.immutable() || n.version.Load() == now.Version)
}

func (b *bridge) Lookup(cancel <-chan struct{}, h *fuse.InHeader, name string, out *fuse.EntryOut) fuse.Status {
	ctx := request(h, cancel)
	parent := b.inode(h.NodeId)
	switch {
	case parent == nil:
		return fuse.Status(syscall.ESTALE)
	case len(name) > maxName:
		return fuse.Status(syscall.ENAMETOOLONG)
	}
	at := dentry{parent, strings.Clone(name)}
	stamp, left := b.currentStamp(ctx, parent)
	m, ok := b.cachedName(at, stamp)
	if !ok {
		return b.lookupAtServer(ctx, at, stamp, out)
	}
	if m.none {
		b.fillNone(out, left)
	} else {
		b.fillEntry(out, b.acquire(parent, at.name, m.qid, m.attr, stamp), m.attr, left)
	}
	return fuse.OK
}

// lookupAtServer asks what a name stands for, and caches it with the stamp that its
// tree had. An entry of the directory of contexts comes with the stamp of its own.
func (b *bridge) lookupAtServer(ctx context.Context, at dentry, stamp uint64, out *fuse.EntryOut) fuse.Status {
	began, turn := b.moment()
	err := b.withDir(ctx, at.parent, func(s *attachment, dir *client.Fid) error {
		f, a := b.walkStat(ctx, dir, at.name)
		if a.err != nil {
			return a.err
		}
		n := b.acquire(at.parent, at.name, a.qid, a.attr, stamp)
		if n.dir() {
			s.dirs.release(s.dirs.keep(n, f))
		} else {
			s.drop(n, f)
		}
		if n.dir() && b.treeTop(n) == n {
			b.renew(n, a.attr, a.stamp)
			b.cacheStamp(n, a.stamp, began, turn)
		}
		b.cacheName(at, cachedName{stamp: stamp, qid: a.qid, attr: a.attr})
		b.fillEntry(out, n, a.attr, b.ttl)
		return nil
	})
	if errors.Is(err, syscall.ENOENT) {
		b.cacheName(at, cachedName{stamp: stamp, none: true})
		b.fillNone(out, b.ttl)
		return fuse.OK
	}
	return status(err)
}

// walkStat walks to a name of dir and finds out what it is. The fid is nil if that
// fails.
func (b *bridge) walkStat(ctx context.Context, dir *client.Fid, name string) (*client.Fid, lookupResult) {
	f, qids, err := dir.Walk(ctx, name)
	if err != nil {
		return nil, lookupResult{err: err}
	}
	if attr, ok := b.immutableAttr(qids[0]); ok {
		return f, lookupResult{qid: qids[0], attr: attr}
	}
	q, a, stamp, err := f.Stamped(ctx)
	if err != nil {
		f.Clunk()
		return nil, lookupResult{err: err}
	}
	if a.DataVersion == 0 {
		q.Version = 0 // clients may change it, if none has so far
	}
	return f, lookupResult{qid: q, attr: fillAttr(q, &a), stamp: stamp}
}

// fillEntry tells the kernel of an inode, whose name it may trust for a while.
func (b *bridge) fillEntry(out *fuse.EntryOut, n *inode, attr fuse.Attr, life time.Duration) {
	out.NodeId, out.Generation = n.id, 1
	out.Attr = attr
	if b.cacheable(n) {
		out.SetEntryTimeout(life)
	}
	out.SetAttrTimeout(b.attrTTL(n, life))
}

// fillNone tells the kernel of a name that does not exist, which it may trust for a
// while where clients cannot make it.
func (b *bridge) fillNone(out *fuse.EntryOut, life time.Duration) {
	if b.readOnly {
		out.SetEntryTimeout(life)
	}
}

// cacheable tells whether no client can change an inode or what its name stands for, so
// that it may be trusted for a while. Whatever else has a version of 0, and the next
// look at it through one mount must show what was done through another. Directories
// are trusted where nothing is changed, too.
func (b *bridge) cacheable(n *inode) bool { return b.cacheableQID(n.qid.Type, n.version.Load()) }

func (b *bridge) cacheableQID(t p9.QIDType, version uint32) bool {
	return version != 0 || b.readOnly && t&p9.TypeDir != 0
}

// attrTTL is how long the kernel may trust attributes that are trusted for life if
// no client can change them.
func (b *bridge) attrTTL(n *inode, life time.Duration) time.Duration {
	switch {
	case n.immutable():
		return longTTL
	case b.cacheable(n):
		return life
	}
	return 0
}

func (b *bridge) Forget(id, count uint64) {
	n := b.forget(id, count)
	if n == nil || !n.dir() {
		return
	}
	if s := b.attachment(); s != nil {
		s.dirs.drop(n)
	}
}

func (b *bridge) GetAttr(cancel <-chan struct{}, in *fuse.GetAttrIn, out *fuse.AttrOut) fuse.Status {
	n := b.inode(in.NodeId)
	if n == nil {
		return fuse.Status(syscall.ESTALE)
	}
	out.SetTimeout(b.attrTTL(n, b.ttl))
	if n.immutable() { // what they were when the inode was made
		out.Attr = b.attrOf(n)
		return fuse.OK
	}
	ctx := request(&in.InHeader, cancel)
	if b.isFixed(n) {
		return status(b.fixedAttr(ctx, n, out))
	}
	var stamp uint64
	if n.dir() && b.cacheable(n) {
		var left time.Duration
		stamp, left = b.currentStamp(ctx, n)
		if attr, ok := b.cachedAttr(n, stamp); ok {
			out.Attr = attr
			out.SetTimeout(left)
			return fuse.OK
		}
	}
	ask := func(s *attachment, f *client.Fid) (bool, error) {
		q, a, err := f.GetAttr(ctx)
		switch {
		case err != nil:
			return false, err
		case q.Type != n.qid.Type:
			return false, syscall.ESTALE // the kernel would take the inode for broken
		}
		out.Attr = fillAttr(q, &a)
		b.renew(n, out.Attr, stamp)
		return false, nil
	}
	if open := b.anyFile(n); open != nil {
		err := b.withOpen(ctx, open, func(f *client.Fid) error {
			_, err := ask(nil, f)
			return err
		})
		if err != errReleased {
			return status(err)
		}
	}
	return status(b.withFile(ctx, n, ask))
}

func (b *bridge) Readlink(cancel <-chan struct{}, h *fuse.InHeader) ([]byte, fuse.Status) {
	n := b.inode(h.NodeId)
	if n == nil {
		return nil, fuse.Status(syscall.ESTALE)
	}
	ctx := request(h, cancel)
	var target string
	err := b.withFile(ctx, n, func(_ *attachment, f *client.Fid) (_ bool, err error) {
		target, err = f.Readlink(ctx)
		return false, err
	})
	return []byte(target), status(err)
}

func (b *bridge) StatFs(cancel <-chan struct{}, h *fuse.InHeader, out *fuse.StatfsOut) fuse.Status {
	ctx := request(h, cancel)
	err := b.do(ctx, func(s *attachment) error {
		if known := s.fixed.stat.Load(); known != nil {
			*out = *known
			return nil
		}
		st, err := s.root.StatFS(ctx)
		if err != nil {
			return err
		}
		*out = fuse.StatfsOut{
			Blocks: st.Blocks, Bfree: st.BlocksFree, Bavail: st.BlocksAvailable,
			Files: st.Files, Ffree: st.FilesFree,
			Bsize: st.BlockSize, Frsize: st.BlockSize, NameLen: st.NameLength,
		}
		if known := *out; b.contexts {
			s.fixed.stat.Store(&known)
		}
		return nil
	})
	return status(err)
}

// unlistedXattrs begins the names of attributes that the server answers for and
// does not list.
const unlistedXattrs = "user.packagefs."

// xattr asks for one extended attribute, or for the list of names if name is
// empty. That an immutable file has none at all is asked only once, and of a
// directory once for each stamp.
func (b *bridge) xattr(cancel <-chan struct{}, h *fuse.InHeader, name string) (value []byte, err error) {
	n := b.inode(h.NodeId)
	if n == nil {
		return nil, syscall.ESTALE
	}
	ctx := request(h, cancel)
	none := error(syscall.ENODATA)
	if name == "" {
		none = nil
	}
	listed := !strings.HasPrefix(name, unlistedXattrs)
	var stamp uint64
	if n.dir() && b.cacheable(n) && listed {
		stamp, _ = b.currentStamp(ctx, n)
	}
	if listed && b.hasNoXattrs(n, stamp) {
		return nil, none
	}
	err = b.withFile(ctx, n, func(_ *attachment, f *client.Fid) (bool, error) {
		if (n.immutable() || stamp != 0) && listed {
			if value, err = f.Xattr(ctx, ""); err == nil && len(value) == 0 {
				b.cacheNoXattrs(n, stamp)
				return false, none
			}
			if name == "" {
				return false, err
			}
		}
		value, err = f.Xattr(ctx, name)
		return false, err
	})
	return value, err
}

// giveXattr copies a value to the kernel's buffer, or tells how long it is.
func giveXattr(value []byte, err error, dest []byte) (uint32, fuse.Status) {
	switch {
	case err != nil:
		return 0, status(err)
	case len(dest) == 0:
		return uint32(len(value)), fuse.OK
	case len(value) > len(dest):
		return uint32(len(value)), fuse.ERANGE
	}
	return uint32(copy(dest, value)), fuse.OK
}

func (b *bridge) GetXAttr(cancel <-chan struct{}, h *fuse.InHeader, name string, dest []byte) (uint32, fuse.Status) {
	value, err := b.xattr(cancel, h, name)
	return giveXattr(value, err, dest)
}

func (b *bridge) ListXAttr(cancel <-chan struct{}, h *fuse.InHeader, dest []byte) (uint32, fuse.Status) {
	value, err := b.xattr(cancel, h, "")
	return giveXattr(value, err, dest)
}
