package pkgindex

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

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
	if info, err := os.Lstat(path + signature.Suffix); err == nil {
		now.by = fmt.Sprintf("%s-%x", fileID(info), changeOf(info))
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

// recheck notes that a package that is served is being checked.
func (inv *inventory) recheck(f *file, by signed, change int64) {
	f.signed, f.change = by, change
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

// checkDigest checks the signature of the package file at path, which has that
// digest.
func (s *Store) checkDigest(path string, digest signature.Digest) (*signature.Signer, error) {
	text, err := dirwatch.ReadComplete(path+signature.Suffix, maxSignature, unix.O_NOFOLLOW)
	switch {
	case errors.Is(err, dirwatch.ErrWriting):
		return nil, fmt.Errorf("its signature: %w", errChanged)
	case errors.Is(err, unix.ELOOP):
		return nil, fmt.Errorf("its signature: %w", errSymlink)
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
