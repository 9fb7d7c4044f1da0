package pkgindex

import (
	"path"
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
