package mount

import (
	"sync"
	"time"

	"github.com/hanwen/go-fuse/v2/fuse"
	"github.com/hugelgupf/p9/p9"
)

// A node is an inode that the kernel knows by its number.
type node struct {
	id  uint64
	qid p9.QID // path and version; a directory's version may be out of date

	// The path. It never changes in a directory or a mutable file; in an
	// immutable one, which may have several, it is the one looked up last,
	// and nodes.mu guards it.
	parent *node // nil in the root
	name   string

	// nodes.mu guards the fields below.
	lookups uint64 // references that the kernel holds
	attr    fuse.Attr
	asked   time.Duration // when attr came from the server
	plain   bool          // immutable and known to have no extended attributes
	files   map[*file]bool
}

func (n *node) dir() bool       { return n.qid.Type&p9.TypeDir != 0 }
func (n *node) immutable() bool { return immutable(n.qid) }

// immutable tells whether path and version of a qid name content that stays.
func immutable(q p9.QID) bool { return q.Type&p9.TypeDir == 0 && q.Version != 0 }

type nodeName struct {
	parent *node
	name   string
}

// nodes holds the nodes that the kernel refers to.
type nodes struct {
	now func() time.Duration // since some point in time

	mu     sync.Mutex // guards the fields below, and those of nodes that say so
	last   uint64     // the highest node number given
	byID   map[uint64]*node
	byName map[nodeName]*node // directories and mutable files
	byQID  map[p9.QID]*node   // immutable files
}

func newNodes(rootQID p9.QID) *nodes {
	start := time.Now()
	root := &node{id: fuse.FUSE_ROOT_ID, qid: rootQID, lookups: 1}
	return &nodes{
		now:    func() time.Duration { return time.Since(start) },
		last:   fuse.FUSE_ROOT_ID,
		byID:   map[uint64]*node{root.id: root},
		byName: map[nodeName]*node{},
		byQID:  map[p9.QID]*node{},
	}
}

// node gives the node with a number that the kernel uses, or nil.
func (t *nodes) node(id uint64) *node {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.byID[id]
}

// path gives the place where a node was found last.
func (t *nodes) path(n *node) (parent *node, name string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	return n.parent, n.name
}

// known gives the attributes of an immutable file that the kernel knows and
// that were asked for a short while ago.
func (t *nodes) known(q p9.QID) (fuse.Attr, bool) {
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

// found gives the node of what a lookup of name in parent found, and counts a
// reference of the kernel's to it.
func (t *nodes) found(parent *node, name string, q p9.QID, attr fuse.Attr) *node {
	t.mu.Lock()
	defer t.mu.Unlock()
	at := nodeName{parent, name}
	n := t.byQID[q]
	if !immutable(q) {
		n = t.byName[at]
		if n != nil && (n.qid.Path != q.Path || n.qid.Type != q.Type) {
			n = nil // another file has taken the name
		}
	}
	if n == nil {
		t.last++
		n = &node{id: t.last, qid: q}
		t.byID[n.id] = n
		if immutable(q) {
			t.byQID[q] = n
		} else {
			t.byName[at] = n
			n.parent, n.name = parent, name
		}
	}
	if immutable(q) {
		n.parent, n.name = parent, name
	}
	if n.attr != attr {
		n.attr = attr
	}
	n.asked = t.now()
	n.lookups++
	return n
}

// forget drops references of the kernel's, and returns the node if those were
// the last.
func (t *nodes) forget(id, count uint64) *node {
	t.mu.Lock()
	defer t.mu.Unlock()
	n := t.byID[id]
	if n == nil || n.parent == nil {
		return nil
	}
	n.lookups -= min(count, n.lookups)
	if n.lookups > 0 {
		return nil
	}
	delete(t.byID, id)
	if n.immutable() {
		delete(t.byQID, n.qid)
	} else if at := (nodeName{n.parent, n.name}); t.byName[at] == n {
		delete(t.byName, at)
	}
	return n
}

// renew stores attributes that the server gave for a node.
func (t *nodes) renew(n *node, attr fuse.Attr) {
	t.mu.Lock()
	defer t.mu.Unlock()
	n.attr, n.asked = attr, t.now()
}

// attrOf gives the attributes that were stored last.
func (t *nodes) attrOf(n *node) fuse.Attr {
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
