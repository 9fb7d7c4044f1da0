package server

import "encoding/json"

// The query file of the control directory answers one question each time that
// it is opened: the client writes one Query as a JSON object, and reads one
// Answer as a JSON object until the end of the file. What the caller may not
// see is missing from every answer as it is from the tree.

// The values of Query.Op.
const (
	OpPackages = "packages" // Result is []PackageRow
	OpInfo     = "info"     // Package; Result is []Info
	OpFiles    = "files"    // Package; Result is []FileRow
	OpOwns     = "owns"     // Path, Context; Result is []Owner
	OpExplain  = "explain"  // Context; Result is Explain, or PathExplain if Path is given
	OpContexts = "contexts" // Result is []ContextRow
	OpStatus   = "status"   // Result is Status
	OpCheck    = "check"    // Result is []CheckRow
	OpEdits    = "edits"    // Context; Result is []EditRow
	OpEditDiff = "editdiff" // Context, Path; Result is EditDiff
	OpVerify   = "verify"   // Package; Result is []VerifyRow
	OpInstall  = "install"  // Path, the name of the directory; Result is InstallStatus
	OpRemoval  = "removal"  // Packages; Result is Removal
	OpGarbage  = "garbage"  // Result is []GarbageRow
	OpUnused   = "unused"   // Result is []PackageRow
)

// A Query is one question. Fields that its operation does not name are ignored.
type Query struct {
	Op      string `json:"op"`
	Context string `json:"context,omitempty"` // an attach name; empty is the caller's own context
	Package string `json:"package,omitempty"` // a selector: NAME or NAME=VERSION
	Path    string `json:"path,omitempty"`    // in the tree, with or without a leading slash

	Packages []string `json:"packages,omitempty"` // selectors
}

// An Answer holds the result, or why there is none.
type Answer struct {
	Error  string          `json:"error,omitempty"` // in words; empty if the query succeeded
	Errno  uint32          `json:"errno,omitempty"` // Linux error number that goes with Error, or 0
	Result json.RawMessage `json:"result,omitempty"`
}

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

// The values of ContextRow.State.
const (
	ContextOK    = "ok"
	ContextKept  = "kept"  // the file has an error and keeps its last good meaning
	ContextError = "error" // the file has an error and never had a good meaning
)

// A ContextRow is one context that the caller may attach to and that has a
// file or a group's members, by name.
type ContextRow struct {
	Context  string   `json:"context"` // an attach name, or "system"
	File     string   `json:"file,omitempty"`
	State    string   `json:"state"`
	Reason   string   `json:"reason,omitempty"`
	Toplevel []string `json:"toplevel"`          // as the file has them
	Members  []string `json:"members,omitempty"` // of a group
	Public   bool     `json:"public"`            // peers that nobody vouches for may attach
}

// An Explain tells what a context sees and why.
type Explain struct {
	Context      string           `json:"context"`
	Reason       string           `json:"reason,omitempty"` // why nobody can attach; then there are no packages
	Dependencies string           `json:"dependencies"`     // hidden or visible
	Mutable      string           `json:"mutable"`          // own or none
	Rules        []ExplainRule    `json:"rules"`
	Roots        []string         `json:"roots"`    // toplevel packages, name=version
	Packages     []ExplainPackage `json:"packages"` // in the view's order
	Missing      []ExplainMissing `json:"missing"`
	Conflicts    []Conflict       `json:"conflicts"`
	Errors       []ExplainError   `json:"errors,omitempty"` // of the context's files
}

// An ExplainError is what is wrong with a context file.
type ExplainError struct {
	File   string `json:"file"`
	Reason string `json:"reason"`
}

// An ExplainRule is one setting that took part, farthest first.
type ExplainRule struct {
	Key       string `json:"key"` // allow, deny, toplevel, pin, …
	Value     string `json:"value"`
	File      string `json:"file"`      // the context file that holds it; empty for a default
	Effective bool   `json:"effective"` // no nearer file sets the same
}

// An ExplainPackage is one package of the view.
type ExplainPackage struct {
	Package  string `json:"package"` // name=version
	Why      string `json:"why"`
	Toplevel bool   `json:"toplevel"`
}

// An ExplainMissing is one package that was asked for and is not in the view.
type ExplainMissing struct {
	Package string `json:"package"` // as it was asked for
	Reason  string `json:"reason"`
}

// A Conflict is one path that several packages of the view carry with
// different content.
type Conflict struct {
	Path   string   `json:"path"`
	Winner string   `json:"winner"` // name=version
	Losers []string `json:"losers"`
}

// A PathExplain tells of one path which package's file a context sees.
type PathExplain struct {
	Context string `json:"context"`
	Path    string `json:"path"`
	Type    string `json:"type"`
	Package string `json:"package"` // name=version; of a directory, the package that sets its attributes
	Why     string `json:"why"`
	Mutable bool   `json:"mutable"`
	Target  string `json:"target,omitempty"` // of a symlink

	// Launcher is set where a launcher is served: to the context that it runs
	// the file in.
	Launcher string `json:"launcher,omitempty"`

	Also  []string     `json:"also,omitempty"` // of a directory: other packages that contribute, name=version
	Hides []PathHidden `json:"hides"`
}

// A PathHidden is one package whose file at the path is not seen.
type PathHidden struct {
	Package string `json:"package"` // name=version
	Why     string `json:"why"`
}

// A Status is what the server says of itself.
type Status struct {
	Version     string   `json:"version"`
	Generation  uint64   `json:"generation"`
	Packages    int      `json:"packages"`
	Rejected    int      `json:"rejected"`
	Indexing    int      `json:"indexing"` // package files that are waiting or being read
	Listen      []string `json:"listen"`
	Uptime      int64    `json:"uptime"` // seconds
	Connections int      `json:"connections"`

	PackageDirs []PackageDir `json:"package_dirs"`
}

// An EditRow is a file of a package that a context has its own copy of, or that
// it hides.
type EditRow struct {
	Context string `json:"context"`
	Path    string `json:"path"`
	State   string `json:"state"`             // edited, outdated, orphaned or deleted
	From    string `json:"from,omitempty"`    // what it was copied from: name=version
	Package string `json:"package,omitempty"` // that has the file now: name=version
}

// An EditDiff compares an edited file as unified diffs: with what it was copied
// from, and that with what the package has now. Where what it was copied from was
// not kept, Mine compares with what the package has now.
type EditDiff struct {
	Mine   string `json:"mine"`
	Theirs string `json:"theirs,omitempty"`
}
