package server

import (
	"fmt"
	"io/fs"
	"syscall"
	"testing"

	"github.com/hugelgupf/p9/linux"

	"github.com/packagefs/packagefs/context"
	"github.com/packagefs/packagefs/context/attachname"
	"github.com/packagefs/packagefs/context/files"
	"github.com/packagefs/packagefs/pkgindex"
)

// TestMeanings has the number of each error of the packages below, but where one
// carries a number of its own.
func TestMeanings(t *testing.T) {
	for _, c := range []struct {
		err  error
		want linux.Errno
	}{
		{nil, 0},
		{attachname.ErrSyntax, linux.EINVAL},
		{fmt.Errorf("attach: %w", context.ErrUnknown), linux.ENOENT},
		{context.ErrDenied, linux.EACCES},
		{context.ErrNotInstalled, linux.ENOPKG},
		{context.ErrUnresolvable, linux.ENOPKG},
		{fmt.Errorf("%w: %w", files.ErrBroken, fs.ErrPermission), linux.EIO},
		{fmt.Errorf("%w: %w", files.ErrBroken, syscall.EACCES), linux.EACCES},
		{pkgindex.ErrGone, linux.ESTALE},
		{fs.ErrExist, linux.EEXIST},
	} {
		if got := errnoOf(c.err); got != c.want {
			t.Errorf("%v: %v, want %v", c.err, got, c.want)
		}
	}
}
