package pkgindex

import (
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"golang.org/x/sys/unix"

	"github.com/packagefs/packagefs/pkgindex/dirwatch"
	"github.com/packagefs/packagefs/pkgindex/pfs"
	"github.com/packagefs/packagefs/pkgindex/signature"
)

// errSymlink is why nothing behind a symlink is read: the server may read what who
// made the symlink may not.
var errSymlink = errors.New("it is a symlink, and those are not followed; put the file itself here, or a hard link to it")

// attempts is how often a file is read whose attributes change meanwhile: programs
// that copy files set them when these are complete.
const attempts = 3

// read does a job: it checks the signature, and then, of the very file whose
// signature it was, makes index and payload, unless they are there.
func (s *Store) read(r *result) {
	for range attempts {
		if r.err = s.readOnce(r); !errors.Is(r.err, errChanged) {
			return
		}
		if info, err := os.Lstat(r.path); err != nil || fileID(info) != r.id {
			return
		}
	}
}

func (s *Store) readOnce(r *result) error {
	f, err := openPackageFile(r.path)
	if err != nil {
		return err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return err
	}
	if fileID(info) != r.id {
		return errChanged
	}
	steady, err := hold(f)
	if err != nil {
		return err
	}
	from := origin{change: steady.change}
	native, err := pfs.Detect(f, info.Size())
	if err != nil {
		return err
	}
	// The contents of a native package are verified when they are read: it costs
	// less to read its table again than to know that the file is the same.
	if !native || r.signed.by != "" {
		if from.digest, err = signature.Sum(io.NewSectionReader(f, 0, info.Size())); err != nil {
			return err
		}
	}
	if r.signed.by != "" {
		if r.signer, err = s.checkDigest(r.path, from.digest); err != nil {
			return err
		}
	}
	r.indexed = r.indexed && s.reuse(r, from)
	if !r.indexed {
		if r.meta, r.head, err = s.importFile(f, info.Size(), r.id, from); err != nil {
			return err
		}
	}
	if !steady.still() {
		os.Remove(s.indexPath(r.id))
		return errChanged
	}
	return nil
}

// openPackageFile opens a package file and nothing else: neither what a symlink
// points to, nor something that waits.
func openPackageFile(path string) (*os.File, error) {
	f, err := os.OpenFile(path, os.O_RDONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK, 0)
	if errors.Is(err, unix.ELOOP) {
		return nil, errSymlink
	}
	return f, err
}

// reuse takes the index that is there, if it was made of a file of that origin or
// of the same bytes.
func (s *Store) reuse(r *result, from origin) bool {
	imp, err := s.openImported(r.path, r.id)
	if err != nil {
		return false
	}
	have := imp.head.origin
	if !have.same(from) {
		return false
	}
	if from.digest == (signature.Digest{}) {
		from.digest = have.digest
	}
	r.meta, r.head = imp.meta, imp.head
	if r.head.origin = from; from == have {
		return true
	}
	return s.stamp(r.id, from) == nil
}

// stamp writes another origin into an index. A head that is written by half is
// noticed, and the index made again.
func (s *Store) stamp(id string, from origin) error {
	f, err := os.OpenFile(s.indexPath(id), os.O_RDWR, 0)
	if err != nil {
		return err
	}
	defer f.Close()
	h, _, err := readHead(f)
	if err != nil {
		return err
	}
	meta := make([]byte, h.meta)
	if _, err := f.ReadAt(meta, headSize); err != nil {
		return err
	}
	h.origin = from
	_, err = f.WriteAt(h.encode(meta), 0)
	return err
}

// A steadiness tells whether a file was left alone since hold. A lease tells,
// which nobody gets around who opens the file to write; where there are none,
// the time of its last change does.
type steadiness struct {
	f      *os.File
	leased bool
	change int64 // as changeOf has it
}

// hold fails with errChanged if somebody has f open for writing.
func hold(f *os.File) (*steadiness, error) {
	leased, err := dirwatch.Lease(f)
	if err != nil {
		return nil, fmt.Errorf("it is still being written: %w", errChanged)
	}
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	return &steadiness{f, leased, changeOf(info)}, nil
}

// tick is how far the kernel's clock for times of files goes at a time, at most.
const tick = 10 * time.Millisecond

// still says whether the file was left alone until now. It waits until whatever
// happens to the file afterwards gives it another time.
func (h *steadiness) still() bool {
	age := time.Since(time.Unix(0, h.change))
	time.Sleep(min(tick, tick-age))
	if h.leased {
		kind, err := unix.FcntlInt(h.f.Fd(), unix.F_GETLEASE, 0)
		return err == nil && kind == unix.F_RDLCK
	}
	info, err := h.f.Stat()
	return err == nil && changeOf(info) == h.change
}

// move renames a package file that was indexed as f, and takes its index along:
// the file is the same, though a rename is a change.
func (s *Store) move(f *staged, from, to string) error {
	file, err := openPackageFile(from)
	if err != nil {
		return fmt.Errorf("%s: %w", f.name, err)
	}
	defer file.Close()
	steady, err := hold(file)
	known := err == nil && steady.change == f.head.change && (steady.leased || f.signed.by == "")
	if err := os.Rename(from, to); err != nil || !known {
		return err
	}
	if info, err := file.Stat(); err == nil && (!steady.leased || steady.still()) {
		// Where this fails, the file is read again.
		s.stamp(f.id, origin{changeOf(info), f.head.digest})
	}
	return nil
}
