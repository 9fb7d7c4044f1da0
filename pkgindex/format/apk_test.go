package format

import (
	"archive/tar"
	"bytes"
	"crypto/sha1"
	"crypto/sha256"
	"fmt"
	"strings"
	"testing"

	"github.com/klauspost/compress/gzip"

	"github.com/packagefs/packagefs/pkgindex/format/mkpkg"
)

func TestApkMeta(t *testing.T) {
	spec := mkpkg.Spec{
		Name: "x-dev", Version: "1.36.1_git20240101-r2", Architecture: "x86_64", Summary: "a tool", Homepage: "https://example.org/",
		Maintainer: "N <n@example.org>", License: "MIT AND BSD", Source: "x",
		Depends: []string{"so:libc.musl-x86_64.so.1", "busybox>=1.36", "python3~3.11", "a@edge"}, Conflicts: []string{"old<2", "older"},
		Provides: []string{"cmd:x=1.36.1-r2", "virt"}, Replaces: []string{"old"},
		Extra: []string{"provider_priority = 5", "install_if = a b", "# comment", "depend = !worse two"},
	}
	r, err := readBytes(t, "x.apk", write(t, "x.apk", spec), Limits{})
	if err != nil {
		t.Fatal(err)
	}
	want := `apk x-dev=1.36.1_git20240101-r2 x86_64 alpine
summary: a tool
homepage: https://example.org/
maintainer: N <n@example.org>
license: MIT AND BSD
source: x
depends: so:libc.musl-x86_64.so.1, busybox (>= 1.36), python3 (~ 3.11), a, two
provides: [cmd:x (= 1.36.1-r2) virt]
conflicts: [old (<< 2) older worse]
replaces: [old]
`
	if have := r.String(); have != want {
		t.Errorf("have\n%swant\n%s", have, want)
	}
}

// segment is one gzip stream of a tar archive, cut or whole.
func segment(t testing.TB, cut bool, files ...string) []byte {
	t.Helper()
	archive := tarOf(t, files...)
	if cut {
		archive = archive[:len(archive)-1024]
	}
	return gzipOf(t, archive)
}

func gzipOf(t testing.TB, data []byte) []byte {
	t.Helper()
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	if _, err := z.Write(data); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

const apkInfo = "pkgname = x\npkgver = 1-r0\narch = noarch\n"

// TestApkSegments reads and refuses sequences of segments.
func TestApkSegments(t *testing.T) {
	data := segment(t, false, "usr/bin/x", "x")
	hash := func(data []byte) string { return fmt.Sprintf("datahash = %x\n", sha256.Sum256(data)) }
	info := apkInfo + hash(data)
	sign := segment(t, true, ".SIGN.RSA.key", "signature")
	for _, c := range []struct {
		name     string
		segments [][]byte
		want     string // empty: fine
	}{
		{"unsigned", [][]byte{segment(t, true, ".PKGINFO", info), data}, ""},
		{"signed", [][]byte{sign, segment(t, true, ".PKGINFO", info, ".pre-install", "#!/bin/sh"), data}, ""},
		{"signed twice", [][]byte{sign, segment(t, true, ".SIGN.RSA256.key", "s"), segment(t, true, ".PKGINFO", info), data}, ""},
		{"not cut", [][]byte{segment(t, false, ".SIGN.RSA.key", "s"), segment(t, false, ".PKGINFO", info), data}, ""},
		{"scripts first", [][]byte{segment(t, true, ".post-install", "", ".PKGINFO", info), data}, ""},
		{"no datahash", [][]byte{sign, segment(t, true, ".PKGINFO", apkInfo), data}, ""},
		{"no datahash, unsigned", [][]byte{segment(t, true, ".PKGINFO", apkInfo), data}, ""},
		{"no files", [][]byte{sign, segment(t, true, ".PKGINFO", apkInfo), segment(t, false)}, ""},
		{"data in two streams", [][]byte{sign, segment(t, true, ".PKGINFO", apkInfo), segment(t, true, "a", "x"), segment(t, false, "b", "y")}, ""},
		{"other data", [][]byte{sign, segment(t, true, ".PKGINFO", info), segment(t, false, "usr/bin/x", "y")}, "does not match datahash"},
		{"more data", [][]byte{sign, segment(t, true, ".PKGINFO", info), data, data}, "does not match datahash"},
		{"bad datahash", [][]byte{sign, segment(t, true, ".PKGINFO", apkInfo+"datahash = 00\n"), data}, "is no SHA-256"},
		{"bad datahash", [][]byte{sign, segment(t, true, ".PKGINFO", apkInfo+"datahash = zz\n"), data}, "line 4"},
		{"no data", [][]byte{sign, segment(t, true, ".PKGINFO", info)}, "is cut short: it ends behind its control segment"},
		{"no control", [][]byte{sign}, "is cut short: it ends before its control segment"},
		{"data before control", [][]byte{sign, data, segment(t, true, ".PKGINFO", info)}, "neither signature nor .PKGINFO"},
		{"no metadata", [][]byte{sign, segment(t, true, ".PKGINFO", ""), data}, "its metadata has no name"},
		{"odd metadata", [][]byte{sign, segment(t, true, ".PKGINFO", apkInfo+"odd\n"), data}, "line 4: want KEY = VALUE"},
		{"bad relation", [][]byte{sign, segment(t, true, ".PKGINFO", apkInfo+"depend = a>>1\n"), data}, "depend: \"a>>1\""},
		{"bad provides", [][]byte{sign, segment(t, true, ".PKGINFO", apkInfo+"provides = a>1\n"), data}, "only = is allowed"},
		{"bad provides", [][]byte{sign, segment(t, true, ".PKGINFO", apkInfo+"provides = !a\n"), data}, "! is not allowed"},
		{"garbage behind", [][]byte{sign, segment(t, true, ".PKGINFO", apkInfo), data, []byte("garbage behind it")}, "something follows its end"},
		{"two controls", [][]byte{sign, segment(t, true, ".PKGINFO", info, ".PKGINFO", info), data}, "is there twice"},
	} {
		_, err := readBytes(t, "x.apk", bytes.Join(c.segments, nil), Limits{})
		if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
			t.Errorf("%s: %v; want %q", c.name, err, c.want)
		}
	}
}

func TestApkChecksums(t *testing.T) {
	sum := func(body string) string { return fmt.Sprintf("%x", sha1.Sum([]byte(body))) }
	for _, c := range []struct {
		header tar.Header
		sum    string
		want   string // empty: fine
	}{
		{reg("f"), sum("body"), ""},
		{reg("f"), sum("other"), `"f": does not match its checksum`},
		{reg("f"), "00", "is no SHA-1"},
		{reg("f"), sum("body") + "00", "is no SHA-1"},
		{sym("s", "target"), sum("target"), ""},
		{sym("s", "target"), sum(""), ""}, // as nfpm writes it
		{sym("s", "target"), sum("other"), `"s": does not match its checksum`},
		{dir("d/"), sum("other"), ""},
	} {
		_, err := readBytes(t, "x.apk", write(t, "x.apk", mkpkg.Spec{Raw: func(tw *tar.Writer) error {
			c.header.PAXRecords = map[string]string{apkSum: c.sum}
			return put(tw, c.header)
		}}), Limits{})
		if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
			t.Errorf("%s: %v; want %q", c.header.Name, err, c.want)
		}
	}
}

// TestApkTree: what is at the top and begins with a dot is not in the tree, and
// what is below etc is mutable.
func TestApkTree(t *testing.T) {
	data := segment(t, false, ".dummy", "", "etc/a", "", "etc/b/c", "", "usr/etc/d", "", ".hidden/e", "", "usr/.f", "")
	r, err := readBytes(t, "x.apk", append(segment(t, true, ".PKGINFO", apkInfo), data...), Limits{})
	if err != nil {
		t.Fatal(err)
	}
	var have []string
	for _, e := range r.entries {
		have = append(have, fmt.Sprint(e.Path, e.Mutable))
	}
	if want := "etc/atrue etc/b/ctrue usr/etc/dfalse usr/.ffalse"; strings.Join(have, " ") != want {
		t.Errorf("have %q, want %q", have, want)
	}
}
