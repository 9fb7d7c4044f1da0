package dirwatch

import (
	"errors"
	"io"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// ErrWriting says that somebody has a file open for writing. When that ends, an
// event with Complete comes.
var ErrWriting = errors.New("it is being written")

// ErrNotRegular says that there is something else than a file.
var ErrNotRegular = errors.New("not a regular file")

// closing is how long a writer may take to be gone after the event that tells so:
// the kernel sends it while it closes the file, and counts the writer out behind.
const closing = 32 * time.Millisecond

// ReadComplete reads up to limit bytes of a regular file. It fails with ErrWriting
// rather than read a part of what somebody writes, and waits for a moment only.
// flags are more flags of open.
func ReadComplete(path string, limit int64, flags int) ([]byte, error) {
	f, err := os.OpenFile(path, os.O_RDONLY|unix.O_NONBLOCK|unix.O_CLOEXEC|flags, 0)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, ErrNotRegular
	}
	if _, err := Lease(f); err != nil {
		return nil, err
	}
	return io.ReadAll(io.LimitReader(f, limit))
}

// Lease takes a lease on f, which holds up who opens it to write until f is closed.
// It fails with ErrWriting if somebody has it open for writing, and waits for a
// moment only. Not every file system has leases.
func Lease(f *os.File) (leased bool, err error) {
	for pause := time.Millisecond; ; pause *= 2 {
		_, err := unix.FcntlInt(f.Fd(), unix.F_SETLEASE, unix.F_RDLCK)
		if err != unix.EAGAIN {
			return err == nil, nil
		}
		if pause > closing {
			return false, ErrWriting
		}
		time.Sleep(pause)
	}
}
