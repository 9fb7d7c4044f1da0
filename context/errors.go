package context

import "errors"

// The classes of errors that Resolve has, beside attachname.ErrSyntax and
// files.ErrBroken, for errors.Is. Their texts tell nothing that a caller may not know.
var (
	ErrUnknown      = errors.New("unknown user or group")
	ErrDenied       = errors.New("not for this caller")
	ErrNotInstalled = errors.New("package not installed")
	ErrUnresolvable = errors.New("what the package needs does not resolve")
)
