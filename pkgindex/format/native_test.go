package format

import (
	"bytes"
	"fmt"
	"io"
	"strings"
	"testing"

	"github.com/packagefs/packagefs/pkgindex/pfs"
)

// nativeFile writes a native package of that metadata.
func nativeFile(t testing.TB, metadata string, entries ...pfs.Entry) []byte {
	t.Helper()
	var b bytes.Buffer
	w, err := pfs.NewWriter(&b, []byte(metadata), pfs.Options{Time: 1700000000, Workers: 1})
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if e.Time = 1700000000; e.Mode == 0 {
			e.Mode = 0o644
		}
		var body io.Reader
		if e.Type == "" {
			text := e.Path
			if e.Size > 0 {
				text = strings.Repeat("a line of text\n", int(e.Size)/15+1)[:e.Size]
			}
			e.Type, e.Size, body = pfs.Regular, int64(len(text)), strings.NewReader(text)
		}
		if err := w.Add(e, body); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

const nativeHead = "name = 'x'\nversion = '1:2.0-1'\narchitecture = 'amd64'\n"

// TestNativeMetadata: what every key of package.toml does.
func TestNativeMetadata(t *testing.T) {
	data := nativeFile(t, nativeHead+`
summary = "A summary"
description = """
Two lines
of text"""
licence = "MIT"
homepage = "https://example.org"
maintainer = "Nobody <nobody@example.org>"
source = "y"
depends = ["a (>= 1), b | c", "d [arm64], e:any"]
provides = ["v (= 3)", "w"]
conflicts = ["z"]
replaces = ["y (<< 2)"]
version-scheme = "alpine"
multi-arch = "same"
essential = true
services = ["x.timer"]
mutable = ["/etc/**", "/var/*.conf"]
links = { "/usr/bin/y" = "x", "/opt/z" = "/nowhere" }
capabilities = { "/usr/bin/x" = "cap_net_raw,cap_bpf=ep" }
[xattrs."/usr/bin/x"]
"user.a" = "b"
`, pfs.Entry{Path: "usr/bin/x", Mode: 0o755}, pfs.Entry{Path: "etc/x/y.conf"}, pfs.Entry{Path: "var/x.conf"}, pfs.Entry{Path: "var/x.data"})
	r, err := readBytes(t, "x.pfs", data, Limits{})
	if err != nil {
		t.Fatal(err)
	}
	const want = `pfs x=1:2.0-1 amd64 alpine
summary: A summary
description: Two lines\nof text
homepage: https://example.org
maintainer: Nobody <nobody@example.org>
license: MIT
source: y
multi-arch: same
depends: a (>= 1), b | c, e:any
provides: [v (= 3) w]
conflicts: [z]
replaces: [y (<< 2)]
essential: true
file 0755 0/0 1700000000 "usr/bin/x" "usr/bin/x" map["security.capability":"\x01\x00\x00\x02\x00 \x00\x00\x00\x00\x00\x00\x80\x00\x00\x00\x00\x00\x00\x00" "user.a":"b"]
file 0644 0/0 1700000000 "etc/x/y.conf" "etc/x/y.conf" mutable
file 0644 0/0 1700000000 "var/x.conf" "var/x.conf" mutable
file 0644 0/0 1700000000 "var/x.data" "var/x.data"
link 0777 0/0 0 "opt/z" -> "/nowhere"
link 0777 0/0 0 "usr/bin/y" -> "x"
`
	if have := r.String(); have != want {
		t.Errorf("have\n%swant\n%s", have, want)
	}
	if fmt.Sprint(r.meta.Services) != "[x.timer]" {
		t.Errorf("services %q", r.meta.Services)
	}
	m := NativeMetadata(r.meta)
	text, err := m.Encode()
	if err != nil {
		t.Fatal(err)
	}
	if again, err := CheckNative(text); err != nil || fmt.Sprintf("%+v", again) != fmt.Sprintf("%+v", r.meta) {
		t.Errorf("written again, %v:\n%+v\n%+v", err, again, r.meta)
	}
}

// TestNativeRefused: metadata and members that no native package has.
func TestNativeRefused(t *testing.T) {
	link := func(path, target string) pfs.Entry {
		return pfs.Entry{Path: path, Type: pfs.Symlink, Mode: 0o777, Target: target}
	}
	hard := func(path, target string) pfs.Entry {
		return pfs.Entry{Path: path, Type: pfs.HardLink, Target: target}
	}
	for _, c := range []struct {
		metadata string
		entries  []pfs.Entry
		want     string
	}{
		{"name = 'x'", nil, "its metadata has no version"},
		{"name = 'a b'\nversion = '1'\narchitecture = 'all'", nil, "characters that are not allowed"},
		{nativeHead + "colour = 'red'", nil, `line 4: unknown key "colour"`},
		{nativeHead + "depends = ['a (>= ']", nil, `package.toml: depends: "a (>="`},
		{nativeHead + "conflicts = ['a | b']", nil, "alternatives are not allowed"},
		{nativeHead + "provides = ['a (>= 1)']", nil, "only = is allowed"},
		{nativeHead + "mutable = ['etc/**']", nil, "not a glob of absolute paths"},
		{nativeHead + "mutable = ['/[']", nil, "not a glob of absolute paths"},
		{nativeHead + "version-scheme = 'roman'", nil, "is none of debian"},
		{nativeHead + "links = { 'a' = 'b' }", nil, "not a clean absolute path"},
		{nativeHead + "links = { '/../a' = 'b' }", nil, "not a clean absolute path"},
		{nativeHead + "links = { '/a' = '' }", nil, "1 to 4095 bytes"},
		{nativeHead + "links = { '/a' = 'b' }", []pfs.Entry{{Path: "a"}}, "is there already"},
		{nativeHead + "links = { '/a/b' = 'b' }", []pfs.Entry{{Path: "a"}}, "lies below"},
		{nativeHead + "capabilities = { '/a' = 'cap_of_invisibility=ep' }", nil, "there is no capability"},
		{nativeHead + "capabilities = { '/a' = 'cap_net_raw=x' }", nil, "is none of e, i, p"},
		{nativeHead + "capabilities = { '/a' = 'cap_net_raw=ep' }", nil, "there is no such file"},
		{nativeHead + "capabilities = { '/a' = 'cap_net_raw=ep' }", []pfs.Entry{link("a", "b")}, "belong to a regular file"},
		{nativeHead + "[xattrs.'/a']\n'trusted.x' = 'y'", nil, "cannot be kept"},
		{nativeHead + "depends = ['\"a']", nil, "no closing quote"},
		{nativeHead + "root = { mode = '0855', time = 0 }", nil, "its mode \"0855\" is none"},
		{nativeHead + "root = { mode = '010000', time = 0 }", nil, "is none; want such as 0755"},
		{nativeHead + "root = { mode = '0755', time = -1 }", nil, "not between 1970 and 9999"},
		{nativeHead + "root = { mode = '0755', uid = 4294967295, time = 1 }", nil, "owner or group"},
		{nativeHead, []pfs.Entry{{Path: ".packagefs/more"}}, "for the metadata only"},
		{nativeHead, []pfs.Entry{link(".packagefs", "/etc")}, "for the metadata only"},
		{nativeHead, []pfs.Entry{{Path: "a/../b"}}, "reach out"},
		{nativeHead, []pfs.Entry{{Path: "a//b"}}, "not clean"},
		{nativeHead, []pfs.Entry{{Path: "./a"}}, "not clean"},
		{nativeHead, []pfs.Entry{{Path: "a\nb"}}, "control character"},
		{nativeHead, []pfs.Entry{{Path: "a"}, {Path: "a"}}, "is there already"},
		{nativeHead, []pfs.Entry{{Path: "a", Type: pfs.Directory, Mode: 0o755}, {Path: "a", Type: pfs.Directory, Mode: 0o755}}, "is there already"},
		{nativeHead, []pfs.Entry{link("a", "/etc"), {Path: "a/passwd"}}, "lies below"},
		{nativeHead, []pfs.Entry{hard("a", "b")}, "no earlier file"},
		{nativeHead, []pfs.Entry{link("s", "/etc/shadow"), hard("a", "s")}, "no earlier file"},
		{nativeHead, []pfs.Entry{hard("a", "../../etc/shadow")}, "reach out"},
		{nativeHead, []pfs.Entry{{Path: strings.Repeat("n", 256)}}, "255 is the most"},
		{nativeHead, []pfs.Entry{{Path: "a", UID: 1<<32 - 1}}, "number 4294967295"},
	} {
		_, err := readBytes(t, "x.pfs", nativeFile(t, c.metadata, c.entries...), Limits{})
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s %+v: %v; want %q", c.metadata, c.entries, err, c.want)
		}
	}
}
