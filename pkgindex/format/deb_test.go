package format

import (
	"bytes"
	"crypto/md5"
	"fmt"
	"io"
	"strings"
	"testing"

	"github.com/packagefs/packagefs/pkgindex/format/mkpkg"
	"github.com/packagefs/packagefs/pkgindex/pkgmeta"
)

func TestDebMeta(t *testing.T) {
	spec := mkpkg.Spec{
		Name: "libx1", Version: "1:2.0-3", Architecture: "amd64", Summary: "a library",
		Description: "first\n indented\n\nlast", Homepage: "https://example.org/", Source: "x (2.0-3)", Maintainer: "N <n@example.org>",
		PreDepends: []string{"dpkg (>= 1.17)"}, Depends: []string{"libc6 (>= 2.36)", "a | b:any", "c [arm64]"},
		Provides: []string{"libx", "libx-abi (= 1)"}, Conflicts: []string{"libx0"}, Breaks: []string{"y (<< 2)"}, Replaces: []string{"y (<< 2)"},
		MultiArch: "same", Essential: true, Extra: []string{"X-Odd: value", "# comment"},
	}
	r, err := readBytes(t, "x.deb", write(t, "x.deb", spec), Limits{})
	if err != nil {
		t.Fatal(err)
	}
	want := `deb libx1=1:2.0-3 amd64 debian
summary: a library
description: first\n indented\n\nlast
homepage: https://example.org/
maintainer: N <n@example.org>
source: x
multi-arch: same
depends: dpkg (>= 1.17), libc6 (>= 2.36), a | b:any
provides: [libx libx-abi (= 1)]
conflicts: [libx0 y (<< 2)]
replaces: [y (<< 2)]
essential: true
dir 0755 0/0 1700000000 ""
`
	if have := r.String(); have != want {
		t.Errorf("have\n%swant\n%s", have, want)
	}
}

// TestDebLayout reads and refuses ar archives of many shapes.
func TestDebLayout(t *testing.T) {
	version := mkpkg.ArMember{Name: "debian-binary", Data: []byte("2.0\n")}
	control := mkpkg.ArMember{Name: "control.tar", Data: tarOf(t, plainControl...)}
	data := mkpkg.ArMember{Name: "data.tar", Data: tarOf(t, "f", "x")}
	named := func(name string, m mkpkg.ArMember) mkpkg.ArMember { m.Name = name; return m }
	binary := func(text string) mkpkg.ArMember {
		return mkpkg.ArMember{Name: "debian-binary", Data: []byte(text)}
	}
	for _, c := range []struct {
		name    string
		members []mkpkg.ArMember
		want    string // empty: fine
	}{
		{"plain", []mkpkg.ArMember{version, control, data}, ""},
		{"names with a slash", []mkpkg.ArMember{named("debian-binary/", version), named("control.tar/", control), named("data.tar/", data)}, ""},
		{"later minor version", []mkpkg.ArMember{binary("2.7\nmore\n"), control, data}, ""},
		{"members to ignore", []mkpkg.ArMember{version, named("_odd", data), control, named("_x", version), data, named("_gpgorigin", version)}, ""},
		{"something behind the data", []mkpkg.ArMember{version, control, data, named("later", data)}, ""},
		{"nothing", nil, "is not a package file: it ends behind its first line; is it still being copied?"},
		{"only the version", []mkpkg.ArMember{version}, "is not a package file: no control.tar; is it still being copied?"},
		{"no data", []mkpkg.ArMember{version, control}, "is not a package file: no data.tar; is it still being copied?"},
		{"no control", []mkpkg.ArMember{version, data}, `is not a package file: it has the member "data.tar" where control.tar belongs`},
		{"wrong order", []mkpkg.ArMember{control, version, data}, "first member is \"control.tar\" instead of debian-binary"},
		{"a static library", []mkpkg.ArMember{named("x.o", data)}, "instead of debian-binary"},
		{"later major version", []mkpkg.ArMember{binary("3.0\n"), control, data}, `format version is "3.0"; only 2.x can be read`},
		{"no version", []mkpkg.ArMember{binary(""), control, data}, `format version is ""`},
		{"unknown member", []mkpkg.ArMember{version, control, named("odd", data), data}, `it has the member "odd" where data.tar belongs`},
		{"lzma", []mkpkg.ArMember{version, control, named("data.tar.lzma", data)}, "only .gz, .xz and .zst can"},
		{"bzip2", []mkpkg.ArMember{version, named("control.tar.bz2", control), data}, "only .gz, .xz and .zst can"},
		{"wrong compression", []mkpkg.ArMember{version, control, named("data.tar.gz", data)}, "not gzip data"},
		{"wrong compression", []mkpkg.ArMember{version, control, named("data.tar.xz", data)}, "not xz data"},
		{"wrong compression", []mkpkg.ArMember{version, control, named("data.tar.zst", data)}, "not zstd data"},
		{"no tar", []mkpkg.ArMember{version, control, named("data.tar", binary(strings.Repeat("x", 1024)))}, "its archive is corrupt"},
		{"empty control", []mkpkg.ArMember{version, named("control.tar", binary("")), data}, "it has no control file"},
	} {
		_, err := readBytes(t, "x.deb", arOf(t, c.members...), Limits{})
		if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
			t.Errorf("%s: %v; want %q", c.name, err, c.want)
		}
	}
	deb := arOf(t, version, control, data)
	copy(deb[8+48:], "99999999999")
	if _, err := readBytes(t, "x.deb", deb, Limits{}); err == nil {
		t.Error("a member header with a bad size is taken")
	}
}

func TestDebControlErrors(t *testing.T) {
	const good = "Package: x\nVersion: 1\nArchitecture: all\n"
	for _, c := range []struct {
		files []string
		want  string
	}{
		{[]string{"control", good}, ""},
		{[]string{"./control", "\n# comment\n" + good + "\n\n", "./postinst", "#!/bin/sh\n"}, ""},
		{[]string{"control", ""}, "its metadata has no name"},
		{[]string{"control", "Package: x\nArchitecture: all\n"}, "its metadata has no version"},
		{[]string{"control", "Package: x\nVersion: 1\n"}, "its metadata has no architecture"},
		{[]string{"control", good + "\nPackage: y\n"}, "line 5 begins a second paragraph"},
		{[]string{"control", " x\n" + good}, "line 1 continues a field"},
		{[]string{"control", good + "nonsense\n"}, "line 4 is no field"},
		{[]string{"control", good + ": x\n"}, "line 4 is no field"},
		{[]string{"control", good + "version: 2\n"}, "a second time"},
		{[]string{"control", good + "Depends: a (>= )\n"}, `depends: "a (>= )"`},
		{[]string{"control", good + "Provides: a | b\n"}, "alternatives are not allowed"},
		{[]string{"control", good + "Provides: a (>= 1)\n"}, "only = is allowed"},
		{[]string{"control", strings.Replace(good, "x", "../x", 1)}, "not allowed there"},
		{[]string{"control", strings.Replace(good, "x", "a b", 1)}, "not allowed there"},
		{[]string{"control", strings.Replace(good, "x", "a=b", 1)}, "not allowed there"},
		{[]string{"control", strings.Replace(good, "x", ".x", 1)}, "not allowed there"},
		{[]string{"control", strings.Replace(good, "x", "a\x01", 1)}, "not allowed there"},
		{[]string{"control", strings.Replace(good, "1", "1/2", 1)}, "not allowed there"},
		{[]string{"control", strings.Replace(good, "x", strings.Repeat("x", 256), 1)}, "has 256 bytes"},
		{[]string{"control", good, "control", good}, "is there twice"},
		{[]string{"control", good, "md5sums", "nonsense\n"}, "line 1 is no checksum"},
		{[]string{"control", good, "md5sums", strings.Repeat("g", 32) + "  f\n"}, "line 1"},
		{[]string{"control", good, "md5sums", strings.Repeat("0", 32) + "  ../f\n"}, "reach out"},
		{[]string{"control", good, "conffiles", "/etc/../x\n"}, "reach out"},
	} {
		_, err := readBytes(t, "x.deb", debOf(t, tarOf(t, c.files...), "data.tar", tarOf(t, "f", "x")), Limits{})
		if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
			t.Errorf("%.80q: %v; want %q", c.files, err, c.want)
		}
	}
}

func TestConffiles(t *testing.T) {
	control := tarOf(t, append(plainControl[:2:2], "conffiles", "/etc/a\n\n/etc/b  \nremove-on-upgrade /etc/c\n")...)
	r, err := readBytes(t, "x.deb", debOf(t, control, "data.tar", tarOf(t, "./etc/a", "", "etc/b", "", "etc/c", "", "etc/d", "")), Limits{})
	if err != nil {
		t.Fatal(err)
	}
	var mutable []string
	for _, e := range r.entries {
		if e.Mutable {
			mutable = append(mutable, e.Path)
		}
	}
	if have := strings.Join(mutable, " "); have != "etc/a etc/b" {
		t.Errorf("mutable: %s", have)
	}
}

func TestMD5Sums(t *testing.T) {
	sum := func(body string) string { return fmt.Sprintf("%x", md5.Sum([]byte(body))) }
	data := tarOf(t, "a", "A", "b", "B", `back\slash`, "S")
	for _, c := range []struct{ sums, want string }{
		{"", ""},
		{sum("A") + "  a\n", ""},
		{sum("A") + "  ./a\n" + sum("B") + " *b\n\n", ""},
		{sum("S") + `  back\slash`, ""},
		{`\` + sum("S") + `  back\\slash`, ""},
		{sum("B") + "  a\n", `"a": its content does not match md5sums`},
		{sum("A") + "  a\n" + sum("C") + "  c\n" + sum("C") + "  d\n", `lacks "c", which md5sums lists (2 such files)`},
	} {
		control := tarOf(t, append(plainControl[:2:2], "md5sums", c.sums)...)
		_, err := readBytes(t, "x.deb", debOf(t, control, "data.tar", data), Limits{})
		if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
			t.Errorf("%q: %v; want %q", c.sums, err, c.want)
		}
	}
}

// TestMD5OfLinks: hard links are compared with the file that they name, even
// where that is not listed; a symlink cannot be listed.
func TestMD5OfLinks(t *testing.T) {
	sums := fmt.Sprintf("%x  l\n", md5.Sum([]byte("body")))
	for _, c := range []struct{ sums, want string }{
		{sums, ""},
		{strings.Replace(sums, "  l", "  s", 1), "it is no regular file"},
		{fmt.Sprintf("%x  l\n", md5.Sum(nil)), `l": its content does not match`},
	} {
		var b bytes.Buffer
		spec := mkpkg.Spec{Name: "x", NoChecksums: true, Compression: mkpkg.Plain, Files: []mkpkg.File{
			{Path: "f", Body: "body"}, {Path: "l", HardLink: "f"}, {Path: "s", Target: "f"},
		}}
		if err := mkpkg.Deb(&b, spec); err != nil {
			t.Fatal(err)
		}
		deb := b.Bytes()
		data := deb[bytes.LastIndex(deb, []byte("data.tar "))+arHeaderSize:]
		control := tarOf(t, append(plainControl[:2:2], "md5sums", c.sums)...)
		_, err := readBytes(t, "x.deb", debOf(t, control, "data.tar", data), Limits{})
		if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
			t.Errorf("%q: %v; want %q", c.sums, err, c.want)
		}
	}
}

func TestNoPackage(t *testing.T) {
	for _, c := range []struct{ data, want string }{
		{"", "it is empty; is it still being copied?"},
		{"!<ar", "it has 4 bytes; is it still being copied?"},
		{strings.Repeat("\x00", 4096), "it begins with zeros; is it still being copied?"},
		{"just some text that is long enough", "it begins like no .pfs, .deb, .apk, .rpm or .pkg.tar; is it still being copied?"},
		{"ADBd" + strings.Repeat("x", 600), "apk of version 3"},
		{"PK\x03\x04" + strings.Repeat("x", 600), "zip archive"},
		{"BZh91AY" + strings.Repeat("x", 600), "compressed with bzip2"},
		{string(tarOf(t, "usr/bin/x", "x")), "no .PKGINFO in it"},
	} {
		_, err := readBytes(t, "x.deb", []byte(c.data), Limits{})
		if err == nil || !strings.HasPrefix(err.Error(), "x.deb is not a package file: ") || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%.20q: %v; want %q", c.data, err, c.want)
		}
	}
}

// BenchmarkDeb reads packages of 1,000 files; compare with dpkg-deb -x of the
// same file.
func BenchmarkDeb(b *testing.B) {
	var files []mkpkg.File
	for i := range 1000 {
		var body strings.Builder
		for line := range 40 * (1 + i%10) {
			fmt.Fprintf(&body, "line %d of file %d: %x\n", line, i, md5.Sum([]byte{byte(line), byte(i)}))
		}
		files = append(files, mkpkg.File{Path: fmt.Sprintf("usr/share/bench/d%d/f%d", i/50, i), Body: body.String()})
	}
	for _, name := range []string{"x.deb", "zstd.deb", "plain.deb"} {
		b.Run(name, func(b *testing.B) {
			data := write(b, name, mkpkg.Spec{Files: files})
			sink := &copyingSink{buf: make([]byte, 256*kib)}
			b.ReportAllocs()
			for b.Loop() {
				sink.n = 0
				if err := Read(bytes.NewReader(data), int64(len(data)), name, Limits{}, sink); err != nil {
					b.Fatal(err)
				}
			}
			b.SetBytes(sink.n)
		})
	}
}

// copyingSink reads all content into one buffer.
type copyingSink struct {
	n   int64
	buf []byte
}

func (*copyingSink) Start(pkgmeta.Meta) error { return nil }
func (s *copyingSink) Add(_ pkgmeta.Entry, content io.Reader) error {
	if content == nil {
		return nil
	}
	for {
		n, err := content.Read(s.buf)
		s.n += int64(n)
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
	}
}
