package e2e

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/hugelgupf/p9/linux"
	"github.com/hugelgupf/p9/p9"
	"github.com/packagefs/packagefs/test/harness"
)

// nativeOf makes a native package of a directory by packagefs build.
func nativeOf(t testing.TB, dir, file, name string, flags ...string) {
	t.Helper()
	bin := harness.Program(t)
	args := append([]string{"build", dir, "-o", file, "--name", name, "--version", "1.0", "--keep-owners"}, flags...)
	if _, err := harness.Command(bin, args...); err != nil {
		t.Fatal(err)
	}
}

// debTree extracts a Debian package.
func debTree(t testing.TB, deb string) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "tree")
	if _, err := harness.Command("dpkg-deb", "-x", deb, dir); err != nil {
		t.Fatal(err)
	}
	return dir
}

// A native package is a .tar.zst: GNU tar makes the tree of it that it was made
// of. It is little larger than zstd -9 would make it, and served as it is.
func testFormatPfs(t *testing.T) {
	files := map[string]string{"kinds": harness.KindsDeb(t, t.TempDir())}
	for _, name := range []string{"bash", "coreutils", "python3.11-minimal", "libpython3.11-minimal", "perl-modules-5.36"} {
		deb, err := harness.FetchCorpus(t).Find(name)
		if err != nil {
			t.Fatal(err)
		}
		files[name] = deb.File
	}
	for name, deb := range files {
		t.Run(name, func(t *testing.T) {
			dir, out, file := debTree(t, deb), t.TempDir(), filepath.Join(t.TempDir(), "x.pfs")
			nativeOf(t, dir, file, name)
			if _, err := harness.Command("tar", "--zstd", "-xpf", file, "--numeric-owner", "-C", out); err != nil {
				t.Fatal(err)
			}
			if err := os.RemoveAll(filepath.Join(out, ".packagefs")); err != nil {
				t.Fatal(err)
			}
			want, err := harness.WalkDir(dir)
			if err != nil {
				t.Fatal(err)
			}
			got, err := harness.WalkDir(out)
			if err != nil {
				t.Fatal(err)
			}
			for _, m := range []harness.Manifest{want, got} {
				for path, e := range m {
					e.Nsec = 0
					m[path] = e
				}
			}
			harness.CheckSame(t, "tar", withoutRoot(want), withoutRoot(got))
			s, _ := serveOne(t, file)
			checkServed(t, s, harness.UsrMerge(want))
			checkFiles(t, s, name, harness.UsrMerge(want))
			if name != "kinds" { // which is almost empty
				checkPacked(t, file)
			}
		})
	}
}

// checkPacked compares the size of a native package with what zstd -9 makes of
// the same archive.
func checkPacked(t *testing.T, file string) {
	t.Helper()
	plain := filepath.Join(t.TempDir(), "plain.zst")
	if out, err := exec.Command("sh", "-c", `zstd -q -dc "$1" | zstd -q -9 -o "$2"`, "sh", file, plain).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	ours, err := os.Stat(file)
	if err != nil {
		t.Fatal(err)
	}
	theirs, err := os.Stat(plain)
	if err != nil {
		t.Fatal(err)
	}
	ratio := float64(ours.Size()) / float64(theirs.Size())
	t.Logf("%d bytes, zstd -9 makes %d: %.3f", ours.Size(), theirs.Size(), ratio)
	if ratio > 1.15 {
		t.Errorf("%d bytes are %.3f times what zstd -9 makes", ours.Size(), ratio)
	}
}

// What rots in a native package that is served is told and marked, and is not
// read.
func testPfsRot(t *testing.T) {
	dir := t.TempDir()
	harness.WriteFiles(t, dir, map[string]string{"usr/share/a": strings.Repeat("a line of text\n", 100_000), "usr/share/b": "whole"})
	file := filepath.Join(t.TempDir(), "rot.pfs")
	nativeOf(t, dir, file, "rot")
	s, _ := serveOne(t, file)
	root, closeAll, err := harness.DialWire(s.Listen[0], "all", harness.BigMsize)
	if err != nil {
		t.Fatal(err)
	}
	defer closeAll()
	rot(t, filepath.Join(s.Packages, "rot.pfs"))
	if _, err := readWire(root, "usr/share/a"); !errors.Is(err, linux.EIO) {
		t.Errorf("what rotted reads: %v", err)
	}
	if text, err := readWire(root, "usr/share/b"); err != nil || text != "whole" {
		t.Errorf("what is whole reads %q, %v", text, err)
	}
	listed, err := s.List()
	if err != nil || len(listed) != 1 || listed[0].State != "damaged" || listed[0].Reason == "" {
		t.Errorf("listed as %+v, %v", listed, err)
	}
	out, err := s.Run("events", "--json")
	if err != nil || !strings.Contains(out, `"package-damaged"`) || !strings.Contains(out, `"rot.pfs"`) {
		t.Errorf("events %v: %s", err, out)
	}
	if out, err := s.Run("-c", "ctl", "cat", "/metrics"); err != nil || !strings.Contains(out, "\npackagefs_chunk_misses_total ") {
		t.Errorf("metrics %v: %s", err, out)
	}
}

// What is wrong with a native package is found by verify: what the server made of
// it is made again, and what its author made is not.
func testPfsVerify(t *testing.T) {
	dir := t.TempDir()
	harness.WriteFiles(t, dir, map[string]string{"usr/share/a": strings.Repeat("a line of text\n", 100_000), "usr/share/b": "whole"})
	file := filepath.Join(t.TempDir(), "rot.pfs")
	nativeOf(t, dir, file, "rot")
	s, _ := serveOne(t, file)
	verify := func(want string, args ...string) error {
		t.Helper()
		out, err := s.Run(append([]string{"verify"}, args...)...)
		if !strings.Contains(out, want) {
			t.Errorf("verify %q says %v: %s; want %q", args, err, out, want)
		}
		return err
	}
	harness.Must(t, verify("1 package verified, 0 damaged"))
	tables, err := filepath.Glob(filepath.Join(s.State, "payload", "*"))
	harness.Must(t, err)
	for _, table := range tables {
		harness.Must(t, os.Truncate(table, 20))
	}
	harness.Must(t, verify("rot=1.0 repaired", "--repair"))
	harness.Must(t, verify("1 package verified, 0 damaged"))

	rot(t, filepath.Join(s.Packages, "rot.pfs"))
	for range 2 { // the second time it is marked
		if err := verify("/usr/share/a"); err == nil {
			t.Error("what rotted is verified")
		}
		if listed, err := s.List(); err != nil || len(listed) != 1 || listed[0].State != "damaged" {
			t.Errorf("listed as %+v, %v", listed, err)
		}
	}
	if err := verify("1 damaged", "--repair"); err == nil || !strings.Contains(err.Error(), "could not be made again") {
		t.Errorf("what rotted is repaired: %v", err)
	}
	if listed, err := s.List(); err != nil || len(listed) != 1 || listed[0].State != "rejected" || !strings.Contains(listed[0].Reason, "fetch or build the package file anew") {
		t.Errorf("listed as %+v, %v", listed, err)
	}
	harness.Must(t, harness.CopyFiles(s.Packages, file))
	harness.WaitFor(t, "the whole package file", func() error {
		out, err := s.Run("verify")
		if err == nil && !strings.Contains(out, "1 package verified, 0 damaged") {
			return errors.New(out)
		}
		return err
	})
}

// rot changes the bytes of a package file's second frame behind everybody's back, as
// a disk does: by another name, so that nobody who follows the directory is told.
func rot(t *testing.T, file string) {
	t.Helper()
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(file)
	if err != nil {
		t.Fatal(err)
	}
	unseen := filepath.Join(t.TempDir(), "unseen")
	harness.Must(t, os.Link(file, unseen))
	f, err := os.OpenFile(unseen, os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	// The first chunk of the big file is the first frame with a magic number
	// behind those of the metadata and of the header.
	const magic = "\x28\xb5\x2f\xfd"
	at := 0
	for range 2 {
		at += len(magic) + strings.Index(string(data[at+len(magic):]), magic)
	}
	for i := range 16 {
		if _, err := f.WriteAt([]byte{^data[at+20+i]}, int64(at+20+i)); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Chtimes(unseen, info.ModTime(), info.ModTime()); err != nil {
		t.Fatal(err)
	}
}

// readWire reads a file.
func readWire(root p9.File, path string) (string, error) {
	_, f, err := root.Walk(strings.Split(path, "/"))
	if err != nil {
		return "", err
	}
	defer f.Close()
	if _, _, err := f.Open(p9.ReadOnly); err != nil {
		return "", err
	}
	_, _, attr, err := f.GetAttr(p9.AttrMaskAll)
	if err != nil {
		return "", err
	}
	b := make([]byte, attr.Size)
	for n := 0; n < len(b); {
		m, err := f.ReadAt(b[n:], int64(n))
		if m == 0 {
			return string(b[:n]), fmt.Errorf("read %d bytes of %d: %w", n, len(b), err)
		}
		n += m
	}
	return string(b), nil
}
