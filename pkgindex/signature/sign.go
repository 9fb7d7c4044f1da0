package signature

import (
	"crypto"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"aead.dev/minisign"
)

// A PrivateKey signs.
type PrivateKey struct{ key minisign.PrivateKey }

// ID names the key.
func (p PrivateKey) ID() KeyID { return keyID(p.key.ID()) }

// ReadPrivateKey reads a secret key file of minisign. password is called if the
// key is encrypted.
func ReadPrivateKey(path string, password func() (string, error)) (PrivateKey, error) {
	text, err := readSmall(path)
	if err != nil {
		return PrivateKey{}, fmt.Errorf("secret key: %w", err)
	}
	var p PrivateKey
	if !minisign.IsEncrypted(text) {
		if err := p.key.UnmarshalText(text); err != nil {
			return p, fmt.Errorf("%s is no secret key of minisign: %w", path, err)
		}
		return p, nil
	}
	secret, err := password()
	if err != nil {
		return p, err
	}
	if p.key, err = minisign.DecryptKey(secret, text); err != nil {
		return p, fmt.Errorf("secret key %s: the password is wrong, or the file is damaged", path)
	}
	return p, nil
}

// Sign writes the signature of the file at path beside it. comment is signed,
// too; if it is empty, it is the file's name.
func (p PrivateKey) Sign(path, comment string) error { return p.SignAs(path, path, comment) }

// SignAs is Sign for a file that will get the name as.
func (p PrivateKey) SignAs(path, as, comment string) error {
	digest, err := sumFile(path)
	if err != nil {
		return err
	}
	if comment == "" {
		comment = "file:" + filepath.Base(as)
	}
	raw, err := p.key.Sign(nil, digest[:], crypto.BLAKE2b_512)
	if err != nil {
		return err
	}
	var s minisign.Signature
	if err := s.UnmarshalText(raw); err != nil {
		return err
	}
	s.TrustedComment, s.UntrustedComment = comment, "signature by key "+string(p.ID())
	signed, err := p.key.Sign(nil, append(s.Signature[:], comment...), crypto.Hash(0))
	if err != nil {
		return err
	}
	var c minisign.Signature
	if err := c.UnmarshalText(signed); err != nil {
		return err
	}
	s.CommentSignature = c.Signature
	text, err := s.MarshalText()
	if err != nil {
		return err
	}
	return writeBeside(as+Suffix, text)
}

// writeBeside replaces the file at path in one step.
func writeBeside(path string, data []byte) error {
	f, err := os.CreateTemp(filepath.Dir(path), ".signing-")
	if err != nil {
		return err
	}
	defer os.Remove(f.Name())
	defer f.Close()
	if _, err := f.Write(data); err != nil {
		return err
	}
	if err := errors.Join(f.Chmod(0o644), f.Sync(), f.Close()); err != nil {
		return err
	}
	return os.Rename(f.Name(), path)
}

// sumFile returns the digest of the file at path.
func sumFile(path string) (Digest, error) {
	f, err := os.Open(path)
	if err != nil {
		return Digest{}, err
	}
	defer f.Close()
	d, err := Sum(f)
	if err != nil {
		return d, fmt.Errorf("%s: %w", path, err)
	}
	return d, nil
}

// readUpTo fills b as far as r goes.
func readUpTo(r io.Reader, b []byte) (int, error) {
	n, err := io.ReadFull(r, b)
	if err == io.EOF || err == io.ErrUnexpectedEOF {
		err = nil
	}
	return n, err
}

// A KeyPair is a new secret key with its public key.
type KeyPair struct {
	Secret, Public []byte // the texts of their files
	ID             KeyID
}

// NewKeyPair makes a key; the secret one is encrypted if there is a password.
func NewKeyPair(password string) (KeyPair, error) {
	public, private, err := minisign.GenerateKey(nil)
	if err != nil {
		return KeyPair{}, err
	}
	p := KeyPair{ID: keyID(public.ID())}
	if p.Public, err = public.MarshalText(); err != nil {
		return p, err
	}
	if password == "" {
		p.Secret, err = private.MarshalText()
	} else {
		p.Secret, err = minisign.EncryptKey(password, private)
	}
	p.Public, p.Secret = append(p.Public, '\n'), append(p.Secret, '\n')
	return p, err
}
