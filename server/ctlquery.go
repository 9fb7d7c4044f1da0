package server

import (
	"errors"
	"io/fs"
	"syscall"

	"github.com/packagefs/packagefs/context/files"
	"github.com/packagefs/packagefs/server/api"
)

// Commands that come as queries, for programs: what they find in the results has
// fields, which the file ctl does not give.

// A toldError says in words all that its caller may know, beside the errno.
type toldError struct {
	text  string
	errno syscall.Errno
}

func (e *toldError) Error() string { return e.text }
func (e *toldError) Unwrap() error { return e.errno }

// queryCommand runs a command.
func (ctl *control) queryCommand(q *inquiry) (any, error) {
	if !ctl.isAdmin(q.as) {
		return nil, &toldError{api.ForAdmins, syscall.EACCES}
	}
	result, err := ctl.command(q.ctx, visitor{caller: q.as, admin: true, by: q.by}, q.Words)
	if err != nil {
		return result, &toldError{whyFailed(err), syscall.Errno(errnoOf(err))}
	}
	return result, nil
}

// queryContextFile shows a context file to who wants to edit it.
func (ctl *control) queryContextFile(q *inquiry) (any, error) {
	if err := ctl.forAdmins(q); err != nil {
		return nil, err
	}
	text, err := ctl.files.Text(q.Context)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return api.ContextFile{Text: files.Template(q.Context)}, nil
	case err != nil:
		return nil, err
	}
	return api.ContextFile{Text: text, Exists: true}, nil
}
