package pkgindex_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/packagefs/packagefs/pkgindex/format/mkpkg"
	"github.com/packagefs/packagefs/pkgindex/signature"
)

// signer makes a key, whose public half is in the file returned, and signs with
// it.
func signer(t *testing.T) (public string, key signature.PrivateKey) {
	t.Helper()
	pair, err := signature.NewKeyPair("")
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	for name, text := range map[string][]byte{"secret": pair.Secret, "public": pair.Public} {
		if err := os.WriteFile(filepath.Join(dir, name), text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	key, err = signature.ReadPrivateKey(filepath.Join(dir, "secret"), nil)
	if err != nil {
		t.Fatal(err)
	}
	return filepath.Join(dir, "public"), key
}

// sign puts a signature of that content beside the package file NAME.
func (s *shop) sign(key signature.PrivateKey, name string, data []byte) {
	s.Helper()
	file := filepath.Join(s.TempDir(), filepath.Base(name))
	s.must(os.WriteFile(file, data, 0o600))
	s.must(key.Sign(file, "a comment"))
	s.must(os.Rename(file+signature.Suffix, s.path(name)+signature.Suffix))
}

func (s *shop) trustKey(public, name string) {
	s.Helper()
	text, err := os.ReadFile(public)
	s.must(err)
	s.must(os.WriteFile(filepath.Join(s.trust, name), text, 0o600))
}

// reason returns why the only file that is set aside is.
func (s *shop) reason() string {
	s.Helper()
	if r := s.store.Set().Rejected; len(r) == 1 {
		return r[0].Reason
	}
	return ""
}

func (s *shop) because(when, want, reason string) {
	s.Helper()
	s.expect(when, want)
	if got := s.reason(); !strings.Contains(got, reason) {
		s.Errorf("%s: because %q, want %q", when, got, reason)
	}
}

// TestRequiredSignatures takes keys, signatures and package files through all
// orders that they may come and go in.
func TestRequiredSignatures(t *testing.T) {
	s := &shop{T: t, dir: t.TempDir(), state: t.TempDir(), trust: t.TempDir(), require: true}
	public, key := signer(t)
	_, other := signer(t)
	one, two := deb(t, hello("1", "one")), deb(t, hello("2", "two"))
	s.start()

	s.write("a.deb", one)
	s.because("unsigned", "!a.deb", "it is not signed")
	s.sign(key, "a.deb", one)
	s.because("by an unknown key", "!a.deb", "not trusted: "+string(key.ID()))
	s.trustKey(public, "me.pub")
	s.expect("the key is trusted", "hello=1")
	if p := s.store.Set().Packages[0]; p.Signer == nil || *p.Signer != (signature.Signer{KeyID: key.ID(), Key: "me.pub", Comment: "a comment"}) {
		t.Errorf("signed by %+v", p.Signer)
	}
	s.restart()
	s.expect("started again", "hello=1")
	if s.store.Set().Packages[0].Signer == nil {
		t.Error("started again: not signed")
	}
	s.sign(other, "a.deb", one)
	s.because("another signature", "!a.deb", "not trusted: "+string(other.ID()))
	s.sign(key, "a.deb", one)
	s.expect("the first signature again", "hello=1")
	s.must(os.Remove(s.path("a.deb.minisig")))
	s.because("no signature any more", "!a.deb", "it is not signed")
	s.sign(key, "a.deb", two)
	s.because("a signature of something else", "!a.deb", "does not match its signature")
	s.write("a.deb", two)
	s.expect("a package file to match", "hello=2")
	s.write("a.deb.minisig", []byte("nonsense"))
	s.because("nonsense", "!a.deb", "no signature of minisign")
	s.sign(key, "a.deb", two)
	s.expect("signed", "hello=2")
	s.write("me.pub", nil) // in the wrong directory
	s.must(os.Remove(s.path("me.pub")))
	s.must(os.Remove(filepath.Join(s.trust, "me.pub")))
	s.because("the key is trusted no more", "!a.deb", "not trusted")
	s.must(os.WriteFile(filepath.Join(s.trust, "bad.pub"), []byte("nonsense"), 0o600))
	s.expect("a key file that has none", "!a.deb !trust/bad.pub")
	s.must(os.Remove(filepath.Join(s.trust, "bad.pub")))
	s.trustKey(public, "again.pub")
	s.expect("the key is back", "hello=2")
	s.must(os.Rename(s.path("a.deb"), s.path("b.deb")))
	s.because("renamed without its signature", "!b.deb", "it is not signed")
	s.must(os.Rename(s.path("a.deb.minisig"), s.path("b.deb.minisig")))
	s.expect("renamed with it", "hello=2")
	// The digest that was kept is damaged: the index is made again.
	s.stop()
	digests, err := filepath.Glob(filepath.Join(s.state, "index", "*.index"))
	s.must(err)
	if len(digests) != 1 {
		t.Errorf("digests: %q", digests)
	}
	for _, d := range digests {
		text, err := os.ReadFile(d)
		s.must(err)
		text[100] ^= 1 // in the digest
		s.must(os.WriteFile(d, text, 0o600))
	}
	s.start()
	s.expect("started with a damaged digest", "hello=2")
	s.must(os.Remove(s.path("b.deb")))
	s.expect("gone", "")
	left, err := os.ReadDir(filepath.Join(s.state, "index"))
	if s.must(err); len(left) > 0 {
		t.Errorf("left in the state directory: %v", left)
	}
}

// TestOptionalSignatures: what is not signed is served, what is signed wrongly is
// not, and what is served while its signature is looked at stays.
func TestOptionalSignatures(t *testing.T) {
	s := &shop{T: t, dir: t.TempDir(), state: t.TempDir(), trust: t.TempDir()}
	public, key := signer(t)
	s.trustKey(public, "me.pub")
	s.start()
	one := deb(t, hello("1", "one"))
	s.write("a.deb", one)
	s.expect("unsigned", "hello=1")
	s.sign(key, "a.deb", one)
	s.expect("signed later", "hello=1")
	if s.store.Set().Packages[0].Signer == nil {
		t.Error("signed later: nobody knows")
	}
	s.sign(key, "a.deb", []byte("else"))
	s.because("signed wrongly", "!a.deb", "does not match its signature")
	s.must(os.Remove(s.path("a.deb.minisig")))
	s.expect("unsigned again", "hello=1")
}

// TestSignedInPlace: of a signed native package only what was signed is read,
// whatever somebody makes of the package file afterwards: here another whole one,
// without a trace.
func TestSignedInPlace(t *testing.T) {
	s := &shop{T: t, dir: t.TempDir(), state: t.TempDir(), trust: t.TempDir(), require: true}
	public, key := signer(t)
	s.trustKey(public, "me.pub")
	s.start()
	packed := func(letter byte) []byte {
		body := []byte(noise(300 << 10))
		body[0] = letter
		return native(t, mkpkg.Spec{Name: "x", Version: "1", Files: []mkpkg.File{{Path: "usr/a", Body: string(body)}, {Path: "usr/b", Body: string(body[1:])}}})
	}
	ours, theirs := packed(0), []byte(nil)
	for letter := byte(1); len(theirs) != len(ours); letter++ {
		if letter == 0 {
			t.Fatal("no two package files are of one size")
		}
		theirs = packed(letter)
	}
	s.sign(key, "x.pfs", ours)
	s.write("x.pfs", ours)
	s.expect("signed", "x=1")
	payload, off := s.payload("x", "usr/a")
	defer payload.Close()
	s.exchange("x.pfs", theirs)
	if n, err := payload.ReadAt([]byte{0}, off); err == nil || n != 0 {
		t.Error("what nobody signed is read")
	}
	for _, when := range []string{"changed", "after a restart"} {
		s.because(when, "!x.pfs", "does not match its signature")
		s.restart()
	}
	s.must(os.Remove(s.path("x.pfs")))
	s.write("x.pfs", theirs)
	s.because("dropped in", "!x.pfs", "signature")
}

// overwrite changes the bytes of a file and nothing else of it.
func (s *shop) overwrite(name string, data []byte) {
	s.Helper()
	f, err := os.OpenFile(s.path(name), os.O_WRONLY, 0)
	s.must(err)
	info, err := f.Stat()
	s.must(err)
	_, err = f.WriteAt(data, 0)
	s.must(err)
	s.must(os.Chtimes(f.Name(), info.ModTime(), info.ModTime()))
	s.must(f.Close())
}

// exchange gives a file other bytes, of which only the time of its last change
// tells.
func (s *shop) exchange(name string, data []byte) {
	s.Helper()
	before, err := os.Stat(s.path(name))
	s.must(err)
	s.overwrite(name, data)
	after, err := os.Stat(s.path(name))
	s.must(err)
	if !os.SameFile(before, after) || before.Size() != after.Size() || !before.ModTime().Equal(after.ModTime()) {
		s.Fatalf("%s: it can be seen that its bytes are others", name)
	}
}

// TestExchangedBytes: as mallory, who may write the package directory: drop in evil
// bytes while nobody asks for signatures; then put good ones of the same size into
// the same file, set its time back, and lay their signature beside it. What is shown
// as signed is what was signed.
func TestExchangedBytes(t *testing.T) {
	public, key := signer(t)
	evil, good := stored(t, "evil"), stored(t, "good")
	for _, running := range []bool{false, true} {
		t.Run(map[bool]string{false: "while no server runs", true: "under a server"}[running], func(t *testing.T) {
			s := &shop{T: t, dir: t.TempDir(), state: t.TempDir(), trust: t.TempDir()}
			s.trustKey(public, "me.pub")
			s.start()
			s.write("a.deb", evil)
			s.expect("unsigned", "hello=1")
			if got := s.read("hello", "usr/bin/hello"); got != "evil" {
				t.Fatalf("got %q", got)
			}
			if !running {
				s.stop()
			}
			s.exchange("a.deb", good)
			s.sign(key, "a.deb", good)
			if s.require = true; !running {
				s.start()
			}
			s.expect("signed", "hello=1")
			if got := s.read("hello", "usr/bin/hello"); got != "good" {
				t.Errorf("as a signed package: %q", got)
			}
			if p := s.store.Set().Packages[0]; p.Signer == nil {
				t.Error("nobody knows that it is signed")
			}
		})
	}
}

// TestExchangedBytesUnsigned: the same where no signatures are: what is served is
// what is there. A file that got other attributes only is not read into a new index.
func TestExchangedBytesUnsigned(t *testing.T) {
	s := newShop(t)
	s.write("a.deb", stored(t, "one!"))
	s.expect("copied in", "hello=1")
	s.stop()
	s.exchange("a.deb", stored(t, "two!"))
	s.start()
	s.expect("other bytes", "hello=1")
	if got := s.read("hello", "usr/bin/hello"); got != "two!" {
		t.Errorf("got %q", got)
	}
	index := s.indexFile()
	s.must(os.Chmod(s.path("a.deb"), 0o640))
	s.expect("other attributes", "hello=1")
	s.must(os.Rename(s.path("a.deb"), s.path("b.deb")))
	s.expect("another name", "hello=1")
	s.restart()
	s.expect("another start", "hello=1")
	if !os.SameFile(index, s.indexFile()) {
		t.Error("the index was made again of the same bytes")
	}
}

// indexFile is the index of the only package.
func (s *shop) indexFile() os.FileInfo {
	s.Helper()
	names, err := filepath.Glob(filepath.Join(s.state, "index", "*.index"))
	if s.must(err); len(names) != 1 {
		s.Fatalf("indexes: %q", names)
	}
	info, err := os.Stat(names[0])
	s.must(err)
	return info
}

// stored is a package file whose size depends on that of the content only.
func stored(t *testing.T, content string) []byte {
	t.Helper()
	spec := hello("1", content)
	spec.Compression = mkpkg.Plain
	return deb(t, spec)
}
