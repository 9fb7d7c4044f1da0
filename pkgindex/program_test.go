package pkgindex

import (
	"errors"
	"os"
	"path"
	"path/filepath"
	"strings"
	"testing"

	"github.com/packagefs/packagefs/pkgindex/pkgmeta"
	"github.com/packagefs/packagefs/pkgindex/pkgpath"
)

func TestProgram(t *testing.T) {
	executable := Inode{Type: pkgmeta.Regular, Mode: 0o755}
	for _, c := range []struct {
		override string // the value of launchers; empty: no override file
		path     string
		inode    Inode
		want     bool
	}{
		{"", "usr/bin/app", executable, true},
		{"", "usr/bin/app", Inode{Type: pkgmeta.Regular, Mode: 0o4711}, true},
		{"", "usr/bin/app", Inode{Type: pkgmeta.Regular, Mode: 0o644}, false},
		{"", "usr/bin/app", Inode{Type: pkgmeta.Symlink, Mode: 0o777}, false},
		{"", "usr/bin/app", Inode{Type: pkgmeta.Regular, Mode: 0o755, Mutable: true}, false},
		{"", "usr/bin/tool.py", executable, true},
		{"", "usr/sbin/app", executable, true},
		{"", "usr/games/app", executable, true},
		{"", "usr/local/bin/app", executable, true},
		{"", "usr/libexec/app/helper", executable, true},
		{"", "usr/lib/app/helper", executable, true},
		{"", "usr/lib/x86_64-linux-gnu/libapp.so.1.2", executable, false},
		{"", "usr/lib/app/plugin.so", executable, false},
		{"", "usr/lib/python3/dist-packages/app/main.py", executable, false},
		{"", "usr/lib64/ld-linux-x86-64.so.2", executable, false},
		{"", "opt/app/app", executable, true},
		{"", "opt/app/bin/tool.py", executable, true},
		{"", "bin/app", executable, true},
		{"", "usr/share/doc/app/example.sh", executable, false},
		{"", "etc/init.d/app", executable, false},
		{"", "usr/binary", executable, false},
		{"", "app", executable, false},

		{"true", "usr/bin/app", executable, true},
		{"false", "usr/bin/app", executable, false},
		{"[]", "usr/bin/app", executable, false},
		{`["/usr/share/app/*", "/usr/bin/app"]`, "usr/share/app/run", executable, true},
		{`["/usr/share/app/*", "/usr/bin/app"]`, "usr/bin/app", executable, true},
		{`["/usr/share/app/*", "/usr/bin/app"]`, "usr/bin/other", executable, false},
		{`["/**"]`, "usr/share/app/data", Inode{Type: pkgmeta.Regular, Mode: 0o644}, false},
		{`["/**"]`, "etc/cron.daily/app", executable, true},
		{"true\nmutable = [\"/usr/bin/*\"]", "usr/bin/app", executable, false},
	} {
		p := &Package{}
		if c.override != "" {
			o, err := parseOverride("app.toml", []byte("launchers = "+c.override), pkgpath.UsrMerge)
			if err != nil {
				t.Fatal(err)
			}
			p = o.apply(&imported{})
		}
		dir, name := path.Split(c.path)
		if got := p.Program(strings.TrimSuffix(dir, "/"), name, c.inode); got != c.want {
			t.Errorf("launchers %q: %s %+v: %v, want %v", c.override, c.path, c.inode, got, c.want)
		}
	}
	for value, want := range map[string]string{
		`"no"`: "want true, false, or a list of globs", `[1]`: "want true, false, or a list of globs",
		`["usr/bin/*"]`: "not a glob of absolute paths", `["/usr/[b"]`: "not a glob of absolute paths",
	} {
		if _, err := parseOverride("app.toml", []byte("launchers = "+value), pkgpath.UsrMerge); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("launchers = %s: %v, want %q", value, err, want)
		}
	}
}

// TestMade reads a package that stands in no package file.
func TestMade(t *testing.T) {
	content, err := os.Create(filepath.Join(t.TempDir(), "content"))
	if err != nil {
		t.Fatal(err)
	}
	defer content.Close()
	if _, err := content.WriteString("onetwo"); err != nil {
		t.Fatal(err)
	}
	made := func(v string) *Package {
		p, err := NewMade(pkgmeta.Meta{Ref: pkgmeta.Ref{Name: "made", Version: v}}, []MadeFile{
			{Entry: pkgmeta.Entry{Path: "etc/made", Type: pkgmeta.Directory, Mode: 0o750}},
			{Entry: pkgmeta.Entry{Path: "etc/made/one", Mode: 0o600, Size: 3}},
			{Entry: pkgmeta.Entry{Path: "etc/made/two", Mode: 0o600, Size: 3}, Offset: 3},
		}, content)
		if err != nil {
			t.Fatal(err)
		}
		return p
	}
	p := made("1")
	layers, err := p.Layers()
	if err != nil || len(layers) != 1 || !p.Made() || (&Package{}).Made() {
		t.Fatal(layers, err)
	}
	l := layers[0]
	for path, want := range map[string]string{"etc/made/one": "one", "etc/made/two": "two"} {
		ino, ok := l.Lookup(path)
		if !ok {
			t.Fatalf("no %s", path)
		}
		payload, err := p.Payload()
		if err != nil {
			t.Fatal(err)
		}
		got := make([]byte, 3)
		if _, err := payload.ReadAt(got, l.Offset(ino)); err != nil || string(got) != want {
			t.Errorf("%s reads %q, %v", path, got, err)
		}
		if n, err := payload.ReadNow(got, l.Offset(ino)); err != nil || string(got[:n]) != want {
			t.Errorf("%s reads at once %q, %v", path, got[:max(n, 0)], err)
		}
		if err := payload.Close(); err != nil {
			t.Error(err)
		}
	}
	etc, _ := l.Lookup("etc")
	dir, _ := l.Lookup("etc/made")
	if !l.Inode(etc).Implicit || l.Inode(dir).Implicit || l.Inode(dir).Mode != 0o750 {
		t.Errorf("etc is %+v, etc/made is %+v", l.Inode(etc), l.Inode(dir))
	}
	other := made("2")
	if again := made("1"); again.ID != p.ID || other.ID == p.ID {
		t.Error("a made package's number does not follow its name and version")
	}

	_, err = NewMade(pkgmeta.Meta{}, []MadeFile{{Entry: pkgmeta.Entry{Path: "x", HardLink: "y"}}}, nil)
	if err == nil {
		t.Error("a hard link to nothing is taken")
	}
	empty, err := NewMade(pkgmeta.Meta{}, []MadeFile{{Entry: pkgmeta.Entry{Path: "x", Type: pkgmeta.Symlink, Target: "y"}}}, nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := empty.Payload(); !errors.Is(err, ErrGone) {
		t.Errorf("a payload of nothing: %v", err)
	}
}
