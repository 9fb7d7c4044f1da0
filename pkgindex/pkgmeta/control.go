package pkgmeta

import (
	"fmt"
	"strings"

	"github.com/packagefs/packagefs/pkgindex/relation"
	"github.com/packagefs/packagefs/pkgindex/version"
)

// ParseControl reads the one paragraph of a Debian control file. Field names
// become lower case; the lines that continue a value are kept as they are.
func ParseControl(text []byte) (map[string]string, error) {
	fields := make(map[string]string)
	var name string
	var value []string
	store := func() {
		if name != "" {
			fields[name] = strings.Join(value, "\n")
		}
	}
	ended, number := false, 0
	for line := range strings.SplitSeq(strings.ToValidUTF8(string(text), "\uFFFD"), "\n") {
		number++
		line = strings.TrimRight(line, " \t\r")
		switch {
		case line == "":
			ended = name != ""
			continue
		case line[0] == '#':
			continue
		case ended:
			return nil, fmt.Errorf("line %d begins a second paragraph", number)
		case line[0] == ' ' || line[0] == '\t':
			if name == "" {
				return nil, fmt.Errorf("line %d continues a field, but there is none before it", number)
			}
			value = append(value, line)
			continue
		}
		store()
		field, rest, ok := strings.Cut(line, ":")
		name, value = strings.ToLower(field), []string{strings.TrimSpace(rest)}
		if !ok || name == "" || strings.ContainsAny(name, " \t") {
			return nil, fmt.Errorf("line %d is no field: want NAME: VALUE", number)
		}
		if _, twice := fields[name]; twice {
			return nil, fmt.Errorf("line %d has the field %s a second time", number, field)
		}
	}
	store()
	return fields, nil
}

// FromControl turns control fields into metadata.
func FromControl(fields map[string]string) (Meta, error) {
	m := Meta{
		Ref:          Ref{fields["package"], fields["version"]},
		Architecture: fields["architecture"],
		Format:       Deb,
		Scheme:       version.Debian,
		Homepage:     fields["homepage"],
		Maintainer:   fields["maintainer"],
		MultiArch:    fields["multi-arch"],
		Essential:    strings.EqualFold(fields["essential"], "yes"),
	}
	m.Summary, m.Description = debDescription(fields["description"])
	// "Source: name (version)" where the versions differ.
	m.SourceName, _, _ = strings.Cut(fields["source"], " ")
	for _, field := range [...]string{"pre-depends", "depends"} {
		clauses, err := relation.ParseDebian(fields[field], m.Architecture)
		if err != nil {
			return m, fmt.Errorf("%s: %w", field, err)
		}
		m.Depends = append(m.Depends, clauses...)
	}
	for _, list := range [...]struct {
		field string
		into  *[]relation.Term
	}{
		{"provides", &m.Provides}, {"conflicts", &m.Conflicts}, {"breaks", &m.Conflicts}, {"replaces", &m.Replaces},
	} {
		clauses, err := relation.ParseDebian(fields[list.field], m.Architecture)
		if err != nil {
			return m, fmt.Errorf("%s: %w", list.field, err)
		}
		for _, c := range clauses {
			if len(c) != 1 {
				return m, fmt.Errorf("%s: %q: alternatives are not allowed here", list.field, c)
			}
			if list.field == "provides" && c[0].Op != version.OpAny && c[0].Op != version.OpEqual {
				return m, fmt.Errorf("%s: %q: only = is allowed here", list.field, c)
			}
			*list.into = append(*list.into, c[0])
		}
	}
	return m, nil
}

// debDescription splits a Description field: the first line, and the rest with
// its one space of indent taken off and its lone dots made empty lines.
func debDescription(value string) (summary, rest string) {
	summary, rest, _ = strings.Cut(value, "\n")
	if rest == "" {
		return summary, ""
	}
	text := strings.Split(rest, "\n")
	for i, line := range text {
		if line = line[1:]; line == "." {
			line = ""
		}
		text[i] = line
	}
	return summary, strings.Join(text, "\n")
}
