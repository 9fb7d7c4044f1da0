package format

import (
	"archive/tar"
	"bytes"
	"crypto/md5"
	"crypto/sha256"
	"fmt"
	"strings"
	"testing"

	"github.com/packagefs/packagefs/pkgindex/format/mkpkg"
)

func TestArchMeta(t *testing.T) {
	spec := mkpkg.Spec{
		Name: "x", Version: "1:2.0-3", Architecture: "x86_64", Summary: "a = tool", Homepage: "https://example.org/",
		Maintainer: "N <n@example.org>", License: "MIT", Source: "xbase",
		Depends: []string{"glibc>=2.38", "libfoo.so=1-64", "sh"}, Conflicts: []string{"old<2"}, Provides: []string{"virt=1", "libx.so"},
		Replaces: []string{"old"}, Extra: []string{"license = BSD", "optdepend = y: for ys", "group = base", "xdata = pkgtype=pkg", "# comment"},
	}
	r, err := readBytes(t, "x.pkg.tar.zst", write(t, "x.pkg.tar.zst", spec), Limits{})
	if err != nil {
		t.Fatal(err)
	}
	want := `arch x=1:2.0-3 x86_64 pacman
summary: a = tool
homepage: https://example.org/
maintainer: N <n@example.org>
license: MIT, BSD
source: xbase
depends: glibc (>= 2.38), libfoo.so (= 1-64), sh
provides: [virt (= 1) libx.so]
conflicts: [old (<< 2)]
replaces: [old]
`
	if have := r.String(); have != want {
		t.Errorf("have\n%swant\n%s", have, want)
	}
}

const archInfo = "pkgname = x\npkgbase = x\npkgver = 1-1\narch = any\nbackup = etc/b\n"

// TestArchLayout reads and refuses archives whose metadata is in odd places.
func TestArchLayout(t *testing.T) {
	mtree := func(lines string) string { return string(gzipOf(t, []byte("#mtree\n"+lines))) }
	f := fmt.Sprintf("./f type=file size=1 sha256digest=%x\n", sha256.Sum256([]byte("x")))
	for _, c := range []struct {
		name  string
		files []string
		want  string // empty: fine
	}{
		{"no .MTREE", []string{".PKGINFO", archInfo, "f", "x"}, ""},
		{"as makepkg does it", []string{".BUILDINFO", "", ".MTREE", mtree(f), ".PKGINFO", archInfo, ".INSTALL", "", "f", "x"}, ""},
		{".MTREE not compressed", []string{".MTREE", "#mtree\n" + f, ".PKGINFO", archInfo, "f", "x"}, ""},
		{"metadata last", []string{"f", "x", ".PKGINFO", archInfo, ".MTREE", mtree(f)}, ""},
		{"metadata last, damaged", []string{"f", "y", ".PKGINFO", archInfo, ".MTREE", mtree(f)}, `"f": its content does not match .MTREE`},
		{".MTREE last", []string{".PKGINFO", archInfo, "f", "x", ".MTREE", mtree(f)}, "it must be before them"},
		{"no .PKGINFO", []string{".MTREE", mtree(""), "f", "x"}, "no .PKGINFO in it"},
		{"two .PKGINFO", []string{".PKGINFO", archInfo, ".PKGINFO", archInfo}, "is there twice"},
		{"two .MTREE", []string{".MTREE", mtree(""), ".MTREE", mtree(""), ".PKGINFO", archInfo}, "is there twice"},
		{"a second .PKGINFO behind", []string{".PKGINFO", archInfo, "f", "x", ".PKGINFO", archInfo}, "is there already"},
		{"bad metadata", []string{".PKGINFO", archInfo + "depend = >=1\n"}, "no package name"},
		{"bad metadata", []string{".PKGINFO", archInfo + "provides = a>1\n"}, "only = is allowed"},
		{"bad metadata", []string{".PKGINFO", archInfo + "backup = ../x\n"}, "reach out"},
		{"bad metadata", []string{".PKGINFO", "pkgname = x\n"}, "its metadata has no version"},
		{"broken .MTREE", []string{".MTREE", mtree(f)[:20], ".PKGINFO", archInfo}, "compressed data ends too soon"},
	} {
		for name, data := range map[string][]byte{
			"x.pkg.tar": tarOf(t, c.files...), "x.pkg.tar.gz": gzipOf(t, tarOf(t, c.files...)),
		} {
			_, err := readBytes(t, name, data, Limits{})
			if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
				t.Errorf("%s: %s: %v; want %q", c.name, name, err, c.want)
			}
		}
	}
}

func TestMtree(t *testing.T) {
	sha, md := fmt.Sprintf("%x", sha256.Sum256([]byte("body"))), fmt.Sprintf("%x", md5.Sum([]byte("body")))
	for _, c := range []struct{ text, want string }{
		{"", ""},
		{"/set type=file mode=644 uid=0\n./f size=4 sha256digest=" + sha + " time=0.0\n./d type=dir mode=755\n./s type=link link=f\\040g\n./p type=fifo\n", ""},
		{"./f md5digest=" + md + "\n./l md5=" + md, ""},
		// f is compared by MD5, and l has its bytes.
		{"./f md5digest=" + md + "\n./l sha256=" + sha, ""},
		{"./f sha256=" + sha + " md5=" + md + "\n./l md5=" + md + " sha256=" + sha, ""},
		{"./l type=file size=4 sha256digest=" + sha, ""},
		{"./odd\\040\\134\\s\\\\\\043 type=file\n", ""},
		{"./f cksum=1 optional nlink=2\n", ""},
		{"/set type=dir\n/unset type\n./f size=4\n", ""},
		{". type=dir\n", ""},
		{"./f type=dir\n", `"f": does not match .MTREE: has the type file, want dir`},
		{"./d type=file\n", "has the type dir, want file"},
		{"./f size=5\n", "has 4 bytes, want 5"},
		{"./f mode=755\n", "has the mode 0644, want 0755"},
		{"./f time=7.5\n", "was modified at 0, want 7"},
		{"./s type=link link=x\n", `points to "f g", want "x"`},
		{"./f sha256digest=" + strings.Repeat("00", 32), `"f": its content does not match .MTREE`},
		{"./f md5digest=" + strings.Repeat("00", 16), `"f": its content does not match .MTREE`},
		{"./l sha256digest=" + strings.Repeat("00", 32), `"l": its content does not match .MTREE`},
		{"./m type=file\n./n type=file\n", `lacks "m", which .MTREE lists (2 such files)`},
		{"./f size=x\n", `line 2: "size=x"`},
		{"./f mode=8\n", `line 2: "mode=8"`},
		{"./f time=x\n", `line 2: "time=x"`},
		{"./f sha256digest=00\n", "wrong length"},
		{"./f md5digest=zz\n", "invalid byte"},
		{"./../f type=file\n", "reach out"},
	} {
		var b bytes.Buffer
		metadata := tarOf(t, ".PKGINFO", archInfo, ".MTREE", "#mtree\n"+c.text)
		b.Write(metadata[:len(metadata)-1024]) // without the end mark
		tw := tar.NewWriter(&b)
		fifo := tar.Header{Typeflag: tar.TypeFifo, Name: "p"}
		if err := put(tw, reg("f"), link("l", "f"), dir("d/"), sym("s", "f g"), fifo, reg(`odd \ \#`)); err != nil {
			t.Fatal(err)
		}
		if err := tw.Close(); err != nil {
			t.Fatal(err)
		}
		_, err := readBytes(t, "x.pkg.tar", b.Bytes(), Limits{})
		if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
			t.Errorf("%q: %v; want %q", c.text, err, c.want)
		}
	}
}

// TestMtreeBomb: a list that unpacks to too much.
func TestMtreeBomb(t *testing.T) {
	data := tarOf(t, ".PKGINFO", archInfo, ".MTREE", string(gzipOf(t, make([]byte, mib))))
	_, err := readBytes(t, "x.pkg.tar", data, Limits{Checksums: 100 * kib})
	if err == nil || !strings.Contains(err.Error(), "unpacks to more than") {
		t.Error(err)
	}
}
