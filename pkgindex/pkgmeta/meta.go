package pkgmeta

import (
	"github.com/packagefs/packagefs/pkgindex/relation"
	"github.com/packagefs/packagefs/pkgindex/version"
)

// A Format is a kind of package file.
type Format string

const (
	Deb  Format = "deb"
	Apk  Format = "apk"
	Arch Format = "arch"
	Rpm  Format = "rpm"
	Pfs  Format = "pfs"
)

// Meta is what a package file says of itself, in the terms of Debian policy.
type Meta struct {
	Ref
	Architecture string // as the format writes it: amd64, all, x86_64, noarch, any
	Format       Format
	Scheme       version.Scheme // how Version and the versions of its relations are ordered
	Summary      string         // one line
	Description  string         // the rest of the description, or empty
	Homepage     string
	Maintainer   string
	License      string

	Depends   []relation.Clause // all of these clauses must hold; pre-depends are among them
	Provides  []relation.Term   // virtual packages; Op is OpEqual, or OpAny without a version
	Conflicts []relation.Term   // conflicts and breaks
	Replaces  []relation.Term

	// Services are systemd units (ssh.service) and init scripts (init.d/ssh), sorted.
	// The index builder adds those that it finds by ServiceOf.
	Services []string

	MultiArch  string // Debian's Multi-Arch: same, foreign, allowed or empty
	Essential  bool
	SourceName string // the source package, where the format tells
}
