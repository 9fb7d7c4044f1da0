package mount

import (
	"container/list"
	"context"
	"slices"
	"sync"
	"time"

	"github.com/packagefs/packagefs/cmd/packagefs/internal/client"
)

// dirFids keeps the fids of directories that were used last, so that a lookup
// starts at its directory and not at the root.
type dirFids struct {
	root *dirFid
	max  int

	mu   sync.Mutex // guards the fields below, and refs and kept of each dirFid
	kept map[*node]*dirFid
	used list.List // of *dirFid, the latest first
}

// A dirFid is a directory's fid with the number of its users.
type dirFid struct {
	fid  *client.Fid
	node *node
	refs int
	elem *list.Element // nil once it is not kept any more
}

func newDirFids(root *client.Fid, max int) *dirFids {
	return &dirFids{
		root: &dirFid{fid: root, refs: 1},
		max:  max,
		kept: map[*node]*dirFid{},
	}
}

// get gives a fid of directory n, kept or walked to from the nearest directory
// above that has one. The caller releases it.
func (d *dirFids) get(ctx context.Context, n *node) (*dirFid, error) {
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
func (d *dirFids) nearest(n *node) (*dirFid, []string) {
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
func (d *dirFids) keep(n *node, fid *client.Fid) *dirFid {
	d.mu.Lock()
	f := d.kept[n]
	surplus := []*client.Fid{fid}
	if f == nil {
		f = &dirFid{fid: fid, node: n}
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
	delete(d.kept, f.node)
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
func (d *dirFids) drop(n *node) {
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

const (
	recentMax  = 64
	recentLife = time.Second
)

// recentFids keeps the fids with which immutable files were looked up, for a
// moment and a bounded number: mostly the kernel opens, reads or asks about
// what it has just looked up, and then need not walk again.
type recentFids struct {
	mu    sync.Mutex // guards the fields below
	fids  map[*node]*client.Fid
	order []*node // of fids that were kept, the oldest first; some may be gone
	timer *time.Timer
}

// put takes over the fid of a file.
func (r *recentFids) put(n *node, f *client.Fid) {
	r.mu.Lock()
	var surplus []*client.Fid
	if old := r.fids[n]; old != nil {
		surplus = append(surplus, old)
	}
	if r.fids == nil {
		r.fids = map[*node]*client.Fid{}
	}
	r.fids[n] = f
	if r.order = append(r.order, n); len(r.order) > recentMax {
		oldest := r.order[0]
		r.order = slices.Delete(r.order, 0, 1)
		if old := r.fids[oldest]; old != nil && !slices.Contains(r.order, oldest) {
			surplus = append(surplus, old)
			delete(r.fids, oldest)
		}
	}
	if r.timer == nil {
		r.timer = time.AfterFunc(recentLife, r.clear)
	}
	r.mu.Unlock()
	clunk(surplus)
}

// take gives the fid of a file away, or nil.
func (r *recentFids) take(n *node) *client.Fid {
	r.mu.Lock()
	defer r.mu.Unlock()
	f := r.fids[n]
	delete(r.fids, n)
	return f
}

// clear gives all fids up, so that an idle mount keeps no file that is removed.
func (r *recentFids) clear() {
	r.mu.Lock()
	fids := r.fids
	r.fids, r.order, r.timer = nil, nil, nil
	r.mu.Unlock()
	for _, f := range fids {
		f.Clunk()
	}
}
