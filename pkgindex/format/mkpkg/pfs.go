package mkpkg

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"path"
	"slices"
	"strings"

	"github.com/packagefs/packagefs/pkgindex/pfs"
)

// Pfs writes the Spec as a native package. Raw, Extra and Compression are not
// for this format.
func Pfs(w io.Writer, s Spec) error {
	if s.Raw != nil || s.Extra != nil {
		return errors.New("write package: a native package has no place for Raw and Extra")
	}
	s, err := s.withDefaults("1.0-1", "all")
	if err != nil {
		return err
	}
	meta := pfs.Metadata{
		Name: s.Name, Version: s.Version, Architecture: s.Architecture, Summary: s.Summary, Description: s.Description,
		Licence: s.License, Homepage: s.Homepage, Maintainer: s.Maintainer, Source: s.Source,
		Depends: slices.Concat(s.PreDepends, s.Depends), Provides: s.Provides, Conflicts: slices.Concat(s.Conflicts, s.Breaks),
		Replaces: s.Replaces, MultiArch: s.MultiArch, Essential: s.Essential,
	}
	for _, f := range s.Files {
		if f.Conffile {
			meta.Mutable = append(meta.Mutable, "/"+f.Path)
		}
	}
	text, err := meta.Encode()
	if err != nil {
		return err
	}
	out, err := pfs.NewWriter(w, text, pfs.Options{Time: s.Time, Workers: 1})
	if err != nil {
		return err
	}
	for _, f := range s.Files {
		if err := out.Add(s.entry(f), strings.NewReader(f.Body)); err != nil {
			return errors.Join(fmt.Errorf("write %w", err), out.Close())
		}
	}
	return out.Close()
}

// entry is the native form of f.
func (s Spec) entry(f File) pfs.Entry {
	e := pfs.Entry{
		Path: path.Clean(f.Path), Type: pfs.Regular, Mode: uint32(cmp.Or(f.Mode, 0o644)), UID: uint32(f.UID), GID: uint32(f.GID),
		Time: cmp.Or(f.Time, s.Time), Xattrs: f.Xattrs,
	}
	switch {
	case strings.HasSuffix(f.Path, "/"):
		e.Type, e.Mode = pfs.Directory, uint32(cmp.Or(f.Mode, 0o755))
	case f.Target != "":
		e.Type, e.Target, e.Mode = pfs.Symlink, f.Target, 0o777
	case f.HardLink != "":
		e.Type, e.Target = pfs.HardLink, f.HardLink
	case f.Fifo:
		e.Type = pfs.Fifo
	default:
		e.Size = int64(len(f.Body))
	}
	return e
}
