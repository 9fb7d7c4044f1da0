package pkgindex

import (
	"container/list"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"sync"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/packagefs/packagefs/pkgindex/pfs"
	"github.com/packagefs/packagefs/pkgindex/pkgmeta"
)

// maxIdlePayloads is how many payloads stay open that nobody reads: enough for
// the packages in daily use, little beside the limit of open files.
const maxIdlePayloads = 256

// payloadCache keeps the payloads that are read, and some that were, open.
type payloadCache struct {
	mu       sync.Mutex // guards all fields, and refs and idle of each Payload
	byImport map[*imported]*Payload
	idle     list.List // of *Payload with refs 0, the longest unused first
}

// A Payload is the open contents of a package's regular files: a payload file,
// or a native package file that is read in place.
type Payload struct {
	contents
	cache *payloadCache // nil for one that stays open
	imp   *imported

	refs int
	idle *list.Element // where refs is 0
	gone bool          // the package was removed: nobody will open it again
}

// contents are one range of bytes, in which Index.Offset finds each file.
type contents interface {
	io.ReaderAt

	// ReadNow reads what is in memory, at least a byte unless b is empty, and
	// fails with EAGAIN where that would mean waiting for a disk.
	ReadNow(b []byte, off int64) (int, error)

	io.Closer
}

// unpacked is a payload file.
type unpacked struct {
	*os.File
	fd     int
	memory bool // the file system is memory: a read never waits
}

func (c *payloadCache) open(imp *imported) (*Payload, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if p := c.byImport[imp]; p != nil {
		if p.refs++; p.idle != nil {
			c.idle.Remove(p.idle)
			p.idle = nil
		}
		return p, nil
	}
	opened, err := imp.open(imp.store.chunks)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%s: %w", imp.meta.Ref, ErrGone)
	} else if err != nil {
		return nil, err
	}
	p := &Payload{contents: opened, cache: c, imp: imp, refs: 1}
	if c.byImport == nil {
		c.byImport = make(map[*imported]*Payload)
	}
	c.byImport[imp] = p
	return p, nil
}

// open opens the contents of a package; chunks keeps what is unpacked of a
// native one.
func (imp *imported) open(chunks *pfs.Cache) (contents, error) {
	if imp.meta.Format == pkgmeta.Pfs {
		return imp.openInPlace(chunks)
	}
	f, err := os.Open(imp.store.payloadPath(imp.id))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, imp.lost(err)
	} else if err != nil {
		return nil, err
	}
	u := &unpacked{File: f, fd: int(f.Fd())}
	var st unix.Statfs_t
	if unix.Fstatfs(u.fd, &st) == nil && st.Type == unix.TMPFS_MAGIC {
		u.memory = true
	}
	return u, nil
}

// Close gives the payload back.
func (p *Payload) Close() error {
	c := p.cache
	if c == nil {
		return nil
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if p.refs--; p.refs > 0 {
		return nil
	} else if p.refs < 0 {
		panic("payload: closed more often than opened")
	}
	p.idle = c.idle.PushBack(p)
	if p.gone {
		c.drop(p)
	} else if c.idle.Len() > maxIdlePayloads {
		c.drop(c.idle.Front().Value.(*Payload))
	}
	return nil
}

// drop closes an idle payload. It runs with mu locked.
func (c *payloadCache) drop(p *Payload) {
	c.idle.Remove(p.idle)
	delete(c.byImport, p.imp)
	p.contents.Close()
}

// forget closes the payload of imp as soon as nobody reads it.
func (c *payloadCache) forget(imp *imported) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if p := c.byImport[imp]; p != nil {
		if p.gone = true; p.refs == 0 {
			c.drop(p)
		}
	}
}

// ReadNow reads what the page cache holds.
func (u *unpacked) ReadNow(b []byte, off int64) (int, error) {
	if len(b) == 0 {
		return 0, nil
	}
	if u.memory {
		return u.ReadAt(b, off)
	}
	iov := unix.Iovec{Base: unsafe.SliceData(b)}
	iov.SetLen(len(b))
	n, _, errno := syscall.RawSyscall6(unix.SYS_PREADV2, uintptr(u.fd), uintptr(unsafe.Pointer(&iov)), 1,
		uintptr(off), 0, unix.RWF_NOWAIT)
	switch errno {
	case 0:
		if n == 0 {
			return 0, io.EOF
		}
		return int(n), nil
	case syscall.EOPNOTSUPP, syscall.ENOSYS, syscall.EINTR:
		return 0, syscall.EAGAIN // a worker reads in the ordinary way
	default:
		return 0, errno
	}
}
