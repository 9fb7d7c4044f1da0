package api

import "encoding/json"

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

	OpContextFile = "contextfile" // Context, of a file: an attach name or system; Result is ContextFile
	OpCommand     = "command"     // Words; Result is CommandResult, also where the command failed
)

// A Query is one question. Fields that its operation does not name are ignored.
type Query struct {
	Op      string `json:"op"`
	Context string `json:"context,omitempty"` // an attach name; empty is the caller's own context
	Package string `json:"package,omitempty"` // a selector: NAME or NAME=VERSION
	Path    string `json:"path,omitempty"`    // in the tree, with or without a leading slash

	Packages []string `json:"packages,omitempty"` // selectors
	Words    []string `json:"words,omitempty"`    // a command and its arguments
}

// An Answer holds the result, or why there is none. Only OpCommand has both.
type Answer struct {
	Error  string          `json:"error,omitempty"` // in words; empty if the query succeeded
	Errno  uint32          `json:"errno,omitempty"` // Linux error number that goes with Error, or 0
	Result json.RawMessage `json:"result,omitempty"`
}
