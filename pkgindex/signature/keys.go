package signature

import (
	"crypto/ed25519"
	"encoding/base64"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"aead.dev/minisign"
)

// Suffix ends the name of a signature file, KeySuffix that of a public key.
const (
	Suffix    = ".minisig"
	KeySuffix = ".pub"

	maxSize = 64 << 10 // bytes of a key or signature file
)

// A KeyID names a key, as minisign writes it: up to 16 hexadecimal digits.
type KeyID string

func keyID(id uint64) KeyID { return KeyID(fmt.Sprintf("%016X", id)) }

// Keys are public keys that are trusted. The zero value trusts nobody. It is
// immutable.
type Keys struct {
	byID map[uint64][]key
}

type key struct {
	public ed25519.PublicKey
	name   string // base name of its file
}

// A Fault is a file that should have a public key, and what is wrong with it.
type Fault struct {
	File string // base name
	Err  error
}

// ReadKeys reads the files of dir whose names end in ".pub". Files that have no
// key are left out and returned as faults.
func ReadKeys(dir string) (*Keys, []Fault, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, nil, fmt.Errorf("directory of trusted keys: %w", err)
	}
	keys := &Keys{byID: make(map[uint64][]key)}
	var faults []Fault
	for _, e := range entries {
		if filepath.Ext(e.Name()) != KeySuffix || strings.HasPrefix(e.Name(), ".") {
			continue
		}
		text, err := readSmall(filepath.Join(dir, e.Name()))
		if err == nil {
			err = keys.add(text, e.Name())
		}
		if err != nil {
			faults = append(faults, Fault{e.Name(), err})
		}
	}
	return keys, faults, nil
}

// ParseKey returns Keys that trust one key: text is that of a key file, or the
// key alone as minisign -P takes it.
func ParseKey(text string) (*Keys, error) {
	keys := &Keys{byID: make(map[uint64][]key)}
	return keys, keys.add([]byte(text), "")
}

func (k *Keys) add(text []byte, name string) error {
	var public minisign.PublicKey
	if err := public.UnmarshalText([]byte(strings.TrimSpace(string(text)))); err != nil {
		return fmt.Errorf("is no public key of minisign: %w", err)
	}
	raw, err := base64.StdEncoding.DecodeString(public.String())
	if err != nil || len(raw) != 2+8+ed25519.PublicKeySize {
		return errors.New("is no public key of minisign")
	}
	k.byID[public.ID()] = append(k.byID[public.ID()], key{ed25519.PublicKey(raw[10:]), name})
	return nil
}

// Equal says whether two sets of keys trust the same keys.
func (k *Keys) Equal(o *Keys) bool {
	if len(k.byID) != len(o.byID) {
		return false
	}
	for id, keys := range k.byID {
		if !slices.EqualFunc(keys, o.byID[id], func(a, b key) bool { return a.name == b.name && a.public.Equal(b.public) }) {
			return false
		}
	}
	return true
}

// Len is the number of keys.
func (k *Keys) Len() int {
	n := 0
	for _, keys := range k.byID {
		n += len(keys)
	}
	return n
}

// readSmall reads a file that cannot be large.
func readSmall(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	b := make([]byte, maxSize+1)
	n, err := readUpTo(f, b)
	if err != nil {
		return nil, err
	}
	if n > maxSize {
		return nil, fmt.Errorf("has more than %d bytes", maxSize)
	}
	return b[:n], nil
}
