package server

import (
	"encoding/json"
	"errors"
	"strings"
	"syscall"
	"testing"

	"github.com/hugelgupf/p9/p9"

	"github.com/packagefs/packagefs/pkgindex/format/mkpkg"
	"github.com/packagefs/packagefs/server/api"
)

// TestAddedPackageGivesNoRights has users attach to their context with a package more,
// whose directories and files let everybody in, or are theirs.
func TestAddedPackageGivesNoRights(t *testing.T) {
	p := newFixture(t, map[string]string{"user:alice": `toplevel = ["base"]`})
	p.install(mkpkg.Spec{Name: "base", Version: "1", Files: []mkpkg.File{
		{Path: "etc/base", Body: "base"}, {Path: "var/lib/mine/", UID: 1001, Mode: 0o700},
	}})
	p.install(mkpkg.Spec{Name: "loose", Version: "1", Files: []mkpkg.File{
		{Path: "etc/", Mode: 0o777}, {Path: "etc/conf", Body: "of loose", Mode: 0o666, Conffile: true},
		{Path: "opt/loose/", Mode: 0o777}, {Path: "var/lib/mine/", Mode: 0o755},
	}})
	p.install(mkpkg.Spec{Name: "hers", Version: "1", Files: []mkpkg.File{
		{Path: "./", UID: 1001, Mode: 0o700}, {Path: "etc/", UID: 1001, Mode: 0o755}, {Path: "opt/hers/", UID: 1001, Mode: 0o755},
		{Path: "etc/conf", Body: "of hers", UID: 1001, Conffile: true},
	}})
	p.settle()
	walk := func(f p9.File, path string) (p9.File, error) {
		_, to, err := f.Walk(strings.Split(path, "/"))
		return to, err
	}
	for _, story := range []struct {
		aname, dir string
		want       error
	}{
		{"user:alice", "etc", syscall.EACCES},
		{"user:alice+loose", "etc", syscall.EACCES},
		{"user:alice+hers", "etc", syscall.EACCES},
		{"user:alice+loose", "opt/loose", syscall.EACCES},
		{"user:alice+hers", "opt/hers", syscall.EACCES},
		{"user:alice+loose", "var/lib/mine", nil}, // as without it
	} {
		dir, err := walk(p.attach("alice", story.aname), story.dir)
		if err == nil {
			_, _, _, err = dir.Create("ld.so.preload", p9.WriteOnly, 0o644, 0, 0)
		}
		if !errors.Is(err, story.want) {
			t.Errorf("as alice: create a file in /%s of %s: %v, want %v", story.dir, story.aname, err, story.want)
		}
	}
	if _, err := walk(p.attach("alice", "user:alice"), "etc/ld.so.preload"); err == nil {
		t.Error("as alice: what was made through an added package is in the context")
	}
	for _, aname := range []string{"user:alice+loose", "user:alice+hers"} {
		conf, err := walk(p.attach("alice", aname), "etc/conf")
		if err != nil {
			t.Fatal(err)
		}
		if _, _, err := conf.Open(p9.WriteOnly); err == nil {
			t.Errorf("as alice: /etc/conf of %s can be written to, in the layer of user:alice", aname)
		}
		if err := conf.SetAttr(p9.SetAttrMask{Permissions: true}, p9.SetAttr{Permissions: 0o777}); err == nil {
			t.Errorf("as alice: /etc/conf of %s can be opened to others", aname)
		}
	}
	var x api.PathExplain
	a := p.ask("root", `{"op": "explain", "context": "all", "path": "/etc"}`)
	if err := json.Unmarshal(a.Result, &x); err != nil {
		t.Fatalf("%v: %s", err, a.Error)
	}
	if got := strings.Join(x.Otherwise, ", "); x.Attributes != "0755 0:0" || got != "hers=1 says 0755 1001:0, loose=1 says 0777 0:0" {
		t.Errorf("/etc is explained as %s, but %s", x.Attributes, got)
	}
	for _, aname := range []string{"all", "package:hers"} {
		if _, err := walk(p.attach("bob", aname), "etc/conf"); err != nil {
			t.Errorf("as bob: %s, for a package that was built in a private folder: %v", aname, err)
		}
	}
}
