package mount

import (
	"context"
	"strings"
	"sync/atomic"
	"time"

	"github.com/hanwen/go-fuse/v2/fuse"
	"github.com/hugelgupf/p9/p9"

	"github.com/packagefs/packagefs/server/p9l/client"
)

// What the server said of names and directories is cached with the stamp that
// the tree had before it was asked. As long as the tree has the same stamp it
// holds, and one question about the stamp answers for all of it.

const (
	maxCachedNames = 1 << 15 // names that are cached
	maxListed      = 1 << 16 // names in lists that are cached
)

// A stampCache is what is known of the stamp of a tree. It is kept in the inode of the
// tree's top, and guarded by inodes.mu.
type stampCache struct {
	stamp   uint64        // 0: rely on nothing
	asked   time.Duration // when the question that gave it was sent; 0 for never
	changes uint64        // cache.changes then
	busy    chan struct{} // closed when the question that is being asked is answered
}

// A cachedName is what a name stands for.
type cachedName struct {
	stamp uint64
	none  bool // for nothing
	qid   p9.QID
	attr  fuse.Attr
}

// An entryList is what a directory holds.
type entryList struct {
	stamp   uint64
	entries []fuse.DirEntry
	qids    []p9.QID // of the entries
}

// A cache is what is cached beside what is in inodes, guarded by inodes.mu.
type cache struct {
	names      map[dentry]cachedName
	listed     int           // names in the lists of all inodes
	changes    uint64        // counts changes through this mount
	quietUntil time.Duration // until when they keep stamps from being used
}

// treeTop is the top of the tree of the context that directory n is in, nil for
// the directory of contexts, whose entries may come and go by themselves.
func (b *bridge) treeTop(n *inode) *inode {
	var below *inode
	for above := n.parent(); above != nil; above = n.parent() {
		below, n = n, above
	}
	if b.contexts {
		return below
	}
	return n
}

// isContexts says whether a bridge with an attach name serves the directory of
// contexts.
func isContexts(aname string) bool { return strings.Trim(aname, "/") == "contexts" }

// currentStamp gives the stamp of the tree that directory n is in, and how long what
// has it may still be relied on; 0 if it is not known. It asks the server unless
// that was done less than b.life ago; of many who need it at once one does.
func (b *bridge) currentStamp(ctx context.Context, n *inode) (uint64, time.Duration) {
	top := b.treeTop(n)
	if top == nil {
		return 0, 0
	}
	b.inodes.mu.Lock()
	stamp, left, ok := b.cachedStamp(top, true)
	busy := top.stampCache.busy
	if !ok && busy == nil {
		top.stampCache.busy = make(chan struct{})
	}
	b.inodes.mu.Unlock()
	switch {
	case ok:
		return stamp, left
	case busy == nil:
		b.askStamp(ctx, top)
	default:
		select {
		case <-busy:
		case <-ctx.Done():
			return 0, 0
		}
	}
	b.inodes.mu.Lock()
	defer b.inodes.mu.Unlock()
	stamp, left, _ = b.cachedStamp(top, false) // however long the answer took
	return stamp, left
}

// cachedStamp gives the stamp that is cached of a tree, 0 while changes are made through
// this mount. It is false if that has to be asked for, because it is not cached or,
// with young set, too old. It runs with inodes.mu locked.
func (b *bridge) cachedStamp(top *inode, young bool) (stamp uint64, left time.Duration, ok bool) {
	now, m := b.now(), &top.stampCache
	if now < b.quietUntil {
		return 0, 0, true
	}
	left = max(m.asked+b.ttl-now, 0)
	if m.asked == 0 || m.changes != b.changes || young && left == 0 {
		return 0, 0, false
	}
	return m.stamp, left, true
}

// askStamp asks for the stamp of a tree. The caller has set top.stampCache.busy.
func (b *bridge) askStamp(ctx context.Context, top *inode) {
	began, turn := b.moment()
	var q p9.QID
	var a p9.Attr
	var stamp uint64
	err := b.withDir(ctx, top, func(_ *attachment, f *client.Fid) (err error) {
		q, a, stamp, err = f.Stamped(ctx)
		return err
	})
	if err == nil {
		b.renew(top, fillAttr(q, &a), stamp)
	} else {
		stamp = 0
	}
	b.cacheStamp(top, stamp, began, turn)
	b.inodes.mu.Lock()
	defer b.inodes.mu.Unlock()
	close(top.stampCache.busy)
	top.stampCache.busy = nil
}

// moment tells when a question is about to be sent, for stamped.
func (b *bridge) moment() (began time.Duration, turn uint64) {
	b.inodes.mu.Lock()
	defer b.inodes.mu.Unlock()
	return b.now(), b.changes
}

// cacheStamp caches the stamp of a tree, which was asked for at a moment.
func (b *bridge) cacheStamp(top *inode, stamp uint64, began time.Duration, turn uint64) {
	b.inodes.mu.Lock()
	m := &top.stampCache
	if turn != b.changes || began < m.asked {
		b.inodes.mu.Unlock()
		return
	}
	other := m.stamp != 0 && m.stamp != stamp
	m.stamp, m.asked, m.changes = stamp, max(began, 1), turn
	b.inodes.mu.Unlock()
	if s := b.attachment(); s != nil && other {
		s.opened.clear() // a package may be gone
	}
}

// hasStamp tells whether the stamp of the tree that a file is in was known when it was
// last asked for.
func (b *bridge) hasStamp(n *inode) bool {
	parent := n.parent()
	if parent == nil {
		return false
	}
	top := b.treeTop(parent)
	if top == nil {
		return false
	}
	b.inodes.mu.Lock()
	defer b.inodes.mu.Unlock()
	return top.stampCache.stamp != 0
}

// noteChange notes that something was changed through this mount: who did that must
// not be told what was before, and while changes go on the server is asked for
// what is needed, and not for stamps.
func (b *bridge) noteChange() {
	b.inodes.mu.Lock()
	defer b.inodes.mu.Unlock()
	b.changes++
	b.quietUntil = b.now() + b.ttl
}

// cacheName caches what a name stands for, if clients cannot change that.
func (b *bridge) cacheName(at dentry, m cachedName) {
	if m.stamp == 0 || m.none && !b.readOnly || !m.none && !b.cacheableQID(m.qid.Type, m.qid.Version) {
		return
	}
	b.inodes.mu.Lock()
	defer b.inodes.mu.Unlock()
	if len(b.names) >= maxCachedNames {
		clear(b.names) // what is needed comes again
	}
	b.names[at] = m
}

// cachedName gives what a name stands for, if that is cached with a stamp.
func (b *bridge) cachedName(at dentry, stamp uint64) (cachedName, bool) {
	if stamp == 0 {
		return cachedName{}, false
	}
	b.inodes.mu.Lock()
	defer b.inodes.mu.Unlock()
	m := b.names[at]
	return m, m.stamp == stamp
}

// cachedAttr gives the attributes of a directory, if they are cached with a
// stamp.
func (b *bridge) cachedAttr(n *inode, stamp uint64) (fuse.Attr, bool) {
	b.inodes.mu.Lock()
	defer b.inodes.mu.Unlock()
	return n.attr, stamp != 0 && n.stamp == stamp
}

// cacheList caches what a directory holds.
func (b *bridge) cacheList(n *inode, l *entryList) {
	if l.stamp == 0 || len(l.entries) > maxListed {
		return
	}
	b.inodes.mu.Lock()
	defer b.inodes.mu.Unlock()
	if b.byID[n.id] != n {
		return // forgotten meanwhile
	}
	b.unlist(n)
	if b.listed+len(l.entries) > maxListed {
		for _, other := range b.byID {
			b.unlist(other)
		}
	}
	n.list = l
	b.listed += len(l.entries)
}

// unlist forgets what a directory holds. It runs with inodes.mu locked.
func (t *inodes) unlist(n *inode) {
	if n.list != nil {
		t.listed -= len(n.list.entries)
		n.list = nil
	}
}

// cachedList gives what a directory holds, if that is cached with a stamp; else
// nil.
func (b *bridge) cachedList(n *inode, stamp uint64) *entryList {
	b.inodes.mu.Lock()
	defer b.inodes.mu.Unlock()
	if stamp == 0 || n.list == nil || n.list.stamp != stamp {
		return nil
	}
	return n.list
}

// cacheNoXattrs caches that a file has no extended attributes: an immutable one for
// ever, a directory as long as its tree has a stamp.
func (b *bridge) cacheNoXattrs(n *inode, stamp uint64) {
	b.inodes.mu.Lock()
	defer b.inodes.mu.Unlock()
	if n.dir() {
		n.noXattrsStamp = stamp
	} else {
		n.noXattrs = true
	}
}

// hasNoXattrs tells whether that is cached.
func (b *bridge) hasNoXattrs(n *inode, stamp uint64) bool {
	b.inodes.mu.Lock()
	defer b.inodes.mu.Unlock()
	return n.noXattrs || stamp != 0 && n.noXattrsStamp == stamp
}

// fixed is what the directory of contexts says of itself, which stays as long as the
// server runs.
type fixed struct {
	attr atomic.Pointer[fuse.Attr]
	stat atomic.Pointer[fuse.StatfsOut]
}

// isFixed tells whether an inode is the directory of contexts.
func (b *bridge) isFixed(n *inode) bool { return b.contexts && n.at.Load() == nil }

// fixedAttr gives the attributes of the directory of contexts.
func (b *bridge) fixedAttr(ctx context.Context, n *inode, out *fuse.AttrOut) error {
	return b.do(ctx, func(s *attachment) error {
		if known := s.fixed.attr.Load(); known != nil {
			out.Attr = *known
			return nil
		}
		q, a, err := s.root.GetAttr(ctx)
		if err != nil {
			return err
		}
		attr := fillAttr(q, &a)
		b.renew(n, attr, 0)
		s.fixed.attr.Store(&attr)
		out.Attr = attr
		return nil
	})
}
