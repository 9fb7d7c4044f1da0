package e2e

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/packagefs/packagefs/test/harness"
)

// A packageInfo is what the tests compare of packagefs info.
type packageInfo struct {
	Name, Version, Architecture, Format, Homepage, License string
	Summary                                                string
	Depends, Provides                                      []string
}

// serveOne serves a single package file in a directory of its own, and returns
// the server with what it says of the package.
func serveOne(t *testing.T, file string) (*harness.Server, packageInfo) {
	t.Helper()
	s := harness.ServerDir(t, harness.Program(t), t.TempDir())
	if err := harness.CopyFiles(s.Packages, file); err != nil {
		t.Fatal(err)
	}
	s.StartIndexed(t)
	listed, err := s.List()
	if err != nil {
		t.Fatal(err)
	}
	if len(listed) != 1 || listed[0].State != "installed" {
		t.Fatalf("%s is listed as %+v", filepath.Base(file), listed)
	}
	var info packageInfo
	out, err := s.Run("info", listed[0].Name, "--json")
	if err != nil {
		t.Fatal(err)
	}
	if err := harness.DecodeOne(out, &info); err != nil {
		t.Fatal(err)
	}
	return s, info
}

// checkFiles compares packagefs files with a tree.
func checkFiles(t *testing.T, s *harness.Server, name string, want harness.Manifest) {
	t.Helper()
	var rows []struct {
		Path, Type, Target, SHA256 string
		Mode, UID, GID             uint32
		Size, MTime                int64
	}
	if err := s.JSON(&rows, "files", name); err != nil {
		t.Fatal(err)
	}
	kinds := map[string]harness.Kind{"file": harness.File, "directory": harness.Dir, "symlink": harness.Symlink, "fifo": harness.Fifo}
	got := harness.Manifest{}
	for _, r := range rows {
		e := harness.Entry{Kind: kinds[r.Type], Mode: r.Mode, UID: r.UID, GID: r.GID, Sec: r.MTime, Target: r.Target, SHA256: r.SHA256}
		if e.Kind == harness.File {
			e.Size = r.Size
		}
		got[strings.TrimPrefix(r.Path, "/")] = e
	}
	flat := harness.Manifest{}
	for name, e := range want {
		e.Links, e.Nsec = "", 0
		if e.Kind != harness.File {
			e.Size = 0
		}
		flat[name] = e
	}
	harness.CheckSame(t, "files", withoutRoot(flat), withoutRoot(got))
}

// withoutRoot leaves out the top directory, of which most formats say nothing.
func withoutRoot(m harness.Manifest) harness.Manifest {
	without := harness.Manifest{}
	for name, e := range m {
		if name != "" {
			without[name] = e
		}
	}
	return without
}

// checkServed compares a package's tree over the wire.
func checkServed(t *testing.T, s *harness.Server, want harness.Manifest) {
	t.Helper()
	got, err := harness.WalkWire(s.Listen[0], "all", harness.BigMsize)
	if err != nil {
		t.Fatal(err)
	}
	harness.CheckSame(t, "tree", withoutRoot(served(t, s, want)), withoutRoot(got))
}

// unpacked is the tree of a package file that is a tar, or several compressed
// ones in a row, as bsdtar extracts it; members that are metadata are left out.
func unpacked(t *testing.T, file string) harness.Manifest {
	t.Helper()
	dir := t.TempDir()
	if _, err := harness.Command("bsdtar", "-xpf", file, "--numeric-owner", "-C", dir); err != nil {
		t.Fatal(err)
	}
	m, err := harness.WalkDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for name := range m {
		if strings.HasPrefix(name, ".") {
			delete(m, name)
		}
	}
	return harness.UsrMerge(m)
}

const pkgbuild = `pkgname=sample
pkgver=1.2
pkgrel=3
epoch=1
pkgdesc="made by a test"
arch=(any)
url=https://example.com/
license=(MIT)
depends=('bash>=5' 'hello')
provides=('virtual=2')
backup=(etc/sample.conf)
package() {
	install -d "$pkgdir"/usr/{bin,share/sample} "$pkgdir"/{etc,bin}
	echo 'echo one' >"$pkgdir/usr/bin/sample"
	chmod 4755 "$pkgdir/usr/bin/sample"
	ln "$pkgdir/usr/bin/sample" "$pkgdir/usr/bin/again"
	ln -s sample "$pkgdir/usr/bin/symlink"
	echo conf >"$pkgdir/etc/sample.conf"
	echo old >"$pkgdir/bin/sample-old"
	seq 100000 >"$pkgdir/usr/share/sample/numbers"
	: >"$pkgdir/usr/share/sample/empty with a space"
	chown 12:34 "$pkgdir/usr/share/sample"
}
`

// makepkg builds an Arch package and returns its file. makepkg refuses root.
func makepkg(t *testing.T, extension string) string {
	t.Helper()
	const nobody = "65534"
	dir := t.TempDir()
	harness.WriteFiles(t, dir, map[string]string{"PKGBUILD": pkgbuild})
	for d := dir; d != os.TempDir() && d != "/"; d = filepath.Dir(d) {
		if err := os.Chmod(d, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Chown(dir, 65534, 65534); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("setpriv", "--reuid", nobody, "--regid", nobody, "--clear-groups", "makepkg", "--nodeps")
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "HOME="+dir, "PKGEXT="+extension, fmt.Sprint("SOURCE_DATE_EPOCH=", harness.Packed.Unix()))
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("makepkg: %v\n%s", err, out)
	}
	made, err := filepath.Glob(filepath.Join(dir, "*"+extension))
	if err != nil || len(made) != 1 {
		t.Fatalf("makepkg made %v, %v", made, err)
	}
	return made[0]
}

// pacman asks pacman about a package file.
func pacman(t *testing.T, option, file string) []string {
	t.Helper()
	out, err := harness.Command("pacman", "--dbpath", t.TempDir(), option, file)
	if err != nil {
		t.Fatal(err)
	}
	return strings.Split(strings.TrimSpace(out), "\n")
}

// Packages that makepkg builds are what pacman says they are.
func testFormatArch(t *testing.T) {
	for _, extension := range []string{".pkg.tar.zst", ".pkg.tar.xz", ".pkg.tar.gz"} {
		t.Run(extension, func(t *testing.T) {
			file := makepkg(t, extension)
			s, info := serveOne(t, file)
			checkPacmanInfo(t, info, pacman(t, "-Qip", file))
			want := unpacked(t, file)
			checkFiles(t, s, "sample", want)
			checkServed(t, s, want)
			checkMutable(t, s, "sample", "/etc/sample.conf")
			checkPacmanList(t, s, pacman(t, "-Qlp", file))
		})
	}
}

func checkPacmanInfo(t *testing.T, info packageInfo, lines []string) {
	t.Helper()
	fields := map[string]string{}
	for _, line := range lines {
		if name, value, ok := strings.Cut(line, " : "); ok {
			fields[strings.TrimSpace(name)] = strings.TrimSpace(value)
		}
	}
	got := map[string]string{
		"Name": info.Name, "Version": info.Version, "Architecture": info.Architecture, "Description": info.Summary,
		"URL": info.Homepage, "Licenses": info.License,
		"Depends On": unrelate(info.Depends), "Provides": unrelate(info.Provides),
	}
	for name, value := range got {
		if fields[name] == "" || strings.Join(strings.Fields(fields[name]), " ") != value {
			t.Errorf("%s: packagefs says %q, pacman %q", name, value, fields[name])
		}
	}
	if info.Format != "arch" {
		t.Errorf("format is %q", info.Format)
	}
}

// unrelate writes relations as pacman and apk do: "bash (>= 5)" as bash>=5.
func unrelate(relations []string) string {
	text := strings.Join(relations, "\n")
	text = strings.NewReplacer(" (", "", ") ", "", ")", "", "= ", "=", "> ", ">", "< ", "<").Replace(text)
	return strings.ReplaceAll(text, "\n", " ")
}

// checkPacmanList compares paths; pacman does not know the /usr merge.
func checkPacmanList(t *testing.T, s *harness.Server, lines []string) {
	t.Helper()
	want := map[string]bool{}
	for _, line := range lines {
		_, name, _ := strings.Cut(line, " ")
		want[harness.UsrMergePath(strings.Trim(name, "/"))] = true
	}
	var rows []struct{ Path string }
	if err := s.JSON(&rows, "files", "sample"); err != nil {
		t.Fatal(err)
	}
	got := map[string]bool{}
	for _, r := range rows {
		if r.Path != "/" {
			got[strings.TrimPrefix(r.Path, "/")] = true
		}
	}
	checkNames(t, want, got)
}

func checkMutable(t *testing.T, s *harness.Server, name, want string) {
	t.Helper()
	var rows []struct {
		Path    string
		Mutable bool
	}
	if err := s.JSON(&rows, "files", name); err != nil {
		t.Fatal(err)
	}
	var mutable []string
	for _, r := range rows {
		if r.Mutable {
			mutable = append(mutable, r.Path)
		}
	}
	if !slices.Equal(mutable, []string{want}) {
		t.Errorf("mutable files are %q, want %q", mutable, want)
	}
}

const nfpmConfig = `name: sample
arch: amd64
platform: linux
version: 1.2.3
release: 4
maintainer: "Test <test@example.com>"
description: made by a test
homepage: https://example.com/
license: MIT
depends: ["musl>=1.2", "so:libc.musl-x86_64.so.1"]
provides: ["virtual=2"]
contents:
- {src: file, dst: /usr/bin/sample, file_info: {mode: 0755, mtime: 2023-11-14T22:13:20Z}}
- {src: file, dst: /bin/sample-old, file_info: {mode: 0755, mtime: 2023-11-14T22:13:20Z}}
- {src: file, dst: /etc/sample.conf, type: config, file_info: {mode: 0640, mtime: 2023-11-14T22:13:20Z, owner: root, group: root}}
- {src: sample, dst: /usr/bin/symlink, type: symlink}
- {dst: /var/lib/sample, type: dir, file_info: {mode: 0750}}
`

// nfpmModule is the newest version whose modules a Go module proxy has all of.
const nfpmModule = "github.com/goreleaser/nfpm/v2/cmd/nfpm@v2.43.0"

// makeAPK builds an Alpine package with nfpm, which is no part of this module.
func makeAPK(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	harness.WriteFiles(t, dir, map[string]string{"nfpm.yaml": nfpmConfig, "file": "content\n"})
	cmd := exec.Command("go", "run", nfpmModule, "package", "--packager", "apk", "--config", "nfpm.yaml", "--target", dir)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "GOFLAGS=-mod=mod")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("nfpm: %v\n%s", err, out)
	}
	made, err := filepath.Glob(filepath.Join(dir, "*.apk"))
	if err != nil || len(made) != 1 {
		t.Fatalf("nfpm made %v, %v", made, err)
	}
	return made[0]
}

// Packages that nfpm builds are what the configuration and bsdtar say.
func testFormatAPK(t *testing.T) {
	file := makeAPK(t)
	s, info := serveOne(t, file)
	want := packageInfo{Name: "sample", Version: "1.2.3-r4", Architecture: "x86_64", Format: "apk", Homepage: "https://example.com/",
		License: "MIT", Summary: "made by a test"}
	depends, provides := unrelate(info.Depends), unrelate(info.Provides)
	info.Depends, info.Provides = nil, nil
	if fmt.Sprint(info) != fmt.Sprint(want) {
		t.Errorf("info is %+v, want %+v", info, want)
	}
	if depends != "musl>=1.2 so:libc.musl-x86_64.so.1" || provides != "virtual=2" {
		t.Errorf("depends on %q and provides %q", depends, provides)
	}
	tree := unpacked(t, file)
	checkFiles(t, s, "sample", tree)
	checkServed(t, s, tree)
}

// A Debian package's compression makes no difference.
func testFormatDeb(t *testing.T) {
	for _, compression := range []string{"none", "gzip", "xz", "zstd"} {
		t.Run(compression, func(t *testing.T) {
			file := harness.MakeDeb(t, t.TempDir(), harness.DebSpec{Name: "sample", Deflate: compression,
				Control: "Depends: hello (>= 2) | bye, bash\nProvides: virtual (= 2)\n",
				Fill: func(tree string) {
					harness.WriteFiles(t, tree, map[string]string{"etc/sample.conf": "conf", "usr/bin/sample": "x"})
				},
				Scripts: map[string]string{"conffiles": "/etc/sample.conf\n"}})
			s, info := serveOne(t, file)
			want := []string{"hello (>= 2) | bye", "bash"}
			if !slices.Equal(info.Depends, want) || !slices.Equal(info.Provides, []string{"virtual (= 2)"}) {
				t.Errorf("depends on %q and provides %q", info.Depends, info.Provides)
			}
			tree, err := oracle.Package(file)
			if err != nil {
				t.Fatal(err)
			}
			checkFiles(t, s, "sample", tree)
			checkServed(t, s, tree)
			checkMutable(t, s, "sample", "/etc/sample.conf")
		})
	}
}
