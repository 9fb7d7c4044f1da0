package server

import (
	"fmt"
	"strings"
	"syscall"

	"github.com/packagefs/packagefs/context/attachname"
	"github.com/packagefs/packagefs/context/linediff"
	"github.com/packagefs/packagefs/server/api"
	"github.com/packagefs/packagefs/union"
)

// Edited configuration: what clients changed of the files of packages, and what
// becomes of it when the packages change.

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

func (ctl *control) queryEdits(q *inquiry) (any, error) {
	s, v, err := ctl.attachments.stack(q.set, q.name, q.as)
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
func (ctl *control) layerRows(c columns, q *inquiry) ([]api.EditRow, error) {
	s, v, err := ctl.attachments.stack(q.set, q.name, q.as)
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

func (ctl *control) queryEditDiff(q *inquiry) (any, error) {
	s, _, err := ctl.attachments.stack(q.set, q.name, q.as)
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
		s, _, err := v.control.attachments.stack(v.control.packages.Set(), name, caller{Trusted: true})
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
