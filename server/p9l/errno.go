package p9l

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"syscall"

	"github.com/hugelgupf/p9/linux"
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
	{fs.ErrNotExist, linux.ENOENT},
	{fs.ErrExist, linux.EEXIST},
	{fs.ErrPermission, linux.EACCES},
	{fs.ErrInvalid, linux.EINVAL},
	{fs.ErrClosed, linux.EBADF},
	{errors.ErrUnsupported, linux.EOPNOTSUPP},
	{context.Canceled, linux.EINTR},
	{context.DeadlineExceeded, linux.ETIMEDOUT},
	{os.ErrDeadlineExceeded, linux.ETIMEDOUT},
}

// ErrnoOf is the one mapping from errors to Linux error numbers, and tells
// whether the error said what it is. One that carries a number keeps it, so
// ENOTEMPTY does not become EEXIST, nor EPERM EACCES. Of the others more is asked
// first, unless it is nil, and then what the standard library's errors mean. It
// is EIO for everything that says nothing better, and 0 for nil.
func ErrnoOf(err error, more func(error) (linux.Errno, bool)) (errno linux.Errno, known bool) {
	if err == nil {
		return 0, true
	}
	if e, ok := numberIn(err); ok {
		return inRange(e)
	}
	if more != nil {
		if e, ok := more(err); ok {
			return inRange(e)
		}
	}
	for _, m := range byValue {
		if errors.Is(err, m.err) {
			return m.errno, true
		}
	}
	return linux.EIO, false
}

// numberIn returns the number that an error carries.
func numberIn(err error) (linux.Errno, bool) {
	if e, ok := err.(linux.Errno); ok {
		return e, true
	}
	var le linux.Errno
	if errors.As(err, &le) {
		return le, true
	}
	var se syscall.Errno
	if errors.As(err, &se) {
		return linux.Errno(se), true
	}
	return 0, false
}

func inRange(e linux.Errno) (linux.Errno, bool) {
	if e == 0 || e > maxErrno {
		return linux.EIO, false
	}
	return e, true
}

// mustWait tells that a call which must not wait would have to.
func mustWait(err error) bool {
	if err == nil {
		return false
	}
	e, _ := numberIn(err)
	return e == linux.EAGAIN
}
