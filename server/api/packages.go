package api

// The values of PackageRow.State.
const (
	StateInstalled = "installed" // its files are served
	StateDamaged   = "damaged"   // its files are served, but what is damaged for Reason is not
	StateRejected  = "rejected"  // the package file is set aside for Reason
)

// A PackageRow is one package or one rejected package file. The rows are the
// packages of the view of Query.Context, in the view's order; without a context
// they are those of all if the caller may attach to it, else of the caller's own.
// Where the view is that of all, callers who speak for everybody get the rejected
// files behind it, by file name; those may lack everything but File, State and
// Reason.
type PackageRow struct {
	Name         string `json:"name"`
	Version      string `json:"version"`
	Architecture string `json:"architecture"`
	Format       string `json:"format"` // deb, apk, arch, rpm or pfs
	File         string `json:"file"`   // base name of the package file
	State        string `json:"state"`
	Reason       string `json:"reason,omitempty"`
	Summary      string `json:"summary,omitempty"`
	Toplevel     bool   `json:"toplevel"`
	SignedBy     string `json:"signed_by,omitempty"` // the ID of the key that signed the package file, where that was checked
}

// An Info is all that is known of one package. Relations are written as Debian
// writes them: "libc6 (>= 2.36) | musl", one string a clause.
type Info struct {
	PackageRow
	Description string   `json:"description,omitempty"`
	Homepage    string   `json:"homepage,omitempty"`
	Maintainer  string   `json:"maintainer,omitempty"`
	License     string   `json:"license,omitempty"`
	Source      string   `json:"source,omitempty"`
	MultiArch   string   `json:"multi_arch,omitempty"`
	Essential   bool     `json:"essential,omitempty"`
	Depends     []string `json:"depends"`
	Provides    []string `json:"provides"`
	Conflicts   []string `json:"conflicts"`
	Replaces    []string `json:"replaces"`
	Services    []string `json:"services"` // systemd units and init scripts
	Files       int      `json:"files"`    // count of everything but directories
	Directories int      `json:"directories"`
	Size        int64    `json:"size"` // of all regular files, in bytes; a hard link counts once

	// Launchers counts the names that the context serves launchers at.
	Launchers int `json:"launchers,omitempty"`

	Signature *Signature `json:"signature,omitempty"` // where the package file's was checked
}

// A Signature tells who signed a package file.
type Signature struct {
	KeyID   string `json:"key_id"`
	Key     string `json:"key"`               // base name of the file that has the public key
	Comment string `json:"comment,omitempty"` // as the signer made it, and signed
}

// The values of FileRow.Type, Owner.Type and PathExplain.Type.
const (
	TypeFile      = "file"
	TypeDirectory = "directory"
	TypeSymlink   = "symlink"
	TypeFifo      = "fifo"
)

// A FileRow is one entry of one package's tree, ordered by path.
type FileRow struct {
	Path     string `json:"path"` // absolute in the tree: /usr/bin/env
	Type     string `json:"type"`
	Mode     uint32 `json:"mode"` // permission bits with setuid, setgid and sticky
	UID      uint32 `json:"uid"`
	GID      uint32 `json:"gid"`
	Size     int64  `json:"size"`               // in bytes, of a regular file; else 0
	MTime    int64  `json:"mtime"`              // seconds since 1970
	Target   string `json:"target,omitempty"`   // of a symlink
	HardLink string `json:"hardlink,omitempty"` // the path that this is another name of
	SHA256   string `json:"sha256,omitempty"`   // of a regular file, hexadecimal
	Mutable  bool   `json:"mutable"`
	Package  string `json:"package"` // name=version

	// Launcher is where the context has a launcher in the place of the file: the
	// context that it is run in. The other fields tell of the package's file.
	Launcher string `json:"launcher,omitempty"`
}

// An Owner is one package that carries a path. The one that the context sees
// comes first, the others follow in the order in which they would take its
// place.
type Owner struct {
	Package string `json:"package"` // name=version
	Path    string `json:"path"`
	Type    string `json:"type"`
	Visible bool   `json:"visible"` // the context sees this package's file
	Reason  string `json:"reason"`  // why it is or is not visible

	// Launcher is set where a launcher is served: to the context that it runs
	// the file in.
	Launcher string `json:"launcher,omitempty"`
}

// A CheckRow says whether the context of one package resolves. Rows are ordered
// by name, then newest version first, then architecture.
type CheckRow struct {
	Name         string `json:"name"`
	Version      string `json:"version"`
	Architecture string `json:"architecture"`
	OK           bool   `json:"ok"`
	Reason       string `json:"reason,omitempty"` // why it does not
}

// A VerifyRow says whether what the server has made of a package file is as it
// was made.
type VerifyRow struct {
	Package      string `json:"package"` // name=version
	Architecture string `json:"architecture"`
	OK           bool   `json:"ok"`
	Path         string `json:"path,omitempty"`   // of the first file that is damaged
	Reason       string `json:"reason,omitempty"` // what is wrong with it
	Damaged      int    `json:"damaged"`          // count of what is wrong
}
