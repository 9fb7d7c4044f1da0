package format

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/packagefs/packagefs/pkgindex/format/mkpkg"
	"github.com/packagefs/packagefs/pkgindex/pfs"
)

// converted makes a native package of a package file.
func converted(t *testing.T, name string, data []byte) ([]byte, error) {
	t.Helper()
	spool, err := os.Create(filepath.Join(t.TempDir(), "spool"))
	if err != nil {
		t.Fatal(err)
	}
	defer spool.Close()
	c, err := ReadConversion(bytes.NewReader(data), int64(len(data)), name, spool)
	if err != nil {
		return nil, err
	}
	var b bytes.Buffer
	if err := c.Write(&b, pfs.Options{Level: 1}, func(int64) error { return nil }); err != nil {
		return nil, err
	}
	return b.Bytes(), c.Check(bytes.NewReader(b.Bytes()), int64(b.Len()), name)
}

// sameButFormat are two texts of recorders, whose first word is the format.
func sameButFormat(a, b *recorder) (string, string) {
	_, x, _ := strings.Cut(a.String(), " ")
	_, y, _ := strings.Cut(b.String(), " ")
	return x, y
}

// TestConversion: a converted package says what its source says, of every format.
func TestConversion(t *testing.T) {
	files := append([]mkpkg.File{
		{Path: "./", Mode: 0o750, UID: 3, Time: 1500000000},
		{Path: "etc/[odd]*?{a,b}\\", Body: "b=2\n", Conffile: true},
		{Path: "etc/oddity", Body: "not a configuration file\n"},
		{Path: "usr/share/large", Body: strings.Repeat("a line of text\n", 100_000)},
		{Path: "usr/lib/systemd/system/x.service", Body: "[Service]\n"},
	}, someFiles...)
	for name := range formats {
		if strings.HasSuffix(name, ".pfs") {
			continue
		}
		spec := mkpkg.Spec{
			Name: "x", Summary: "A 'summary' \"of\" \\ one line", Homepage: "https://example.org", License: "MIT", Source: "src",
			Depends: []string{"a", "b"}, Provides: []string{"v"}, Conflicts: []string{"c"}, Replaces: []string{"r"}, Files: files,
		}
		if strings.HasSuffix(name, ".deb") {
			spec.Description = "First.\n\n \"\"\" more\\\n\tindented"
			spec.MultiArch, spec.Essential = "same", true
			spec.Depends = []string{"a (>= 1:2~rc) | b:any (<< 3)", "c"}
			spec.Provides = []string{"v (= 2)", "w"}
		}
		if strings.HasSuffix(name, ".rpm") {
			spec.Files = spec.Files[1:]
		}
		checkConversion(t, name, write(t, name, spec))
	}
	for name, data := range samples(t) { // those of other programs among them
		if !strings.HasSuffix(name, ".pfs") {
			checkConversion(t, name, data)
		}
	}
}

func checkConversion(t *testing.T, name string, data []byte) {
	t.Helper()
	want, err := readBytes(t, name, data, Limits{})
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	native, err := converted(t, name, data)
	if err != nil {
		t.Errorf("%s: %v", name, err)
		return
	}
	have, err := readBytes(t, name, native, Limits{})
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	if h, w := sameButFormat(have, want); h != w {
		t.Errorf("%s becomes\n%swant\n%s", name, h, w)
	}
	if again, err := converted(t, name, data); err != nil || !bytes.Equal(again, native) {
		t.Errorf("%s: another time it becomes something else (%v)", name, err)
	}
}

// TestConversionRefuses: what cannot be a native package is refused with the
// reason.
func TestConversionRefuses(t *testing.T) {
	for _, c := range []struct {
		name, want string
		spec       mkpkg.Spec
	}{
		{"x.pfs", "is a native package already", mkpkg.Spec{}},
		{"x.deb", "/.packagefs, where native packages have their metadata", mkpkg.Spec{Files: []mkpkg.File{{Path: ".packagefs/a"}}}},
		{"x.deb", "is not UTF-8", mkpkg.Spec{Files: []mkpkg.File{{Path: "usr/\xff"}}}},
	} {
		if _, err := converted(t, c.name, write(t, c.name, c.spec)); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %s", c.name, err, c.want)
		}
	}
	data := write(t, "x.deb", mkpkg.Spec{Files: someFiles})
	if _, err := converted(t, "x.deb", data[:len(data)-1000]); err == nil || !strings.Contains(err.Error(), "cut short") {
		t.Errorf("cut short: %v", err)
	}
}
