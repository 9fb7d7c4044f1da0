package attachname

import "errors"

// ErrSyntax is the class of what is no attach name.
var ErrSyntax = errors.New("not an attach name")

// An Error says which attach name was refused. Its text may be shown to the
// caller.
type Error struct {
	Name   string // the attach name
	Class  error  // ErrSyntax, or what package context says
	Reason string // in words, with what to do; for the log and administrators only
}

func (e *Error) Error() string {
	if e.Class == ErrSyntax && e.Reason != "" {
		return `attach "` + e.Name + `": ` + e.Class.Error() + ": " + e.Reason
	}
	return `attach "` + e.Name + `": ` + e.Class.Error()
}

func (e *Error) Unwrap() error { return e.Class }
