package api

import "time"

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

// A ContextFile is a context file as it is written.
type ContextFile struct {
	Text   string `json:"text"` // where there is no file, what a new one begins with
	Exists bool   `json:"exists"`
}

// A Revision is one state of a context file.
type Revision struct {
	Revision int       `json:"revision"` // from 1 on
	Time     time.Time `json:"time"`
	By       string    `json:"by,omitempty"` // empty: by hand
	What     string    `json:"what"`
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
	Package string `json:"package"` // name=version; of a directory, the first that has it itself
	Why     string `json:"why"`
	Mutable bool   `json:"mutable"`
	Target  string `json:"target,omitempty"` // of a symlink

	// Launcher is set where a launcher is served: to the context that it runs
	// the file in.
	Launcher string `json:"launcher,omitempty"`

	// Of a directory: mode and owner as they are served, such as "0755 0:0", and the
	// packages that have it otherwise, with how: no package decides alone about a
	// directory that others count on.
	Attributes string   `json:"attributes,omitempty"`
	Otherwise  []string `json:"otherwise,omitempty"`

	Also  []string     `json:"also,omitempty"` // of a directory: other packages that contribute, name=version
	Hides []PathHidden `json:"hides"`
}

// A PathHidden is one package whose file at the path is not seen.
type PathHidden struct {
	Package string `json:"package"` // name=version
	Why     string `json:"why"`
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
