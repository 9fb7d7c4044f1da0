package harness

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"
)

// UnpackSource unpacks the Debian source of GNU hello to a new directory. It
// comes from the cache if it is whole there, and from the machine's Debian mirror
// otherwise.
func UnpackSource(t *testing.T, dir string) {
	t.Helper()
	cache, err := cacheDir()
	if err != nil {
		t.Fatal(err)
	}
	at := filepath.Join(cache, "source")
	if extractSource(at, dir) == nil {
		return
	}
	for _, old := range []string{at, dir} {
		if err := os.RemoveAll(old); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.MkdirAll(at, 0o755); err != nil {
		t.Fatal(err)
	}
	state := filepath.Join(cache, "apt-source")
	if err := aptState(state, "deb-src", CorpusSelection.Suite); err != nil {
		t.Fatalf("fetch the source of hello: %v", err)
	}
	if _, err := aptIn(at, state, "source", "--download-only", "hello"); err != nil {
		t.Fatalf("fetch the source of hello: %v", err)
	}
	if err := extractSource(at, dir); err != nil {
		t.Fatal(err)
	}
}

// extractSource has dpkg-source unpack the one source package in a directory,
// which compares the files with their sums first. Apt has checked the signature.
func extractSource(from, dir string) error {
	list, err := filepath.Glob(filepath.Join(from, "*.dsc"))
	if err != nil || len(list) != 1 {
		return fmt.Errorf("%d source packages in %s, want one (%v)", len(list), from, err)
	}
	_, err = Command("dpkg-source", "--no-check", "--extract", list[0], dir)
	return err
}
