package format

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/packagefs/packagefs/pkgindex/version"
)

// rootWith makes a root directory with these files.
func rootWith(t *testing.T, files map[string]string) string {
	t.Helper()
	root := t.TempDir()
	for name, text := range files {
		file := filepath.Join(root, name)
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return root
}

var dpkgStatus = map[string]string{"var/lib/dpkg/status": `Package: libc6
Status: install ok installed
Priority: optional
Architecture: amd64
Multi-Arch: same
Version: 2.36-9
Depends: libgcc-s1
Breaks: aide (<< 0.17)
Conffiles:
 /etc/ld.so.conf.d/x86_64-linux-gnu.conf d4e7a7b88a71b5ffd9e2644e71a0cfab

Package: postfix
Status: hold ok installed
Architecture: amd64
Version: 3.7
Provides: mail-transport-agent

Package: man-db
Status: install ok triggers-pending
Architecture: amd64
Version: 2.11

Package: nano
Status: deinstall ok config-files
Architecture: amd64
Version: 7.2

Package: half
Status: install reinstreq half-installed
Architecture: amd64
Version: 1

Package: unpacked
Status: install ok unpacked
Architecture: amd64
Version: 1
`}

var apkInstalledFile = map[string]string{"lib/apk/db/installed": `C:Q1abcdefghijklmnopqrstuvwxyz=
P:musl
V:1.2.4-r2
A:x86_64
S:383304
T:the musl c library (libc) implementation
p:so:libc.musl-x86_64.so.1=1
F:lib
R:ld-musl-x86_64.so.1
a:0:0:755

P:busybox
V:1.36.1-r5
A:x86_64
D:so:libc.musl-x86_64.so.1 !uclibc-utils
r:busybox-initscripts
p:cmd:sh=1.36.1-r5 cmd:ls
F:bin
`}

var pacmanLocal = map[string]string{
	"var/lib/pacman/local/ALPM_DB_VERSION": "9\n",
	"var/lib/pacman/local/glibc-2.38-7/desc": `%NAME%
glibc

%VERSION%
2.38-7

%BASE%
glibc

%DESC%
GNU C Library

%ARCH%
x86_64

%LICENSE%
GPL
LGPL

%DEPENDS%
linux-api-headers>=4.10
tzdata

%OPTDEPENDS%
gd: for memusagestat

%CONFLICTS%
old-libc<2

%PROVIDES%
libc.so=6-64

`,
	"var/lib/pacman/local/glibc-2.38-7/files": "%FILES%\nusr/\n",
	"var/lib/pacman/local/gone-1-1/files":     "%FILES%\n", // its desc is gone
}

func TestRootDatabases(t *testing.T) {
	for _, c := range []struct {
		kind  string
		files map[string]string
		want  string
	}{
		{"dpkg", dpkgStatus, `libc6=2.36-9 amd64 same: depends [libgcc-s1], provides [], conflicts [aide (<< 0.17)]
postfix=3.7 amd64 : depends [], provides [mail-transport-agent], conflicts []
man-db=2.11 amd64 : depends [], provides [], conflicts []
`},
		{"apk", apkInstalledFile, `musl=1.2.4-r2 x86_64 : depends [], provides [so:libc.musl-x86_64.so.1 (= 1)], conflicts []
busybox=1.36.1-r5 x86_64 : depends [so:libc.musl-x86_64.so.1], provides [cmd:sh (= 1.36.1-r5) cmd:ls], conflicts [uclibc-utils]
`},
		{"pacman", pacmanLocal, "glibc=2.38-7 x86_64 : depends [linux-api-headers (>= 4.10) tzdata], provides [libc.so (= 6-64)], conflicts [old-libc (<< 2)]\n"},
	} {
		d, err := ParseRootDatabase(c.kind + ":" + rootWith(t, c.files))
		if err != nil {
			t.Fatal(err)
		}
		all, err := d.Read()
		if err != nil {
			t.Errorf("%s: %v", c.kind, err)
		}
		var b strings.Builder
		var schemes []version.Scheme
		for _, m := range all {
			b.WriteString(metaLine(m) + "\n")
			schemes = append(schemes, m.Scheme)
		}
		if b.String() != c.want {
			t.Errorf("%s:\n%s", c.kind, &b)
		}
		if schemes = slices.Compact(schemes); len(schemes) != 1 || string(schemes[0]) != map[string]string{"dpkg": "debian", "apk": "alpine", "pacman": "pacman"}[c.kind] {
			t.Errorf("%s: schemes %v", c.kind, schemes)
		}
	}
}

func TestBadRootDatabases(t *testing.T) {
	for _, c := range []struct {
		kind, file, text, want string
	}{
		{"dpkg", "var/lib/dpkg/status", "Package: a\nStatus: install ok installed\nVersion: 1\n", `package "a": its metadata has no architecture`},
		{"dpkg", "var/lib/dpkg/status", "nonsense\n", "line 1 is no field"},
		{"apk", "lib/apk/db/installed", "P:a\nV:1\nA:all\nD:b>\n", `package "a":`},
		{"apk", "lib/apk/db/installed", "V:1\n", "has no name"},
		{"pacman", "var/lib/pacman/local/a-1/desc", "%NAME%\na\n", "has no version"},
		{"pacman", "var/lib/pacman/local/a-1/desc", "%NAME%\na\n\n%DEPENDS%\nb>\n", `"b>"`},
		{"pacman", "var/lib/pacman/local/a-1/desc", strings.Repeat("x", maxDesc+1), "more than"},
	} {
		d := RootDatabase{c.kind, rootWith(t, map[string]string{c.file: c.text})}
		if _, err := d.Read(); err == nil || !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), filepath.Join(d.Root, c.file)) {
			t.Errorf("%s %.40q: %v, want %q", c.kind, c.text, err, c.want)
		}
	}
	for _, kind := range []string{"dpkg", "apk", "pacman"} {
		d := RootDatabase{kind, t.TempDir()}
		if _, err := d.Read(); !errors.Is(err, fs.ErrNotExist) || !strings.Contains(err.Error(), "is "+d.Root+" the root of a system that "+kind+" manages?") {
			t.Errorf("%s without one: %v", kind, err)
		}
	}
}

func TestParseRootDatabase(t *testing.T) {
	for s, want := range map[string]string{
		"dpkg": "dpkg:/", "apk:/mnt": "apk:/mnt", "pacman:/a:b": "pacman:/a:b",
		"rpm": "want dpkg, apk or pacman", "": "want dpkg, apk or pacman", "dpkg:": "not an absolute path", "dpkg:mnt": "not an absolute path",
	} {
		var d RootDatabase
		err := d.UnmarshalText([]byte(s))
		if got := d.String(); err == nil && got != want || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %s, %v, want %q", s, got, err, want)
		}
	}
}
