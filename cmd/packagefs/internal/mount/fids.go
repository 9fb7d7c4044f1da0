package mount

import (
	"container/list"
	"context"
	"slices"
	"sync"
	"time"

	"github.com/packagefs/packagefs/server/p9l/client"
)

// dirFids keeps the fids of directories that were used last, so that a lookup
// starts at its directory and not at the root.
type dirFids struct {
	root *dirFid
	max  int

	mu   sync.Mutex // guards the fields below, and refs and kept of each dirFid
	kept map[*inode]*dirFid
	used list.List // of *dirFid, the latest first
}

// A dirFid is a directory's fid with the number of its users.
type dirFid struct {
	fid   *client.Fid
	inode *inode
	refs  int
	elem  *list.Element // nil once it is not kept any more
}

func newDirFids(root *client.Fid, max int) *dirFids {
	return &dirFids{
		root: &dirFid{fid: root, refs: 1},
		max:  max,
		kept: map[*inode]*dirFid{},
	}
}

// get gives a fid of directory n, kept or walked to from the nearest directory
// above that has one. The caller releases it.
func (d *dirFids) get(ctx context.Context, n *inode) (*dirFid, error) {
	from, names := d.nearest(n)
	if len(names) == 0 {
		return from, nil
	}
	defer d.release(from)
	fid, _, err := from.fid.Walk(ctx, names...)
	if err != nil {
		return nil, err
	}
	return d.keep(n, fid), nil
}

// nearest gives the closest directory to n with a fid, and the names from there
// to n.
func (d *dirFids) nearest(n *inode) (*dirFid, []string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	var names []string
	for at := n; ; {
		f, where := d.kept[at], at.at.Load()
		if where == nil {
			f = d.root
		}
		if f == nil {
			names = append(names, where.name)
			at = where.parent
			continue
		}
		f.refs++
		if f.elem != nil {
			d.used.MoveToFront(f.elem)
		}
		slices.Reverse(names)
		return f, names
	}
}

// keep takes over a fid of directory n, and gives the one to use, which the
// caller releases.
func (d *dirFids) keep(n *inode, fid *client.Fid) *dirFid {
	d.mu.Lock()
	f := d.kept[n]
	surplus := []*client.Fid{fid}
	if f == nil {
		f = &dirFid{fid: fid, inode: n}
		f.elem = d.used.PushFront(f)
		d.kept[n] = f
		surplus = d.trim()
	}
	f.refs++
	d.mu.Unlock()
	clunk(surplus)
	return f
}

// trim drops the fids used longest ago until there are no more than max. d.mu
// is held. It returns those that nobody uses.
func (d *dirFids) trim() (unused []*client.Fid) {
	for d.used.Len() > d.max {
		unused = append(unused, d.remove(d.used.Back().Value.(*dirFid))...)
	}
	return unused
}

func (d *dirFids) remove(f *dirFid) (unused []*client.Fid) {
	d.used.Remove(f.elem)
	f.elem = nil
	delete(d.kept, f.inode)
	if f.refs == 0 {
		unused = append(unused, f.fid)
	}
	return unused
}

// release ends one use of a fid.
func (d *dirFids) release(f *dirFid) {
	d.mu.Lock()
	f.refs--
	last := f.refs == 0 && f.elem == nil
	d.mu.Unlock()
	if last {
		f.fid.Clunk()
	}
}

// drop stops keeping the fid of a directory that the kernel forgot.
func (d *dirFids) drop(n *inode) {
	d.mu.Lock()
	var unused []*client.Fid
	if f := d.kept[n]; f != nil {
		unused = d.remove(f)
	}
	d.mu.Unlock()
	clunk(unused)
}

func clunk(fids []*client.Fid) {
	for _, f := range fids {
		f.Clunk()
	}
}

// spareFids keeps fids of immutable files that nobody uses, for a while and a
// bounded number.
type spareFids struct {
	max  int
	life time.Duration // of what is put while there is nothing

	mu    sync.Mutex // guards the fields below
	kept  []spareFid // the oldest first
	timer *time.Timer
}

type spareFid struct {
	inode *inode
	fid   *client.Fid
}

// put takes over the fid of a file.
func (r *spareFids) put(n *inode, f *client.Fid) {
	r.mu.Lock()
	r.kept = append(r.kept, spareFid{n, f})
	var surplus *client.Fid
	if len(r.kept) > r.max {
		surplus = r.kept[0].fid
		r.kept = slices.Delete(r.kept, 0, 1)
	}
	if r.timer == nil {
		r.timer = time.AfterFunc(r.life, r.clear)
	}
	r.mu.Unlock()
	if surplus != nil {
		surplus.Clunk()
	}
}

// take gives a fid of a file away, or nil.
func (r *spareFids) take(n *inode) *client.Fid {
	r.mu.Lock()
	defer r.mu.Unlock()
	i := slices.IndexFunc(r.kept, func(s spareFid) bool { return s.inode == n })
	if i < 0 {
		return nil
	}
	f := r.kept[i].fid
	r.kept = slices.Delete(r.kept, i, i+1)
	return f
}

// clear gives all fids up, so that an idle mount keeps no file that is removed.
func (r *spareFids) clear() {
	r.mu.Lock()
	kept := r.kept
	r.kept, r.timer = nil, nil
	r.mu.Unlock()
	for _, s := range kept {
		s.fid.Clunk()
	}
}
