package pkgindex

import (
	"bufio"
	"crypto/sha256"
	"errors"
	"fmt"
	"hash"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/packagefs/packagefs/pkgindex/format"
	"github.com/packagefs/packagefs/pkgindex/pfs"
	"github.com/packagefs/packagefs/pkgindex/pkgmeta"
)

// fileID names the index of a package file: inode number, size and time of last
// modification, which a rename leaves alone. Whoever may write the file can give
// other bytes the same: whether the index is believed, its origin tells.
func fileID(info fs.FileInfo) string {
	var ino uint64
	if st, ok := info.Sys().(*syscall.Stat_t); ok {
		ino = st.Ino
	}
	return fmt.Sprintf("%x-%x-%x", ino, info.Size(), info.ModTime().UnixNano())
}

// changeOf is when a file was last changed, in nanoseconds since 1970. A rename
// changes a file, and so does everything else; nobody can set this time.
func changeOf(info fs.FileInfo) int64 {
	if st, ok := info.Sys().(*syscall.Stat_t); ok {
		return unix.TimespecToNsec(unix.Timespec(st.Ctim))
	}
	return 0
}

// errChanged says that a package file was written to while it was read.
var errChanged = errors.New("it changed while it was read; it is read again when its writer closes it")

// An importer is the Sink and TableSink that makes index and payload out of one package file,
// in one pass.
type importer struct {
	builder  *builder
	meta     pkgmeta.Meta
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

func (im *importer) Start(m pkgmeta.Meta) error {
	if len(m.Name) > 255 || len(m.Version) > 255 {
		return fmt.Errorf("name or version is longer than 255 bytes")
	}
	if _, err := pkgmeta.ParseRef(m.Ref.String()); err != nil {
		return err
	}
	im.meta = m
	for _, name := range m.Services {
		im.services[name] = true
	}
	return nil
}

func (im *importer) Add(e pkgmeta.Entry, content io.Reader) error {
	var digest [32]byte
	offset := im.offset
	if content != nil && e.Type == pkgmeta.Regular && e.HardLink == "" {
		if im.hash.Reset(); im.buf == nil {
			im.buf = make([]byte, 256<<10)
		}
		n, err := io.CopyBuffer(writerOnly{im}, content, im.buf)
		if err != nil {
			return err
		}
		if n != e.Size {
			return fmt.Errorf("%s: %d bytes, its header says %d", e.Path, n, e.Size)
		}
		im.hash.Sum(digest[:0])
	}
	return im.AddAt(e, offset, digest)
}

// AddAt enters a member; offset and digest are those of a regular file.
func (im *importer) AddAt(e pkgmeta.Entry, offset int64, digest [32]byte) error {
	if name, ok := pkgmeta.ServiceOf(e.Path); ok && e.Type != pkgmeta.Directory {
		im.services[name] = true
	}
	return im.builder.add(e, offset, digest)
}

// Reserve makes room for about n members.
func (im *importer) Reserve(n int) { im.builder.reserve(n) }

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

// importFile reads the package file f, whose fileID is id and of which from
// tells, and leaves its index and payload in the state directory.
func (s *Store) importFile(f *os.File, size int64, id string, from origin) (pkgmeta.Meta, head, error) {
	path := f.Name()
	tmp, err := os.CreateTemp(filepath.Dir(s.payloadPath(id)), tempPrefix)
	if err != nil {
		return pkgmeta.Meta{}, head{}, &storeError{err}
	}
	defer os.Remove(tmp.Name())
	defer tmp.Close()

	im := &importer{
		builder: newBuilder(s.config.Aliases), services: make(map[string]bool),
		out: bufio.NewWriterSize(tmp, 1<<20), hash: sha256.New(),
	}
	err = s.readInto(im, f, size, filepath.Base(path))
	if now, statErr := os.Lstat(path); statErr == nil && fileID(now) != id {
		return pkgmeta.Meta{}, head{}, errChanged
	}
	if err != nil {
		return pkgmeta.Meta{}, head{}, err
	}
	im.meta.Services = slices.Sorted(maps.Keys(im.services))
	h, err := s.commit(id, im, tmp, from)
	if tooLarge := (*sizeError)(nil); errors.As(err, &tooLarge) {
		return pkgmeta.Meta{}, head{}, format.Describe(filepath.Base(path), tooLarge)
	} else if err != nil {
		return pkgmeta.Meta{}, head{}, &storeError{err}
	}
	return im.meta, h, nil
}

// readInto reads a package file into im: a native one without its contents.
func (s *Store) readInto(im *importer, f *os.File, size int64, name string) error {
	native, err := pfs.Detect(f, size)
	if err != nil {
		return err
	}
	if native {
		return format.Describe(name, s.importNative(im, f, size))
	}
	return format.Read(f, size, name, s.config.Limits, im)
}

// tempPrefix begins the names of files that are not finished.
const tempPrefix = ".making-"

// commit makes the payload durable, then the index: an index is never there
// without its payload.
func (s *Store) commit(id string, im *importer, payload *os.File, from origin) (head, error) {
	if err := im.out.Flush(); err != nil {
		return head{}, err
	}
	// Of a native package both files have checksums of all that matters: what a
	// crash makes of them is noticed, and made again.
	durable := im.meta.Format != pkgmeta.Pfs
	if err := commitFile(payload, s.payloadPath(id), durable); err != nil {
		return head{}, err
	}
	data, err := im.builder.finish(im.meta, im.offset, from)
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
	return h, commitFile(f, s.indexPath(id), durable)
}

// commitFile makes f durable, if need be, and gives it its name.
func commitFile(f *os.File, path string, durable bool) error {
	if err := f.Chmod(0o600); err != nil {
		return err
	}
	if durable {
		if err := syscall.Fdatasync(int(f.Fd())); err != nil {
			return &os.PathError{Op: "sync", Path: f.Name(), Err: err}
		}
	}
	return os.Rename(f.Name(), path)
}

// openImported returns what an earlier import left for id, or an error that says
// why there is nothing to use.
func (s *Store) openImported(path, id string) (*imported, error) {
	f, err := os.Open(s.indexPath(id))
	if err != nil {
		return nil, err
	}
	defer f.Close()
	h, meta, err := readHead(f)
	if err != nil {
		return nil, err
	}
	if h.aliases != s.config.Aliases.Sum() {
		return nil, fmt.Errorf("%w: made with other path aliases", errIndex)
	}
	info, err := os.Stat(s.payloadPath(id))
	if err != nil {
		return nil, fmt.Errorf("%w: payload: %w", errIndex, err)
	}
	if uint64(info.Size()) != h.payload {
		return nil, fmt.Errorf("%w: the payload has %d bytes, want %d", errIndex, info.Size(), h.payload)
	}
	imp := s.newImported(path, id, meta, h)
	if meta.Format != pkgmeta.Pfs {
		return imp, nil
	}
	switch s.stateOf(imp) {
	case contentsDamaged:
		return nil, errDamaged
	case contentsRotten:
		reason := wasRotten
		imp.damage.Store(&reason)
	}
	return imp, nil
}

func (s *Store) newImported(path, id string, meta pkgmeta.Meta, h head) *imported {
	return &imported{id: id, path: path, meta: meta, head: h, store: s, broken: s.remake, serial: s.serial.Add(1)}
}
