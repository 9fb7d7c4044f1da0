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

// What the server said of names and directories is remembered with the stamp that
// the tree had before it was asked. As long as the tree has the same stamp it
// holds, and one question about the stamp answers for all of it.

const (
	maxMemos  = 1 << 15 // names that are remembered
	maxListed = 1 << 16 // names in listings that are remembered
)

// A mark is what is known of the stamp of a tree. It is kept in the node of the
// tree's top, and guarded by nodes.mu.
type mark struct {
	stamp uint64        // 0: rely on nothing
	asked time.Duration // when the question that gave it was sent; 0 for never
	turn  uint64        // memory.turn then
	busy  chan struct{} // closed when the question that is being asked is answered
}

// A memo is what a name stands for.
type memo struct {
	stamp uint64
	none  bool // for nothing
	qid   p9.QID
	attr  fuse.Attr
}

// A listing is what a directory holds.
type listing struct {
	stamp   uint64
	entries []fuse.DirEntry
	qids    []p9.QID // of the entries
}

// A memory is what nodes remember beside themselves, guarded by nodes.mu.
type memory struct {
	memos  map[nodeName]memo
	listed int           // names in the listings of all nodes
	turn   uint64        // counts changes through this mount
	quiet  time.Duration // until when they keep stamps from being used
}

// treeTop is the top of the tree of the context that directory n is in, nil for
// the directory of contexts, whose entries may come and go by themselves.
func (b *bridge) treeTop(n *node) *node {
	var below *node
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

// current gives the stamp of the tree that directory n is in, and how long what
// has it may still be relied on; 0 if it is not known. It asks the server unless
// that was done less than b.life ago; of many who need it at once one does.
func (b *bridge) current(ctx context.Context, n *node) (uint64, time.Duration) {
	top := b.treeTop(n)
	if top == nil {
		return 0, 0
	}
	b.nodes.mu.Lock()
	stamp, left, ok := b.marked(top, true)
	busy := top.mark.busy
	if !ok && busy == nil {
		top.mark.busy = make(chan struct{})
	}
	b.nodes.mu.Unlock()
	switch {
	case ok:
		return stamp, left
	case busy == nil:
		b.ask(ctx, top)
	default:
		select {
		case <-busy:
		case <-ctx.Done():
			return 0, 0
		}
	}
	b.nodes.mu.Lock()
	defer b.nodes.mu.Unlock()
	stamp, left, _ = b.marked(top, false) // however long the answer took
	return stamp, left
}

// marked gives the stamp that is noted of a tree, 0 while changes are made through
// this mount. It is false if that has to be asked for, because it is not noted or,
// with young set, too old. It runs with nodes.mu locked.
func (b *bridge) marked(top *node, young bool) (stamp uint64, left time.Duration, ok bool) {
	now, m := b.now(), &top.mark
	if now < b.quiet {
		return 0, 0, true
	}
	left = max(m.asked+b.life-now, 0)
	if m.asked == 0 || m.turn != b.turn || young && left == 0 {
		return 0, 0, false
	}
	return m.stamp, left, true
}

// ask asks for the stamp of a tree. The caller has set top.mark.busy.
func (b *bridge) ask(ctx context.Context, top *node) {
	began, turn := b.moment()
	var q p9.QID
	var a p9.Attr
	var stamp uint64
	err := b.withDir(ctx, top, func(_ *session, f *client.Fid) (err error) {
		q, a, stamp, err = f.Stamped(ctx)
		return err
	})
	if err == nil {
		b.renew(top, fillAttr(q, &a), stamp)
	} else {
		stamp = 0
	}
	b.stamped(top, stamp, began, turn)
	b.nodes.mu.Lock()
	defer b.nodes.mu.Unlock()
	close(top.mark.busy)
	top.mark.busy = nil
}

// moment tells when a question is about to be sent, for stamped.
func (b *bridge) moment() (began time.Duration, turn uint64) {
	b.nodes.mu.Lock()
	defer b.nodes.mu.Unlock()
	return b.now(), b.turn
}

// stamped notes the stamp of a tree, which was asked for at a moment.
func (b *bridge) stamped(top *node, stamp uint64, began time.Duration, turn uint64) {
	b.nodes.mu.Lock()
	m := &top.mark
	if turn != b.turn || began < m.asked {
		b.nodes.mu.Unlock()
		return
	}
	other := m.stamp != 0 && m.stamp != stamp
	m.stamp, m.asked, m.turn = stamp, max(began, 1), turn
	b.nodes.mu.Unlock()
	if s := b.session(); s != nil && other {
		s.opened.clear() // a package may be gone
	}
}

// relies tells whether the stamp of the tree that a file is in was known when it was
// last asked for.
func (b *bridge) relies(n *node) bool {
	parent := n.parent()
	if parent == nil {
		return false
	}
	top := b.treeTop(parent)
	if top == nil {
		return false
	}
	b.nodes.mu.Lock()
	defer b.nodes.mu.Unlock()
	return top.mark.stamp != 0
}

// altered notes that something was changed through this mount: who did that must
// not be told what was before, and while changes go on the server is asked for
// what is needed, and not for stamps.
func (b *bridge) altered() {
	b.nodes.mu.Lock()
	defer b.nodes.mu.Unlock()
	b.turn++
	b.quiet = b.now() + b.life
}

// learn remembers what a name stands for, if clients cannot change that.
func (b *bridge) learn(at nodeName, m memo) {
	if m.stamp == 0 || m.none && !b.readOnly || !m.none && !b.lastsQID(m.qid.Type, m.qid.Version) {
		return
	}
	b.nodes.mu.Lock()
	defer b.nodes.mu.Unlock()
	if len(b.memos) >= maxMemos {
		clear(b.memos) // what is needed comes again
	}
	b.memos[at] = m
}

// recall gives what a name stands for, if that is remembered with a stamp.
func (b *bridge) recall(at nodeName, stamp uint64) (memo, bool) {
	if stamp == 0 {
		return memo{}, false
	}
	b.nodes.mu.Lock()
	defer b.nodes.mu.Unlock()
	m := b.memos[at]
	return m, m.stamp == stamp
}

// knownAttr gives the attributes of a directory, if they are remembered with a
// stamp.
func (b *bridge) knownAttr(n *node, stamp uint64) (fuse.Attr, bool) {
	b.nodes.mu.Lock()
	defer b.nodes.mu.Unlock()
	return n.attr, stamp != 0 && n.stamp == stamp
}

// learnList remembers what a directory holds.
func (b *bridge) learnList(n *node, l *listing) {
	if l.stamp == 0 || len(l.entries) > maxListed {
		return
	}
	b.nodes.mu.Lock()
	defer b.nodes.mu.Unlock()
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

// unlist forgets what a directory holds. It runs with nodes.mu locked.
func (t *nodes) unlist(n *node) {
	if n.list != nil {
		t.listed -= len(n.list.entries)
		n.list = nil
	}
}

// knownList gives what a directory holds, if that is remembered with a stamp; else
// nil.
func (b *bridge) knownList(n *node, stamp uint64) *listing {
	b.nodes.mu.Lock()
	defer b.nodes.mu.Unlock()
	if stamp == 0 || n.list == nil || n.list.stamp != stamp {
		return nil
	}
	return n.list
}

// learnBare remembers that a file has no extended attributes: an immutable one for
// ever, a directory as long as its tree has a stamp.
func (b *bridge) learnBare(n *node, stamp uint64) {
	b.nodes.mu.Lock()
	defer b.nodes.mu.Unlock()
	if n.dir() {
		n.bare = stamp
	} else {
		n.plain = true
	}
}

// knownBare tells whether that is remembered.
func (b *bridge) knownBare(n *node, stamp uint64) bool {
	b.nodes.mu.Lock()
	defer b.nodes.mu.Unlock()
	return n.plain || stamp != 0 && n.bare == stamp
}

// fixed is what the directory of contexts says of itself, which stays as long as the
// server runs.
type fixed struct {
	attr atomic.Pointer[fuse.Attr]
	stat atomic.Pointer[fuse.StatfsOut]
}

// isFixed tells whether a node is the directory of contexts.
func (b *bridge) isFixed(n *node) bool { return b.contexts && n.at.Load() == nil }

// fixedAttr gives the attributes of the directory of contexts.
func (b *bridge) fixedAttr(ctx context.Context, n *node, out *fuse.AttrOut) error {
	return b.do(ctx, func(s *session) error {
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
