package format

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/packagefs/packagefs/pkgindex/pkgmeta"
	"github.com/packagefs/packagefs/pkgindex/relation"
	"github.com/packagefs/packagefs/pkgindex/version"
)

// Tags of the main header.
const (
	rpmTagName         = 1000
	rpmTagVersion      = 1001
	rpmTagRelease      = 1002
	rpmTagEpoch        = 1003
	rpmTagSummary      = 1004
	rpmTagDescription  = 1005
	rpmTagVendor       = 1011
	rpmTagLicense      = 1014
	rpmTagPackager     = 1015
	rpmTagURL          = 1020
	rpmTagArch         = 1022
	rpmTagSourceRPM    = 1044
	rpmTagProvideName  = 1047
	rpmTagRequireFlags = 1048
	rpmTagRequireName  = 1049
	rpmTagRequireVers  = 1050
	rpmTagConflictFl   = 1053
	rpmTagConflictName = 1054
	rpmTagConflictVers = 1055
	rpmTagObsoleteName = 1090
	rpmTagProvideFlags = 1112
	rpmTagProvideVers  = 1113
	rpmTagObsoleteFl   = 1114
	rpmTagObsoleteVers = 1115
	rpmTagSourcePkg    = 1106
)

// rpmMeta turns the header's tags into metadata. Of weak dependencies nothing is
// kept, nor of requirements that only maintainer scripts have, which are not run.
func rpmMeta(h *rpmHeader, files *rpmFiles) (pkgmeta.Meta, error) {
	t := &tagReader{h: h}
	m := pkgmeta.Meta{
		Ref:          pkgmeta.Ref{Name: t.text(rpmTagName), Version: rpmVersion(t)},
		Architecture: t.text(rpmTagArch),
		Format:       pkgmeta.Rpm,
		Scheme:       version.Rpm,
		Summary:      oneLine(t.text(rpmTagSummary)),
		Description:  strings.ToValidUTF8(t.text(rpmTagDescription), "\uFFFD"),
		Homepage:     oneLine(t.text(rpmTagURL)),
		License:      oneLine(t.text(rpmTagLicense)),
		Maintainer:   oneLine(t.text(rpmTagPackager)),
		SourceName:   rpmSourceName(t.text(rpmTagSourceRPM)),
	}
	if m.Maintainer == "" {
		m.Maintainer = oneLine(t.text(rpmTagVendor))
	}
	if h.has(rpmTagSourcePkg) {
		return m, errors.New("it is a source package; build it first, for example with rpmbuild --rebuild")
	}
	if t.err != nil {
		return m, t.err
	}
	if err := addRequires(&m, h, files); err != nil {
		return m, fmt.Errorf("requires: %w", err)
	}
	provides := func(name string, flags uint64, evr string) error {
		term, err := rpmTerm(name, flags, evr)
		if term.Op != version.OpEqual { // a range is kept as any version
			term.Op, term.Version = version.OpAny, ""
		}
		if term.Name != m.Name || term.Version != m.Version {
			m.Provides = append(m.Provides, term)
		}
		return err
	}
	if err := eachRpmRelation(h, rpmTagProvideName, rpmTagProvideFlags, rpmTagProvideVers, provides); err != nil {
		return m, fmt.Errorf("provides: %w", err)
	}
	provideFiles(&m, files)
	into := func(list *[]relation.Term) func(string, uint64, string) error {
		return func(name string, flags uint64, evr string) error {
			if strings.HasPrefix(name, "(") {
				return nil // no single package is against it
			}
			term, err := rpmTerm(name, flags, evr)
			*list = append(*list, term)
			return err
		}
	}
	if err := eachRpmRelation(h, rpmTagConflictName, rpmTagConflictFl, rpmTagConflictVers, into(&m.Conflicts)); err != nil {
		return m, fmt.Errorf("conflicts: %w", err)
	}
	if err := eachRpmRelation(h, rpmTagObsoleteName, rpmTagObsoleteFl, rpmTagObsoleteVers, into(&m.Replaces)); err != nil {
		return m, fmt.Errorf("obsoletes: %w", err)
	}
	return m, nil
}

// rpmVersion is EPOCH:VERSION-RELEASE.
func rpmVersion(t *tagReader) string {
	version := t.text(rpmTagVersion)
	if release := t.text(rpmTagRelease); release != "" && version != "" {
		version += "-" + release
	}
	if epoch := t.ints(rpmTagEpoch); epoch.len() > 0 && version != "" {
		version = strconv.FormatUint(epoch.at(0), 10) + ":" + version
	}
	return version
}

func oneLine(s string) string {
	return strings.Join(strings.Fields(strings.ToValidUTF8(s, "\uFFFD")), " ")
}

// rpmSourceName takes version and release off the name of a source package's
// file.
func rpmSourceName(file string) string {
	name, ok := strings.CutSuffix(file, ".src.rpm")
	if !ok {
		name = strings.TrimSuffix(file, ".nosrc.rpm")
	}
	for range 2 {
		if i := strings.LastIndexByte(name, '-'); i > 0 {
			name = name[:i]
		}
	}
	return oneLine(name)
}

// eachRpmRelation calls do with each relation of three parallel lists.
func eachRpmRelation(h *rpmHeader, names, flags, versions uint32, do func(name string, flags uint64, evr string) error) error {
	t := &tagReader{h: h}
	n, f, v := t.texts(names), t.ints(flags), t.texts(versions)
	t.check((f.len() == len(n) || f.len() == 0) && (len(v) == len(n) || v == nil), "its relations are of unequal number")
	if t.err != nil {
		return t.err
	}
	for i, name := range n {
		var flag uint64
		version := ""
		if f.len() > 0 {
			flag = f.at(i)
		}
		if v != nil {
			version = v[i]
		}
		if err := do(name, flag, version); err != nil {
			return err
		}
	}
	return nil
}

// addRequires leaves out what rpm itself must be able to do, and files that the
// package brings.
func addRequires(m *pkgmeta.Meta, h *rpmHeader, files *rpmFiles) error {
	seen := make(map[relation.Term]bool)
	return eachRpmRelation(h, rpmTagRequireName, rpmTagRequireFlags, rpmTagRequireVers, func(name string, flags uint64, evr string) error {
		if flags&(rpmOfRpm|rpmWeak) != 0 || strings.HasPrefix(name, "rpmlib(") || flags&rpmScripts != 0 && flags&rpmFindRequires == 0 {
			return nil
		}
		if strings.HasPrefix(name, "(") {
			clauses, err := parseRich(name)
			m.Depends = append(m.Depends, clauses...)
			return err
		}
		term, err := rpmTerm(name, flags, evr)
		if err != nil {
			return err
		}
		if seen[term] || files.has(term.Name) {
			return nil
		}
		seen[term] = true
		m.Depends = append(m.Depends, relation.Clause{term})
		return nil
	})
}

// provideFiles adds the paths that other packages may require: programs and
// what is in /etc. Repositories list the same ones as primary.
func provideFiles(m *pkgmeta.Meta, files *rpmFiles) {
	have := make(map[string]bool, len(m.Provides))
	for _, t := range m.Provides {
		have[t.Name] = true
	}
	var paths []string
	for i := range files.paths {
		p := "/" + files.paths[i]
		if files.isDir(i) || !strings.Contains(p, "bin/") && !strings.HasPrefix(p, "/etc/") && p != "/usr/lib/sendmail" {
			continue
		}
		if p = rpmName(p); !have[p] && len(p) <= relation.MaxName {
			have[p] = true
			paths = append(paths, p)
		}
	}
	slices.Sort(paths)
	for _, p := range paths {
		m.Provides = append(m.Provides, relation.Term{Name: p})
	}
}
