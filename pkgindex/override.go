package pkgindex

import (
	"fmt"
	"path"
	"slices"
	"strings"

	"github.com/packagefs/packagefs/pkgindex/dirwatch"
	"github.com/packagefs/packagefs/pkgindex/pkgmeta"
	"github.com/packagefs/packagefs/pkgindex/pkgpath"
	"github.com/packagefs/packagefs/pkgindex/relation"
	"github.com/packagefs/packagefs/pkgindex/tomlfile"
	"github.com/packagefs/packagefs/pkgindex/version"
)

// An override file, NAME.toml or NAME=VERSION.toml in the overrides directory,
// declares what a package's maintainer scripts would have done, or mends its
// metadata. The keys are those of this struct.
type override struct {
	Links       map[string]string `toml:"links"`        // path → symlink target, verbatim
	Mutable     []string          `toml:"mutable"`      // globs of paths that users may change
	Provides    []string          `toml:"provides"`     // relations as in Debian
	Depends     []string          `toml:"depends"`      // clauses, with alternatives
	DropDepends []string          `toml:"drop-depends"` // names; every clause that names one goes
	Launchers   any               `toml:"launchers"`    // false, or globs of where launchers may stand
	Programs    []string          `toml:"programs"`     // globs of the programs that users start
	Services    []string          `toml:"services"`     // systemd units that are enabled

	// Alternatives has, by path, symlink targets of which a tree has one.
	Alternatives map[string][]string `toml:"alternatives"`

	file         string // base name
	provides     []relation.Term
	depends      []relation.Clause
	mutable      pkgpath.Globs
	programs     pkgpath.Globs // nil where the file leaves the choice
	shown        pkgpath.Globs // likewise
	extra        *Index
	alternatives []Alternative
}

const (
	overrideSuffix  = ".toml"
	maxOverrideSize = 1 << 20
)

// readOverride reads and checks an override file.
func readOverride(file string, aliases pkgpath.Aliases) (*override, error) {
	data, err := dirwatch.ReadComplete(file, maxOverrideSize+1, 0)
	if err != nil {
		return nil, err
	}
	if len(data) > maxOverrideSize {
		return nil, fmt.Errorf("larger than %d bytes", maxOverrideSize)
	}
	return parseOverride(path.Base(file), data, aliases)
}

func parseOverride(base string, data []byte, aliases pkgpath.Aliases) (*override, error) {
	o := &override{file: base}
	if err := tomlfile.Decode(data, o); err != nil {
		return nil, err
	}
	if _, err := pkgmeta.ParseRef(strings.TrimSuffix(base, overrideSuffix)); err != nil {
		return nil, fmt.Errorf("its name must be NAME.toml or NAME=VERSION.toml: %w", err)
	}
	for _, s := range o.Provides {
		clauses, err := relation.ParseDebian(s, "")
		if err != nil {
			return nil, fmt.Errorf("provides %q: %w", s, err)
		}
		for _, c := range clauses {
			if len(c) != 1 || c[0].Op != version.OpAny && c[0].Op != version.OpEqual {
				return nil, fmt.Errorf("provides %q: want NAME or NAME (= VERSION)", s)
			}
			o.provides = append(o.provides, c[0])
		}
	}
	for _, s := range o.Depends {
		clauses, err := relation.ParseDebian(s, "")
		if err != nil {
			return nil, fmt.Errorf("depends %q: %w", s, err)
		}
		o.depends = append(o.depends, clauses...)
	}
	var err error
	if o.mutable, err = pkgpath.ParseGlobs("mutable", o.Mutable); err != nil {
		return nil, err
	}
	if o.programs, err = parseLaunchers(o.Launchers); err != nil {
		return nil, err
	}
	if o.shown, err = pkgpath.ParseGlobs("programs", o.Programs); err != nil {
		return nil, err
	}
	for _, unit := range o.Services {
		if !pkgmeta.IsUnit(unit) {
			return nil, fmt.Errorf("services %q: not the name of a systemd unit such as ssh.service", unit)
		}
	}
	if o.alternatives, err = o.parseAlternatives(aliases); err != nil {
		return nil, err
	}
	return o, o.buildLinks(aliases)
}

// buildLinks makes the index that brings the links.
func (o *override) buildLinks(aliases pkgpath.Aliases) error {
	if len(o.Links) == 0 {
		return nil
	}
	b := newBuilder(aliases)
	var paths []string
	for p := range o.Links {
		paths = append(paths, p)
	}
	slices.Sort(paths)
	for _, p := range paths {
		target := o.Links[p]
		rel, err := linkPath("links", p, target)
		if err != nil {
			return err
		}
		for q := path.Dir(p); q != "/"; q = path.Dir(q) {
			if _, ok := o.Links[q]; ok {
				return fmt.Errorf("links %q: lies below the link %q", p, q)
			}
		}
		if err := b.add(pkgmeta.Entry{Path: rel, Type: pkgmeta.Symlink, Mode: 0o777, Target: target}, 0, [32]byte{}); err != nil {
			return fmt.Errorf("links: %w", err)
		}
	}
	o.extra = b.index()
	return nil
}

// linkPath checks path and target of a symlink, and returns the path relative.
func linkPath(key, p, target string) (string, error) {
	rel := strings.TrimPrefix(p, "/")
	switch {
	case !pkgpath.IsClean(p):
		return "", fmt.Errorf("%s %q: not a clean absolute path", key, p)
	case target == "" || len(target) > 4095 || strings.Contains(target, "\x00"):
		return "", fmt.Errorf("%s %q: its target must have 1 to 4095 bytes", key, p)
	}
	return rel, nil
}

// apply returns the package with the override applied; a nil override changes
// nothing.
func (o *override) apply(imp *imported) *Package {
	p := &Package{Meta: imp.meta, ID: packageID(imp.meta), File: path.Base(imp.path), imported: imp}
	if o == nil {
		return p
	}
	p.Override, p.extra, p.marks, p.programs = o.file, o.extra, o.mutable, o.programs
	p.shown, p.enabled = o.shown, o.Services
	p.Provides = slices.Concat(p.Provides, o.provides)
	p.Depends = slices.Concat(slices.DeleteFunc(slices.Clone(p.Depends), func(c relation.Clause) bool {
		return slices.ContainsFunc(c, func(t relation.Term) bool { return slices.Contains(o.DropDepends, t.Name) })
	}), o.depends)
	return p
}
