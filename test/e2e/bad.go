package e2e

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/packagefs/packagefs/test/harness"
)

// A badFile is a package file that must be set aside, with a reason that
// matches.
type badFile struct {
	name   string
	data   []byte
	reason string
}

// badPaths are members that no package may have.
func badPaths(t *testing.T) map[string]struct {
	tar    []byte
	reason string
} {
	type bad = struct {
		tar    []byte
		reason string
	}
	member := func(files ...harness.TarFile) []byte { return harness.TarOf(t, files...) }
	return map[string]bad{
		"dotdot":    {member(harness.TarFile{Name: "./../outside", Body: "x"}), `\.\.`},
		"inner":     {member(harness.TarFile{Name: "./usr/../../outside", Body: "x"}), `\.\.`},
		"absolute":  {member(harness.TarFile{Name: "/etc/outside", Body: "x"}), `/etc/outside`},
		"symlink":   {member(harness.TarFile{Name: "./link", Link: "/etc", Type: tar.TypeSymlink}, harness.TarFile{Name: "./link/outside", Body: "x"}), `link`},
		"hardlink":  {member(harness.TarFile{Name: "./name", Link: "../../etc/passwd", Type: tar.TypeLink}), `\.\.|passwd`},
		"long":      {member(harness.TarFile{Name: "./" + strings.Repeat("l", 256), Body: "x"}), `255`},
		"duplicate": {member(harness.TarFile{Name: "./twice", Body: "x"}, harness.TarFile{Name: "./twice", Body: "y"}), `twice`},
		"device":    {member(harness.TarFile{Name: "./device", Type: tar.TypeChar, Major: 1}), `device`},
	}
}

// badFiles makes one of each kind. good are a good package file of each
// format, to spoil.
func badFiles(t *testing.T, good map[string]string) []badFile {
	t.Helper()
	var bad []badFile
	add := func(name string, data []byte, reason string) { bad = append(bad, badFile{name, data, reason}) }
	for format, file := range good {
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, part := range []int{1, 50, 90, 99} {
			name := fmt.Sprintf("truncated-%d%s", part, format)
			add(name, data[:len(data)*part/100], `cut short|too soon|not a package file|is it still being copied|EOF`)
		}
		for _, at := range []int{30, 60, 95} {
			spoiled := bytes.Clone(data)
			from := min(len(data)*at/100, len(data)-40)
			for i := range 40 {
				spoiled[from+i] ^= 0x5a
			}
			add(fmt.Sprintf("corrupt-%d%s", at, format), spoiled, `.`)
		}
		add("empty"+format, nil, `.`)
		add("text"+format, []byte("this is not a package\n"), `.`)
	}
	for name, p := range badPaths(t) {
		add(name+".deb", harness.RawDeb(t, name, p.tar, "data.tar", ""), p.reason)
		add(name+".pkg.tar.gz", rawArch(t, name, p.tar), p.reason)
		add(name+".apk", rawAPK(t, name, p.tar), p.reason)
	}
	body := harness.TarOf(t, harness.TarFile{Name: "./file", Body: "one"})
	add("md5sums.deb", harness.RawDeb(t, "md5sums", body, "data.tar", strings.Repeat("0", 32)+"  file\n"), `md5sums`)
	for kind, data := range bombs(t) {
		add(kind+"-bomb.deb", harness.RawDeb(t, kind+"-bomb", data, "data.tar.xz", ""), `bomb|more than|too large`)
	}
	return bad
}

// rawArch makes an Arch package of a tar.
func rawArch(t *testing.T, name string, files []byte) []byte {
	info := fmt.Sprintf("pkgname = %s\npkgver = 1.0-1\narch = any\n", name)
	return gzipped(t, append(unended(harness.TarOf(t, harness.TarFile{Name: ".PKGINFO", Body: info})), files...))
}

// rawAPK makes an Alpine package of a tar: control and data are streams of
// their own.
func rawAPK(t *testing.T, name string, files []byte) []byte {
	info := fmt.Sprintf("pkgname = %s\npkgver = 1.0-r0\narch = noarch\n", name)
	control := gzipped(t, unended(harness.TarOf(t, harness.TarFile{Name: ".PKGINFO", Body: info})))
	return append(control, gzipped(t, files)...)
}

// unended takes the end marker off a tar, so that another can follow.
func unended(archive []byte) []byte { return archive[:len(archive)-1024] }

func gzipped(t *testing.T, data []byte) []byte {
	t.Helper()
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	if _, err := w.Write(data); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// bombs are xz streams of a gigabyte: nothing but zeros, and an archive with
// one file of zeros.
func bombs(t *testing.T) map[string][]byte {
	t.Helper()
	const zeros = "head -c 1073741824 /dev/zero"
	head := filepath.Join(t.TempDir(), "head")
	header := harness.TarOf(t, harness.TarFile{Name: "./zeros", Body: ""})[:512]
	copy(header[124:136], "10000000000\x00") // the size, in octal
	copy(header[148:156], "        ")
	sum := 0
	for _, c := range header {
		sum += int(c)
	}
	copy(header[148:156], fmt.Sprintf("%06o\x00 ", sum))
	if err := os.WriteFile(head, header, 0o644); err != nil {
		t.Fatal(err)
	}
	made := map[string][]byte{}
	for kind, script := range map[string]string{"zeros": zeros, "file": "cat " + head + "; " + zeros} {
		out, err := exec.Command("sh", "-c", "{ "+script+"; } | xz -1 -T0").Output()
		if err != nil {
			t.Fatal(err)
		}
		made[kind] = out
	}
	return made
}

// Bad package files are set aside, each with its reason; the good ones beside
// them are served, and the server stays small.
func testBadFiles(t *testing.T) {
	s := harness.ServerDir(t, harness.Program(t), t.TempDir())
	corpus := harness.FetchCorpus(t)
	hello, err := corpus.Find("hello")
	if err != nil {
		t.Fatal(err)
	}
	good := map[string]string{".deb": hello.File, ".apk": makeAPK(t), ".pkg.tar.zst": makepkg(t, ".pkg.tar.zst")}
	bad := badFiles(t, good)
	for _, b := range bad {
		if err := harness.DropFile(s.Packages, b.name, b.data); err != nil {
			t.Fatal(err)
		}
	}
	for _, file := range good {
		if err := harness.CopyFiles(s.Packages, file); err != nil {
			t.Fatal(err)
		}
	}
	s.StartIndexed(t)
	byFile := listByFile(t, s)
	for _, b := range bad {
		t.Run(b.name, func(t *testing.T) { checkRejected(t, byFile, b) })
	}
	for _, file := range good {
		base := filepath.Base(file)
		t.Run("good "+base, func(t *testing.T) {
			if p := byFile[base]; p.State != "installed" || p.Reason != "" {
				t.Errorf("%s is listed as %+v", base, p)
			}
		})
	}
	want := harness.Manifest{}
	for _, file := range good {
		if strings.HasSuffix(file, ".deb") {
			tree, err := oracle.Package(file)
			if err != nil {
				t.Fatal(err)
			}
			harness.Merge(want, tree)
		} else {
			harness.Merge(want, unpacked(t, file))
		}
	}
	t.Run("tree", func(t *testing.T) { checkNamesServed(t, s, want) })
	t.Run("memory", func(t *testing.T) {
		const most = 400 << 20
		peak, err := harness.ProcessStatus(s.PID(), "VmHWM")
		if err != nil {
			t.Fatal(err)
		}
		if peak > most {
			t.Errorf("the server needed %d MiB to set the bad files aside, want at most %d", peak>>20, most>>20)
		}
	})
}

func listByFile(t *testing.T, s *harness.Server) map[string]harness.Listed {
	t.Helper()
	listed, err := s.List()
	if err != nil {
		t.Fatal(err)
	}
	byFile := map[string]harness.Listed{}
	for _, p := range listed {
		byFile[p.File] = p
	}
	return byFile
}

func checkRejected(t *testing.T, byFile map[string]harness.Listed, b badFile) {
	t.Helper()
	p, ok := byFile[b.name]
	switch {
	case !ok:
		t.Errorf("%s is not listed", b.name)
	case p.State != "rejected":
		t.Errorf("%s is %s, want rejected", b.name, p.State)
	case !regexp.MustCompile(b.reason).MatchString(p.Reason):
		t.Errorf("%s: the reason is %q, want one that matches %q", b.name, p.Reason, b.reason)
	default:
		t.Log(p.Reason)
	}
}

// checkNamesServed compares the names of the whole tree: what bad files would
// add must not be there.
func checkNamesServed(t *testing.T, s *harness.Server, want harness.Manifest) {
	t.Helper()
	got, err := harness.WalkWire(s.Listen[0], "all", harness.BigMsize)
	if err != nil {
		t.Fatal(err)
	}
	names := func(m harness.Manifest) map[string]bool {
		set := map[string]bool{}
		for name := range m {
			set["/"+name] = true
		}
		set["/"] = true
		return set
	}
	checkNames(t, names(served(t, s, want)), names(got))
}

// A file that is still being copied is no package yet, and none of its files
// shows; once its writer closes it, it is one.
func testStillCopied(t *testing.T) {
	s := harness.ServerDir(t, harness.Program(t), t.TempDir())
	hello, err := harness.FetchCorpus(t).Find("hello")
	if err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(hello.File)
	if err != nil {
		t.Fatal(err)
	}
	s.Start(t)
	dest := filepath.Join(s.Packages, "hello.deb")
	f, err := os.Create(dest)
	if err != nil {
		t.Fatal(err)
	}
	for len(data) > 0 {
		n := min(len(data), 7000)
		if _, err := f.Write(data[:n]); err != nil {
			t.Fatal(err)
		}
		data = data[n:]
		if p := listByFile(t, s)["hello.deb"]; p.State == "installed" {
			t.Fatalf("with %d bytes to come it is installed", len(data))
		}
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	harness.WaitFor(t, "the file to be installed once it is whole", func() error {
		if p := listByFile(t, s)["hello.deb"]; p.State != "installed" {
			return fmt.Errorf("it is listed as %+v", p)
		}
		return nil
	})
	// At the start of a server nobody knows whether a writer is at work: what
	// is there of the file is set aside until it is closed whole.
	if err := s.Stop(); err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(dest, 20_000); err != nil {
		t.Fatal(err)
	}
	s.StartIndexed(t)
	checkRejected(t, listByFile(t, s), badFile{name: "hello.deb", reason: `still being copied`})
	whole, err := os.ReadFile(hello.File)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(dest, whole, 0o644); err != nil {
		t.Fatal(err)
	}
	harness.WaitFor(t, "the file to be installed again", func() error {
		if p := listByFile(t, s)["hello.deb"]; p.State != "installed" {
			return fmt.Errorf("it is listed as %+v", p)
		}
		return nil
	})
}
