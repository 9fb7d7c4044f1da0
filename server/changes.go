package server

import (
	"slices"
	"sync/atomic"

	"github.com/packagefs/packagefs/context/files"
	"github.com/packagefs/packagefs/pkgindex"
	"github.com/packagefs/packagefs/server/api"
)

// changes follows packages and context files: each change makes a generation and
// events. Its methods are called by the two stores.
type changes struct {
	events     *eventLog
	generation atomic.Uint64
	pending    chan struct{} // packages have changed: for editWatch

	set   *pkgindex.Set   // the last one; packagesChanged is called once at a time
	files *files.Snapshot // likewise of contextsChanged
}

// packageEvents tells what differs between two generations of packages.
func packageEvents(before, after *pkgindex.Set, add func(api.Event)) {
	event := func(what string, p *pkgindex.Package) {
		add(api.Event{Event: what, Package: p.Ref.String(), Architecture: p.Architecture, File: p.File})
	}
	old, now := before.Packages, after.Packages
	for len(old) > 0 || len(now) > 0 {
		if len(old) > 0 && len(now) > 0 && old[0] == now[0] {
			old, now = old[1:], now[1:]
			continue
		}
		name := ""
		if len(now) == 0 || len(old) > 0 && old[0].Name < now[0].Name {
			name = old[0].Name
		} else {
			name = now[0].Name
		}
		var was, is []*pkgindex.Package
		was, old = cutName(old, name)
		is, now = cutName(now, name)
		for _, p := range was {
			if !slices.ContainsFunc(is, func(q *pkgindex.Package) bool { return q.ID == p.ID }) {
				event(api.EventPackageGone, p)
			}
		}
		for _, p := range is {
			if !slices.Contains(was, p) {
				event(api.EventPackageLive, p)
			}
		}
	}
	known := make(map[pkgindex.Rejected]bool, len(before.Rejected))
	for _, r := range before.Rejected {
		known[r] = true
	}
	for _, r := range after.Rejected {
		if !known[r] {
			add(api.Event{Event: api.EventPackageRejected, File: r.File, Reason: r.Reason})
		}
	}
}

// cutName cuts off the packages of that name at the beginning of ps.
func cutName(ps []*pkgindex.Package, name string) (of, rest []*pkgindex.Package) {
	i := 0
	for i < len(ps) && ps[i].Name == name {
		i++
	}
	return ps[:i], ps[i:]
}

// packagesChanged is told of each generation of packages, one call at a time.
// What is there when the server starts is no event.
func (ch *changes) packagesChanged(set *pkgindex.Set) {
	generation := ch.generation.Add(1)
	if ch.set != nil {
		packageEvents(ch.set, set, ch.events.add)
		ch.events.add(api.Event{Event: api.EventGeneration, Generation: generation})
	}
	ch.set = set
	select {
	case ch.pending <- struct{}{}:
	default: // followEdits has not begun with an earlier one
	}
}

// packageDamaged is told once of each package file that is found damaged.
func (ch *changes) packageDamaged(d pkgindex.FileDamage) {
	ch.events.add(api.Event{
		Event: api.EventPackageDamaged, Package: d.Ref.String(), Architecture: d.Architecture, File: d.File, Reason: d.Reason,
	})
}

// contextsChanged is told of each change of context files, one call at a time.
func (ch *changes) contextsChanged(snap *files.Snapshot) {
	generation := ch.generation.Add(1)
	for _, c := range snap.Since(ch.files) {
		e := api.Event{Event: api.EventContextChanged, Context: c.Context, File: c.File, Reason: c.Reason}
		switch {
		case c.Gone:
			e.Event = api.EventContextGone
		case c.Reason != "":
			e.Event = api.EventContextBroken
		}
		ch.events.add(e)
	}
	ch.files = snap
	ch.events.add(api.Event{Event: api.EventGeneration, Generation: generation})
}
