package server

import (
	"bytes"
	stdcontext "context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"path"
	"runtime/debug"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/packagefs/packagefs/context"
	"github.com/packagefs/packagefs/context/attachname"
	"github.com/packagefs/packagefs/pkgindex"
	"github.com/packagefs/packagefs/pkgindex/pkgmeta"
	"github.com/packagefs/packagefs/server/api"
	"github.com/packagefs/packagefs/union"
)

// queries are the operations of the query file.
var queries = map[string]func(*control, *inquiry) (any, error){
	api.OpPackages: (*control).queryPackages,
	api.OpInfo:     (*control).queryInfo,
	api.OpFiles:    (*control).queryFiles,
	api.OpOwns:     (*control).queryOwns,
	api.OpExplain:  (*control).queryExplain,
	api.OpContexts: (*control).queryContexts,
	api.OpStatus:   (*control).queryStatus,
	api.OpCheck:    (*control).queryCheck,
	api.OpEdits:    (*control).queryEdits,
	api.OpEditDiff: (*control).queryEditDiff,
	api.OpVerify:   (*control).queryVerify,
	api.OpInstall:  (*control).queryInstall,
	api.OpRemoval:  (*control).queryRemoval,
	api.OpGarbage:  (*control).queryGarbage,
	api.OpUnused:   (*control).queryUnused,

	api.OpContextFile: (*control).queryContextFile,
	api.OpCommand:     (*control).queryCommand,
}

// An inquiry is a query with who asks it.
type inquiry struct {
	api.Query
	ctx  stdcontext.Context // done when nobody waits for the answer
	as   caller
	by   string          // the name under which changes are logged
	name attachname.Name // Query.Context, parsed
	set  *pkgindex.Set
}

// runQuery answers one query. Errors tell callers nothing that they may not
// know; the whole reason is for trusted ones. What takes long ends early when ctx
// is done.
func (ctl *control) runQuery(ctx stdcontext.Context, as visitor, question []byte) (any, error) {
	q := &inquiry{ctx: ctx, as: as.caller, by: as.by, set: ctl.packages.Set()}
	dec := json.NewDecoder(bytes.NewReader(question))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&q.Query); err != nil {
		return nil, fmt.Errorf("query is not understood: %w (%w)", err, syscall.EINVAL)
	}
	run := queries[q.Op]
	if run == nil {
		return nil, fmt.Errorf("query has the unknown operation %q: %w", q.Op, syscall.EINVAL)
	}
	var err error
	if q.Op != api.OpContextFile { // system has a file and is no attach name
		q.name, err = attachname.Parse(q.Context)
	}
	if err != nil {
		return nil, err
	}
	result, err := run(ctl, q)
	if reason := reasonOf(err); reason != "" && as.Trusted {
		err = fmt.Errorf("%w: %s", err, reason)
	}
	return result, err
}

// view resolves the context that is asked about.
func (ctl *control) view(q *inquiry) (*context.View, error) {
	return ctl.contexts.Resolve(q.set, q.name, q.as)
}

// anything resolves all if no context is named and the caller may attach to it,
// else the context that is named.
func (ctl *control) anything(q *inquiry) (*context.View, error) {
	if q.Context == "" {
		v, err := ctl.contexts.Resolve(q.set, attachname.Name{Kind: attachname.KindAll}, q.as)
		if err == nil || !errors.Is(err, context.ErrDenied) {
			return v, err
		}
	}
	return ctl.view(q)
}

func packageRow(p *pkgindex.Package, why context.Why) api.PackageRow {
	row := api.PackageRow{
		Name: p.Name, Version: p.Version, Architecture: p.Architecture, Format: string(p.Format), File: p.File,
		State: api.StateInstalled, Summary: p.Summary, Toplevel: why.Toplevel,
	}
	if row.Reason = p.Damage(); row.Reason != "" {
		row.State = api.StateDamaged
	}
	if p.Signer != nil {
		row.SignedBy = string(p.Signer.KeyID)
	}
	return row
}

func (ctl *control) queryPackages(q *inquiry) (any, error) {
	v, err := ctl.anything(q)
	if err != nil {
		return nil, err
	}
	rows := make([]api.PackageRow, 0, len(v.Packages))
	for i, p := range v.Packages {
		rows = append(rows, packageRow(p, v.Why[i]))
	}
	if v.Name.Kind == attachname.KindAll && q.as.Trusted {
		for _, r := range q.set.Rejected {
			rows = append(rows, api.PackageRow{File: r.File, State: api.StateRejected, Reason: r.Reason})
		}
	}
	return rows, nil
}

// selected returns the packages that q.Package names, as indexes of the view.
func (ctl *control) selected(q *inquiry) (v *context.View, at []int, err error) {
	ref, err := pkgmeta.ParseRef(q.Package)
	if err != nil {
		return nil, nil, fmt.Errorf("%w (%w)", err, syscall.EINVAL)
	}
	if v, err = ctl.anything(q); err != nil {
		return nil, nil, err
	}
	for i, p := range v.Packages {
		if p.Name == ref.Name && (ref.Version == "" || p.Version == ref.Version) {
			at = append(at, i)
		}
	}
	if len(at) == 0 {
		return nil, nil, fmt.Errorf("%s: %w in context %q; see: packagefs packages", ref, context.ErrNotInstalled, v.Name)
	}
	return v, at, nil
}

func (ctl *control) queryInfo(q *inquiry) (any, error) {
	v, at, err := ctl.selected(q)
	if err != nil {
		return nil, err
	}
	launched := ctl.trees.launchedIn(v)
	var out []api.Info
	for _, i := range at {
		p := v.Packages[i]
		info := api.Info{
			PackageRow: packageRow(p, v.Why[i]), Description: p.Description, Homepage: p.Homepage, Maintainer: p.Maintainer,
			License: p.License, Source: p.SourceName, MultiArch: p.MultiArch, Essential: p.Essential,
			Depends: texts(p.Depends), Provides: texts(p.Provides), Conflicts: texts(p.Conflicts), Replaces: texts(p.Replaces),
			Services: append([]string{}, p.Services...),
		}
		if p.Signer != nil {
			info.Signature = &api.Signature{KeyID: string(p.Signer.KeyID), Key: p.Signer.Key, Comment: p.Signer.Comment}
		}
		layers, err := p.Layers()
		if err != nil {
			return nil, err
		}
		for _, l := range layers {
			for f := range l.Files() {
				if l.Type(f.Ino) == pkgmeta.Directory {
					info.Directories++
				} else {
					info.Files++
				}
				if launched(l, f) != "" {
					info.Launchers++
				}
			}
		}
		_, info.Size = p.Counts()
		out = append(out, info)
	}
	return out, nil
}

func texts[T fmt.Stringer](list []T) []string {
	out := make([]string, len(list))
	for i, t := range list {
		out[i] = t.String()
	}
	return out
}

var typeNames = map[pkgmeta.FileType]string{
	pkgmeta.Regular: api.TypeFile, pkgmeta.Directory: api.TypeDirectory, pkgmeta.Symlink: api.TypeSymlink, pkgmeta.Fifo: api.TypeFifo,
}

func (ctl *control) queryFiles(q *inquiry) (any, error) {
	v, at, err := ctl.selected(q)
	if err != nil {
		return nil, err
	}
	launched := ctl.trees.launchedIn(v)
	rows := []api.FileRow{}
	for _, i := range at {
		p := v.Packages[i]
		layers, err := p.Layers()
		if err == nil {
			err = q.ctx.Err()
		}
		if err != nil {
			return nil, err
		}
		start := len(rows)
		for _, l := range layers {
			rows = appendFiles(rows, l, launched)
		}
		slices.SortStableFunc(rows[start:], func(a, b api.FileRow) int { return strings.Compare(a.Path, b.Path) })
		// Of two with one path, the layer that came first is served.
		rows = slices.CompactFunc(rows, func(a, b api.FileRow) bool { return a.Package == b.Package && a.Path == b.Path })
	}
	return rows, nil
}

func appendFiles(rows []api.FileRow, l pkgindex.Layer, launched launchedFunc) []api.FileRow {
	first := make(map[pkgindex.InodeID]string) // of hard links
	for f := range l.Files() {
		inode := l.Inode(f.Ino)
		row := api.FileRow{
			Path: "/" + f.Path, Type: typeNames[inode.Type], Mode: inode.Mode, UID: inode.UID, GID: inode.GID,
			MTime: inode.Sec, Mutable: l.Package.Mutable(f.Path, inode), Package: l.Package.Ref.String(),
			Launcher: launched(l, f),
		}
		switch inode.Type {
		case pkgmeta.Regular:
			digest := l.Digest(f.Ino)
			row.Size, row.SHA256 = inode.Size, hex.EncodeToString(digest[:])
			if inode.Links > 1 {
				if row.HardLink = first[f.Ino]; row.HardLink == "" {
					first[f.Ino] = row.Path
				}
			}
		case pkgmeta.Symlink:
			row.Target = l.Target(f.Ino)
		}
		rows = append(rows, row)
	}
	return rows
}

// lookup finds what the context has at q.Path.
func (ctl *control) lookup(q *inquiry) (v *context.View, served, hidden []union.Candidate, err error) {
	if v, err = ctl.view(q); err != nil {
		return nil, nil, nil, err
	}
	tree := ctl.trees.of(v, nil)
	served, hidden, err = tree.Lookup(q.Path)
	if p := tree.Inner(q.Path); p != nil {
		err = fmt.Errorf("%w: the context hides dependencies, and %s has it not among the programs that users start", err, p.Override)
	}
	if err != nil {
		err = fmt.Errorf("%s: %w in context %q", path.Clean("/"+q.Path), err, v.Name)
	}
	return v, served, hidden, err
}

func (ctl *control) queryOwns(q *inquiry) (any, error) {
	_, served, hidden, err := ctl.lookup(q)
	if err != nil {
		return nil, err
	}
	owners := []api.Owner{}
	for i, c := range append(served, hidden...) {
		visible := i < len(served)
		reason := "served"
		switch {
		case visible && c.Inode.Type == pkgmeta.Directory && len(served) > 1:
			reason = "merged with the other packages' directories"
		case visible && c.Made != "":
			reason = "generated: " + c.Made
		case c.Launcher:
			reason = "served as a launcher, which runs it in " + packageContext(c.Package)
		case !visible && served[0].Same(&c):
			reason = "the same as what " + served[0].Package.Ref.String() + " has"
		case !visible:
			reason = "hidden by " + served[0].Package.Ref.String() + ", which comes before it"
		}
		o := api.Owner{Package: c.Package.Ref.String(), Path: path.Clean("/" + q.Path), Type: typeNames[c.Inode.Type], Visible: visible, Reason: reason}
		if c.Launcher {
			o.Launcher = packageContext(c.Package)
		}
		owners = append(owners, o)
	}
	return owners, nil
}

func (ctl *control) queryExplain(q *inquiry) (any, error) {
	if q.Path != "" {
		return ctl.explainPath(q)
	}
	x, err := ctl.contexts.Explain(q.set, q.name, q.as)
	if err != nil {
		return nil, err
	}
	out := api.Explain{
		Context: x.Context, Dependencies: string(x.Dependencies), Mutable: string(x.Mutable), Reason: x.Reason,
		Rules: []api.ExplainRule{}, Roots: []string{}, Packages: []api.ExplainPackage{}, Missing: []api.ExplainMissing{}, Conflicts: []api.Conflict{},
	}
	for _, r := range x.Rules {
		out.Rules = append(out.Rules, api.ExplainRule{Key: r.Key, Value: strings.Join(r.Values, ", "), File: r.File, Effective: r.Effective})
	}
	for _, p := range x.Packages {
		ref := p.Name + "=" + p.Version
		out.Packages = append(out.Packages, api.ExplainPackage{Package: ref, Why: p.Reason, Toplevel: p.Toplevel})
		if p.Toplevel {
			out.Roots = append(out.Roots, ref)
		}
	}
	for _, m := range x.Missing {
		out.Missing = append(out.Missing, api.ExplainMissing{Package: m.Package, Reason: m.Reason})
	}
	for _, e := range x.Errors {
		out.Errors = append(out.Errors, api.ExplainError{File: e.File, Reason: e.Reason})
	}
	if x.Reason == "" {
		if out.Conflicts, err = ctl.conflicts(q); err != nil {
			return nil, err
		}
	}
	return out, nil
}

func (ctl *control) conflicts(q *inquiry) ([]api.Conflict, error) {
	v, err := ctl.view(q)
	if err != nil {
		return nil, err
	}
	out := []api.Conflict{}
	for c, err := range ctl.trees.of(v, nil).Conflicts() {
		if err != nil {
			return nil, err
		}
		row := api.Conflict{Path: c.Path, Winner: c.Winner.Package.Ref.String()}
		for _, l := range c.Losers {
			row.Losers = append(row.Losers, l.Package.Ref.String())
		}
		out = append(out, row)
	}
	return out, nil
}

func (ctl *control) explainPath(q *inquiry) (any, error) {
	v, served, hidden, err := ctl.lookup(q)
	if err != nil {
		return nil, err
	}
	first := served[0]
	out := api.PathExplain{
		Context: v.Name.String(), Path: path.Clean("/" + q.Path), Type: typeNames[first.Inode.Type],
		Package: first.Package.Ref.String(), Target: first.Target, Hides: []api.PathHidden{},
		Mutable: first.Package.Mutable(strings.Trim(path.Clean("/"+q.Path), "/"), first.Inode),
	}
	if first.Launcher {
		out.Launcher = packageContext(first.Package)
	}
	if first.Package.Synthetic() {
		out.Why = "the server adds it to every context"
		if first.Made != "" {
			out.Why = "generated: " + first.Made
		}
	} else if i := slices.Index(v.Packages, first.Package); i >= 0 {
		out.Why = v.Why[i].String()
	}
	out.Attributes, out.Otherwise = dirAttributes(ctl.trees.of(v, nil), q.Path, served)
	for _, c := range served[1:] {
		out.Also = append(out.Also, c.Package.Ref.String())
	}
	for _, c := range hidden {
		why := "comes later in the order of the context"
		if first.Same(&c) {
			why = "is the same file"
		}
		out.Hides = append(out.Hides, api.PathHidden{Package: c.Package.Ref.String(), Why: why})
	}
	return out, nil
}

// dirAttributes tells owner and mode of the directory at a path, and which of those
// that have it say otherwise; nothing of what is no directory.
func dirAttributes(t *union.Tree, path string, from []union.Candidate) (text string, otherwise []string) {
	mode, uid, gid, ok := t.DirAttr(path)
	if !ok {
		return "", nil
	}
	text = fmt.Sprintf("%04o %d:%d", mode, uid, gid)
	for _, c := range from {
		if says := fmt.Sprintf("%04o %d:%d", c.Inode.Mode, c.Inode.UID, c.Inode.GID); says != text && !c.Inode.Implicit {
			otherwise = append(otherwise, c.Package.Ref.String()+" says "+says)
		}
	}
	return text, otherwise
}

func (ctl *control) queryContexts(q *inquiry) (any, error) {
	list, err := ctl.contexts.List(q.set, q.as)
	if err != nil {
		return nil, err
	}
	rows := []api.ContextRow{}
	for _, l := range list {
		rows = append(rows, api.ContextRow{Context: l.Context, File: l.File, State: l.State, Reason: l.Reason, Toplevel: append([]string{}, l.Toplevel...), Members: l.Members, Public: l.Public})
	}
	return rows, nil
}

func (ctl *control) queryStatus(q *inquiry) (any, error) {
	s := api.Status{
		Version: Version(), Generation: ctl.changes.generation.Load(), Packages: len(q.set.Packages), Rejected: len(q.set.Rejected),
		Indexing: q.set.Pending, Listen: ctl.addrs, Uptime: int64(time.Since(ctl.started).Seconds()),
		Connections: ctl.engine.Stats().Open, PackageDirs: ctl.packageDirs(),
	}
	if !ctl.isAdmin(q.as) {
		return api.Status{Version: s.Version, Uptime: s.Uptime}, nil
	}
	return s, nil
}

// Version is that of the module, as the Go tool recorded it.
func Version() string {
	if info, ok := debug.ReadBuildInfo(); ok && info.Main.Version != "" {
		return info.Main.Version
	}
	return "(devel)"
}
