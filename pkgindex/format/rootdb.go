package format

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/packagefs/packagefs/pkgindex/pkgmeta"
	"github.com/packagefs/packagefs/pkgindex/version"
)

// A RootDatabase is where a root file system keeps what its own package manager
// has installed.
type RootDatabase struct {
	Kind string // dpkg, apk or pacman
	Root string // the root directory
}

// ParseRootDatabase reads KIND[:ROOT], where ROOT is / by default.
func ParseRootDatabase(s string) (RootDatabase, error) {
	kind, root, given := strings.Cut(s, ":")
	d := RootDatabase{kind, root}
	switch {
	case rootDatabases[kind].path == "":
		return d, fmt.Errorf("%q is no package manager: want dpkg, apk or pacman, and maybe :ROOT", kind)
	case !given:
		d.Root = "/"
	case !filepath.IsAbs(root):
		return d, fmt.Errorf("%q is not an absolute path of a root directory", root)
	}
	return d, nil
}

// UnmarshalText is ParseRootDatabase, for flags.
func (d *RootDatabase) UnmarshalText(text []byte) (err error) {
	*d, err = ParseRootDatabase(string(text))
	return err
}

func (d RootDatabase) String() string { return d.Kind + ":" + d.Root }

// rootDatabases are what the package managers keep, and how it is read.
var rootDatabases = map[string]struct {
	path string
	read func(string) ([]pkgmeta.Meta, error)
}{
	"dpkg":   {"var/lib/dpkg/status", readDpkgStatus},
	"apk":    {"lib/apk/db/installed", readApkInstalled},
	"pacman": {"var/lib/pacman/local", readPacmanLocal},
}

// Path is the file or directory that holds the database.
func (d RootDatabase) Path() string {
	return filepath.Join(d.Root, rootDatabases[d.Kind].path)
}

// Read returns what the packages say of themselves that are installed in the root.
func (d RootDatabase) Read() ([]pkgmeta.Meta, error) {
	all, err := rootDatabases[d.Kind].read(d.Path())
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("packages of %s: %w; is %s the root of a system that %s manages?", d, err, d.Root, d.Kind)
	}
	if err != nil {
		return nil, fmt.Errorf("packages of %s: %w", d, err)
	}
	return all, nil
}

// readDpkgStatus reads dpkg's status file. Packages that are there in part, or
// whose configuration files alone are left, do not count.
func readDpkgStatus(file string) (all []pkgmeta.Meta, err error) {
	f, err := os.Open(file)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	err = readControl(f, func(fields map[string]string) (bool, error) {
		if words := strings.Fields(fields["status"]); len(words) != 3 || words[2] != "installed" && !strings.HasPrefix(words[2], "triggers-") {
			return true, nil
		}
		m, err := pkgmeta.FromControl(fields)
		if err == nil {
			err = checkMeta(m)
		}
		if err != nil {
			return false, fmt.Errorf("package %q: %w", fields["package"], err)
		}
		all = append(all, m)
		return true, nil
	})
	if err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	return all, nil
}

// readApkInstalled reads apk's database: a paragraph a package, lines "K:value".
func readApkInstalled(file string) (all []pkgmeta.Meta, err error) {
	f, err := os.Open(file)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	err = paragraphs(bufio.NewReader(f), func(paragraph []byte) (bool, error) {
		m, err := apkInstalled(string(paragraph))
		if err != nil {
			return false, err
		}
		all = append(all, m)
		return true, nil
	})
	if err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	return all, nil
}

// apkKeys are the keys of apk's database that relate packages, and what
// .PKGINFO calls them.
var apkKeys = map[string]string{"D": "depend", "p": "provides", "r": "replaces"}

func apkInstalled(paragraph string) (pkgmeta.Meta, error) {
	m := pkgmeta.Meta{Format: pkgmeta.Apk, Scheme: version.Alpine}
	for line := range strings.Lines(paragraph) {
		key, value, _ := strings.Cut(strings.TrimRight(line, "\r\n"), ":")
		switch key {
		case "P":
			m.Name = value
		case "V":
			m.Version = value
		case "A":
			m.Architecture = value
		case "T":
			m.Summary = value
		case "o":
			m.SourceName = value
		case "D", "p", "r":
			for text := range strings.FieldsSeq(value) {
				if err := addAlpine(&m, apkKeys[key], text); err != nil {
					return m, fmt.Errorf("package %q: %w", m.Name, err)
				}
			}
		}
	}
	return m, checkMeta(m)
}

// readPacmanLocal reads pacman's database: a directory a package, and in each a
// file desc.
func readPacmanLocal(dir string) ([]pkgmeta.Meta, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	var all []pkgmeta.Meta
	for _, e := range entries {
		if !e.IsDir() {
			continue // ALPM_DB_VERSION
		}
		file := filepath.Join(dir, e.Name(), "desc")
		m, err := readPacmanDesc(file)
		if errors.Is(err, fs.ErrNotExist) {
			continue // removed since the directory was listed
		}
		if err != nil {
			return nil, fmt.Errorf("%s: %w", file, err)
		}
		all = append(all, m)
	}
	return all, nil
}

// maxDesc bounds a desc file, in bytes.
const maxDesc = 1 << 20

// pacmanKeys are the keys of a desc file that relate packages, and what .PKGINFO
// calls them.
var pacmanKeys = map[string]string{
	"%DEPENDS%": "depend", "%CONFLICTS%": "conflict", "%PROVIDES%": "provides", "%REPLACES%": "replaces",
}

// readPacmanDesc reads a desc file: a key in a line between percent signs, its
// values in the lines that follow, and a blank line.
func readPacmanDesc(file string) (pkgmeta.Meta, error) {
	m := pkgmeta.Meta{Format: pkgmeta.Arch, Scheme: version.Pacman}
	f, err := os.Open(file)
	if err != nil {
		return m, err
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, maxDesc+1))
	if err != nil {
		return m, err
	}
	if len(text) > maxDesc {
		return m, fmt.Errorf("has more than %d bytes", maxDesc)
	}
	key := ""
	for line := range strings.Lines(string(text)) {
		line = strings.TrimSpace(line)
		switch {
		case line == "":
			key = ""
			continue
		case key == "":
			key = line
			continue
		}
		if pkginfoKey := pacmanKeys[key]; pkginfoKey != "" {
			if err := addPacman(&m, pkginfoKey, line); err != nil {
				return m, err
			}
			continue
		}
		switch key {
		case "%NAME%":
			m.Name = line
		case "%VERSION%":
			m.Version = line
		case "%ARCH%":
			m.Architecture = line
		case "%DESC%":
			m.Summary = line
		case "%BASE%":
			m.SourceName = line
		}
	}
	return m, checkMeta(m)
}
