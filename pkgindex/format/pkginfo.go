package format

import (
	"encoding/hex"
	"fmt"
	"strings"

	"github.com/packagefs/packagefs/pkgindex/pkgmeta"
	"github.com/packagefs/packagefs/pkgindex/relation"
	"github.com/packagefs/packagefs/pkgindex/version"
)

// pkginfo reads a .PKGINFO file, the lines "key = value" of Alpine and Arch,
// and hands each on.
func pkginfo(text []byte, set func(key, value string) error) error {
	number := 0
	for line := range strings.SplitSeq(strings.ToValidUTF8(string(text), "\uFFFD"), "\n") {
		number++
		line = strings.TrimSpace(line)
		if line == "" || line[0] == '#' {
			continue
		}
		key, value, ok := strings.Cut(line, "=")
		if !ok {
			return fmt.Errorf(".PKGINFO: line %d: want KEY = VALUE", number)
		}
		if err := set(strings.TrimSpace(key), strings.TrimSpace(value)); err != nil {
			return fmt.Errorf(".PKGINFO: line %d: %w", number, err)
		}
	}
	return nil
}

// apkMeta reads Alpine's .PKGINFO. datahash is nil where there is none.
func apkMeta(text []byte) (m pkgmeta.Meta, datahash []byte, err error) {
	m = pkgmeta.Meta{Format: pkgmeta.Apk, Scheme: version.Alpine}
	var packager string
	err = pkginfo(text, func(key, value string) (err error) {
		switch key {
		case "pkgname":
			m.Name = value
		case "pkgver":
			m.Version = value
		case "arch":
			m.Architecture = value
		case "pkgdesc":
			m.Summary = value
		case "url":
			m.Homepage = value
		case "license":
			m.License = value
		case "origin":
			m.SourceName = value
		case "maintainer":
			m.Maintainer = value
		case "packager":
			packager = value
		case "datahash":
			datahash, err = hex.DecodeString(value)
			if err == nil && len(datahash) != 32 {
				err = fmt.Errorf("datahash %q is no SHA-256", value)
			}
		case "depend", "provides", "replaces", "conflict":
			for text := range strings.FieldsSeq(value) {
				if err := addAlpine(&m, key, text); err != nil {
					return fmt.Errorf("%s: %w", key, err)
				}
			}
		}
		return err
	})
	if m.Maintainer == "" {
		m.Maintainer = packager
	}
	return m, datahash, err
}

// addAlpine adds one relation of .PKGINFO's key.
func addAlpine(m *pkgmeta.Meta, key, text string) error {
	t, conflict, err := relation.ParseAlpine(text)
	if err != nil {
		return err
	}
	switch {
	case key == "conflict" || key == "depend" && conflict:
		m.Conflicts = append(m.Conflicts, t)
	case conflict:
		return fmt.Errorf("%q: ! is not allowed here", text)
	case key == "depend":
		m.Depends = append(m.Depends, relation.Clause{t})
	case key == "replaces":
		m.Replaces = append(m.Replaces, t)
	default:
		return addProvides(m, t)
	}
	return nil
}

// addProvides adds a virtual package, whose version can only be an equal one.
func addProvides(m *pkgmeta.Meta, t relation.Term) error {
	if t.Op != version.OpAny && t.Op != version.OpEqual {
		return fmt.Errorf("%q: only = is allowed here", t)
	}
	m.Provides = append(m.Provides, t)
	return nil
}

// archMeta reads pacman's .PKGINFO. backup are the paths of the files that
// users change.
func archMeta(text []byte, limits Limits) (m pkgmeta.Meta, backup map[string]bool, err error) {
	m = pkgmeta.Meta{Format: pkgmeta.Arch, Scheme: version.Pacman}
	backup = make(map[string]bool)
	var licenses []string
	err = pkginfo(text, func(key, value string) error {
		switch key {
		case "pkgname":
			m.Name = value
		case "pkgbase":
			m.SourceName = value
		case "pkgver":
			m.Version = value
		case "arch":
			m.Architecture = value
		case "pkgdesc":
			m.Summary = value
		case "url":
			m.Homepage = value
		case "packager":
			m.Maintainer = value
		case "license":
			licenses = append(licenses, value)
		case "backup":
			p, err := cleanPath(value, limits)
			if err != nil {
				return fmt.Errorf("backup %q: %w", value, err)
			}
			backup[p] = true
		case "depend", "conflict", "provides", "replaces":
			if err := addPacman(&m, key, value); err != nil {
				return fmt.Errorf("%s: %w", key, err)
			}
		}
		return nil
	})
	m.License = strings.Join(licenses, ", ")
	return m, backup, err
}

// addPacman adds one relation of .PKGINFO's key.
func addPacman(m *pkgmeta.Meta, key, text string) error {
	t, err := relation.ParsePacman(text)
	if err != nil {
		return err
	}
	switch key {
	case "depend":
		m.Depends = append(m.Depends, relation.Clause{t})
	case "conflict":
		m.Conflicts = append(m.Conflicts, t)
	case "replaces":
		m.Replaces = append(m.Replaces, t)
	default:
		return addProvides(m, t)
	}
	return nil
}
