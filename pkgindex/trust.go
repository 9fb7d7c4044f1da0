package pkgindex

import (
	"encoding/hex"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/packagefs/packagefs/pkgindex/dirwatch"
	"github.com/packagefs/packagefs/pkgindex/signature"
)

// signed says by what a package file was judged: the signature file beside it,
// by its fileID or "" for none, and the keys that were trusted then. It is zero
// where no keys are named.
type signed struct {
	by   string
	keys int
}

var errUnsigned = errors.New("it is not signed; put the signature " +
	"beside it, as packagefs sign or minisign make it, or start the server without --require-signatures")

// maxSignature is the size of a signature file, at most.
const maxSignature = 64 << 10

// signedNow looks for the signature of the package file at path.
func (inv *inventory) signedNow(path string) signed {
	if inv.store.config.Trust == "" {
		return signed{}
	}
	now := signed{keys: inv.keysAge}
	if info, err := os.Stat(path + signature.Suffix); err == nil {
		now.by = fileID(info)
	} else if !errors.Is(err, fs.ErrNotExist) {
		now.by = err.Error()
	}
	return now
}

// unsigned says whether f lacks the signature that it must have.
func (s *Store) unsigned(f *file) bool { return s.config.RequireSignatures && f.signed.by == "" }

// readKeys reads the directory of trusted keys. If they have changed, every
// package file is looked at anew.
func (inv *inventory) readKeys() error {
	keys, faults, err := signature.ReadKeys(inv.store.config.Trust)
	if err != nil {
		return err
	}
	for _, fault := range faults {
		inv.store.config.Log.Warn().Err(fault.Err).Str("file", fault.File).Msg("trusted key is left out")
	}
	inv.noise = inv.noise || len(faults)+len(inv.keyFaults) > 0
	inv.keyFaults = faults
	if have := inv.store.keys.Load(); have != nil && have.Equal(keys) {
		return nil
	}
	inv.store.keys.Store(keys)
	inv.keysAge++
	var paths []string
	for path := range inv.files {
		paths = append(paths, path)
	}
	for _, path := range paths {
		inv.look(inv.store.config.Packages[inv.files[path].dir], filepath.Base(path), false)
	}
	return nil
}

// recheck notes that the signature of a package that is served is being checked.
func (inv *inventory) recheck(f *file, by signed) {
	f.signed = by
	if !f.queued {
		f.queued = true
		inv.pending++
		inv.noise = true
	}
}

func (s *Store) hasIndex(path, id string) bool {
	_, err := s.openImported(path, id)
	return err == nil
}

// read does a job: it checks the signature, and then, of the very file whose
// signature it was, makes index and payload.
func (s *Store) read(r *result) {
	f, err := os.Open(r.path)
	if err != nil {
		r.err = err
		return
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		r.err = err
		return
	}
	if fileID(info) != r.id {
		r.err = errChanged
		return
	}
	var steady *steadiness
	if r.signed.by != "" {
		if steady, r.err = hold(f); r.err != nil {
			return
		}
		if r.signer, r.err = s.checkSignature(f, r.id); r.err != nil {
			return
		}
	}
	if r.indexed {
		imp, err := s.openImported(r.path, r.id)
		if err == nil {
			r.meta, r.head = imp.meta, imp.head
			return
		}
	}
	r.meta, r.head, r.err = s.importFile(f, info.Size(), r.id)
	if r.err == nil && steady != nil && !steady.still() {
		os.Remove(s.indexPath(r.id))
		r.err = errChanged
	}
}

// checkSignature checks f by the signature beside it.
func (s *Store) checkSignature(f *os.File, id string) (*signature.Signer, error) {
	digest, err := signature.Sum(io.NewSectionReader(f, 0, 1<<63-1))
	if err != nil {
		return nil, err
	}
	signer, err := s.checkDigest(f.Name(), digest)
	if err != nil {
		return nil, err
	}
	return signer, s.writeDigest(id, digest)
}

// checkDigest checks the signature of the package file at path, which has that
// digest.
func (s *Store) checkDigest(path string, digest signature.Digest) (*signature.Signer, error) {
	text, err := dirwatch.ReadComplete(path+signature.Suffix, maxSignature)
	if errors.Is(err, dirwatch.ErrWriting) {
		return nil, fmt.Errorf("its signature: %w", errChanged)
	}
	if err != nil {
		return nil, fmt.Errorf("its signature: %w", err)
	}
	signer, err := s.keys.Load().Check(digest, text)
	if refused := (*signature.CheckError)(nil); errors.As(err, &refused) {
		err = refused.Sentence()
	}
	if errors.Is(err, signature.ErrUnknownKey) {
		err = fmt.Errorf("%w; if it is to be trusted, put its public key into %s, as NAME.pub", err, s.config.Trust)
	}
	if err != nil {
		return nil, err
	}
	return &signer, nil
}

func (s *Store) digestPath(id string) string {
	return filepath.Join(s.config.State, "index", id+".digest")
}

// writeDigest keeps the digest of a package file, so that a start need not read
// the file again.
func (s *Store) writeDigest(id string, digest signature.Digest) error {
	f, err := os.CreateTemp(filepath.Dir(s.digestPath(id)), tempPrefix)
	if err != nil {
		return &storeError{err}
	}
	defer os.Remove(f.Name())
	defer f.Close()
	if _, err := fmt.Fprintf(f, "%x %08x\n", digest, crc32.Checksum(digest[:], crcTable)); err != nil {
		return &storeError{err}
	}
	if err := commitFile(f, s.digestPath(id), true); err != nil {
		return &storeError{err}
	}
	return nil
}

// readDigest returns what writeDigest kept.
func (s *Store) readDigest(id string) (digest signature.Digest, err error) {
	text, err := os.ReadFile(s.digestPath(id))
	if err != nil {
		return digest, err
	}
	var sum uint32
	var bytes []byte
	if _, err := fmt.Sscanf(string(text), "%x %08x\n", &bytes, &sum); err != nil || len(bytes) != len(digest) {
		return digest, errIndex
	}
	if copy(digest[:], bytes); crc32.Checksum(digest[:], crcTable) != sum {
		return digest, fmt.Errorf("%w: %s", errIndex, hex.EncodeToString(bytes[:4]))
	}
	return digest, nil
}

// A steadiness tells whether a file was left alone since hold. A lease tells,
// which nobody gets around who opens the file to write; where there are none,
// the time of its last change does.
type steadiness struct {
	f      *os.File
	leased bool
	change unix.Timespec
}

// hold fails with errChanged if somebody has f open for writing.
func hold(f *os.File) (*steadiness, error) {
	h := &steadiness{f: f}
	switch _, err := unix.FcntlInt(f.Fd(), unix.F_SETLEASE, unix.F_RDLCK); err {
	case nil:
		h.leased = true
	case syscall.EAGAIN:
		return nil, errChanged
	}
	var st unix.Stat_t
	if err := unix.Fstat(int(f.Fd()), &st); err != nil {
		return nil, &os.PathError{Op: "stat", Path: f.Name(), Err: err}
	}
	h.change = st.Ctim
	return h, nil
}

func (h *steadiness) still() bool {
	if h.leased {
		kind, err := unix.FcntlInt(h.f.Fd(), unix.F_GETLEASE, 0)
		return err == nil && kind == unix.F_RDLCK
	}
	var st unix.Stat_t
	return unix.Fstat(int(h.f.Fd()), &st) == nil && st.Ctim == h.change
}
