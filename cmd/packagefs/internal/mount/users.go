package mount

import (
	"context"
	"slices"
	"sync"
	"syscall"

	"github.com/packagefs/packagefs/server/p9l/client"
)

// A mount that several users use attaches for each who changes something: the
// server checks what they may, and what they make is theirs. Looking goes
// through the mount's own attach; the kernel checks it.

// maxUsers is how many attaches of users are kept.
const maxUsers = 64

// userRoots are the tops of the tree for users.
type userRoots struct {
	mu   sync.Mutex // guards what follows; held while one is attached
	fids map[uint32]*client.Fid
	used []uint32 // of fids, the latest last
}

// rootOf gives the top of the tree as a user sees it. The fid stays the attachment's;
// it may be given up later while it is in use only by the next maxUsers users.
func (s *attachment) rootOf(ctx context.Context, b *bridge, uid uint32) (*client.Fid, error) {
	if !b.many || uid == b.uid {
		return s.root, nil
	}
	u := &s.users
	u.mu.Lock()
	defer u.mu.Unlock()
	if f := u.fids[uid]; f != nil {
		return f, nil
	}
	f, _, err := s.conn.Attach(ctx, uid, b.aname)
	if err != nil {
		return nil, err
	}
	if u.fids == nil {
		u.fids = make(map[uint32]*client.Fid)
	}
	u.fids[uid] = f
	if u.used = append(u.used, uid); len(u.used) > maxUsers {
		u.fids[u.used[0]].Clunk()
		delete(u.fids, u.used[0])
		u.used = u.used[1:]
	}
	return f, nil
}

// own says whether the mount's own attach serves a user.
func (b *bridge) own(uid uint32) bool { return !b.many || uid == b.uid }

// dirAs calls fn with a fid of a directory that a user may use.
func (b *bridge) dirAs(ctx context.Context, s *attachment, uid uint32, n *inode, fn func(*client.Fid) error) error {
	if b.own(uid) {
		d, err := s.dirs.get(ctx, n)
		if err != nil {
			return stale(err)
		}
		defer s.dirs.release(d)
		return fn(d.fid)
	}
	f, err := b.walkAs(ctx, s, uid, n)
	if err != nil {
		return err
	}
	defer f.Clunk()
	return fn(f)
}

// walkAs gives a fid of n that a user may use. The caller clunks it.
func (b *bridge) walkAs(ctx context.Context, s *attachment, uid uint32, n *inode) (*client.Fid, error) {
	if b.own(uid) && !n.dir() {
		return s.walkFile(ctx, n)
	}
	root, err := s.rootOf(ctx, b, uid)
	if err != nil {
		return nil, err
	}
	f, qids, err := root.Walk(ctx, names(n)...)
	if err != nil {
		return nil, stale(err)
	}
	if len(qids) > 0 && !n.dir() && !same(n, qids[len(qids)-1]) {
		f.Clunk()
		return nil, syscall.ESTALE
	}
	return f, nil
}

// names is the path of an inode.
func names(n *inode) []string {
	var out []string
	for at := n.at.Load(); at != nil; at = at.parent.at.Load() {
		out = append(out, at.name)
	}
	slices.Reverse(out)
	return out
}

// asUser calls fn with a fid of n that a user may use. It may run twice.
func (b *bridge) asUser(ctx context.Context, uid uint32, n *inode, fn func(*client.Fid) error) error {
	return b.do(ctx, func(s *attachment) error {
		if n.dir() {
			return b.dirAs(ctx, s, uid, n, fn)
		}
		f, err := b.walkAs(ctx, s, uid, n)
		if err != nil {
			return err
		}
		defer f.Clunk()
		return fn(f)
	})
}
