package p9l

import (
	stdcontext "context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"syscall"
	"testing"

	"github.com/hugelgupf/p9/linux"
)

func TestErrno(t *testing.T) {
	_, missing := os.Open("/no/such/file")
	for _, c := range []struct {
		err  error
		want linux.Errno
	}{
		{nil, 0},
		{linux.ENODATA, linux.ENODATA},
		{fmt.Errorf("open x: %w", linux.ENOPKG), linux.ENOPKG},
		{syscall.ENOTEMPTY, linux.ENOTEMPTY}, // though it is fs.ErrExist
		{syscall.EPERM, linux.EPERM},         // though it is fs.ErrPermission
		{&fs.PathError{Op: "rmdir", Path: "x", Err: syscall.ENOTEMPTY}, linux.ENOTEMPTY},
		{missing, linux.ENOENT},
		{fs.ErrNotExist, linux.ENOENT},
		{fs.ErrExist, linux.EEXIST},
		{fs.ErrPermission, linux.EACCES},
		{fs.ErrInvalid, linux.EINVAL},
		{fs.ErrClosed, linux.EBADF},
		{errors.ErrUnsupported, linux.EOPNOTSUPP},
		{fmt.Errorf("wait: %w", stdcontext.Canceled), linux.EINTR},
		{os.ErrDeadlineExceeded, linux.ETIMEDOUT},
		{io.ErrUnexpectedEOF, linux.EIO},
		{errors.New("file does not exist"), linux.EIO}, // text counts for nothing
		{linux.Errno(0), linux.EIO},
		{syscall.Errno(4096), linux.EIO},
		{linux.Errno(1 << 40), linux.EIO},
	} {
		if got, _ := ErrnoOf(c.err, nil); got != c.want {
			t.Errorf("%v: %v, want %v", c.err, got, c.want)
		}
	}
}

// TestErrnoAsked has errors that carry no number looked up, before those of the
// standard library are.
func TestErrnoAsked(t *testing.T) {
	own := errors.New("of its own kind")
	more := func(err error) (linux.Errno, bool) { return linux.EROFS, errors.Is(err, own) }
	for _, c := range []struct {
		err   error
		want  linux.Errno
		known bool
	}{
		{own, linux.EROFS, true},
		{fmt.Errorf("%w: %w", own, fs.ErrNotExist), linux.EROFS, true},
		{fmt.Errorf("%w: %w", own, syscall.EBUSY), linux.EBUSY, true},
		{fs.ErrNotExist, linux.ENOENT, true},
		{io.ErrUnexpectedEOF, linux.EIO, false},
	} {
		if got, known := ErrnoOf(c.err, more); got != c.want || known != c.known {
			t.Errorf("%v: %v %v, want %v %v", c.err, got, known, c.want, c.known)
		}
	}
}
