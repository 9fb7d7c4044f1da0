package server

import (
	stdcontext "context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/packagefs/packagefs/context"
	"github.com/packagefs/packagefs/context/attachname"
	"github.com/packagefs/packagefs/pkgindex"
	"github.com/packagefs/packagefs/pkgindex/pkgmeta"
	"github.com/packagefs/packagefs/server/api"
)

// queryGarbage lists what the command gc would remove.
func (ctl *control) queryGarbage(q *inquiry) (any, error) {
	if err := ctl.forAdmins(q); err != nil {
		return nil, err
	}
	rows, err := ctl.garbage(false)
	if err != nil {
		return nil, err
	}
	return rows, nil
}

// gc removes what nobody needs.
func (v *invocation) gc() error {
	rows, err := v.control.garbage(true)
	v.result.Garbage = rows
	for _, r := range rows {
		v.printf("%s\n", api.JoinCommand("removed", r.Path, r.What))
	}
	return err
}

// garbage finds what nobody needs, and removes it if remove is set.
func (ctl *control) garbage(remove bool) ([]api.GarbageRow, error) {
	found, err := ctl.packages.Garbage(stdcontext.Background(), remove)
	rows := []api.GarbageRow{}
	for _, g := range found {
		rows = append(rows, api.GarbageRow{Path: g.Path, What: g.What, Bytes: g.Bytes})
	}
	bases, layerErr := ctl.unusedBases(remove)
	return append(rows, bases...), errors.Join(err, layerErr)
}

// unusedBases finds what the layers keep of files that are not edited any more.
func (ctl *control) unusedBases(remove bool) (rows []api.GarbageRow, err error) {
	layers, err := os.ReadDir(filepath.Join(ctl.config.State, "mutable"))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	for _, l := range layers {
		text := l.Name()
		if text == systemLayer {
			text = "all"
		}
		name, err := attachname.Parse(text)
		if err != nil || !l.IsDir() {
			continue
		}
		s, _, err := ctl.attachments.stack(ctl.packages.Set(), name, caller{Trusted: true})
		if err != nil {
			continue // of a context that there is not now, nothing is touched
		}
		unused, err := s.UnusedBases()
		if err != nil {
			return rows, err
		}
		for _, path := range unused {
			if info, err := os.Stat(path); err == nil {
				rows = append(rows, api.GarbageRow{Path: path, What: "kept of a file that is not edited any more", Bytes: info.Size()})
			}
		}
		if remove && len(unused) > 0 {
			if _, err := s.Edits(); err != nil {
				return rows, err
			}
		}
	}
	return rows, nil
}

// queryUnused lists the packages that are in no closure of what a context file
// has as its toplevel.
func (ctl *control) queryUnused(q *inquiry) (any, error) {
	if err := ctl.forAdmins(q); err != nil {
		return nil, err
	}
	all := caller{Trusted: true, User: q.as.User}
	list, err := ctl.contexts.List(q.set, all)
	if err != nil {
		return nil, err
	}
	used := make(map[*pkgindex.Package]bool)
	rows := []api.PackageRow{}
	named := false
	for _, l := range list {
		if len(l.Toplevel) > 0 {
			named = true
			ctl.markUsed(q.set, l.Context, l.Toplevel, all, used)
		}
	}
	if !named {
		return rows, nil // everybody sees everything
	}
	for _, p := range q.set.Packages {
		if !used[p] {
			rows = append(rows, packageRow(p, context.Why{}))
		}
	}
	return rows, nil
}

// markUsed marks the closures of the packages that a context file names: those
// that the context's view has, and for system, which nobody attaches to, those
// that are named.
func (ctl *control) markUsed(set *pkgindex.Set, of string, toplevel []string, as caller, used map[*pkgindex.Package]bool) {
	var tops []*pkgindex.Package
	name, err := attachname.Parse(of)
	if err == nil && (name.Kind == attachname.KindUser || name.Kind == attachname.KindGroup) {
		if v, err := ctl.contexts.Resolve(set, name, as); err == nil {
			for i, p := range v.Packages {
				used[p] = true
				if v.Why[i].Toplevel {
					tops = append(tops, p)
				}
			}
		}
	}
	for _, selector := range toplevel {
		ref, err := pkgmeta.ParseRef(selector)
		if err != nil {
			continue
		}
		for _, p := range set.Packages {
			match, err := filepath.Match(ref.Name, p.Name)
			if err != nil || !match {
				continue
			}
			if version, err := filepath.Match(ref.Version, p.Version); ref.Version != "" && (err != nil || !version) {
				continue
			}
			if set.Named(p.Name)[0] == p || ref.Version != "" {
				tops = append(tops, p)
			}
		}
	}
	for _, p := range tops {
		used[p] = true
		name, err := attachname.Parse("package:" + p.Ref.String())
		if err != nil {
			continue
		}
		v, err := ctl.contexts.Resolve(set, name, as)
		if err != nil {
			continue // it lacks something: what it has of the rest is not known
		}
		for _, q := range v.Packages {
			used[q] = true
		}
	}
}
