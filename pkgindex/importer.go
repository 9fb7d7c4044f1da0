package pkgindex

import (
	"bufio"
	"crypto/sha256"
	"errors"
	"fmt"
	"hash"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"syscall"
)

// fileID names the index of a package file: inode number, size and time of last
// modification, which a rename leaves alone and everything else changes.
func fileID(info fs.FileInfo) string {
	var ino uint64
	if st, ok := info.Sys().(*syscall.Stat_t); ok {
		ino = st.Ino
	}
	return fmt.Sprintf("%x-%x-%x", ino, info.Size(), info.ModTime().UnixNano())
}

// errChanged says that a package file was written to while it was read.
var errChanged = errors.New("it changed while it was read; it is read again when its writer closes it")

// An importer is the Sink that makes index and payload out of one package file,
// in one pass.
type importer struct {
	builder  *builder
	meta     Meta
	services map[string]bool
	out      *bufio.Writer
	offset   int64
	hash     hash.Hash
	buf      []byte
}

// storeError is a failure of our own disk, as opposed to one of the package
// file.
type storeError struct{ err error }

func (e *storeError) Error() string { return e.err.Error() }
func (e *storeError) Unwrap() error { return e.err }

func (im *importer) Start(m Meta) error {
	if len(m.Name) > 255 || len(m.Version) > 255 {
		return fmt.Errorf("name or version is longer than 255 bytes")
	}
	if _, err := ParseRef(m.Ref.String()); err != nil {
		return err
	}
	im.meta = m
	return nil
}

func (im *importer) Add(e Entry, content io.Reader) error {
	if name, ok := ServiceOf(e.Path); ok && e.Type != Directory {
		im.services[name] = true
	}
	var digest [32]byte
	offset := im.offset
	if content != nil && e.Type == Regular && e.HardLink == "" {
		im.hash.Reset()
		n, err := io.CopyBuffer(writerOnly{im}, content, im.buf)
		if err != nil {
			return err
		}
		if n != e.Size {
			return fmt.Errorf("%s: %d bytes, its header says %d", e.Path, n, e.Size)
		}
		im.hash.Sum(digest[:0])
	}
	return im.builder.add(e, offset, digest)
}

// writerOnly hides everything else, so that io.CopyBuffer uses the buffer.
type writerOnly struct{ io.Writer }

// Write takes a piece of a file's content.
func (im *importer) Write(b []byte) (int, error) {
	im.hash.Write(b)
	n, err := im.out.Write(b)
	im.offset += int64(n)
	if err != nil {
		return n, &storeError{err}
	}
	return n, nil
}

// importFile reads the package file f, whose fileID is id, and leaves its index
// and payload in the state directory.
func (s *Store) importFile(f *os.File, size int64, id string) (Meta, head, error) {
	path := f.Name()
	tmp, err := os.CreateTemp(filepath.Dir(s.payloadPath(id)), tempPrefix)
	if err != nil {
		return Meta{}, head{}, &storeError{err}
	}
	defer os.Remove(tmp.Name())
	defer tmp.Close()

	im := &importer{
		builder: newBuilder(s.config.Aliases), services: make(map[string]bool),
		out: bufio.NewWriterSize(tmp, 1<<20), hash: sha256.New(), buf: make([]byte, 256<<10),
	}
	err = ReadPackage(f, size, filepath.Base(path), s.config.Limits, im)
	if again, statErr := os.Stat(path); statErr == nil && fileID(again) != id {
		return Meta{}, head{}, errChanged
	}
	if err != nil {
		return Meta{}, head{}, err
	}
	for name := range im.services {
		im.meta.Services = append(im.meta.Services, name)
	}
	slices.Sort(im.meta.Services)
	h, err := s.commit(id, im, tmp)
	if err != nil {
		return Meta{}, head{}, &storeError{err}
	}
	return im.meta, h, nil
}

// tempPrefix begins the names of files that are not finished.
const tempPrefix = ".making-"

// commit makes the payload durable, then the index: an index is never there
// without its payload.
func (s *Store) commit(id string, im *importer, payload *os.File) (head, error) {
	if err := im.out.Flush(); err != nil {
		return head{}, err
	}
	if err := settle(payload, s.payloadPath(id)); err != nil {
		return head{}, err
	}
	data, err := im.builder.finish(im.meta, im.offset)
	if err != nil {
		return head{}, err
	}
	h, err := decodeHead(data)
	if err != nil {
		return head{}, err
	}
	f, err := os.CreateTemp(filepath.Dir(s.indexPath(id)), tempPrefix)
	if err != nil {
		return head{}, err
	}
	defer os.Remove(f.Name())
	defer f.Close()
	if _, err := f.Write(data); err != nil {
		return head{}, err
	}
	return h, settle(f, s.indexPath(id))
}

// settle makes f durable and gives it its name.
func settle(f *os.File, path string) error {
	if err := f.Chmod(0o600); err != nil {
		return err
	}
	if err := syscall.Fdatasync(int(f.Fd())); err != nil {
		return &os.PathError{Op: "sync", Path: f.Name(), Err: err}
	}
	return os.Rename(f.Name(), path)
}

// openSource returns what an earlier import left for id, or an error that says
// why there is nothing to use.
func (s *Store) openSource(path, id string) (*imported, error) {
	f, err := os.Open(s.indexPath(id))
	if err != nil {
		return nil, err
	}
	defer f.Close()
	h, meta, err := readHead(f)
	if err != nil {
		return nil, err
	}
	if h.aliases != s.config.Aliases.sum() {
		return nil, fmt.Errorf("%w: made with other path aliases", errIndex)
	}
	info, err := os.Stat(s.payloadPath(id))
	if err != nil {
		return nil, fmt.Errorf("%w: payload: %w", errIndex, err)
	}
	if uint64(info.Size()) != h.payload {
		return nil, fmt.Errorf("%w: the payload has %d bytes, want %d", errIndex, info.Size(), h.payload)
	}
	return s.newSource(path, id, meta, h), nil
}

func (s *Store) newSource(path, id string, meta Meta, h head) *imported {
	return &imported{id: id, path: path, meta: meta, head: h, store: s, broken: s.remake}
}
