package server

import (
	"errors"

	"github.com/hugelgupf/p9/linux"

	"github.com/packagefs/packagefs/context"
	"github.com/packagefs/packagefs/context/attachname"
	"github.com/packagefs/packagefs/context/files"
	"github.com/packagefs/packagefs/pkgindex"
	"github.com/packagefs/packagefs/server/p9l"
)

// meanings are the errors of the packages below that stand for a number. The first
// that matches counts.
var meanings = []struct {
	err   error
	errno linux.Errno
}{
	{attachname.ErrSyntax, linux.EINVAL},
	{context.ErrUnknown, linux.ENOENT},
	{context.ErrDenied, linux.EACCES},
	{context.ErrNotInstalled, linux.ENOPKG},
	{context.ErrUnresolvable, linux.ENOPKG},
	{files.ErrBroken, linux.EIO},
	{pkgindex.ErrGone, linux.ESTALE},
}

// meaning is the Errno of the engine.
func meaning(err error) (linux.Errno, bool) {
	for _, m := range meanings {
		if errors.Is(err, m.err) {
			return m.errno, true
		}
	}
	return 0, false
}

// errnoOf is the number that clients get for an error, by the engine or in words
// of the control directory.
func errnoOf(err error) linux.Errno {
	errno, _ := p9l.ErrnoOf(err, meaning)
	return errno
}
