package union

import (
	"fmt"
	"strings"
	"testing"

	"github.com/packagefs/packagefs/pkgindex"
	"github.com/packagefs/packagefs/pkgindex/format/mkpkg"
)

// TestDirectoryAttributes says which packages, in their order, make what of a
// directory.
func TestDirectoryAttributes(t *testing.T) {
	has := func(name string, dirs ...mkpkg.File) mkpkg.Spec {
		return mkpkg.Spec{Name: name, Version: "1", Files: append(dirs, mkpkg.File{Path: "usr/share/" + name + "/x", Body: name})}
	}
	dir := func(path string, mode int64, uid, gid int) mkpkg.File {
		return mkpkg.File{Path: path + "/", Mode: mode, UID: uid, GID: gid}
	}
	s := newSite(t,
		has("loose", dir("etc", 0o777, 0, 0), dir("var/lib/x", 0o777, 0, 0), dir("tmp", 0o777, 0, 0)),
		has("mine", dir("etc", 0o755, 1001, 1001), dir("var/lib/x", 0o2775, 1001, 0)),
		has("private", dir("etc", 0o700, 1001, 0), dir("usr", 0o700, 1001, 0)),
		has("private-too", dir("usr", 0o700, 1001, 0)),
		has("tight", dir("var/lib/x", 0o750, 0, 4), dir("etc", 0o700, 0, 0)),
		has("tight-too", dir("var/lib/x", 0o2770, 0, 4), dir("etc", 0o700, 0, 0)),
		has("plain", dir("var/lib/x", 0o755, 0, 0)),
		has("base-files", dir("etc", 0o711, 0, 0), dir("tmp", 0o755, 0, 0), dir("usr", 0o775, 0, 50)),
	)
	for _, c := range []struct{ packages, added, path, want string }{
		{"loose", "", "etc", "0755 0:0"},
		{"mine", "", "etc", "0755 0:0"},
		{"private", "", "etc", "0755 0:0"},
		{"private private-too", "", "usr", "0755 0:0"},
		{"tight", "", "etc", "0755 0:0"},
		{"tight tight-too", "", "etc", "0700 0:0"},
		{"tight loose", "", "etc", "0755 0:0"},
		{"loose base-files", "", "etc", "0711 0:0"},
		{"base-files", "", "usr", "0755 0:0"},
		{"base-files loose", "", "tmp", "1777 0:0"},

		{"loose", "", "var/lib/x", "0777 0:0"},
		{"mine", "", "var/lib/x", "2775 1001:0"},
		{"loose mine", "", "var/lib/x", "0755 0:0"},
		{"tight loose", "", "var/lib/x", "0755 0:0"},
		{"loose tight tight-too", "", "var/lib/x", "0750 0:4"},
		{"tight", "", "var/lib/x", "0750 0:4"},

		{"plain", "loose", "var/lib/x", "0755 0:0"},
		{"tight", "loose plain mine", "var/lib/x", "0750 0:4"},
		{"tight tight-too", "loose mine private", "etc", "0700 0:0"},
		{"private", "loose", "var/lib/x", "0755 0:0"},
		{"private", "mine", "var/lib/x", "0755 0:0"},
	} {
		x := Extras{}
		if c.added != "" {
			x.Added = make(map[*pkgindex.Package]bool)
			for _, p := range s.named(strings.Fields(c.added)...) {
				x.Added[p] = true
			}
		}
		tree := x.NewTree(s.named(strings.Fields(c.added+" "+c.packages)...), nil)
		mode, uid, gid, ok := tree.DirAttr(c.path)
		if got := fmt.Sprintf("%04o %d:%d", mode, uid, gid); !ok || got != c.want {
			t.Errorf("%s + %s: /%s is %s, want %s", c.packages, c.added, c.path, got, c.want)
		}
	}
}
