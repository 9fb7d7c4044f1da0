package pkgindex

import (
	"cmp"
	"errors"
	"path/filepath"
	"slices"
	"strings"

	"github.com/packagefs/packagefs/pkgindex/pkgmeta"
	"github.com/packagefs/packagefs/pkgindex/signature"
)

// An inventory is what a Store knows of each package file and override file. One
// goroutine owns it: that of Open, and then that of Run. Who else wants something of it
// sends a message. No Store has a field for it, so that its methods can be called by
// the owner only.
type inventory struct {
	store *Store

	files     map[string]*file // by path
	ids       map[string]int   // how many files have this id
	byPackage map[identity][]*file
	overrides map[string]*override // by Ref as in the file name
	faults    map[string]string    // override file → what is wrong with it

	aside map[*file]bool // files with a reason

	keysAge   int               // counts changes of the trusted keys
	keyFaults []signature.Fault // files in their directory that have none

	queue   []job
	unread  []*imported     // native packages whose contents were not verified yet
	pending int             // files queued or being read
	removed []*Package      // published, and their files gone since
	dead    []*imported     // whose index and payload may go
	waiting []chan struct{} // closed when nothing is pending any more
	changed []func()        // called when what is done is published

	touched map[identity]bool // since the last publish
	noise   bool              // rejected or pending changed since then
}

// identity is what can be installed once.
type identity struct {
	pkgmeta.Ref
	architecture string
	format       pkgmeta.Format
}

// file is one package file.
type file struct {
	path     string
	dir      int // index into Config.Packages
	id       string
	change   int64     // as changeOf has it
	imported *imported // nil until it is indexed
	reason   string    // why it is set aside, or empty
	faulty   bool      // it was read, and the reason is a fault of its own
	queued   bool      // counts in pending
	remake   bool      // once it is not queued, its index and payload are to be made anew

	signed signed            // the signature that it was judged by
	signer *signature.Signer // who signed it, or nil

	pkg *Package // as published, or nil
}

func newInventory(s *Store) *inventory {
	return &inventory{
		store: s, files: make(map[string]*file), ids: make(map[string]int), byPackage: make(map[identity][]*file),
		aside: make(map[*file]bool), overrides: make(map[string]*override), faults: make(map[string]string),
		touched: make(map[identity]bool),
	}
}

// uses says whether some package file has the index of that id.
func (inv *inventory) uses(id string) bool { return inv.ids[id] > 0 }

func (imp *imported) identity() identity {
	return identity{imp.meta.Ref, imp.meta.Architecture, imp.meta.Format}
}

// set puts f in the place of what was known of its path.
func (inv *inventory) set(f *file) {
	if have := inv.files[f.path]; have != nil {
		inv.unlink(have)
	}
	inv.files[f.path] = f
	inv.ids[f.id]++
	if f.queued {
		inv.pending++
	}
	inv.setAside(f, f.reason)
	inv.link(f)
}

// setAside sets the reason why f is not served, "" for none.
func (inv *inventory) setAside(f *file, reason string) {
	inv.noise = true
	if f.reason = reason; reason == "" {
		delete(inv.aside, f)
	} else {
		inv.aside[f] = true
	}
}

// link enters f, once it is indexed, among the files of its package.
func (inv *inventory) link(f *file) {
	if f.imported == nil {
		return
	}
	id := f.imported.identity()
	inv.byPackage[id] = append(inv.byPackage[id], f)
	slices.SortFunc(inv.byPackage[id], byFile)
	inv.touched[id] = true
}

// unlink undoes set.
func (inv *inventory) unlink(f *file) {
	inv.setAside(f, "")
	delete(inv.files, f.path)
	inv.disown(f.id)
	if f.queued {
		inv.pending--
	}
	if f.imported != nil {
		id := f.imported.identity()
		inv.byPackage[id] = slices.DeleteFunc(inv.byPackage[id], func(o *file) bool { return o == f })
		inv.touched[id] = true
		if f.pkg != nil {
			inv.removed = append(inv.removed, f.pkg)
		}
		inv.dead = append(inv.dead, f.imported)
	} else if f.signed != (signed{}) { // it may have been served, before its signature was another
		inv.dead = append(inv.dead, inv.store.newImported(f.path, f.id, pkgmeta.Meta{}, head{}))
	}
}

func (inv *inventory) drop(path string) {
	if f := inv.files[path]; f != nil {
		inv.unlink(f)
	}
}

// finish takes the result of a job, unless the file has changed since.
func (inv *inventory) finish(r *result) {
	f := inv.files[r.path]
	if f == nil || f.id != r.id || f.change != r.change || f.signed != r.signed || !f.queued {
		if r.err == nil && !inv.uses(r.id) {
			inv.dead = append(inv.dead, inv.store.newImported(r.path, r.id, r.meta, r.head))
		}
		return
	}
	f.queued = false
	inv.pending--
	inv.setAside(f, "")
	f.signer = r.signer
	if r.err == nil {
		f.change = r.head.change // it may have got other attributes since it was looked at
	}
	if f.imported != nil && r.indexed && r.err == nil && f.imported.head.origin.same(r.head.origin) {
		// Only whether it is the same, or its signature, was in question. The index that was
		// there may be another, which a job that came too late has made.
		inv.touched[f.imported.identity()] = true
		if f.remake {
			f.remake = false
			inv.reimport(f.imported, nil)
		}
		return
	}
	if f.imported != nil {
		f = &file{path: f.path, dir: f.dir, id: f.id, change: f.change, signed: f.signed, signer: r.signer}
		inv.set(f)
	}
	if r.err == nil {
		f.imported = inv.store.newImported(r.path, r.id, r.meta, r.head)
		inv.mayCheck(f.imported)
		inv.link(f)
		return
	}
	reason := r.err.Error()
	var own *storeError
	f.faulty = !errors.As(r.err, &own) && !errors.Is(r.err, errChanged)
	if own != nil {
		reason = "the state directory cannot take it: " + reason
	}
	inv.setAside(f, reason)
	inv.store.config.Log.Warn().Err(r.err).Str("file", filepath.Base(r.path)).Msg("package file is set aside")
}

// reimport queues a package file whose index or payload is to be made anew. The
// package stays until they are there.
func (inv *inventory) reimport(imp *imported, why error) {
	f := inv.files[imp.path]
	if f == nil || f.imported != imp {
		return
	}
	if why != nil {
		inv.store.config.Log.Warn().Err(why).Str("package", imp.meta.Ref.String()).Msg("index is made again")
	}
	if f.queued { // to be looked at again, or for this
		f.remake = true
		return
	}
	inv.recheck(f, f.signed, f.change)
	inv.queue = append(inv.queue, job{path: f.path, id: f.id, change: f.change, signed: f.signed})
}

// byFile orders package files: in the order of the package directories, then by
// name.
func byFile(a, b *file) int {
	return cmp.Or(cmp.Compare(a.dir, b.dir), strings.Compare(a.path, b.path))
}
