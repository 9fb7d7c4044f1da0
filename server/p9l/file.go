package p9l

import (
	"context"

	"github.com/hugelgupf/p9/p9"
)

// The engine drives any p9.File. A file that also has these methods is served
// from the connection's own goroutine where that is possible; all others go
// through a worker for every call. EAGAIN from a call that must not wait means
// that the engine shall repeat it, waiting, in a worker.

// A PartWalker walks several names in one call and tells how far it came.
type PartWalker interface {
	// WalkPart appends the qid of each name that exists to qids, and returns
	// the file reached if all names exist, else a nil file and no error. It
	// fails only where the first name does. names are valid during the call
	// only; none is empty, "." or has a slash, and ".." is for the file to
	// keep below its root. Without names it returns another handle of the
	// same file. With wait unset it fails with EAGAIN instead of waiting for
	// a disk.
	WalkPart(qids []p9.QID, names []string, wait bool) ([]p9.QID, p9.File, error)
}

// A NowReader reads what is in memory already.
type NowReader interface {
	// ReadNow is ReadAt that fails with EAGAIN instead of waiting.
	ReadNow(p []byte, offset int64) (int, error)
}

// A ContextReader is a file whose reads may wait for ever, for an event.
type ContextReader interface {
	// ReadContext is ReadAt that returns, with ctx's error, when ctx is done:
	// the client has flushed the request, clunked the fid or gone away. It
	// is asked for 16 KiB at most. A ContextReader that is a NowReader as
	// well is asked by ReadNow first.
	ReadContext(ctx context.Context, p []byte, offset int64) (int, error)
}

// A LongReader is a file whose reads may take long, though they end. They are run
// by workers, as others are.
type LongReader interface {
	// ReadLong is ReadAt that returns early, with ctx's error, when ctx is done:
	// nobody waits for the reply any more, for the client has flushed the
	// request or gone away.
	ReadLong(ctx context.Context, p []byte, offset int64) (int, error)
}

// A LongWriter is the same for writes.
type LongWriter interface {
	// WriteLong is WriteAt, and returns early as ReadLong does. A write that is
	// flushed is answered all the same, so its error tells the client that it
	// had no effect.
	WriteLong(ctx context.Context, p []byte, offset int64) (int, error)
}

// A Ready file can tell that GetAttr, Open, Readdir, Readlink, StatFS, Close
// and the xattr calls will answer without waiting.
type Ready interface {
	Ready() bool
}

// A Stamper is a directory that can tell whether anything changed at or below it.
type Stamper interface {
	// Stamp returns a number that is another one after each change, but for those
	// of mutable files' contents and attributes; 0 if it cannot tell now. With
	// wait unset it fails with EAGAIN instead of waiting.
	Stamp(wait bool) (uint64, error)
}

// A DirentTyper knows the DT_ value of its entries where their qid does not
// tell (fifos, sockets and devices).
type DirentTyper interface {
	DirentType(d *p9.Dirent) uint8
}

// A Remover can remove itself, for Tremove. Clients use Tunlinkat where
// Tremove fails with EOPNOTSUPP, which is the answer for all other files.
type Remover interface {
	Remove() error
}
