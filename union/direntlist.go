package union

import (
	"maps"
	"slices"
	"strings"
	"sync"

	"github.com/hugelgupf/p9/p9"
	"golang.org/x/sys/unix"

	"github.com/packagefs/packagefs/pkgindex/pkgmeta"
)

// A direntList is the entries of a directory at one moment.
type direntList struct {
	all   p9.Dirents // their offsets count from 1; trees share it
	types []uint8    // a DT_ value for each, 0 where the qid tells; nil for all 0
}

// read returns what the directory has. It runs with the layers locked.
func (p *mergedDir) read() (*direntList, error) {
	var packages *entryList
	if p.dir != nil {
		var err error
		if packages, err = p.dir.merge(true); err != nil {
			return nil, err
		}
		// Beside being the answer in many cases, this decides about launchers, and
		// makes what is made when somebody looks.
		if pure := len(p.ups) == 0 && (!p.stack.Own || !packages.anyMutable(p.path)); pure || packages.lazy || p.stack.Tree.mayLaunch(packages) {
			r, err := p.stack.Tree.direntList(packages)
			if err != nil || pure {
				return r, err
			}
		}
	}
	from := listedFrom{packages: packages}
	for _, u := range p.ups {
		if u.dir.stale() {
			return nil, p.stale(u)
		}
		from.ups = append(from.ups, upVersion{u.dir, u.dir.version})
	}
	if r := p.stack.large.find(&from); r != nil {
		return r, nil
	}
	var all []dirent
	seen := make(map[string]bool)
	for _, u := range p.ups {
		for name, e := range u.dir.entries {
			if seen[name] {
				continue
			}
			seen[name] = true
			if e.typ == unix.DT_WHT {
				continue
			}
			d, err := p.dirent(name)
			if err != nil {
				return nil, err
			}
			all = append(all, d)
		}
	}
	if packages != nil {
		for i := range packages.entries {
			e := &packages.entries[i]
			if seen[e.name] || p.stack.Tree.visible(e, true) != nil {
				continue
			}
			d, err := p.packageDirent(e)
			if err != nil {
				return nil, err
			}
			all = append(all, d)
		}
	}
	r := newDirentList(all)
	if packages == nil || !packages.lazy {
		p.stack.large.keep(&from, r)
	}
	return r, nil
}

// listings keeps the last large directories that were listed: a client may read one
// from its beginning as often as it likes, and that costs what it is sent.
type listings struct {
	mu   sync.Mutex
	kept []listing // the last used one first
}

const (
	largeDir     = 1000 // entries
	keptListings = 4
)

type listing struct {
	from listedFrom
	list *direntList
}

// listedFrom is what a list of entries was made of.
type listedFrom struct {
	packages *entryList
	ups      []upVersion
}

type upVersion struct {
	dir     *upDir
	version uint32
}

func (l *listings) find(from *listedFrom) *direntList {
	l.mu.Lock()
	defer l.mu.Unlock()
	i := l.index(from)
	if i < 0 {
		return nil
	}
	found := l.kept[i]
	copy(l.kept[1:i+1], l.kept[:i])
	l.kept[0] = found
	return found.list
}

func (l *listings) index(from *listedFrom) int {
	return slices.IndexFunc(l.kept, func(k listing) bool {
		return k.from.packages == from.packages && slices.Equal(k.from.ups, from.ups)
	})
}

func (l *listings) keep(from *listedFrom, r *direntList) {
	if len(r.all) < largeDir {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.index(from) < 0 {
		l.kept = slices.Insert(l.kept, 0, listing{*from, r})
		l.kept = slices.Delete(l.kept, min(len(l.kept), keptListings), len(l.kept))
	}
}

// readAll returns the names that the layer that takes changes has, in order.
func (p *mergedDir) readAll() ([]string, error) {
	up := p.own()
	if up.stale() {
		return nil, p.stale(p.ups[0])
	}
	return slices.Sorted(maps.Keys(up.entries)), nil
}

// dirent is a name of a directory.
type dirent struct {
	name string
	qid  p9.QID
	typ  uint8
}

// dirent describes a name that a layer has.
func (p *mergedDir) dirent(name string) (dirent, error) {
	f, err := p.look(name, true)
	switch {
	case err != nil:
		return dirent{}, err
	case f.at != nil:
		return dirent{name, f.at.qid(), unix.DT_DIR}, nil
	}
	return dirent{name, p.fileQID(&f, name), f.ent.typ}, nil
}

// packageDirent describes a name that only packages have.
func (p *mergedDir) packageDirent(e *entry) (dirent, error) {
	if e.dir != nil {
		return dirent{e.name, e.dir.qid, unix.DT_DIR}, nil
	}
	is, err := p.stack.Tree.launched(e, true)
	return dirent{e.name, p.fileQID(&lookupResult{e: e, launcher: is}, e.name), e.direntType()}, err
}

// direntType is a DT_ value where the qid does not tell, else 0.
func (e *entry) direntType() uint8 {
	if e.layer.Type(e.ino) == pkgmeta.Fifo {
		return unix.DT_FIFO
	}
	return 0
}

// newDirentList puts entries into an order that stays.
func newDirentList(all []dirent) *direntList {
	slices.SortFunc(all, func(a, b dirent) int { return strings.Compare(a.name, b.name) })
	r := &direntList{all: make(p9.Dirents, len(all)), types: make([]uint8, len(all))}
	for i, d := range all {
		r.all[i] = p9.Dirent{QID: d.qid, Type: d.qid.Type, Offset: uint64(i + 1), Name: d.name}
		r.types[i] = d.typ
	}
	return r
}

// direntList returns all entries of a merged directory. The caller must not change
// them.
func (l *entryList) direntList() *direntList {
	if r := l.all.Load(); r != nil {
		return r
	}
	if l.lazy {
		return l.lazyDirentList()
	}
	r := &direntList{all: make(p9.Dirents, len(l.entries))}
	for i := range l.entries {
		e := &l.entries[i]
		q := e.qid()
		r.all[i] = p9.Dirent{QID: q, Type: q.Type, Offset: uint64(i + 1), Name: e.name}
		if typ := e.direntType(); typ != 0 {
			if r.types == nil {
				r.types = make([]uint8, len(l.entries))
			}
			r.types[i] = typ
		}
	}
	l.all.Store(r)
	return r
}

// lazyDirentList is direntList for a directory in which something is made when somebody
// looks, which may turn out to be nothing.
func (l *entryList) lazyDirentList() *direntList {
	all := make([]dirent, 0, len(l.entries))
	for i := range l.entries {
		e := &l.entries[i]
		if late := e.lazy(); late != nil {
			if content, _ := late.Content(true); content == nil {
				continue
			}
		}
		all = append(all, dirent{e.name, e.qid(), e.direntType()})
	}
	r := newDirentList(all)
	l.all.Store(r)
	return r
}
