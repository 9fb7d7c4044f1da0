package server

import (
	stdcontext "context"
	"errors"
	"io/fs"
	"os"
	"syscall"

	"github.com/hugelgupf/p9/linux"

	"github.com/packagefs/packagefs/context"
	"github.com/packagefs/packagefs/pkgindex"
)

// maxErrno is the largest number that the Linux kernel takes for an errno.
const maxErrno = 4095

const (
	errTooManyConns  = linux.ENFILE // the server has no connection left
	errTooManyOfPeer = linux.EMFILE // the peer has no connection left
)

// byValue maps errors that carry no number. The first that matches counts.
var byValue = []struct {
	err   error
	errno linux.Errno
}{
	{context.ErrAttachName, linux.EINVAL},
	{context.ErrUnknown, linux.ENOENT},
	{context.ErrDenied, linux.EACCES},
	{context.ErrNotInstalled, linux.ENOPKG},
	{context.ErrUnresolvable, linux.ENOPKG},
	{context.ErrBroken, linux.EIO},
	{pkgindex.ErrGone, linux.ESTALE},
	{fs.ErrNotExist, linux.ENOENT},
	{fs.ErrExist, linux.EEXIST},
	{fs.ErrPermission, linux.EACCES},
	{fs.ErrInvalid, linux.EINVAL},
	{fs.ErrClosed, linux.EBADF},
	{errors.ErrUnsupported, linux.EOPNOTSUPP},
	{stdcontext.Canceled, linux.EINTR},
	{stdcontext.DeadlineExceeded, linux.ETIMEDOUT},
	{os.ErrDeadlineExceeded, linux.ETIMEDOUT},
}

// Errno is the one mapping from errors to Linux error numbers. An error that
// carries a number keeps it, so ENOTEMPTY does not become EEXIST, nor EPERM
// EACCES. It returns EIO for everything that says nothing better, and 0 for
// nil.
func Errno(err error) linux.Errno {
	errno, _ := errnoOf(err)
	return errno
}

// errnoOf is Errno that also tells whether the error said what it is.
func errnoOf(err error) (errno linux.Errno, known bool) {
	if err == nil {
		return 0, true
	}
	if e, ok := err.(linux.Errno); ok {
		return inRange(e)
	}
	var le linux.Errno
	if errors.As(err, &le) {
		return inRange(le)
	}
	var se syscall.Errno
	if errors.As(err, &se) {
		return inRange(linux.Errno(se))
	}
	for _, m := range byValue {
		if errors.Is(err, m.err) {
			return m.errno, true
		}
	}
	return linux.EIO, false
}

func inRange(e linux.Errno) (linux.Errno, bool) {
	if e == 0 || e > maxErrno {
		return linux.EIO, false
	}
	return e, true
}

// mustWait tells that a call which must not wait would have to.
func mustWait(err error) bool {
	return err != nil && Errno(err) == linux.EAGAIN
}
