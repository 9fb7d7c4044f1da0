package format

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/packagefs/packagefs/pkgindex/format/mkpkg"
	"github.com/packagefs/packagefs/pkgindex/pkgmeta"
	"github.com/packagefs/packagefs/pkgindex/relation"
)

// A recorder is a Sink that keeps everything and checks the Sink's contract.
type recorder struct {
	started bool
	meta    pkgmeta.Meta
	entries []pkgmeta.Entry
	bodies  map[string]string
	broken  []string // how the contract was broken
}

func (r *recorder) complain(format string, args ...any) {
	r.broken = append(r.broken, fmt.Sprintf(format, args...))
}

func (r *recorder) Start(m pkgmeta.Meta) error {
	if r.started {
		r.complain("Start a second time")
	}
	r.started, r.meta, r.bodies = true, m, make(map[string]string)
	return nil
}

func (r *recorder) Add(e pkgmeta.Entry, content io.Reader) error {
	if !r.started {
		r.complain("%q before Start", e.Path)
	}
	r.check(e)
	r.entries = append(r.entries, e)
	file := e.Type == pkgmeta.Regular && e.HardLink == ""
	if file != (content != nil) {
		r.complain("%q: content is there: %v", e.Path, content != nil)
	}
	if content == nil {
		return nil
	}
	body, err := io.ReadAll(content)
	if err != nil {
		return err
	}
	if int64(len(body)) != e.Size {
		r.complain("%q has %d bytes, its Size is %d", e.Path, len(body), e.Size)
	}
	r.bodies[e.Path] = string(body)
	return nil
}

// check compares an entry with what was there before.
func (r *recorder) check(e pkgmeta.Entry) {
	if e.Path == "" && e.Type != pkgmeta.Directory || e.Path != "" && !cleanRelative(e.Path) {
		r.complain("%q is no clean path", e.Path)
	}
	if e.Mode > 0o7777 || e.Size < 0 || (e.Type == pkgmeta.Symlink) != (e.Target != "") {
		r.complain("%q: %+v", e.Path, e)
	}
	linked := e.HardLink == ""
	for _, o := range r.entries {
		switch {
		case o.Path == e.Path:
			r.complain("%q is there twice", e.Path)
		case o.Type != pkgmeta.Directory && strings.HasPrefix(e.Path, o.Path+"/"), e.Type != pkgmeta.Directory && strings.HasPrefix(o.Path, e.Path+"/"):
			r.complain("%q and %q: one is below the other, which is no directory", o.Path, e.Path)
		case e.HardLink != "" && o.Path == e.HardLink:
			linked = o.Type == pkgmeta.Regular && o.HardLink == ""
		}
	}
	if !linked {
		r.complain("%q is a hard link to %q, which is no earlier file", e.Path, e.HardLink)
	}
}

func cleanRelative(p string) bool {
	for part := range strings.SplitSeq(p, "/") {
		if part == "" || part == "." || part == ".." || len(part) > 255 {
			return false
		}
	}
	return !strings.ContainsAny(p, "\x00\n")
}

// String lists what was read.
func (r *recorder) String() string {
	var b strings.Builder
	m := r.meta
	fmt.Fprintf(&b, "%s %s %s %s\n", m.Format, m.Ref, m.Architecture, m.Scheme)
	for _, field := range [...]struct {
		name  string
		value any
	}{
		{"summary", m.Summary}, {"description", m.Description}, {"homepage", m.Homepage}, {"maintainer", m.Maintainer},
		{"license", m.License}, {"source", m.SourceName}, {"multi-arch", m.MultiArch}, {"depends", relationField(m.Depends)},
		{"provides", m.Provides}, {"conflicts", m.Conflicts}, {"replaces", m.Replaces}, {"essential", m.Essential},
	} {
		if text := fmt.Sprint(field.value); text != "" && text != "[]" && text != "false" {
			fmt.Fprintf(&b, "%s: %s\n", field.name, strings.ReplaceAll(text, "\n", `\n`))
		}
	}
	for _, e := range r.entries {
		fmt.Fprintf(&b, "%s %04o %d/%d %d %q", []string{"file", "dir", "link", "fifo"}[e.Type], e.Mode, e.UID, e.GID, e.Sec, e.Path)
		switch {
		case e.HardLink != "":
			fmt.Fprintf(&b, " = %q", e.HardLink)
		case e.Type == pkgmeta.Symlink:
			fmt.Fprintf(&b, " -> %q", e.Target)
		case e.Type == pkgmeta.Regular:
			fmt.Fprintf(&b, " %q", r.bodies[e.Path])
		}
		if e.Mutable {
			b.WriteString(" mutable")
		}
		if len(e.Xattrs) > 0 {
			fmt.Fprintf(&b, " %q", e.Xattrs)
		}
		b.WriteByte('\n')
	}
	return b.String()
}

// readBytes reads a package file from memory.
func readBytes(t testing.TB, name string, data []byte, limits Limits) (*recorder, error) {
	t.Helper()
	r := new(recorder)
	err := Read(bytes.NewReader(data), int64(len(data)), name, limits, r)
	for _, text := range r.broken {
		t.Errorf("%s: %s", name, text)
	}
	if err == nil && !r.started {
		t.Errorf("%s: read, but Start was not called", name)
	}
	if err != nil && !strings.HasPrefix(err.Error(), name) {
		t.Errorf("error does not begin with the file's name: %v", err)
	}
	return r, err
}

// formats are the writers of each format and compression.
var formats = map[string]func(io.Writer, mkpkg.Spec) error{
	"x.deb":         mkpkg.Deb,
	"zstd.deb":      compressed(mkpkg.Deb, mkpkg.Zstd),
	"plain.deb":     compressed(mkpkg.Deb, mkpkg.Plain),
	"x.apk":         mkpkg.Apk,
	"x.pkg.tar.zst": mkpkg.Arch,
	"x.pkg.tar.gz":  compressed(mkpkg.Arch, mkpkg.Gzip),
	"x.pkg.tar":     compressed(mkpkg.Arch, mkpkg.Plain),
	"x.pfs":         mkpkg.Pfs,
	"x.rpm":         mkpkg.Rpm,
	"zstd.rpm":      compressed(mkpkg.Rpm, mkpkg.Zstd),
	"plain.rpm":     compressed(mkpkg.Rpm, mkpkg.Plain),
	"large.rpm":     func(w io.Writer, s mkpkg.Spec) error { s.LargeFiles = true; return mkpkg.Rpm(w, s) },
}

func compressed(write func(io.Writer, mkpkg.Spec) error, c mkpkg.Compression) func(io.Writer, mkpkg.Spec) error {
	return func(w io.Writer, s mkpkg.Spec) error {
		s.Compression = c
		return write(w, s)
	}
}

// write makes a package file in memory.
func write(t testing.TB, name string, s mkpkg.Spec) []byte {
	t.Helper()
	if s.Name == "" {
		s.Name = "x"
	}
	var b bytes.Buffer
	if err := formats[name](&b, s); err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	return b.Bytes()
}

// someFiles has a file of every type.
var someFiles = []mkpkg.File{
	{Path: "usr/bin/x", Mode: 0o4755, Body: "#!/bin/sh\n", Xattrs: map[string]string{
		"user.a": "b", "security.capability": "\x01", "trusted.overlay.opaque": "y", "user.overlay.opaque": "y", "security.selinux": "z",
	}},
	{Path: "usr/bin/y", Mode: 0o4755, HardLink: "usr/bin/x"},
	{Path: "usr/bin/z", Target: "x"},
	{Path: "etc/x.conf", Body: "a=1\n", Conffile: true},
	{Path: "var/spool/x/", Mode: 0o1777, UID: 8, GID: 12},
	{Path: "var/spool/x/fifo", Fifo: true, Time: 1600000000},
	{Path: "usr/share/odd name#=\\größe", Body: strings.Repeat("x", 3000)},
	{Path: "usr/share/" + strings.Repeat(strings.Repeat("d", 250)+"/", 4) + strings.Repeat("n", 255), Body: ""},
}

const someFilesText = `dir 0755 0/0 1700000000 "usr"
dir 0755 0/0 1700000000 "usr/bin"
file 4755 0/0 1700000000 "usr/bin/x" "#!/bin/sh\n" map["security.capability":"\x01" "user.a":"b"]
file 4755 0/0 1700000000 "usr/bin/y" = "usr/bin/x"
link 0777 0/0 1700000000 "usr/bin/z" -> "x"
dir 0755 0/0 1700000000 "etc"
file 0644 0/0 1700000000 "etc/x.conf" "a=1\n" mutable
dir 0755 0/0 1700000000 "var"
dir 0755 0/0 1700000000 "var/spool"
dir 1777 8/12 1700000000 "var/spool/x"
fifo 0644 0/0 1600000000 "var/spool/x/fifo"
dir 0755 0/0 1700000000 "usr/share"
`

// rpmFilesText: of hard links the last has the content, and there is no place for
// extended attributes.
var rpmFilesText = strings.NewReplacer(
	`"usr/bin/x" "#!/bin/sh\n" map["security.capability":"\x01" "user.a":"b"]`, `"usr/bin/y" "#!/bin/sh\n"`,
	`"usr/bin/y" = "usr/bin/x"`, `"usr/bin/x" = "usr/bin/y"`)

func TestReadFiles(t *testing.T) {
	for name := range formats {
		r, err := readBytes(t, name, write(t, name, mkpkg.Spec{Files: someFiles}), Limits{})
		if err != nil {
			t.Error(err)
			continue
		}
		_, have, _ := strings.Cut(r.String(), `"usr"`+"\n")
		have, rest, _ := strings.Cut(`dir 0755 0/0 1700000000 "usr"`+"\n"+have, `file 0644 0/0 1700000000 "usr/share/odd`)
		want := someFilesText
		if strings.HasSuffix(name, ".rpm") {
			want = rpmFilesText.Replace(want)
		}
		if have != want {
			t.Errorf("%s:\nhave\n%swant\n%s", name, have, want)
		}
		last := r.entries[len(r.entries)-1]
		if !strings.Contains(rest, strings.Repeat("x", 3000)) || last.Path != someFiles[len(someFiles)-1].Path || last.Size != 0 {
			t.Errorf("%s: ends with %s", name, rest)
		}
	}
}

// TestReadRealPackages reads what other programs have written: dpkg-deb,
// makepkg and nfpm.
func TestReadRealPackages(t *testing.T) {
	files, err := filepath.Glob("testdata/packages/*")
	if err != nil {
		t.Fatal(err)
	}
	read := 0
	for _, file := range files {
		golden, ext := file+".txt", filepath.Ext(file)
		if ext == ".txt" || ext == ".md" {
			continue
		}
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		want, err := os.ReadFile(golden)
		if err != nil {
			t.Fatal(err)
		}
		r, err := readBytes(t, filepath.Base(file), data, Limits{})
		if err != nil {
			t.Error(err)
			continue
		}
		if have := r.String(); have != string(want) {
			t.Errorf("%s:\nhave\n%swant\n%s", file, have, want)
		}
		read++
	}
	if read < 6 {
		t.Errorf("only %d packages in testdata/packages", read)
	}
}

// failingSink fails at a call of its choice.
type failingSink struct{ left int }

var errSink = errors.New("disk full")

func (s *failingSink) Start(pkgmeta.Meta) error { return s.call() }
func (s *failingSink) Add(_ pkgmeta.Entry, content io.Reader) error {
	if content != nil {
		if _, err := io.Copy(io.Discard, content); err != nil {
			return err
		}
	}
	return s.call()
}

func (s *failingSink) call() error {
	if s.left--; s.left < 0 {
		return errSink
	}
	return nil
}

func TestSinkErrors(t *testing.T) {
	for name := range formats {
		data := write(t, name, mkpkg.Spec{Files: someFiles[:3]})
		for calls := range 4 {
			err := Read(bytes.NewReader(data), int64(len(data)), name, Limits{}, &failingSink{calls})
			if !errors.Is(err, errSink) || strings.Contains(err.Error(), "copied") {
				t.Errorf("%s: the sink fails after %d calls: %v", name, calls, err)
			}
		}
	}
}

// lazySink reads nothing, or one byte, of each content.
type lazySink struct{ n int }

func (s lazySink) Start(pkgmeta.Meta) error { return nil }
func (s lazySink) Add(_ pkgmeta.Entry, content io.Reader) error {
	if content != nil {
		content.Read(make([]byte, s.n))
	}
	return nil
}

// TestLazySink: what a sink leaves is verified all the same.
func TestLazySink(t *testing.T) {
	for name := range formats {
		data := write(t, name, mkpkg.Spec{Files: someFiles})
		for n := range 2 {
			if err := Read(bytes.NewReader(data), int64(len(data)), name, Limits{}, lazySink{n}); err != nil {
				t.Error(err)
			}
		}
	}
}

// failingReader fails behind its first n bytes.
type failingReader struct {
	data []byte
	n    int64
}

var errDisk = errors.New("input/output error")

func (r failingReader) ReadAt(p []byte, off int64) (int, error) {
	n, err := bytes.NewReader(r.data[:r.n]).ReadAt(p, off)
	if err == io.EOF {
		err = errDisk
	}
	return n, err
}

func TestReadErrors(t *testing.T) {
	for name := range formats {
		data := write(t, name, mkpkg.Spec{Files: someFiles})
		for _, n := range []int{0, len(data) / 4, len(data) / 2} {
			err := Read(failingReader{data, int64(n)}, int64(len(data)), name, Limits{}, new(recorder))
			if !errors.Is(err, errDisk) {
				t.Errorf("%s: the disk fails behind %d bytes: %v", name, n, err)
			}
		}
	}
}

// relationField writes clauses as a Debian field.
func relationField(clauses []relation.Clause) string {
	var b []string
	for _, c := range clauses {
		b = append(b, c.String())
	}
	return strings.Join(b, ", ")
}
