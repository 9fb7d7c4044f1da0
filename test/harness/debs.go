package harness

import (
	"archive/tar"
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// Packed is the time of every file in the packages that the tests make.
var Packed = time.Unix(1700000000, 0)

// A DebSpec is a Debian package that a test wants.
type DebSpec struct {
	Name    string
	Version string            // 1.0 where empty
	Control string            // more control fields, each line ended
	Deflate string            // as dpkg-deb -Z takes it; none where empty
	Fill    func(dir string)  // makes the tree
	Scripts map[string]string // further control members: conffiles, postinst
}

// MakeDeb builds the package with dpkg-deb and returns its file, which is in
// dir.
func MakeDeb(t testing.TB, dir string, spec DebSpec) string {
	t.Helper()
	if spec.Version == "" {
		spec.Version = "1.0"
	}
	if spec.Deflate == "" {
		spec.Deflate = "none"
	}
	tree := t.TempDir()
	if err := os.Chmod(tree, 0o755); err != nil {
		t.Fatal(err)
	}
	spec.Fill(tree)
	settle(t, tree)
	control := fmt.Sprintf("Package: %s\nVersion: %s\nArchitecture: all\nMaintainer: Test <test@example.com>\n%sDescription: made by a test\n",
		spec.Name, spec.Version, spec.Control)
	WriteFiles(t, filepath.Join(tree, "DEBIAN"), map[string]string{"control": control})
	WriteFiles(t, filepath.Join(tree, "DEBIAN"), spec.Scripts)
	file := filepath.Join(dir, spec.Name+"_"+spec.Version+"_all.deb")
	if _, err := Command("dpkg-deb", "-Z"+spec.Deflate, "--build", tree, file); err != nil {
		t.Fatal(err)
	}
	return file
}

// settle gives every file below dir the same whole second, for formats keep no
// less, and every second file another one.
func settle(t testing.TB, dir string) {
	t.Helper()
	err := filepath.Walk(dir, func(name string, info os.FileInfo, err error) error {
		if err != nil {
			return err
		}
		at := Packed.Add(time.Duration(len(name)%7) * time.Hour)
		return lutimes(name, at)
	})
	if err != nil {
		t.Fatal(err)
	}
}

// lutimes sets the time of a file without following a symlink.
func lutimes(name string, at time.Time) error {
	ts := unix.NsecToTimespec(at.UnixNano())
	return unix.UtimesNanoAt(unix.AT_FDCWD, name, []unix.Timespec{ts, ts}, unix.AT_SYMLINK_NOFOLLOW)
}

// KindsFile is what MakeDeb calls the package kinds.
const KindsFile = "kinds_1.0_all.deb"

// KindsDeb is a package with one of everything that a package may hold.
func KindsDeb(t testing.TB, dir string) string {
	return MakeDeb(t, dir, DebSpec{Name: "kinds", Deflate: "xz", Fill: func(tree string) {
		long := strings.Repeat("n", 255)
		WriteFiles(t, tree, map[string]string{
			"opt/kinds/empty": "", "opt/kinds/one": "1", "opt/kinds/with space and ü": "x",
			"opt/kinds/page": strings.Repeat("p", 4096), "opt/kinds/more": strings.Repeat("more", 1025),
			"opt/kinds/big": strings.Repeat("0123456789abcdef\n", 200_000), "opt/kinds/" + long: "long",
			"opt/kinds/deep/" + strings.Repeat("d/", 40) + "file": "deep", "bin/kinds-old": "#!/bin/sh\n",
			"usr/bin/kinds-new": "#!/bin/sh\n", "lib/kinds/file": "lib", "etc/kinds.conf": "conf",
			"opt/kinds/secret": "secret", "opt/kinds/suid": "suid", "opt/kinds/owned": "owned",
		})
		at := func(name string) string { return filepath.Join(tree, "opt/kinds", name) }
		for _, err := range []error{
			os.Mkdir(at("sticky"), 0o755), os.Mkdir(at("void"), 0o700),
			os.Chmod(at("sticky"), 0o777|os.ModeSticky), os.Chmod(at("secret"), 0),
			os.Link(at("big"), at("big-again")), os.Link(at("big"), at("deep/big-below")),
			os.Symlink("one", at("relative")), os.Symlink("/opt/kinds/one", at("absolute")),
			os.Symlink("nowhere", at("dangling")), os.Symlink("../../../../..", at("up")),
			os.Symlink(strings.Repeat("t", 1000), at("far")), syscall.Mkfifo(at("fifo"), 0o640),
			os.Chown(at("owned"), 1234, 5678), os.Lchown(at("relative"), 9, 9),
			os.Chown(at("suid"), 7, 8), os.Chmod(at("suid"), 0o755|os.ModeSetuid|os.ModeSetgid),
		} {
			if err != nil {
				t.Fatal(err)
			}
		}
	}, Scripts: map[string]string{"conffiles": "/etc/kinds.conf\n"}})
}

// ManyDeb is a package with n small files, most of them in one directory.
func ManyDeb(t testing.TB, dir, name string, n int) string {
	return MakeDeb(t, dir, DebSpec{Name: name, Fill: func(tree string) {
		files := map[string]string{}
		for i := range n {
			files[fmt.Sprintf("usr/share/%s/%d/file-%05d", name, i%4/3, i)] = fmt.Sprintf("%s %d\n", name, i)
		}
		WriteFiles(t, tree, files)
	}})
}

// A TarFile is a member for TarOf.
type TarFile struct {
	Name, Link, Body string
	Type             byte // a regular file where zero
	Mode             int64
	Major            int64
}

// TarOf makes a tar; it checks no more than archive/tar does.
func TarOf(t testing.TB, files ...TarFile) []byte {
	t.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for _, f := range files {
		h := &tar.Header{Name: f.Name, Linkname: f.Link, Typeflag: f.Type, Mode: f.Mode, Size: int64(len(f.Body)),
			ModTime: Packed, Devmajor: f.Major}
		if h.Typeflag == 0 {
			h.Typeflag = tar.TypeReg
		}
		if h.Mode == 0 {
			h.Mode = 0o644
		}
		if err := w.WriteHeader(h); err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write([]byte(f.Body)); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// RawDeb makes the bytes of a package file whose data archive is as given:
// dpkg-deb would refuse to make most of what the tests want here.
func RawDeb(t testing.TB, name string, data []byte, dataName string, md5sums string) []byte {
	t.Helper()
	control := fmt.Sprintf("Package: %s\nVersion: 1.0\nArchitecture: all\nMaintainer: Test <test@example.com>\nDescription: made by a test\n", name)
	members := []TarFile{{Name: "./control", Body: control}}
	if md5sums != "" {
		members = append(members, TarFile{Name: "./md5sums", Body: md5sums})
	}
	var b bytes.Buffer
	b.WriteString("!<arch>\n")
	add := func(name string, body []byte) {
		fmt.Fprintf(&b, "%-16s%-12d%-6d%-6d%-8o%-10d`\n", name, Packed.Unix(), 0, 0, 0o100644, len(body))
		b.Write(body)
		if len(body)%2 == 1 {
			b.WriteByte('\n')
		}
	}
	add("debian-binary", []byte("2.0\n"))
	add("control.tar", TarOf(t, members...))
	add(dataName, data)
	return b.Bytes()
}
