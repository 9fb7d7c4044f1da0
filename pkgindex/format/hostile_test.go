package format

import (
	"archive/tar"
	"bytes"
	"fmt"
	"io"
	"strings"
	"testing"

	"github.com/packagefs/packagefs/pkgindex/format/mkpkg"
	"github.com/packagefs/packagefs/pkgindex/pkgmeta"
)

// put writes members, regular files with a body of four bytes.
func put(tw *tar.Writer, headers ...tar.Header) error {
	for _, h := range headers {
		if h.Mode == 0 && h.Typeflag != tar.TypeXGlobalHeader {
			h.Mode = 0o644
		}
		body := ""
		if h.Typeflag == tar.TypeReg && h.Size == 0 {
			body = "body"
			h.Size = int64(len(body))
		}
		if err := tw.WriteHeader(&h); err != nil {
			return err
		}
		if _, err := io.WriteString(tw, body); err != nil {
			return err
		}
	}
	return nil
}

func reg(name string) tar.Header { return tar.Header{Typeflag: tar.TypeReg, Name: name} }
func dir(name string) tar.Header { return tar.Header{Typeflag: tar.TypeDir, Name: name, Mode: 0o755} }
func sym(name, target string) tar.Header {
	return tar.Header{Typeflag: tar.TypeSymlink, Name: name, Linkname: target}
}
func link(name, target string) tar.Header {
	return tar.Header{Typeflag: tar.TypeLink, Name: name, Linkname: target}
}

// TestHostileArchives puts members that no package has into packages of every
// format.
func TestHostileArchives(t *testing.T) {
	long := strings.Repeat("n", 256)
	for _, c := range []struct {
		name    string
		members []tar.Header
		want    string // in the error; empty: fine
	}{
		{"up and out", []tar.Header{reg("../x")}, "reach out"},
		{"up and out below", []tar.Header{reg("usr/../../x")}, "reach out"},
		{"up and in", []tar.Header{reg("usr/bin/../x")}, "reach out"},
		{"up at the end", []tar.Header{dir("usr/..")}, "reach out"},
		{"absolute", []tar.Header{reg("/etc/passwd")}, "absolute"},
		{"absolute directory", []tar.Header{dir("/")}, "absolute"},
		{"absolute behind dot", []tar.Header{reg(".//etc/passwd")}, ""},
		{"through a symlink", []tar.Header{sym("usr/lib", "/etc"), reg("usr/lib/passwd")}, `lies below "usr/lib", which the package has as a symlink`},
		{"far through a symlink", []tar.Header{sym("l", "/"), reg("l/a/b/c")}, `lies below "l"`},
		{"directory through a symlink", []tar.Header{sym("l", "/"), dir("l/d/")}, `lies below "l"`},
		{"through a file", []tar.Header{reg("f"), reg("f/x")}, `lies below "f", which the package has as a file`},
		{"through a fifo", []tar.Header{{Typeflag: tar.TypeFifo, Name: "f"}, reg("f/x")}, `lies below "f", which the package has as a fifo`},
		{"through a hard link", []tar.Header{reg("f"), link("g", "f"), reg("g/x")}, `lies below "g"`},
		{"symlink in place of a directory", []tar.Header{dir("d/"), reg("d/x"), sym("d", "/etc")}, "is there already, as a directory"},
		{"symlink in place of an implied directory", []tar.Header{reg("i/x"), sym("i", "/etc")}, "is there already, as a directory"},
		{"directory in place of a symlink", []tar.Header{sym("d", "/etc"), dir("d/")}, "is there already, as a symlink"},
		{"directory in place of a file", []tar.Header{reg("d"), dir("d/")}, "is there already, as a file"},
		{"duplicate file", []tar.Header{reg("f"), reg("f")}, "is there already, as a file"},
		{"duplicate file, other spelling", []tar.Header{reg("a/f"), reg("./a//./f")}, "is there already, as a file"},
		{"duplicate symlink", []tar.Header{sym("s", "a"), sym("s", "b")}, "is there already, as a symlink"},
		{"duplicate hard link", []tar.Header{reg("f"), link("f", "f")}, "is no earlier file"},
		{"repeated directory", []tar.Header{dir("d/"), dir("d/"), reg("d/x"), dir("./d")}, ""},
		{"directory behind its content", []tar.Header{reg("d/x"), dir("d/")}, ""},
		{"hard link to nothing", []tar.Header{link("l", "nothing")}, "is no earlier file"},
		{"hard link forward", []tar.Header{link("l", "f"), reg("f")}, "is no earlier file"},
		{"hard link to itself", []tar.Header{link("l", "l")}, "is no earlier file"},
		{"hard link to a directory", []tar.Header{dir("d/"), link("l", "d")}, "is no earlier file"},
		{"hard link to a symlink", []tar.Header{sym("s", "/etc/shadow"), link("l", "s")}, "is no earlier file"},
		{"hard link out", []tar.Header{link("l", "../../etc/shadow")}, "reach out"},
		{"hard link to an absolute path", []tar.Header{link("l", "/etc/shadow")}, "absolute"},
		{"hard link to a hard link", []tar.Header{reg("f"), link("g", "f"), link("h", "./g")}, ""},
		{"character device", []tar.Header{{Typeflag: tar.TypeChar, Name: "dev/null", Devmajor: 1, Devminor: 3}}, "device nodes are not allowed"},
		{"block device", []tar.Header{{Typeflag: tar.TypeBlock, Name: "dev/sda", Devmajor: 8}}, "device nodes are not allowed"},
		{"name of 256 bytes", []tar.Header{reg("usr/" + long)}, "has 256 bytes; 255 is the most"},
		{"directory name of 256 bytes", []tar.Header{reg(long + "/x")}, "has 256 bytes; 255 is the most"},
		{"path of 4097 bytes", []tar.Header{reg(strings.Repeat("d/", 2048) + "x")}, "has 4097 bytes; 4096 is the most"},
		{"path of 4095 bytes", []tar.Header{reg(strings.Repeat("d/", 2047) + "x")}, ""},
		{"line end in a name", []tar.Header{reg("a\nb")}, `control character '\n'`},
		{"escape in a name", []tar.Header{reg("a\x1b[2Jb")}, `control character '\x1b'`},
		{"no UTF-8", []tar.Header{reg("a\xffb")}, ""},
		{"long symlink target", []tar.Header{sym("s", strings.Repeat("x", 4096))}, "symlink target has 4096 bytes"},
		{"no symlink target", []tar.Header{sym("s", "")}, "symlink target has 0 bytes"},
		{"huge uid", []tar.Header{{Typeflag: tar.TypeReg, Name: "f", Uid: 1<<32 - 1}}, "number 4294967295"},
		{"huge gid", []tar.Header{{Typeflag: tar.TypeReg, Name: "f", Gid: 1 << 40}}, "number 1099511627776"},
		{"negative uid", []tar.Header{{Typeflag: tar.TypeReg, Name: "f", Uid: -1, Format: tar.FormatGNU}}, "number -1"},
		{"large ids", []tar.Header{{Typeflag: tar.TypeReg, Name: "f", Uid: 1<<32 - 2, Gid: 1 << 31}}, ""},
		{"root as a file", []tar.Header{reg(".")}, "the root of the package is a file"},
		{"root as a symlink", []tar.Header{sym("./", "/etc")}, "the root of the package is a symlink"},
		{"unknown type", []tar.Header{{Typeflag: 'Z', Name: "f"}}, "tar type 'Z'"},
		{"global header", []tar.Header{{Typeflag: tar.TypeXGlobalHeader, PAXRecords: map[string]string{"comment": "x"}}, reg("f")}, ""},
	} {
		for _, format := range []string{"x.deb", "x.apk", "x.pkg.tar.zst"} {
			data := write(t, format, mkpkg.Spec{
				Files: []mkpkg.File{{Path: "usr/first", Body: "first"}},
				Raw:   func(tw *tar.Writer) error { return put(tw, c.members...) },
			})
			_, err := readBytes(t, format, data, Limits{})
			switch {
			case c.want == "" && err != nil:
				t.Errorf("%s: %v", c.name, err)
			case c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)):
				t.Errorf("%s: %s: %v; want %q", c.name, format, err, c.want)
			case err != nil && strings.Contains(err.Error(), "copied"):
				t.Errorf("%s: %s: is said to be cut short: %v", c.name, format, err)
			}
		}
	}
}

// TestHardLinkChain: a link to a link is a link to the file.
func TestHardLinkChain(t *testing.T) {
	data := write(t, "x.deb", mkpkg.Spec{Raw: func(tw *tar.Writer) error {
		return put(tw, reg("a"), link("b", "a"), link("c", "b"), link("d", "c"))
	}})
	r, err := readBytes(t, "x.deb", data, Limits{})
	if err != nil {
		t.Fatal(err)
	}
	if e := r.entries[len(r.entries)-1]; e.Path != "d" || e.HardLink != "a" || e.Type != pkgmeta.Regular || e.Size != 0 {
		t.Errorf("%+v", e)
	}
}

// TestSparseFiles: a sparse file counts with the size that it claims to have,
// and reads with its holes.
func TestSparseFiles(t *testing.T) {
	for _, c := range []struct {
		size int64
		want string
	}{{10_000, ""}, {1 << 50, "decompression bomb"}} {
		var b bytes.Buffer
		tw := tar.NewWriter(&b)
		if err := put(tw, reg("before")); err != nil {
			t.Fatal(err)
		}
		if err := tw.Flush(); err != nil {
			t.Fatal(err)
		}
		b.Write(oldSparse("sparse", "data", c.size))
		b.Write(make([]byte, 1024))
		r, err := readBytes(t, "x.deb", debWithData(t, b.Bytes()), Limits{})
		if c.want == "" {
			if body := r.bodies["sparse"]; err != nil || int64(len(body)) != c.size || body[:5] != "data\x00" {
				t.Errorf("sparse file of %d bytes: %d bytes, %v", c.size, len(body), err)
			}
		} else if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("sparse file of %d bytes: %v", c.size, err)
		}
	}
}

// oldSparse is a member in the old GNU format with data at its start and a hole
// up to size.
func oldSparse(name, data string, size int64) []byte {
	h := make([]byte, 512)
	octal := func(at, width int, v int64) {
		if text := fmt.Sprintf("%0*o", width-1, v); len(text) < width {
			copy(h[at:], text)
			return
		}
		h[at] = 0x80 // base 256
		for i := range 8 {
			h[at+width-1-i] = byte(v >> (8 * i))
		}
	}
	copy(h, name)
	octal(100, 8, 0o644)
	octal(108, 8, 0)
	octal(116, 8, 0)
	octal(124, 12, int64(len(data)))
	octal(136, 12, 0)
	h[156] = 'S'
	copy(h[257:], "ustar  \x00")
	octal(386, 12, 0)
	octal(398, 12, int64(len(data)))
	octal(410, 12, size) // the hole ends in an empty piece
	octal(422, 12, 0)
	octal(483, 12, size)
	copy(h[148:], "        ")
	sum := int64(0)
	for _, c := range h {
		sum += int64(c)
	}
	copy(h[148:], fmt.Sprintf("%06o\x00 ", sum))
	return append(h, append([]byte(data), make([]byte, 512-len(data))...)...)
}

// debWithData is a .deb with a data.tar that is data.
func debWithData(t testing.TB, data []byte) []byte {
	t.Helper()
	return debOf(t, tarOf(t, "control", "Package: x\nVersion: 1\nArchitecture: all\n"), "data.tar", data)
}

// debOf is a .deb with a plain control.tar and a member for the data.
func debOf(t testing.TB, control []byte, dataName string, data []byte) []byte {
	t.Helper()
	return arOf(t,
		mkpkg.ArMember{Name: "debian-binary", Data: []byte("2.0\n")},
		mkpkg.ArMember{Name: "control.tar", Data: control},
		mkpkg.ArMember{Name: dataName, Data: data})
}

func arOf(t testing.TB, members ...mkpkg.ArMember) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := mkpkg.Ar(&b, 0, members...); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// tarOf is a tar archive of files: name, content, name, content.
func tarOf(t testing.TB, files ...string) []byte {
	t.Helper()
	var b bytes.Buffer
	tw := tar.NewWriter(&b)
	for i := 0; i < len(files); i += 2 {
		if err := tw.WriteHeader(&tar.Header{Name: files[i], Size: int64(len(files[i+1])), Mode: 0o644}); err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(tw, files[i+1]); err != nil {
			t.Fatal(err)
		}
	}
	if err := tw.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}
