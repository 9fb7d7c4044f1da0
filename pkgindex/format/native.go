package format

import (
	"archive/tar"
	"cmp"
	"errors"
	"fmt"
	"io"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/packagefs/packagefs/pkgindex/pfs"
	"github.com/packagefs/packagefs/pkgindex/pkgmeta"
	"github.com/packagefs/packagefs/pkgindex/pkgpath"
	"github.com/packagefs/packagefs/pkgindex/relation"
	"github.com/packagefs/packagefs/pkgindex/tomlfile"
	"github.com/packagefs/packagefs/pkgindex/version"
)

// nativeDir is in every .pfs and in no tree.
const nativeDir = ".packagefs"

// A native reads a .pfs: its metadata, and then its members.
type native struct {
	file  *packageFile
	walk  tarWalk
	meta  pfs.Metadata
	marks pkgpath.Globs
	root  *pkgmeta.Entry               // the top directory, if the metadata tells of it
	exact map[string]bool              // paths that users may change, beside marks
	attrs map[string]map[string]string // by Entry path; what was found is taken out
}

// readPfs reads the whole package file and verifies every byte of it.
func (p *packageFile) readPfs() error {
	n := &native{file: p}
	err := pfs.Walk(p.r, p.size, nil, n.start, func(m *pfs.Member, content io.Reader) error {
		e, err := n.entry(m)
		if err != nil {
			return err
		}
		return n.pass(e, content)
	})
	if err != nil {
		return err
	}
	return n.end()
}

// A TableSink takes what ReadTable finds.
type TableSink interface {
	Sink // of the members, Add gets only the links that the metadata has

	// Reserve is called once, before Start, with about how many members follow.
	Reserve(members int)

	// AddAt is called in the place of Add for each member. Of a regular file that is
	// no hard link the content begins at offset of all contents, and has that
	// SHA-256.
	AddAt(e pkgmeta.Entry, offset int64, digest [32]byte) error
}

// ReadTable reads metadata and table of contents of the native package file of size
// bytes in r, and none of the contents, which are not verified. It returns the table
// by which they are read. Errors are as those of Read, but do not say which
// file it is; see Describe.
func ReadTable(r io.ReaderAt, size int64, limits Limits, sink TableSink) (*pfs.Table, error) {
	n := &native{file: &packageFile{r: r, size: size, limits: limits.withDefaults(), sink: sink}}
	start := func(text []byte, about int) error {
		sink.Reserve(about)
		return n.start(text, about)
	}
	table, err := pfs.Open(r, size, start, func(m *pfs.Member) error {
		e, err := n.entry(m)
		if err == nil {
			err = sink.AddAt(e, m.Offset, m.Digest)
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	return table, n.end()
}

// pass hands an entry to the sink.
func (n *native) pass(e pkgmeta.Entry, content io.Reader) error {
	held := &heldReader{r: content}
	if e.Type == pkgmeta.Regular && e.HardLink == "" {
		content = held
	} else {
		content = nil
	}
	if err := n.file.sink.Add(e, content); held.err != nil {
		return held.err
	} else if err != nil {
		return &sinkError{err}
	}
	return nil
}

// heldReader remembers what went wrong below a sink.
type heldReader struct {
	r   io.Reader
	err error
}

func (h *heldReader) Read(p []byte) (int, error) {
	n, err := h.r.Read(p)
	if err != nil && err != io.EOF {
		h.err = err
	}
	return n, err
}

// start takes the text of package.toml; about how many members follow.
func (n *native) start(text []byte, about int) error {
	meta, err := n.parse(text)
	if err != nil {
		return fmt.Errorf("%s: %w", pfs.MetadataPath, err)
	}
	n.walk = tarWalk{limits: n.file.limits, left: math.MaxInt64, paths: n.file.limits.Paths,
		members: make(map[string]member, about), links: make(map[string]string)}
	if err := n.file.start(meta); err != nil {
		return err
	}
	if n.root == nil {
		return nil
	}
	if _, err := n.walk.note("", memberDirectory); err != nil {
		return err
	}
	return n.pass(*n.root, nil)
}

// rootEntry reads what the metadata says of the top directory.
func rootEntry(r *pfs.Root) (*pkgmeta.Entry, error) {
	mode, err := strconv.ParseUint(r.Mode, 8, 32)
	switch {
	case err != nil || mode > 0o7777:
		return nil, fmt.Errorf("root: its mode %q is none; want such as 0755", r.Mode)
	case r.Time < 0 || r.Time > pfs.MaxTime:
		return nil, fmt.Errorf("root: its time %d is not between 1970 and 9999", r.Time)
	case r.UID == 1<<32-1 || r.GID == 1<<32-1:
		return nil, errors.New("root: its owner or group has a number that none can have")
	}
	return &pkgmeta.Entry{Type: pkgmeta.Directory, Mode: uint32(mode), UID: r.UID, GID: r.GID, Sec: r.Time}, nil
}

// CheckNative says what is wrong with the text of a package.toml, and what it
// means where nothing is.
func CheckNative(text []byte) (pkgmeta.Meta, error) {
	m, err := new(native).parse(text)
	if err == nil {
		err = checkMeta(m)
	}
	return m, err
}

func (n *native) parse(text []byte) (pkgmeta.Meta, error) {
	if err := tomlfile.Decode(text, &n.meta); err != nil {
		return pkgmeta.Meta{}, err
	}
	d := &n.meta
	m := pkgmeta.Meta{
		Ref: pkgmeta.Ref{Name: d.Name, Version: d.Version}, Architecture: d.Architecture, Format: pkgmeta.Pfs,
		Scheme:  version.Scheme(cmp.Or(d.VersionScheme, string(version.Debian))),
		Summary: d.Summary, Description: strings.TrimRight(d.Description, "\n"), Homepage: d.Homepage, Maintainer: d.Maintainer,
		License: d.Licence, Services: d.Services, MultiArch: d.MultiArch, Essential: d.Essential, SourceName: d.Source,
	}
	switch m.Scheme {
	case version.Debian, version.Alpine, version.Pacman, version.Rpm:
	default:
		return m, fmt.Errorf("version-scheme %q is none of debian, alpine, pacman and rpm", m.Scheme)
	}
	if strings.ContainsAny(m.Summary, "\n\r") {
		return m, errors.New("the summary has more than one line")
	}
	if err := n.relations(&m); err != nil {
		return m, err
	}
	if d.Root != nil {
		root, err := rootEntry(d.Root)
		if err != nil {
			return m, err
		}
		n.root = root
	}
	n.exact = make(map[string]bool)
	for _, g := range d.Mutable {
		pattern, err := pkgpath.ParseGlob("mutable", g)
		if err != nil {
			return m, err
		}
		if pkgpath.IsPattern(g) {
			n.marks = append(n.marks, pattern)
		} else {
			n.exact[pattern] = true
		}
	}
	for p, target := range d.Links {
		if err := absolute(p); err != nil {
			return m, fmt.Errorf("links: %w", err)
		}
		if target == "" || len(target) > 4095 || strings.Contains(target, "\x00") {
			return m, fmt.Errorf("links %q: its target must have 1 to 4095 bytes", p)
		}
	}
	return m, n.declared()
}

// relations reads the lists of relations.
func (n *native) relations(m *pkgmeta.Meta) error {
	for _, s := range n.meta.Depends {
		clauses, err := relation.ParseNative(s, m.Architecture)
		if err != nil {
			return fmt.Errorf("depends: %w", err)
		}
		m.Depends = append(m.Depends, clauses...)
	}
	for _, list := range [...]struct {
		key  string
		from []string
		into *[]relation.Term
	}{
		{"provides", n.meta.Provides, &m.Provides}, {"conflicts", n.meta.Conflicts, &m.Conflicts}, {"replaces", n.meta.Replaces, &m.Replaces},
	} {
		for _, s := range list.from {
			clauses, err := relation.ParseNative(s, m.Architecture)
			if err != nil {
				return fmt.Errorf("%s: %w", list.key, err)
			}
			for _, c := range clauses {
				if len(c) != 1 {
					return fmt.Errorf("%s: %q: alternatives are not allowed here", list.key, c)
				}
				if list.key == "provides" && c[0].Op != version.OpAny && c[0].Op != version.OpEqual {
					return fmt.Errorf("provides: %q: only = is allowed here", c[0])
				}
				*list.into = append(*list.into, c[0])
			}
		}
	}
	return nil
}

// declared reads the capabilities and extended attributes.
func (n *native) declared() error {
	n.attrs = make(map[string]map[string]string)
	set := func(p, name, value string) {
		p = strings.TrimPrefix(p, "/")
		if n.attrs[p] == nil {
			n.attrs[p] = make(map[string]string)
		}
		n.attrs[p][name] = value
	}
	for p, attrs := range n.meta.Xattrs {
		if err := absolute(p); err != nil {
			return fmt.Errorf("xattrs: %w", err)
		}
		for name, value := range attrs {
			if !servedXattr(name) || len(value) > maxXattr {
				return fmt.Errorf("xattrs %q: %q cannot be kept; user.* can, up to %d bytes", p, name, maxXattr)
			}
			set(p, name, value)
		}
	}
	for p, text := range n.meta.Capabilities {
		if err := absolute(p); err != nil {
			return fmt.Errorf("capabilities: %w", err)
		}
		value, err := fileCaps(text)
		if err == nil && value == "" {
			err = errors.New("there are none; want such as cap_net_raw=ep")
		}
		if err != nil {
			return fmt.Errorf("capabilities of %s: %w", p, err)
		}
		set(p, capabilityXattr, value)
	}
	return nil
}

// absolute refuses what is no clean absolute path.
func absolute(p string) error {
	if !pkgpath.IsClean(p) {
		return fmt.Errorf("%q is not a clean absolute path", p)
	}
	return nil
}

// entry judges a member by the rules for every format, and adds what the
// metadata says of it.
func (n *native) entry(m *pfs.Member) (pkgmeta.Entry, error) {
	h := &tar.Header{
		Name: m.Path, Typeflag: nativeTypes[m.Type], Linkname: m.Target, Size: m.Size, Mode: int64(m.Mode),
		Uid: int(m.UID), Gid: int(m.GID), ModTime: time.Unix(m.Time, 0),
	}
	if len(m.Xattrs) > 0 {
		h.PAXRecords = make(map[string]string, len(m.Xattrs))
		for name, value := range m.Xattrs {
			h.PAXRecords[xattrRecord+name] = value
		}
	}
	e, repeated, err := n.walk.entry(h)
	switch {
	case err != nil:
	case repeated:
		err = errors.New("it is there already")
	case e.Path != m.Path:
		err = errors.New("its path is not clean")
	case e.Path == nativeDir || strings.HasPrefix(e.Path, nativeDir+"/"):
		err = fmt.Errorf("%s is for the metadata only", nativeDir)
	}
	if err != nil {
		return e, fmt.Errorf("%q: %w", m.Path, err)
	}
	e.Mutable = n.exact[e.Path] || n.marks.Match(e.Path)
	if attrs := n.attrs[e.Path]; attrs != nil {
		if e.Type != pkgmeta.Regular || e.HardLink != "" {
			return e, fmt.Errorf("%s: attributes of %q: they belong to a regular file, under its first name", pfs.MetadataPath, e.Path)
		}
		delete(n.attrs, e.Path)
		if e.Xattrs == nil {
			e.Xattrs = make(map[string]string)
		}
		maps.Copy(e.Xattrs, attrs)
	}
	return e, nil
}

// nativeTypes are the types as archives have them.
var nativeTypes = map[pfs.Type]byte{
	pfs.Regular: tar.TypeReg, pfs.Directory: tar.TypeDir, pfs.Symlink: tar.TypeSymlink, pfs.HardLink: tar.TypeLink, pfs.Fifo: tar.TypeFifo,
}

// end adds the links that the metadata has.
func (n *native) end() error {
	for p := range n.attrs {
		return fmt.Errorf("%s: attributes of %q: there is no such file", pfs.MetadataPath, "/"+p)
	}
	for _, p := range slices.Sorted(maps.Keys(n.meta.Links)) {
		e := pkgmeta.Entry{Path: strings.TrimPrefix(p, "/"), Type: pkgmeta.Symlink, Mode: 0o777, Target: n.meta.Links[p]}
		if _, err := n.walk.note(e.Path, memberSymlink); err != nil {
			return fmt.Errorf("%s: link %q: %w", pfs.MetadataPath, p, err)
		}
		if err := n.pass(e, nil); err != nil {
			return err
		}
	}
	return nil
}

// NativeMetadata writes m as the metadata of a native package, the files marked
// mutable left to the caller.
func NativeMetadata(m pkgmeta.Meta) pfs.Metadata {
	d := pfs.Metadata{
		Name: m.Name, Version: m.Version, Architecture: m.Architecture, Summary: m.Summary, Description: m.Description,
		Licence: m.License, Homepage: m.Homepage, Maintainer: m.Maintainer, Source: m.SourceName,
		MultiArch: m.MultiArch, Essential: m.Essential, Services: m.Services,
	}
	if m.Scheme != version.Debian {
		d.VersionScheme = string(m.Scheme)
	}
	for _, c := range m.Depends {
		d.Depends = append(d.Depends, relation.FormatNative(c))
	}
	for _, list := range [...]struct {
		from []relation.Term
		into *[]string
	}{{m.Provides, &d.Provides}, {m.Conflicts, &d.Conflicts}, {m.Replaces, &d.Replaces}} {
		for _, t := range list.from {
			*list.into = append(*list.into, relation.FormatNativeTerm(t))
		}
	}
	return d
}
