package mkpkg_test

import (
	"archive/tar"
	"bytes"
	"errors"
	"io"
	"slices"
	"strings"
	"testing"

	"github.com/packagefs/packagefs/pkgindex/format/mkpkg"
)

var writers = map[string]func(io.Writer, mkpkg.Spec) error{"deb": mkpkg.Deb, "apk": mkpkg.Apk, "arch": mkpkg.Arch, "rpm": mkpkg.Rpm}

func TestEqualSpecsMakeEqualBytes(t *testing.T) {
	spec := mkpkg.Spec{Name: "x", Files: []mkpkg.File{
		{Path: "usr/bin/x", Body: "x", Xattrs: map[string]string{"user.a": "1", "user.b": "2", "user.c": "3"}},
		{Path: "etc/x", Body: "y", Conffile: true}, {Path: "usr/bin/y", Target: "x"},
	}}
	for name, write := range writers {
		var first bytes.Buffer
		for range 5 {
			var b bytes.Buffer
			if err := write(&b, spec); err != nil {
				t.Fatal(err)
			}
			if first.Len() == 0 {
				first = b
			}
			if !bytes.Equal(first.Bytes(), b.Bytes()) {
				t.Errorf("%s: two writings differ", name)
			}
		}
	}
}

// TestDirectories: every directory is there once, before what it holds.
func TestDirectories(t *testing.T) {
	var b bytes.Buffer
	err := mkpkg.Arch(&b, mkpkg.Spec{Name: "x", Compression: mkpkg.Plain, NoChecksums: true, Files: []mkpkg.File{
		{Path: "a/b/c"}, {Path: "a/b/d"}, {Path: "e/"}, {Path: "e/f"}, {Path: "a/g/"},
	}})
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for r := tar.NewReader(&b); ; {
		h, err := r.Next()
		if err == io.EOF {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		names = append(names, h.Name)
	}
	if want := []string{".PKGINFO", "a/", "a/b/", "a/b/c", "a/b/d", "e/", "e/f", "a/g/"}; !slices.Equal(names, want) {
		t.Errorf("have %q, want %q", names, want)
	}
}

func TestErrors(t *testing.T) {
	broken := errors.New("broken")
	for name, write := range writers {
		if err := write(io.Discard, mkpkg.Spec{}); err == nil || !strings.Contains(err.Error(), "no name") {
			t.Errorf("%s without a name: %v", name, err)
		}
		if err := write(io.Discard, mkpkg.Spec{Name: "x", Compression: ".odd"}); err == nil {
			t.Errorf("%s with an unknown compression is written", name)
		}
		if err := write(io.Discard, mkpkg.Spec{Name: "x", Raw: func(*tar.Writer) error { return broken }}); !errors.Is(err, broken) && name != "rpm" || err == nil {
			t.Errorf("%s: the error of Raw is lost: %v", name, err)
		}
		if err := write(failing{}, mkpkg.Spec{Name: "x"}); !errors.Is(err, io.ErrClosedPipe) {
			t.Errorf("%s: the error of the writer is lost: %v", name, err)
		}
	}
	if err := mkpkg.Ar(io.Discard, 0, mkpkg.ArMember{Name: strings.Repeat("x", 17)}); err == nil {
		t.Error("a name of 17 bytes is written")
	}
}

type failing struct{}

func (failing) Write([]byte) (int, error) { return 0, io.ErrClosedPipe }
