package context

import "errors"

// The classes of errors that Resolve and ParseAttachName have, for errors.Is.
// Their texts tell nothing that a caller may not know.
var (
	ErrAttachName   = errors.New("not an attach name")
	ErrUnknown      = errors.New("unknown user or group")
	ErrDenied       = errors.New("not for this caller")
	ErrNotInstalled = errors.New("package not installed")
	ErrUnresolvable = errors.New("what the package needs does not resolve")
	ErrBroken       = errors.New("a context file is broken")
)

// An Error says which attach name was refused. Its text may be shown to the
// caller.
type Error struct {
	Name   string // the attach name
	Class  error  // one of the Err values
	Reason string // in words, with what to do; for the log and administrators only
}

func (e *Error) Error() string {
	if e.Class == ErrAttachName && e.Reason != "" {
		return `attach "` + e.Name + `": ` + e.Class.Error() + ": " + e.Reason
	}
	return `attach "` + e.Name + `": ` + e.Class.Error()
}

func (e *Error) Unwrap() error { return e.Class }
