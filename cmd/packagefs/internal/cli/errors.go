package cli

import (
	"errors"
	"fmt"
	"io"
	"strings"
	"syscall"
)

// A usageError is a command line that makes no sense.
type usageError struct{ error }

func (e usageError) Unwrap() error { return e.error }

// Usage makes of an error one of a command line that makes no sense.
func Usage(err error) error { return usageError{err} }

// Usagef is usage with an error of these words.
func Usagef(format string, args ...any) error { return Usage(fmt.Errorf(format, args...)) }

// A statusError is an error with an exit status of its own.
type statusError struct {
	error
	status int
}

func (e statusError) Unwrap() error { return e.error }

// WithStatus gives an error an exit status of its own.
func WithStatus(err error, status int) error { return statusError{err, status} }

// Fail prints an error and gives the exit status that belongs to it.
func Fail(stderr io.Writer, err error) int {
	var wrong usageError
	code := 1
	if status := (statusError{}); errors.As(err, &status) {
		code = status.status
	}
	switch {
	case err == nil:
		return 0
	case errors.Is(err, syscall.EPIPE):
		return 1 // the reader of our output has gone, and knows
	case errors.As(err, &wrong):
		fmt.Fprintf(stderr, "packagefs: %v\nTry: packagefs --help\n", err)
		return 2
	}
	for line := range strings.SplitSeq(err.Error(), "\n") { // of errors.Join
		fmt.Fprintf(stderr, "packagefs: %s\n", line)
	}
	return code
}
