package p9l

import (
	"context"

	"github.com/hugelgupf/p9/p9"
)

// A File is what the engine calls of a p9.File, with what it keeps to and what the
// file has to keep. What Attach, Walk, WalkPart and Create return is a handle: the
// engine owns it, uses it for one fid, and closes it. Several handles may be of one
// file, and connections share nothing but what their files share.
//
// At the same time: unless a method says otherwise, it may be called while any
// other method runs, and itself too, on the same handle and on others, by
// goroutines of one connection or of several. The engine does not order reads,
// writes and changes of names, nor keep a file from being removed that is in use;
// what of this matters the files see to by locks of their own.
//
// Where: all methods may wait, and then run in a worker, which is one of several
// goroutines of a connection. Those marked "now" run in the goroutine that reads
// the connection where the file's Ready says that they will not wait.
//
// An error becomes an errno by ErrnoOf. A panic, but for one in Close, ends the
// request in EIO, or where the method was called now the connection.
//
// Of p9.File the engine never calls WalkGetAttr, Lock and Renamed.
type File interface {
	// Walk returns the file of the one name in names, and its qid, or for no names
	// another handle of this file and no qid. There is a name only if the file is
	// a directory; it has 1 to 255 bytes, no slash and no NUL, and is neither "."
	// nor "..". A PartWalker is not asked.
	//
	// At the same time: anything. Each name of a Twalk is a call of its own, and
	// names may change between them.
	Walk(names []string) ([]p9.QID, p9.File, error)

	// GetAttr returns what struct stat has, whatever else mask asks for, and tells
	// what else is valid. It is the first call on what Attach returned, and comes
	// before Open of what is no directory: only regular files are opened.
	//
	// At the same time: anything. Now.
	GetAttr(mask p9.AttrMask) (p9.QID, p9.AttrMask, p9.Attr, error)

	// SetAttr sets what valid names. Permissions have no more than 07777, Size is
	// no more than the largest int64.
	//
	// At the same time: anything, reads and writes among it.
	SetAttr(valid p9.SetAttrMask, attr p9.SetAttr) error

	// StatFS describes the file system. Fields that are 0 and should not be are
	// filled in.
	//
	// At the same time: anything. Now.
	StatFS() (p9.FSStat, error)

	// Open makes a handle of a directory or a regular file ready for what flags
	// say. They are those of Linux on x86, without what says that a file is to be
	// made; of a directory they only ever ask for reading.
	//
	// At the same time: anything but Open and Create on this handle, and what needs
	// it to be open. After one that succeeded neither is called again; after one
	// that failed they may be. Now.
	Open(flags p9.OpenFlags) (p9.QID, uint32, error)

	// Close ends the handle; its error is ignored. What was written may still have
	// to reach a disk: FSync asks for that.
	//
	// At the same time: nothing on this handle. It is called once, whether or not
	// the handle was opened, after all other calls on it have returned. Now.
	Close() error

	// ReadAt reads from a file that is open for it. p may be empty. io.EOF is no
	// error, nor is a read that ends short. A NowReader is asked that way first, and
	// a LongReader or ContextReader in its own way instead.
	//
	// At the same time: anything but Open and Close, other reads and writes at any
	// offset among it.
	ReadAt(p []byte, offset int64) (int, error)

	// WriteAt writes to a file that is open for it; offset and length together are
	// no more than the largest int64. p may be empty, and is valid during the call. A
	// LongWriter is asked in that way instead.
	//
	// At the same time: as ReadAt.
	WriteAt(p []byte, offset int64) (int, error)

	// FSync waits until what was written through any handle is safe. Where it fails
	// with EROFS, EINVAL, ENOSYS or EOPNOTSUPP there was nothing to write.
	//
	// At the same time: as ReadAt.
	FSync() error

	// Readdir returns entries of an open directory, count at most, that follow the
	// one whose Offset is offset, or the first ones for 0. None, or io.EOF, is the
	// end; fewer than count only end a reply. The client chooses offset, so it may
	// be one that no entry has had. "." and ".." are the engine's. It does not
	// change what is returned, which may be shared.
	//
	// At the same time: anything but Open and Close, other Readdirs among it. Now.
	Readdir(offset uint64, count uint32) (p9.Dirents, error)

	// Readlink returns the target of a symlink.
	//
	// At the same time: anything. Now.
	Readlink() (string, error)

	// GetXattr returns the value of an extended attribute, of 64 KiB at most, and
	// fails with ENODATA where there is none. ENOSYS and EOPNOTSUPP mean the same.
	//
	// At the same time: anything. Now.
	GetXattr(name string) ([]byte, error)

	// ListXattrs returns the names of the extended attributes.
	//
	// At the same time: anything. Now.
	ListXattrs() ([]string, error)

	// SetXattr sets an extended attribute. name has 1 to 255 bytes, value 64 KiB at
	// most, and flags are those of setxattr(2). It is called when the fid of the
	// Txattrcreate is clunked, which gets the error.
	//
	// At the same time: anything but Close.
	SetXattr(name string, value []byte, flags p9.XattrFlags) error

	// RemoveXattr removes an extended attribute, when a fid is clunked as for
	// SetXattr.
	//
	// At the same time: anything but Close.
	RemoveXattr(name string) error

	// Create makes a regular file in a directory and returns an open handle of it.
	// name is as for Walk, mode has no more than 07777, and uid is the n_uname that
	// the attach was made with, as in the other methods that make names.
	//
	// At the same time: anything but Open and Create on this handle, which is
	// closed after one that succeeded.
	Create(name string, flags p9.OpenFlags, mode p9.FileMode, uid p9.UID, gid p9.GID) (p9.File, p9.QID, uint32, error)

	// Mkdir makes a directory in a directory; name and mode are as for Create.
	//
	// At the same time: anything.
	Mkdir(name string, mode p9.FileMode, uid p9.UID, gid p9.GID) (p9.QID, error)

	// Symlink makes a symlink to target in a directory. target is any text.
	//
	// At the same time: anything.
	Symlink(target string, name string, uid p9.UID, gid p9.GID) (p9.QID, error)

	// Mknod makes a file of the type that mode has in a directory.
	//
	// At the same time: anything.
	Mknod(name string, mode p9.FileMode, major uint32, minor uint32, uid p9.UID, gid p9.GID) (p9.QID, error)

	// Link gives target another name, in a directory. target is a handle of the
	// same connection, though maybe of another attach, and is not closed meanwhile.
	//
	// At the same time: anything, on either handle.
	Link(target p9.File, name string) error

	// Rename moves the file to a name in dir, a directory. dir is as target of Link.
	//
	// At the same time: anything, on either handle.
	Rename(dir p9.File, name string) error

	// RenameAt moves what has a name in this directory to a name in dir. dir is as
	// target of Link, and may be this handle.
	//
	// At the same time: anything, on either handle, such as another RenameAt the
	// other way round.
	RenameAt(name string, dir p9.File, newName string) error

	// UnlinkAt removes a name from a directory. flags are those of unlinkat(2).
	//
	// At the same time: anything, reads and writes of what is removed among it.
	UnlinkAt(name string, flags uint32) error
}

var _ File = p9.File(nil)

// A file that also has methods of the interfaces that follow is served from the
// connection's own goroutine where that is possible; all others go through a worker
// for every call. EAGAIN from a call that must not wait means that the engine shall
// repeat it, waiting, in a worker. At the same time as any of them anything may be
// called but Close.

// A Ready file can tell that the methods of File that are marked "now" will answer
// without waiting.
type Ready interface {
	// Ready does not wait. What it says has to hold for the call that follows.
	Ready() bool
}

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
	// is asked for EventRead bytes at most, and runs in a goroutine of its own.
	// A ContextReader that is a NowReader as well is asked by ReadNow first.
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

// A Stamper is a directory that can tell whether anything changed at or below it.
type Stamper interface {
	// Stamp returns a number that is another one after each change, but for those
	// of mutable files' contents and attributes; 0 if it cannot tell now. With
	// wait unset it fails with EAGAIN instead of waiting. It is called before the
	// GetAttr of the same request, so the attributes are not older than it.
	Stamp(wait bool) (uint64, error)
}

// A DirentTyper knows the DT_ value of its entries where their qid does not
// tell (fifos, sockets and devices).
type DirentTyper interface {
	// DirentType is called for entries that Readdir of the same handle has just
	// returned, and does not wait.
	DirentType(d *p9.Dirent) uint8
}

// A Remover can remove itself, for Tremove. Clients use Tunlinkat where
// Tremove fails with EOPNOTSUPP, which is the answer for all other files.
type Remover interface {
	// Remove may wait. The handle is closed after it, whether or not it fails.
	Remove() error
}
