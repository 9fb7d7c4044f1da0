package signature

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"aead.dev/minisign"
)

// setUp makes a key pair and a file, and returns the directory of keys, the
// private key and the file.
func setUp(t *testing.T) (keysDir string, private PrivateKey, file string) {
	t.Helper()
	dir := t.TempDir()
	keysDir, file = filepath.Join(dir, "keys"), filepath.Join(dir, "x.deb")
	pair, err := NewKeyPair("")
	if err != nil {
		t.Fatal(err)
	}
	for name, data := range map[string][]byte{"keys/a.pub": pair.Public, "secret": pair.Secret, "x.deb": []byte("content")} {
		name = filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(name), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	private, err = ReadPrivateKey(filepath.Join(dir, "secret"), func() (string, error) { return "", errors.New("asked") })
	if err != nil {
		t.Fatal(err)
	}
	if private.ID() != pair.ID {
		t.Errorf("key %s is read as %s", pair.ID, private.ID())
	}
	return keysDir, private, file
}

func TestSignAndCheck(t *testing.T) {
	dir, private, file := setUp(t)
	if err := private.Sign(file, "for you"); err != nil {
		t.Fatal(err)
	}
	keys, faults, err := ReadKeys(dir)
	if err != nil || len(faults) != 0 || keys.Len() != 1 {
		t.Fatal(keys, faults, err)
	}
	signer, err := keys.CheckFile(file)
	if err != nil || signer != (Signer{private.ID(), "a.pub", "for you"}) {
		t.Errorf("%+v, %v", signer, err)
	}
	// The library agrees.
	text, err := os.ReadFile(file + Suffix)
	if err != nil {
		t.Fatal(err)
	}
	public, err := minisign.PublicKeyFromFile(filepath.Join(dir, "a.pub"))
	if err != nil {
		t.Fatal(err)
	}
	r := minisign.NewReader(strings.NewReader("content"))
	if _, err := r.Read(make([]byte, 100)); err != nil {
		t.Fatal(err)
	}
	if !r.Verify(public, text) {
		t.Error("the library takes it for wrong")
	}
	// Every bit that is flipped is noticed, but for the comment that is not
	// signed, ends of lines, and bits that base64 leaves out.
	for i := bytes.IndexByte(text, '\n') + 1; i < len(text); i++ {
		changed := bytes.Clone(text)
		changed[i] ^= 1
		digest, err := Sum(strings.NewReader("content"))
		if err != nil {
			t.Fatal(err)
		}
		if signer, err := keys.Check(digest, changed); err == nil && (text[i] != '\n' && text[i+1] != '=' && text[i] != '=') {
			t.Errorf("byte %d (%q) is changed: %+v", i, text[i], signer)
		}
	}
}

func TestRefused(t *testing.T) {
	dir, private, file := setUp(t)
	if err := private.Sign(file, ""); err != nil {
		t.Fatal(err)
	}
	keys, _, err := ReadKeys(dir)
	if err != nil {
		t.Fatal(err)
	}
	check := func(what string, keys *Keys, want string) {
		t.Helper()
		if signer, err := keys.CheckFile(file); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %+v, %v; want %q", what, signer, err, want)
		}
	}
	check("nobody is trusted", &Keys{}, "not trusted: "+string(private.ID()))
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	must(os.WriteFile(file, []byte("Content"), 0o600))
	check("another file", keys, "does not match its signature")
	must(os.WriteFile(file, []byte("content"), 0o600))
	text, err := os.ReadFile(file + Suffix)
	must(err)
	must(os.WriteFile(file+Suffix, bytes.Replace(text, []byte("file:x.deb"), []byte("file:y.deb"), 1), 0o600))
	check("another comment", keys, "comment of its signature")
	must(os.WriteFile(file+Suffix, minisign.Sign(private.key, []byte("content")), 0o600))
	old := minisign.Sign(private.key, []byte("content"))
	var s minisign.Signature
	must(s.UnmarshalText(old))
	s.Algorithm = minisign.EdDSA
	old, err = s.MarshalText()
	must(err)
	must(os.WriteFile(file+Suffix, old, 0o600))
	check("the old way", keys, "sign it again without")
	must(os.WriteFile(file+Suffix, []byte("nonsense"), 0o600))
	check("nonsense", keys, "no signature of minisign")
	must(os.WriteFile(file+Suffix, make([]byte, maxSize+1), 0o600))
	check("too large", keys, "more than 65536 bytes")
	must(os.Remove(file + Suffix))
	check("none", keys, "no such file")
	must(os.WriteFile(filepath.Join(dir, "bad.pub"), []byte("nonsense"), 0o600))
	if keys, faults, err := ReadKeys(dir); err != nil || keys.Len() != 1 || len(faults) != 1 || faults[0].File != "bad.pub" {
		t.Errorf("a bad key: %v, %v", faults, err)
	}
}

// TestEncryptedKey: the password is asked for. That the right one opens the key
// is for TestMinisign to show, since it takes long by design.
func TestEncryptedKey(t *testing.T) {
	const encrypted = "untrusted comment: minisign encrypted secret key\nRWRTY0Iyyw6WR0xprmxUKr9MZdoD0PRsy1FhPotNH+hnmoUBeZMAAAACAAAAAAAAAEAAAAAAGGatDgDmw4l4Mz+A1bLOWPgP9KxC3kTkHqQyf0fxH9zVevNXV3vhY4spL2zF+XezRl0HrwVVQnwKoSOy/YQq0/u1FEoYfCOOyeSJ/sJGjGncFqQzKl6zCFwWyBZGI2ygLcOm06loWzM=\n"
	file := filepath.Join(t.TempDir(), "key")
	if err := os.WriteFile(file, []byte(encrypted), 0o600); err != nil {
		t.Fatal(err)
	}
	asked := errors.New("asked")
	if _, err := ReadPrivateKey(file, func() (string, error) { return "", asked }); !errors.Is(err, asked) {
		t.Errorf("no password: %v", err)
	}
}
