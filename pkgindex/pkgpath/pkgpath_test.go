package pkgpath

import (
	"slices"
	"strings"
	"testing"
)

func TestLeads(t *testing.T) {
	for _, c := range []struct{ link, target, want string }{
		{"usr/bin/vi", "vim.basic", "usr/bin/vim.basic"},
		{"usr/bin/vi", "../../etc/./alternatives//vi", "etc/alternatives/vi"},
		{"etc/x", "/usr/share/x/", "usr/share/x"},
		{"a/b", "../../../c", "c"},
		{"a", "/", ""},
	} {
		if got := Leads(c.link, c.target); got != c.want {
			t.Errorf("%s → %s leads to %q, want %q", c.link, c.target, got, c.want)
		}
	}
}

func TestIsClean(t *testing.T) {
	long := strings.Repeat("n", 255)
	for _, p := range []string{"/a", "/usr/bin/env", "/a b/ü", "/" + long} {
		if !IsClean(p) {
			t.Errorf("%q is refused", p)
		}
	}
	for _, p := range []string{"", "/", "a", "./a", "/a/", "/a//b", "/a/../b", "/a\x00b", "/" + long + "n"} {
		if IsClean(p) {
			t.Errorf("%q is taken", p)
		}
	}
}

func TestAliases(t *testing.T) {
	for _, c := range [][3]string{
		{"bin", "usr/bin", "bin"}, {"bin/sh", "usr/bin/sh", "bin"}, {"lib64/x/y", "usr/lib64/x/y", "lib64"},
		{"usr/bin/sh", "usr/bin/sh", ""}, {"binary", "binary", ""}, {"", "", ""},
	} {
		if moved, alias := UsrMerge.Apply(c[0]); moved != c[1] || alias != c[2] {
			t.Errorf("%q is %q by %q, want %q by %q", c[0], moved, alias, c[1], c[2])
		}
	}
	for _, bad := range []Aliases{{"a/b": "c"}, {"": "c"}, {"a": "b/c", "b": "d"}} {
		if bad.Check() == nil {
			t.Errorf("%v is taken", bad)
		}
	}
	if err := UsrMerge.Check(); err != nil {
		t.Error(err)
	}
	one, other := Aliases{"a": "b", "c": "d", "e": "f"}, Aliases{"e": "f", "a": "b", "c": "d"}
	if one.Sum() != other.Sum() || one.Sum() == (Aliases{"a": "b"}).Sum() || one.Sum() == UsrMerge.Sum() {
		t.Error("the sum does not identify the aliases")
	}
}

func TestGlobs(t *testing.T) {
	globs, err := ParseGlobs("mutable", []string{"/etc/**", "/usr/lib/*.conf", QuoteGlob("srv/[a]{b}*")})
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, p := range []string{"etc/a/b", "usr/lib/x.conf", "usr/lib/x/y.conf", "srv/[a]{b}*", "srv/ab", "opt"} {
		if globs.Match(p) {
			got = append(got, p)
		}
	}
	if want := []string{"etc/a/b", "usr/lib/x.conf", "srv/[a]{b}*"}; !slices.Equal(got, want) {
		t.Errorf("match %q, want %q", got, want)
	}
	if none, err := ParseGlobs("mutable", nil); none != nil || err != nil {
		t.Errorf("none: %v, %v", none, err)
	}
	for _, bad := range []string{"etc/*", "", "/[a"} {
		if _, err := ParseGlob("mutable", bad); err == nil || !strings.Contains(err.Error(), "mutable") {
			t.Errorf("%q: %v", bad, err)
		}
	}
	if IsPattern("/usr/bin/x") || !IsPattern("/usr/bin/*") {
		t.Error("what is a pattern is not told")
	}
}
