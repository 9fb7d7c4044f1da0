package signature

import (
	"crypto/ed25519"
	"errors"
	"fmt"
	"io"
	"strings"

	"aead.dev/minisign"
	"golang.org/x/crypto/blake2b"
)

// A Digest is what of a package file is signed: its BLAKE2b-512.
type Digest [blake2b.Size]byte

// Sum reads r to its end and returns its digest.
func Sum(r io.Reader) (d Digest, err error) {
	h, err := blake2b.New512(nil)
	if err != nil {
		return d, err
	}
	if _, err := io.CopyBuffer(h, struct{ io.Reader }{r}, make([]byte, 256<<10)); err != nil {
		return d, err
	}
	h.Sum(d[:0])
	return d, nil
}

// A Signer is who has signed a package file.
type Signer struct {
	KeyID   KeyID
	Key     string // base name of the file that has the public key, or empty
	Comment string // the trusted comment, which is signed as well
}

// ErrUnknownKey says that a signature was made by a key that is not trusted.
var ErrUnknownKey = errors.New("is signed by a key that is not trusted")

// A CheckError says why the signature of a package file does not count.
type CheckError struct {
	err error

	// whole is set where the words are a sentence; else they say what the file is or
	// does.
	whole bool
}

func (e *CheckError) Error() string { return e.err.Error() }
func (e *CheckError) Unwrap() error { return e.err }

// Sentence is the error as a whole sentence, which calls the package file it.
func (e *CheckError) Sentence() error {
	if e.whole {
		return e
	}
	return fmt.Errorf("it %w", e)
}

// refuse makes a CheckError of what the file is or does.
func refuse(format string, args ...any) error {
	return &CheckError{err: fmt.Errorf(format, args...)}
}

// Check says whether signature, the text of a signature file, is one of that
// digest by one of the keys, and by which. Its errors are CheckErrors.
func (k *Keys) Check(digest Digest, signature []byte) (Signer, error) {
	var s minisign.Signature
	if err := s.UnmarshalText(signature); err != nil {
		return Signer{}, &CheckError{fmt.Errorf("its signature file has no signature of minisign: %w", err), true}
	}
	id := keyID(s.KeyID)
	keys := k.byID[s.KeyID]
	switch {
	case s.Algorithm != minisign.HashEdDSA:
		return Signer{}, refuse("is signed by key %s in the old way that is not of a digest; sign it again without minisign's option -l", id)
	case len(keys) == 0:
		return Signer{}, refuse("%w: %s", ErrUnknownKey, id)
	}
	for _, key := range keys {
		if !ed25519.Verify(key.public, digest[:], s.Signature[:]) {
			continue
		}
		if !ed25519.Verify(key.public, append(s.Signature[:], s.TrustedComment...), s.CommentSignature[:]) {
			return Signer{}, &CheckError{fmt.Errorf("the comment of its signature by key %s was changed", id), true}
		}
		return Signer{KeyID: id, Key: key.name, Comment: printable(s.TrustedComment)}, nil
	}
	return Signer{}, refuse("does not match its signature by key %s: one of the two was changed", id)
}

// printable makes a comment one line that is safe to show.
func printable(s string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return ' '
		}
		return r
	}, strings.ToValidUTF8(s, "\uFFFD"))
}

// CheckFile checks the file at path by the signature file beside it.
func (k *Keys) CheckFile(path string) (Signer, error) {
	text, err := readSmall(path + Suffix)
	if err != nil {
		return Signer{}, fmt.Errorf("signature: %w", err)
	}
	digest, err := sumFile(path)
	if err != nil {
		return Signer{}, err
	}
	return k.Check(digest, text)
}
