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
func ReadComplete(path string, limit int64) ([]byte, error) {
	f, err := os.OpenFile(path, os.O_RDONLY|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
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
	// A lease is refused while somebody has the file open for writing, and holds
	// up who opens it until it is closed here. Not every file system has leases.
	for pause := time.Millisecond; ; pause *= 2 {
		_, err := unix.FcntlInt(f.Fd(), unix.F_SETLEASE, unix.F_RDLCK)
		if err != unix.EAGAIN {
			break
		}
		if pause > closing {
			return nil, ErrWriting
		}
		time.Sleep(pause)
	}
	return io.ReadAll(io.LimitReader(f, limit))
}
