package server

import (
	stdcontext "context"
	"fmt"
	"strings"
	"syscall"

	"github.com/packagefs/packagefs/context"
	"github.com/packagefs/packagefs/context/attachname"
	"github.com/packagefs/packagefs/context/linediff"
	"github.com/packagefs/packagefs/pkgindex"
	"github.com/packagefs/packagefs/server/api"
	"github.com/packagefs/packagefs/union"
)

// Edited configuration: what clients changed of the files of packages, and what
// becomes of it when the packages change.

// stack returns what an attach to a context shows.
func (fs *FS) stack(set *pkgindex.Set, name attachname.Name, as caller) (*union.Stack, *context.View, error) {
	v, err := fs.contexts.Resolve(set, name, as)
	if err != nil {
		return nil, nil, err
	}
	s, err := fs.stackFor(v, as, fs.treeFor(v, nil), nil)
	return s, v, err
}

// editRow tells of one edited file.
func editRow(e *union.Edit, name attachname.Name) api.EditRow {
	row := api.EditRow{Context: name.String(), Path: e.Path, State: string(e.State)}
	if e.Origin != nil {
		row.From = e.Origin.Package + "=" + e.Origin.Version
	}
	if e.Now != nil {
		row.Package = e.Now.Ref.String()
	}
	return row
}

func (fs *FS) queryEdits(q *inquiry) (any, error) {
	s, v, err := fs.stack(q.set, q.name, q.as)
	if err != nil {
		return nil, err
	}
	edits, err := s.Edits()
	if err != nil {
		return nil, err
	}
	rows := make([]api.EditRow, 0, len(edits))
	for i := range edits {
		rows = append(rows, editRow(&edits[i], v.Name))
	}
	return rows, nil
}

// layerRows tells what the layer of a context holds and may hold, and returns its
// edited files. A context without one has neither.
func (fs *FS) layerRows(c columns, q *inquiry) ([]api.EditRow, error) {
	s, v, err := fs.stack(q.set, q.name, q.as)
	if err != nil || !s.Own {
		return nil, nil // why nobody can attach is told already
	}
	used, limit, err := s.Layers[0].Usage()
	if err != nil {
		return nil, err
	}
	of := func(limit uint64) string {
		if limit == 0 {
			return ""
		}
		return fmt.Sprintf(" of %d", limit)
	}
	c.row("layer", fmt.Sprintf("%d%s bytes in %d%s files", used.Bytes, of(limit.Bytes), used.Files, of(limit.Files)))
	edits, err := s.Edits()
	rows := make([]api.EditRow, 0, len(edits))
	for i := range edits {
		rows = append(rows, editRow(&edits[i], v.Name))
	}
	return rows, err
}

func (fs *FS) queryEditDiff(q *inquiry) (any, error) {
	s, _, err := fs.stack(q.set, q.name, q.as)
	if err != nil {
		return nil, err
	}
	t, err := s.EditTexts(q.Path)
	if err != nil {
		return nil, editError(q.Path, err)
	}
	base, theirs, mine := textNames(&t)
	d, old, oldName := api.EditDiff{}, t.Base, base
	if t.Base == nil {
		old, oldName = t.Theirs, theirs
	}
	d.Mine, err = linediff.Unified(q.ctx, oldName, old, mine, t.Mine)
	if err == nil && t.Base != nil && t.Now != nil {
		d.Theirs, err = linediff.Unified(q.ctx, base, t.Base, theirs, t.Theirs)
	}
	return d, err
}

// textNames names the versions of an edited file for people.
func textNames(t *union.Texts) (base, theirs, mine string) {
	base, mine = t.Origin.Package+"="+t.Origin.Version, "edited"
	if t.Now != nil {
		theirs = t.Now.Ref.String()
	}
	return base, theirs, mine
}

// editError says what is wrong with a path.
func editError(path string, err error) error {
	switch err {
	case syscall.ENOENT:
		return fmt.Errorf("%s is no edited file of a package; see: packagefs config status: %w", path, err)
	case syscall.EFBIG:
		return fmt.Errorf("%s is too large to be compared: %w", path, err)
	}
	return fmt.Errorf("%s: %w", path, err)
}

// onEdits makes a command of what is done to each path of a context.
func onEdits(do func(v *invocation, s *union.Stack, path string) error) func(*invocation) error {
	return func(v *invocation) error {
		name, err := attachname.Parse(v.args[0])
		if err != nil {
			return err
		}
		s, _, err := v.fs.stack(v.fs.packages.Set(), name, caller{Trusted: true})
		if err != nil {
			return err
		}
		for _, path := range v.args[1:] {
			if err := do(v, s, path); err != nil {
				return editError(path, err)
			}
		}
		return nil
	}
}

// editCommands are the commands for edited files.
var editCommands = []command{
	{"config keep", "CONTEXT PATH…", "Keep edited files as they are: they count as edits of what the packages have now.", 2, -1, true,
		onEdits(func(v *invocation, s *union.Stack, path string) error {
			err := s.KeepEdit(path)
			if err == nil {
				v.edited(path, 0, "kept")
			}
			return err
		})},
	{"config take", "CONTEXT PATH…", "Take what the packages have now: the edits are gone.", 2, -1, true, onEdits(takeEdit)},
	{"config reset", "CONTEXT PATH…", "Go back to the packages' files, deleted ones as well.", 2, -1, true, onEdits(takeEdit)},
	{"config merge", "CONTEXT PATH…", "Bring what changed in the packages into edited files; where both changed the same lines, both are kept and marked.", 2, -1, true, onEdits(mergeEdit)},
}

// edited adds what became of an edited file to the results.
func (v *invocation) edited(path string, conflicts int, what string) {
	v.printf("%s: %s\n", path, what)
	v.result.Edits = append(v.result.Edits, api.EditResult{Path: path, Conflicts: conflicts})
}

func takeEdit(v *invocation, s *union.Stack, path string) error {
	err := s.ResetEdit(path)
	if err == nil {
		v.edited(path, 0, "as the package has it")
	}
	return err
}

func mergeEdit(v *invocation, s *union.Stack, path string) error {
	t, err := s.EditTexts(path)
	if err != nil {
		return err
	}
	switch {
	case t.Now == nil:
		return refuse("no package has the file any more; keep it as it is, or remove it")
	case t.Base == nil:
		return refuse("what was edited was not kept; compare the versions with: packagefs config diff")
	case isBinary(t.Base) || isBinary(t.Mine) || isBinary(t.Theirs):
		return refuse("it is no text; take or keep it")
	}
	_, theirs, mine := textNames(&t)
	merged, conflicts, err := linediff.Merge(v.ctx, t.Base, t.Mine, t.Theirs, mine, theirs)
	if err != nil {
		return err
	}
	if err := s.MergeEdit(path, merged); err != nil {
		return err
	}
	what := "merged"
	if conflicts > 0 {
		what = fmt.Sprintf("merged with %d conflicts, marked by <<<<<<< and >>>>>>>", conflicts)
	}
	v.edited(path, conflicts, what)
	return nil
}

func isBinary(text []byte) bool { return strings.IndexByte(string(text), 0) >= 0 }

// followEdits looks at the layers in use whenever packages have changed: copies
// that are what the packages have now are dropped, and edits of files that changed
// are events. It runs until ctx ends.
func (fs *FS) followEdits(ctx stdcontext.Context) {
	told := make(map[string]map[string]string) // by context and path the package
	for {
		select {
		case <-ctx.Done():
			return
		case <-fs.changed:
			fs.compareEdits(fs.packages.Set(), told)
		}
	}
}

func (fs *FS) compareEdits(set *pkgindex.Set, told map[string]map[string]string) {
	fs.layersMu.Lock()
	var names []string
	for name := range fs.layers {
		names = append(names, name)
	}
	fs.layersMu.Unlock()
	for _, text := range names {
		if text == systemLayer {
			text = "all"
		}
		name, err := attachname.Parse(text)
		if err != nil {
			continue
		}
		s, v, err := fs.stack(set, name, caller{Trusted: true})
		if err != nil {
			continue
		}
		edits, err := s.Edits()
		if err != nil {
			fs.config.Log.Warn().Err(err).Str("context", text).Msg("edited files cannot be compared with the packages")
		}
		told[text] = fs.tellEdits(v.Name.String(), edits, told[text])
	}
}

// tellEdits adds events for the edits that before does not have, and returns
// those that are told of now.
func (fs *FS) tellEdits(name string, edits []union.Edit, before map[string]string) map[string]string {
	told := make(map[string]string)
	for i := range edits {
		e := &edits[i]
		if e.State != union.Outdated && e.State != union.Orphaned {
			continue
		}
		row := editRow(e, attachname.Name{})
		told[e.Path] = row.Package
		if last, ok := before[e.Path]; !ok || last != row.Package {
			fs.events.add(api.Event{Event: api.EventConfig, Context: name, File: e.Path, Package: row.Package, Reason: string(e.State)})
		}
	}
	return told
}
