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
)

// maxIdlePayloads is how many payloads stay open that nobody reads: enough for
// the packages in daily use, little beside the limit of open files.
const maxIdlePayloads = 256

// payloadCache keeps the payloads that are read, and some that were, open.
type payloadCache struct {
	mu       sync.Mutex // guards all fields, and refs and idle of each Payload
	bySource map[*imported]*Payload
	idle     list.List // of *Payload with refs 0, the longest unused first
}

// A Payload is an open payload file: the contents of a package's regular files.
type Payload struct {
	cache  *payloadCache // nil for one that stays open
	src    *imported
	f      *os.File
	fd     int
	memory bool // the file system is memory: a read never waits

	refs int
	idle *list.Element // where refs is 0
	gone bool          // the package was removed: nobody will open it again
}

func (c *payloadCache) open(src *imported) (*Payload, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if p := c.bySource[src]; p != nil {
		if p.refs++; p.idle != nil {
			c.idle.Remove(p.idle)
			p.idle = nil
		}
		return p, nil
	}
	f, err := os.Open(src.store.payloadPath(src.id))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%s: %w", src.meta.Ref, ErrGone)
	} else if err != nil {
		return nil, err
	}
	p := &Payload{cache: c, src: src, f: f, fd: int(f.Fd()), refs: 1}
	var st unix.Statfs_t
	if unix.Fstatfs(p.fd, &st) == nil && st.Type == unix.TMPFS_MAGIC {
		p.memory = true
	}
	if c.bySource == nil {
		c.bySource = make(map[*imported]*Payload)
	}
	c.bySource[src] = p
	return p, nil
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
	delete(c.bySource, p.src)
	p.f.Close()
}

// forget closes the payload of src as soon as nobody reads it.
func (c *payloadCache) forget(src *imported) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if p := c.bySource[src]; p != nil {
		if p.gone = true; p.refs == 0 {
			c.drop(p)
		}
	}
}

// ReadAt reads as io.ReaderAt does.
func (p *Payload) ReadAt(b []byte, off int64) (int, error) { return p.f.ReadAt(b, off) }

// ReadNow reads what the page cache holds, at least a byte, and fails with
// EAGAIN where that would mean waiting for a disk.
func (p *Payload) ReadNow(b []byte, off int64) (int, error) {
	if len(b) == 0 {
		return 0, nil
	}
	if p.memory {
		return p.f.ReadAt(b, off)
	}
	iov := unix.Iovec{Base: unsafe.SliceData(b)}
	iov.SetLen(len(b))
	n, _, errno := syscall.RawSyscall6(unix.SYS_PREADV2, uintptr(p.fd), uintptr(unsafe.Pointer(&iov)), 1,
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
