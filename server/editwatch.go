package server

import (
	stdcontext "context"

	"github.com/packagefs/packagefs/context/attachname"
	"github.com/packagefs/packagefs/pkgindex"
	"github.com/packagefs/packagefs/server/api"
	"github.com/packagefs/packagefs/union"
)

// An editWatch looks at the layers in use whenever packages have changed: copies
// that are what the packages have now are dropped, and edits of files that changed
// are events. One goroutine runs it.
type editWatch struct {
	attachments *attachments
	told        map[string]map[string]string // by context and path the package
}

// run runs until ctx ends.
func (w *editWatch) run(ctx stdcontext.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-w.attachments.changes.pending:
			w.compare(w.attachments.packages.Set())
		}
	}
}

func (w *editWatch) compare(set *pkgindex.Set) {
	at := w.attachments
	for _, text := range at.layers.names() {
		if text == systemLayer {
			text = "all"
		}
		name, err := attachname.Parse(text)
		if err != nil {
			continue
		}
		s, v, err := at.stack(set, name, caller{Trusted: true})
		if err != nil {
			continue
		}
		edits, err := s.Edits()
		if err != nil {
			at.config.Log.Warn().Err(err).Str("context", text).Msg("edited files cannot be compared with the packages")
		}
		w.told[text] = w.report(v.Name.String(), edits, w.told[text])
	}
}

// report adds events for the edits that before does not have, and returns those
// that there are events for now.
func (w *editWatch) report(name string, edits []union.Edit, before map[string]string) map[string]string {
	told := make(map[string]string)
	for i := range edits {
		e := &edits[i]
		if e.State != union.Outdated && e.State != union.Orphaned {
			continue
		}
		row := editRow(e, attachname.Name{})
		told[e.Path] = row.Package
		if last, ok := before[e.Path]; !ok || last != row.Package {
			w.attachments.events.add(api.Event{Event: api.EventConfig, Context: name, File: e.Path, Package: row.Package, Reason: string(e.State)})
		}
	}
	return told
}
