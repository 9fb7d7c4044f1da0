package pkgindex

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
	Scheme       Scheme // how Version and the versions of its relations are ordered
	Summary      string // one line
	Description  string // the rest of the description, or empty
	Homepage     string
	Maintainer   string
	License      string

	Depends    []Clause // all of these clauses must hold; pre-depends are among them
	Provides   []Term   // virtual packages; Op is OpEqual where a version is given, else OpAny
	Conflicts  []Term   // conflicts and breaks
	Replaces   []Term
	Services   []string // systemd units (ssh.service) and init scripts (init.d/ssh), sorted; the index builder finds them by ServiceOf
	MultiArch  string   // Debian's Multi-Arch: same, foreign, allowed or empty
	Essential  bool
	SourceName string // the source package, where the format tells
}

// An Op relates a version to the version that a Term names.
type Op string

const (
	OpAny          Op = ""   // any version
	OpEarlier      Op = "<<" // strictly earlier
	OpEarlierEqual Op = "<="
	OpEqual        Op = "="
	OpLaterEqual   Op = ">="
	OpLater        Op = ">>" // strictly later
	OpPrefix       Op = "~"  // Alpine's fuzzy match: the version begins with these components
)

// A Term is one package relation without alternatives: "libc6 (>= 2.36)".
type Term struct {
	Name    string
	Arch    string // Debian's qualifier behind a colon, mostly empty
	Op      Op
	Version string // empty where Op is OpAny
}

// A Clause is a list of alternatives, in order of preference: "a | b (>= 2)".
type Clause []Term

// A FileType says what a file is.
type FileType uint8

const (
	Regular FileType = iota
	Directory
	Symlink
	Fifo
)

// An Entry is one member of a package file's tree, as a format reader hands
// it on.
type Entry struct {
	Path     string // clean and relative: "usr/bin/env"; the tree's root is ""
	Type     FileType
	Mode     uint32 // permission bits with setuid, setgid and sticky: 07777 at most
	UID, GID uint32
	Size     int64 // in bytes, of a regular file
	Sec      int64 // modification time, seconds since 1970
	Nsec     uint32
	Target   string // of a symlink, verbatim
	HardLink string // Path of the earlier member that this is another name of, or empty
	Mutable  bool   // the format says that users change this file (conffile, backup)
	Xattrs   map[string]string
}
