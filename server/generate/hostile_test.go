package generate

import (
	"math/rand/v2"
	"path"
	"strings"
	"testing"

	"github.com/packagefs/packagefs/pkgindex"
	"github.com/packagefs/packagefs/pkgindex/format/mkpkg"
)

// mangle changes a text as nobody would, at random.
func mangle(rng *rand.Rand, text string) string {
	b := []byte(text)
	const odd = "\x00\x1f\n\\%@/. =[]#\xff"
	for range 1 + rng.IntN(6) {
		at := rng.IntN(len(b))
		switch rng.IntN(3) {
		case 0:
			b[at] = odd[rng.IntN(len(odd))]
		case 1:
			b = append(b[:at], b[min(len(b), at+rng.IntN(8)):]...)
		default:
			b = append(b[:at:at], append([]byte(odd[rng.IntN(len(odd)):]), b[at:]...)...)
		}
		if len(b) == 0 {
			return "\n"
		}
	}
	return string(b)
}

// TestHostileTexts reads texts of packages that are not what they should be: what
// comes of them can stand in a tree.
func TestHostileTexts(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 4))
	const unit = "[Unit]\nA=b\n[Install]\nWantedBy=multi-user.target on-%i.target\nAlias=x.service\nAlso=y@.socket\nDefaultInstance=a\n"
	const manual = "x\nINFO-DIR-SECTION Basics\nSTART-INFO-DIR-ENTRY\n* Ed: (ed).  The editor\n   more\nEND-INFO-DIR-ENTRY\n"
	for range 20_000 {
		for key, values := range parseInstall(mangle(rng, unit)) {
			for _, v := range values {
				if s, ok := expand(v, "x@y.service"); ok && (strings.ContainsAny(s, "/\x00\n ") || s == "" || s[0] == '.' || len(s) > 255 || path.Base(s) != s) {
					t.Fatalf("%s has the unit %q", key, s)
				}
			}
		}
		for section, entries := range infoEntries(mangle(rng, manual)) {
			for _, e := range entries {
				if strings.ContainsAny(section+e, "\x1f\x00") || !strings.HasPrefix(e, "*") || !strings.HasSuffix(e, "\n") {
					t.Fatalf("%q has the entry %q", section, e)
				}
			}
		}
		for line := range strings.Lines(mangle(rng, "/bin/sh\n/usr/bin/zsh\n")) {
			if p, ok := shellPath(line); ok && (path.Clean("/"+p) != "/"+p || strings.ContainsAny(p, "\n \x00")) {
				t.Fatalf("%q is the shell %q", line, p)
			}
		}
	}
}

// TestHostilePackages puts in the way of generated files whatever a package can.
func TestHostilePackages(t *testing.T) {
	long := strings.Repeat("x", 70_000)
	s := newShop(t,
		mkpkg.Spec{Name: "a", Files: []mkpkg.File{{Path: "etc", Body: "no directory"}, {Path: "usr/bin/sh", Body: "sh", Mode: 0o755}, object("usr/lib/liba.so.1", "liba.so.1")}},
		mkpkg.Spec{Name: "b", Files: []mkpkg.File{{Path: "etc", Target: "usr"}, {Path: "usr/share/info/b.info", Body: long}}},
		mkpkg.Spec{Name: "c", Files: []mkpkg.File{
			{Path: "etc/shells/", Mode: 0o700}, {Path: "etc/ld.so.cache", Target: "ld.so.cache"}, {Path: "usr/share/info/dir/", Mode: 0o755},
			{Path: "usr/share/info/c.info", Body: "START-INFO-DIR-ENTRY\n* C: (c).\n"}, {Path: "usr/bin/zsh", Body: "zsh", Mode: 0o755}, object("usr/lib/libc.so.1", "libc.so.1"),
		}},
		mkpkg.Spec{Name: "d", Files: []mkpkg.File{
			{Path: "etc/ld.so.conf", Body: "include ld.so.conf.d/* /etc/ld.so.conf\n" + long}, {Path: "etc/ld.so.conf.d/x", Body: "include ../*\n/usr/loop\n/usr/lib/../../..\n"},
			{Path: "etc/ld.so.conf.d/y", Target: "y"}, {Path: "usr/loop", Target: "loop"}, object("usr/lib/libd.so.1", "libd.so.1"),
		}},
	)
	declared := &pkgindex.Alternatives{List: []pkgindex.Alternative{
		{Path: "etc/x", Targets: []pkgindex.AlternativeTarget{{Target: "/usr/bin/sh", Leads: "usr/bin/sh"}}},
		{Path: "usr/loop/x", Targets: []pkgindex.AlternativeTarget{{Target: "/usr/lib/libd.so.1", Leads: "usr/lib/libd.so.1"}}},
	}}
	g := (&Set{}).For(declared, nil)
	for _, c := range []struct{ packages, path, want string }{
		{"a", "etc", "no directory"},
		{"b", "etc", "-> usr"},
		{"b", "usr/share/info/dir", "no such file or directory"},
		{"c", "etc/ld.so.cache", "-> ld.so.cache"},
		{"d", "usr/loop", "-> loop"},
		{"c a", "etc/x", "-> /usr/bin/sh"},
		{"a c", "etc/x", "not a directory"},
	} {
		if got := s.at(s.tree(g, nil, strings.Fields(c.packages)...), c.path); got != c.want {
			t.Errorf("%s: %s is %q, want %q", c.packages, c.path, got, c.want)
		}
	}
	for _, dir := range []string{"etc/shells", "usr/share/info/dir"} {
		if _, ok := s.tree(g, nil, "c").FollowDir(dir); !ok {
			t.Errorf("the package's directory %s is gone", dir)
		}
	}
	if got := readCache(t, s.at(s.tree(g, nil, "d"), "etc/ld.so.cache")); strings.Join(got, " ") != "libd.so.1=/usr/lib/libd.so.1 0x303" {
		t.Errorf("the cache has %q", got)
	}
}
