package format

import (
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/klauspost/compress/zstd"

	"github.com/packagefs/packagefs/pkgindex/pkgmeta"
)

// packagesText is a Packages file with what such files have.
const packagesText = `Package: libc6
Source: glibc (2.36-1)
Version: 2.36-9+deb12u10
Architecture: amd64
Multi-Arch: same
Depends: libgcc-s1, libcrypt1 (>= 1:4.4.10-10~)
Breaks: aide (<< 0.17.3-4+b3), busybox (<< 1.30.1-6)
Conflicts: openrc (<< 0.27-2~)
Replaces: libc6-amd64
Description: GNU C Library: Shared libraries
Description-md5: fc3001b0b90a1c8e6690b283a619d57f
Tag: role::shared-lib
Filename: pool/main/g/glibc/libc6_2.36-9+deb12u10_amd64.deb
Size: 2754572

# a comment between
Package: exim4-daemon-light
Version: 4.96-15
Architecture: amd64
Pre-Depends: init-system-helpers (>= 1.54~)
Depends: libc6 (>= 2.34) | musl, debconf (>= 0.5) | debconf-2.0
Provides: mail-transport-agent, exim4-localscanapi-6.0 (= 4.96-15)
Conflicts: mail-transport-agent
Description: lightweight Exim MTA


Package: tzdata
Version: 2024a-0+deb12u1
Architecture: all`

// metaLine writes what a reader found in one line.
func metaLine(m pkgmeta.Meta) string {
	return fmt.Sprintf("%s %s %s: depends %v, provides %v, conflicts %v", m.Ref, m.Architecture, m.MultiArch, m.Depends, m.Provides, m.Conflicts)
}

const packagesWant = `libc6=2.36-9+deb12u10 amd64 same: depends [libgcc-s1 libcrypt1 (>= 1:4.4.10-10~)], provides [], conflicts [openrc (<< 0.27-2~) aide (<< 0.17.3-4+b3) busybox (<< 1.30.1-6)]
exim4-daemon-light=4.96-15 amd64 : depends [init-system-helpers (>= 1.54~) libc6 (>= 2.34) | musl debconf (>= 0.5) | debconf-2.0], provides [mail-transport-agent exim4-localscanapi-6.0 (= 4.96-15)], conflicts [mail-transport-agent]
tzdata=2024a-0+deb12u1 all : depends [], provides [], conflicts []
`

// readPackages writes what a Packages file says, and its error.
func readPackages(r io.Reader) string {
	var b strings.Builder
	for m, err := range ReadPackagesFile(r) {
		if err != nil {
			fmt.Fprintf(&b, "error %v\n", err)
		} else {
			fmt.Fprintln(&b, metaLine(m))
		}
	}
	return b.String()
}

func TestReadPackagesFile(t *testing.T) {
	var gz, zst bytes.Buffer
	w := gzip.NewWriter(&gz)
	io.WriteString(w, packagesText)
	z, err := zstd.NewWriter(&zst)
	if err != nil {
		t.Fatal(err)
	}
	io.WriteString(z, packagesText)
	if err := errors.Join(w.Close(), z.Close()); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("xz", "--stdout")
	cmd.Stdin = strings.NewReader(packagesText)
	xz, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	for name, data := range map[string][]byte{
		"plain": []byte(packagesText), "gzip": gz.Bytes(), "zstd": zst.Bytes(), "xz": xz,
		"lines that end as on Windows": []byte(strings.ReplaceAll(packagesText, "\n", "\r\n")),
	} {
		if got := readPackages(bytes.NewReader(data)); got != packagesWant {
			t.Errorf("%s:\n%s", name, got)
		}
		if got := readPackages(iotest.OneByteReader(bytes.NewReader(data))); got != packagesWant {
			t.Errorf("%s, a byte at a time:\n%s", name, got)
		}
	}
	if got := readPackages(strings.NewReader("")); got != "" {
		t.Errorf("nothing: %s", got)
	}
}

func TestReadPackagesFileStops(t *testing.T) {
	count := 0
	for range ReadPackagesFile(strings.NewReader(packagesText)) {
		count++
		break
	}
	if count != 1 {
		t.Error(count)
	}
}

func TestBadPackagesFiles(t *testing.T) {
	const good = "Package: a\nVersion: 1\nArchitecture: all\n\n"
	for _, c := range []struct{ text, want string }{
		{good + "Package: b\nVersion: 1\n", `paragraph from line 5 on: package "b": its metadata has no architecture`},
		{good + "\nPackage: b\nVersion: 1\nArchitecture: all\nDepends: c (>= \n", `paragraph from line 6 on: package "b": depends:`},
		{good + "nonsense\n", "paragraph from line 5 on: line 1 is no field"},
		{"\x1f\x8bnonsense", "not gzip data"},
		{"\x04\x22\x4d\x18....", "apt-helper cat-file"},
		{"BZh9....", "bzip2"},
		{good + strings.Repeat(" x\n", maxParagraph/3+1), "more than 16 MiB"},
		{good + strings.Repeat("x", maxParagraph+1), "more than 16 MiB"},
	} {
		got := readPackages(strings.NewReader(c.text))
		if last := strings.LastIndex(got, "error "); last < 0 || !strings.Contains(got[last:], c.want) {
			t.Errorf("%.60q: %s, want %q", c.text, got, c.want)
		}
	}
	broken := errors.New("the disk is gone")
	if got := readPackages(io.MultiReader(strings.NewReader(good), iotest.ErrReader(broken))); !strings.Contains(got, broken.Error()) {
		t.Error(got)
	}
}

// FuzzPackagesFile: whatever is read, paragraphs that are read are packages that
// can be named, and a second reading is the first again.
func FuzzPackagesFile(f *testing.F) {
	f.Add([]byte(packagesText))
	f.Add([]byte("Package: a\nVersion: 1\nArchitecture: all\nDepends: b | c (>= 2), d:any [amd64] <!nocheck>\n"))
	f.Add([]byte("\x1f\x8b"))
	f.Fuzz(func(t *testing.T, data []byte) {
		for m, err := range ReadPackagesFile(bytes.NewReader(data)) {
			if err == nil && (m.Name == "" || m.Version == "" || m.Architecture == "") {
				t.Errorf("a package without a name, version or architecture: %s", metaLine(m))
			}
		}
		if a, b := readPackages(bytes.NewReader(data)), readPackages(iotest.HalfReader(bytes.NewReader(data))); a != b {
			t.Errorf("read twice:\n%s\n%s", a, b)
		}
	})
}
