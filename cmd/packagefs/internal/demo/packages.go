package demo

import (
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/packagefs/packagefs/pkgindex/format/mkpkg"
)

// A Package is one package file of the demonstration.
type Package struct {
	File   string
	format func(io.Writer, mkpkg.Spec) error
	spec   mkpkg.Spec
}

// script makes a member that is a program.
func script(path, body string) mkpkg.File {
	return mkpkg.File{Path: path, Mode: 0o755, Body: "#!/bin/sh\n" + body + "\n"}
}

// Packages are what is there from the beginning. Versions of different formats cannot
// be compared, so each tool and its Python
// are of one format; what is asked for without a version may be of another.
var Packages = []Package{
	{"python_3.11.2-6_all.deb", mkpkg.Deb, mkpkg.Spec{
		Name: "python", Version: "3.11.2-6", Summary: "Debian: Python 3",
		Files: []mkpkg.File{
			script("usr/bin/python3.11", "echo Python 3.11.2"),
			{Path: "usr/bin/python", Target: "python3.11"},
		},
	}},
	{"report-tool_2.0-1_all.deb", mkpkg.Deb, mkpkg.Spec{
		Name: "report-tool", Version: "2.0-1", Summary: "Debian: needs python >= 3, and report-fonts",
		Depends: []string{"python (>= 3)", "report-fonts"},
		Files: []mkpkg.File{
			script("usr/bin/report-tool", "echo A report, made with $(/usr/bin/python)"),
			{Path: "etc/report-tool.conf", Body: "paper = a4\n", Conffile: true},
		},
	}},
	{"report-fonts-1.3-1-any.pkg.tar.zst", mkpkg.Arch, mkpkg.Spec{
		Name: "report-fonts", Version: "1.3-1", Summary: "Arch: fonts for reports",
		Compression: mkpkg.Zstd,
		Files:       []mkpkg.File{{Path: "usr/share/fonts/report.bdf", Body: "STARTFONT 2.1\nENDFONT\n"}},
	}},
	{"python-2.7.18-r8.apk", mkpkg.Apk, mkpkg.Spec{
		Name: "python", Version: "2.7.18-r8", Summary: "Alpine: Python 2",
		Files: []mkpkg.File{
			script("usr/bin/python2.7", "echo Python 2.7.18"),
			{Path: "usr/bin/python", Target: "python2.7"},
		},
	}},
	{"legacy-tool-0.9-r4.apk", mkpkg.Apk, mkpkg.Spec{
		Name: "legacy-tool", Version: "0.9-r4", Summary: "Alpine: needs python < 3",
		Depends: []string{"python<3"},
		Files:   []mkpkg.File{script("usr/bin/legacy-tool", "echo Still here, with $(/usr/bin/python)")},
	}},
}

// Hello is dropped in later.
var Hello = Package{"hello_2.10-3_all.deb", mkpkg.Deb, mkpkg.Spec{
	Name: "hello", Version: "2.10-3", Summary: "Debian: says hello",
	Files: []mkpkg.File{script("usr/bin/hello", "echo Hello, world!")},
}}

// Write makes the package file in dir, and gives its size.
func (p *Package) Write(dir string) (size int64, err error) {
	f, err := os.Create(filepath.Join(dir, p.File))
	if err != nil {
		return 0, err
	}
	defer f.Close()
	if err := p.format(f, p.spec); err != nil {
		return 0, fmt.Errorf("demo: %w", err)
	}
	if size, err = f.Seek(0, io.SeekCurrent); err != nil {
		return 0, err
	}
	return size, f.Close()
}
