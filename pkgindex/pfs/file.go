package pfs

import (
	"io"
	"sync"
	"syscall"
)

// A File reads the contents of a package file in place. Its methods may be
// called at the same time.
type File struct {
	id      uint64
	r       io.ReaderAt
	table   *Table
	cache   *Cache
	damaged func(error)
	report  sync.Once
}

// NewFile returns a File that reads r by its table. id is another for each
// package file, and the same for each File of one. damaged, if not nil, is told
// the first time that a part of r is not what the table says.
func NewFile(id uint64, r io.ReaderAt, table *Table, cache *Cache, damaged func(error)) *File {
	return &File{id: id, r: r, table: table, cache: cache, damaged: damaged}
}

// readAhead is how many frames are read ahead of a reader that reads in order.
const readAhead = 4

// ReadAt reads the contents from off on, as io.ReaderAt does. Where the package
// file is not what it was, it fails with EIO.
func (f *File) ReadAt(b []byte, off int64) (int, error) {
	n := 0
	for n < len(b) {
		if off+int64(n) >= f.table.Contents {
			return n, io.EOF
		}
		i := f.table.find(off + int64(n))
		e, err := f.frame(i, off+int64(n), int64(len(b)-n))
		if err != nil {
			return n, err
		}
		n += copy(b[n:], e.data[off+int64(n)-f.table.start(i):])
		f.cache.release(e)
	}
	return n, nil
}

// ReadNow reads as ReadAt does, but only what is in memory: it fails with
// EAGAIN rather than wait.
func (f *File) ReadNow(b []byte, off int64) (int, error) {
	n := 0
	for n < len(b) {
		if off+int64(n) >= f.table.Contents {
			return n, io.EOF
		}
		i := f.table.find(off + int64(n))
		e, early := f.cache.lookup(key{f.id, i})
		if e == nil {
			return 0, syscall.EAGAIN
		}
		n += copy(b[n:], e.data[off+int64(n)-f.table.start(i):])
		f.cache.release(e)
		if early {
			f.ahead(i)
		}
	}
	return n, nil
}

// frame returns the contents of frame i, of which want bytes from off on are
// wanted, and those of the frames behind it.
func (f *File) frame(i int, off, want int64) (*kept, error) {
	e, early := f.cache.lookup(key{f.id, i})
	if e != nil {
		if early {
			f.ahead(i)
		}
		return e, nil
	}
	start := f.table.start(i)
	beyond := off+want > start+int64(f.table.content(i))
	if beyond || off == start && i > 0 && f.cache.has(key{f.id, i - 1}) {
		f.ahead(i)
	}
	return f.cache.get(key{f.id, i}, false, func(dst []byte) ([]byte, error) { return f.load(i, dst) })
}

// load reads a frame from the disk.
func (f *File) load(i int, dst []byte) ([]byte, error) {
	data, err := f.table.read(f.r, i, dst)
	if damage, ok := err.(*DamageError); ok {
		if f.damaged != nil {
			f.report.Do(func() { f.damaged(damage) })
		}
		return nil, syscall.EIO
	}
	return data, err
}

// ahead asks for the frames behind i, if there is somebody to read them.
func (f *File) ahead(i int) {
	for next := i + 1; next <= i+readAhead && next < f.table.Frames(); next++ {
		if f.cache.has(key{f.id, next}) {
			continue
		}
		select {
		case f.cache.pending <- ahead{f, next}:
		default:
			return
		}
	}
}

// fetch reads a frame that was asked for by ahead.
func (c *Cache) fetch(a ahead) {
	k := key{a.file.id, a.frame}
	if c.has(k) {
		return
	}
	if e, err := c.get(k, true, func(dst []byte) ([]byte, error) { return a.file.load(a.frame, dst) }); err == nil {
		c.release(e)
	}
}
