package mount

import (
	"sync"
	"sync/atomic"
	"time"

	"github.com/hanwen/go-fuse/v2/fuse"
	"github.com/hugelgupf/p9/p9"
)

// An inode is one that the kernel knows by its number.
type inode struct {
	id      uint64
	qid     p9.QID        // its version is that of the first look
	version atomic.Uint32 // of the qid; a directory's may be out of date

	// at is the path: in a file with several names the one looked up last; nil
	// in the root.
	at atomic.Pointer[dentry]

	// inodes.mu guards the fields below.
	lookups       uint64 // references that the kernel holds
	attr          fuse.Attr
	asked         time.Duration // when attr came from the server
	stamp         uint64        // of a directory: with which attr is cached; 0 for none
	list          *entryList    // what a directory holds, nil if that is not cached
	stampCache    stampCache    // of the top of a tree
	noXattrs      bool          // immutable and known to have no extended attributes
	noXattrsStamp uint64        // the stamp with which a directory is known to have none; 0 if it is not
	files         map[*file]bool
	names         map[dentry]bool // of what is in inodes.byName
}

func newInode(id uint64, q p9.QID) *inode {
	n := &inode{id: id, qid: q}
	n.version.Store(q.Version)
	return n
}

func (n *inode) dir() bool       { return n.qid.Type&p9.TypeDir != 0 }
func (n *inode) immutable() bool { return !n.dir() && n.version.Load() != 0 }

// parent is the directory that the inode is in, nil for the root.
func (n *inode) parent() *inode {
	if at := n.at.Load(); at != nil {
		return at.parent
	}
	return nil
}

// immutable tells whether path and version of a qid name content that stays.
func immutable(q p9.QID) bool { return q.Type&p9.TypeDir == 0 && q.Version != 0 }

// A dentry is where an inode is: a name in a directory.
type dentry struct {
	parent *inode
	name   string
}

// inodes holds the inodes that the kernel refers to.
type inodes struct {
	now func() time.Duration // since some point in time

	mu     sync.Mutex // guards the fields below, and those of inodes that say so
	last   uint64     // the highest inode number given
	byID   map[uint64]*inode
	byName map[dentry]*inode // directories and mutable files
	byQID  map[p9.QID]*inode // immutable files
	cache
}

func newInodes(rootQID p9.QID) *inodes {
	start := time.Now()
	root := newInode(fuse.FUSE_ROOT_ID, rootQID)
	root.lookups = 1
	return &inodes{
		now:    func() time.Duration { return time.Since(start) },
		last:   fuse.FUSE_ROOT_ID,
		byID:   map[uint64]*inode{root.id: root},
		byName: map[dentry]*inode{},
		byQID:  map[p9.QID]*inode{},
		cache:  cache{names: map[dentry]cachedName{}},
	}
}

// inode gives the inode with a number that the kernel uses, or nil.
func (t *inodes) inode(id uint64) *inode {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.byID[id]
}

// immutableAttr gives the attributes of an immutable file that the kernel knows and
// that were asked for a short while ago.
func (t *inodes) immutableAttr(q p9.QID) (fuse.Attr, bool) {
	if !immutable(q) {
		return fuse.Attr{}, false
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	n := t.byQID[q]
	if n == nil || t.now()-n.asked > attrAge {
		return fuse.Attr{}, false
	}
	return n.attr, true
}

// acquire gives the inode of what a lookup of name in parent found when the tree had a
// stamp, or 0, and counts a reference of the kernel's to it.
func (t *inodes) acquire(parent *inode, name string, q p9.QID, attr fuse.Attr, stamp uint64) *inode {
	t.mu.Lock()
	defer t.mu.Unlock()
	at := dentry{parent, name}
	n := t.byQID[q]
	if !immutable(q) {
		n = t.byName[at]
		if n != nil && (n.qid.Path != q.Path || n.qid.Type != q.Type) {
			n = nil // another file has taken the name
		}
	}
	if n == nil {
		t.last++
		n = newInode(t.last, q)
		t.byID[n.id] = n
		if immutable(q) {
			t.byQID[q] = n
		}
	}
	if !immutable(q) {
		t.bind(n, at)
	}
	if old := n.at.Load(); old == nil || *old != at {
		n.at.Store(&at)
	}
	if n.attr != attr {
		n.attr = attr
	}
	n.asked, n.stamp = t.now(), stamp
	n.lookups++
	return n
}

// becomesMutable notes that a file that was immutable may change from now on.
func (t *inodes) becomesMutable(n *inode) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if !n.immutable() {
		return
	}
	old := n.qid
	old.Version = n.version.Swap(0)
	if t.byQID[old] == n {
		delete(t.byQID, old)
	}
	t.bind(n, *n.at.Load())
	n.noXattrs = false
}

// bind gives an inode a name. It runs with mu locked.
func (t *inodes) bind(n *inode, at dentry) {
	if t.byName[at] == n {
		return
	}
	t.unbind(at)
	t.byName[at] = n
	if n.names == nil {
		n.names = make(map[dentry]bool)
	}
	n.names[at] = true
	n.at.Store(&at)
}

// unbind takes a name away, and returns what had it. It runs with mu locked.
func (t *inodes) unbind(at dentry) *inode {
	n := t.byName[at]
	if n == nil {
		return nil
	}
	delete(t.byName, at)
	delete(n.names, at)
	for other := range n.names {
		n.at.Store(&other)
		break
	}
	return n
}

// linked gives a file that may change another name, and counts a reference of
// the kernel's to it.
func (t *inodes) linked(n, parent *inode, name string, attr fuse.Attr) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.bind(n, dentry{parent, name})
	n.attr, n.asked = attr, t.now()
	n.lookups++
}

// removed notes that a name is gone, and returns what had it.
func (t *inodes) removed(parent *inode, name string) *inode {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.unbind(dentry{parent, name})
}

// renamed notes that a name is another one now, and returns what had that.
func (t *inodes) renamed(parent *inode, name string, to *inode, newName string) (replaced *inode) {
	t.mu.Lock()
	defer t.mu.Unlock()
	n := t.unbind(dentry{parent, name})
	replaced = t.unbind(dentry{to, newName})
	if n != nil {
		t.bind(n, dentry{to, newName})
	}
	return replaced
}

// forget drops references of the kernel's, and returns the inode if those were
// the last.
func (t *inodes) forget(id, count uint64) *inode {
	t.mu.Lock()
	defer t.mu.Unlock()
	n := t.byID[id]
	if n == nil || n.at.Load() == nil {
		return nil
	}
	n.lookups -= min(count, n.lookups)
	if n.lookups > 0 {
		return nil
	}
	delete(t.byID, id)
	t.unlist(n)
	if n.immutable() {
		delete(t.byQID, n.qid)
	}
	for at := range n.names {
		delete(t.byName, at)
	}
	return n
}

// renew stores attributes that the server gave for an inode when its tree had a
// stamp, or 0.
func (t *inodes) renew(n *inode, attr fuse.Attr, stamp uint64) {
	t.mu.Lock()
	defer t.mu.Unlock()
	n.attr, n.asked, n.stamp = attr, t.now(), stamp
}

// attrOf gives the attributes that were stored last.
func (t *inodes) attrOf(n *inode) fuse.Attr {
	t.mu.Lock()
	defer t.mu.Unlock()
	return n.attr
}

// fillAttr turns a file's 9P attributes into the kernel's.
func fillAttr(q p9.QID, a *p9.Attr) fuse.Attr {
	return fuse.Attr{
		Ino:       q.Path,
		Size:      a.Size,
		Blocks:    a.Blocks,
		Atime:     a.ATimeSeconds,
		Mtime:     a.MTimeSeconds,
		Ctime:     a.CTimeSeconds,
		Atimensec: uint32(a.ATimeNanoSeconds),
		Mtimensec: uint32(a.MTimeNanoSeconds),
		Ctimensec: uint32(a.CTimeNanoSeconds),
		Mode:      uint32(a.Mode),
		Nlink:     uint32(a.NLink),
		Owner:     fuse.Owner{Uid: uint32(a.UID), Gid: uint32(a.GID)},
		Rdev:      uint32(a.RDev),
		Blksize:   uint32(a.BlockSize),
	}
}
