package pkgindex

import (
	"fmt"
	"strings"
	"testing"

	"github.com/packagefs/packagefs/pkgindex/pkgmeta"
	"github.com/packagefs/packagefs/pkgindex/pkgpath"
)

func TestParseAlternatives(t *testing.T) {
	for _, c := range []struct{ text, want string }{
		{`alternatives = { "/bin/awk" = ["mawk", "/bin/gawk"] }`, "usr/bin/awk mawk=usr/bin/mawk /bin/gawk=usr/bin/gawk"},
		{`alternatives = { "/b" = ["c"], "/a" = ["../x/c"] }`, "a ../x/c=x/c; b c=c"},
		{`alternatives = { "bin/awk" = ["mawk"] }`, `"bin/awk": not a clean absolute path`},
		{`alternatives = { "/usr/../awk" = ["mawk"] }`, `not a clean absolute path`},
		{`alternatives = { "/" = ["mawk"] }`, `not a clean absolute path`},
		{`alternatives = { "/awk" = [] }`, `"/awk": want 1 to 1000 files`},
		{`alternatives = { "/awk" = [""] }`, `"/awk": its target must have 1 to 4095 bytes`},
		{`alternatives = { "/usr/bin/awk" = ["../bin/awk"] }`, `"../bin/awk" leads to the link itself`},
		{`alternatives = { "/usr/bin/awk" = ["/bin/awk"] }`, `leads to the link itself`},
		{`alternatives = { "/awk" = ["/"] }`, `or to no file`},
		{`alternatives = { "/bin/awk" = ["a"], "/usr/bin/awk" = ["b"] }`, `"/usr/bin/awk": is the same path as "/bin/awk"`},
		{`alternatives = { "/a" = ["x"], "/a/b/c" = ["y"] }`, `"/a/b/c": lies below the link "/a"`},
		{"links = { \"/a\" = \"x\" }\nalternatives = { \"/a\" = [\"x\"] }", `"/a": stands in links, too`},
		{`alternatives = { "/awk" = "mawk" }`, "line 1"},
		{`services = ["ssh.service", "getty@tty1.service", "x\\x2dy.mount"]`, ""},
		{`services = ["ssh"]`, `services "ssh": not the name of a systemd unit such as ssh.service`},
		{`services = ["../ssh.service"]`, "not the name of a systemd unit"},
		{`services = [".service"]`, "not the name of a systemd unit"},
		{`services = ["@.service"]`, "not the name of a systemd unit"},
		{`programs = ["bin/*"]`, `programs "bin/*": not a glob of absolute paths`},
		{`programs = ["/usr/bin/*", "/usr/sbin/[a-c]*"]`, ""},
	} {
		o, err := parseOverride("x.toml", []byte(c.text), pkgpath.UsrMerge)
		if err != nil {
			if c.want == "" || !strings.Contains(err.Error(), c.want) {
				t.Errorf("%s: %v, want %s", c.text, err, c.want)
			}
			continue
		}
		var list []string
		for _, a := range o.alternatives {
			text := a.Path
			for _, to := range a.Targets {
				text += fmt.Sprintf(" %s=%s", to.Target, to.Leads)
			}
			list = append(list, text)
		}
		if got := strings.Join(list, "; "); got != c.want {
			t.Errorf("%s: %s, want %s", c.text, got, c.want)
		}
	}
}

// TestAlternativesTogether joins the lists of several override files.
func TestAlternativesTogether(t *testing.T) {
	inv := newInventory(nil)
	set := func(name, text string) {
		o, err := parseOverride(name+".toml", []byte(text), pkgpath.UsrMerge)
		if err != nil {
			t.Fatal(err)
		}
		inv.overrides[name] = o
	}
	set("none", `links = { "/a" = "b" }`)
	if a := inv.alternatives(nil); a != nil {
		t.Errorf("without any: %+v", a)
	}
	set("mawk", `alternatives = { "/usr/bin/awk" = ["mawk", "gawk"] }`)
	set("busybox", `alternatives = { "/bin/awk" = ["busybox", "gawk"], "/bin/vi" = ["busybox"] }`)
	first := inv.alternatives(nil)
	const want = "&{[{usr/bin/awk [{busybox usr/bin/busybox busybox.toml} {gawk usr/bin/gawk busybox.toml} {mawk usr/bin/mawk mawk.toml}]} " +
		"{usr/bin/vi [{busybox usr/bin/busybox busybox.toml}]}]}"
	if got := fmt.Sprint(first); got != want {
		t.Errorf("got %s", got)
	}
	set("none", `links = { "/a" = "c" }`)
	if inv.alternatives(first) != first {
		t.Error("what says the same is not the same")
	}
	set("mawk", `alternatives = { "/usr/bin/awk" = ["mawk"] }`)
	delete(inv.overrides, "busybox")
	if got := fmt.Sprint(inv.alternatives(first)); got != "&{[{usr/bin/awk [{mawk usr/bin/mawk mawk.toml}]}]}" {
		t.Errorf("got %s", got)
	}
}

// TestInner tells programs that users start from those that they do not.
func TestInner(t *testing.T) {
	o, err := parseOverride("app.toml", []byte(`programs = ["/usr/bin/app", "/usr/sbin/a*"]`), pkgpath.UsrMerge)
	if err != nil {
		t.Fatal(err)
	}
	p := o.apply(&imported{})
	program := Inode{Type: pkgmeta.Regular, Mode: 0o755}
	for _, c := range []struct {
		path  string
		inode Inode
		want  bool
	}{
		{"usr/bin/app", program, false},
		{"usr/bin/helper", program, true},
		{"usr/bin/helper", Inode{Type: pkgmeta.Regular, Mode: 0o644}, false},
		{"usr/bin/helper", Inode{Type: pkgmeta.Symlink}, true},
		{"usr/sbin/ab", program, false},
		{"usr/libexec/app/helper", program, true},
		{"usr/lib/app/link", Inode{Type: pkgmeta.Symlink}, false},
		{"usr/lib/app/libx.so.1", program, false},
		{"etc/app/hook", program, false},
		{"usr/bin", Inode{Type: pkgmeta.Directory, Mode: 0o755}, false},
	} {
		i := strings.LastIndexByte(c.path, '/')
		if got := p.Inner(c.path[:i], c.path[i+1:], c.inode); got != c.want {
			t.Errorf("%s %+v: %v", c.path, c.inode, got)
		}
		if (&Package{}).Inner(c.path[:i], c.path[i+1:], c.inode) {
			t.Errorf("%s is hidden without an override", c.path)
		}
	}
}
