package relation

import (
	"fmt"
	"strings"
	"testing"
)

// clausesText writes clauses as a Debian field.
func clausesText(clauses []Clause) string {
	var b []string
	for _, c := range clauses {
		b = append(b, c.String())
	}
	return strings.Join(b, ", ")
}

func TestDebianRelations(t *testing.T) {
	for _, c := range []struct{ in, arch, want string }{
		{"", "", ""},
		{" , ,", "", ""},
		{"a", "amd64", "a"},
		{"a,b , c", "amd64", "a, b, c"},
		{"a (>= 1) | b:any, c [amd64]", "amd64", "a (>= 1) | b:any, c"},
		{"a (>= 1) | b:any, c [amd64]", "arm64", "a (>= 1) | b:any"},
		{"a(>=1)|b", "amd64", "a (>= 1) | b"},
		{"a\n (>= 1:2.0~rc1-3+b1),\n b", "amd64", "a (>= 1:2.0~rc1-3+b1), b"},
		{"a (<< 1), b (<= 1), c (= 1), d (>= 1), e (>> 1)", "", "a (<< 1), b (<= 1), c (= 1), d (>= 1), e (>> 1)"},
		{"a (< 1), b (> 1), c (1)", "", "a (<= 1), b (>= 1), c (= 1)"},
		{"a [!amd64], b [!arm64 !i386], c [linux-any], d [any-amd64], e [any], f [hurd-any]", "amd64", "b, c, d, e"},
		{"a [amd64] | b [arm64]", "arm64", "b"},
		{"a [amd64], b [any], c [!amd64]", "all", "c"},
		{"a [amd64]", "", "a"},
		{"a [kfreebsd-any], b [any-amd64]", "kfreebsd-amd64", "a, b"},
		{"a <!nocheck>, b <stage1>, c <stage1> <!nodoc>, d <!a b>, e (= 1) [amd64] <!x>", "amd64", "a, c, e (= 1)"},
		{"so:libc.musl-x86_64.so.1, cmd:sh (~ 1.2), python3:any, x:amd64", "", "so:libc.musl-x86_64.so.1, cmd:sh (~ 1.2), python3:any, x:amd64"},
		{"libstdc++6 (>= 13), perl5.36", "", "libstdc++6 (>= 13), perl5.36"},
	} {
		clauses, err := ParseDebian(c.in, c.arch)
		if err != nil {
			t.Errorf("%q: %v", c.in, err)
			continue
		}
		have := clausesText(clauses)
		if have != c.want {
			t.Errorf("%q for %q:\nhave %s\nwant %s", c.in, c.arch, have, c.want)
		}
		again, err := ParseDebian(have, "")
		if err != nil || clausesText(again) != have {
			t.Errorf("%q: read again: %s, %v", have, clausesText(again), err)
		}
	}
	if c, _ := ParseDebian("a:any, b:so", ""); c[0][0].Arch != "any" || c[0][0].Name != "a" || c[1][0].Name != "b:so" {
		t.Errorf("architecture qualifiers: %+v", c)
	}
}

func TestDebianRelationErrors(t *testing.T) {
	for _, c := range []struct{ in, want string }{
		{"a |", "no package name"},
		{"a | | b", "no package name"},
		{"(>= 1)", "no package name"},
		{"a (>= 1", "not closed"},
		{"a (>=)", "no version"},
		{"a ()", "no version"},
		{"a (>= 1 2)", "no version"},
		{"a (=> 1)", "none of"},
		{"a (>= 1) b", "out of place"},
		{"a b", "out of place"},
		{"a [amd64", "not closed"},
		{"a <x", "not closed"},
		{"a/b", "no package name"},
		{"a@b", "no package name"},
	} {
		_, err := ParseDebian(c.in, "")
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%q: %v, want %q", c.in, err, c.want)
		}
	}
}

func TestAlpineTerms(t *testing.T) {
	for _, c := range []struct{ in, want string }{
		{"so:libc.musl-x86_64.so.1", "so:libc.musl-x86_64.so.1"},
		{"busybox>=1.36", "busybox (>= 1.36)"},
		{"!conflict", "!conflict"},
		{"!conflict<2", "!conflict (<< 2)"},
		{"cmd:foo=1.2-r0", "cmd:foo (= 1.2-r0)"},
		{"python3~3.11", "python3 (~ 3.11)"},
		{"python3=~3.11", "python3 (~ 3.11)"},
		{"python3>~3.11", "python3 (>= 3.11)"},
		{"a<1", "a (<< 1)"},
		{"a<=1", "a (<= 1)"},
		{"a>1", "a (>> 1)"},
		{"a@edge", "a"},
		{"a@edge>=2", "a (>= 2)"},
		{"a>=2@edge", "a (>= 2)"},
		{"a=1.2~0abc-r1", "a (= 1.2~0abc-r1)"},
		{"pc:zlib=1.3", "pc:zlib (= 1.3)"},
		{"/bin/sh", "error"},
		{"a><Q1abc=", "error"},
		{"a>=", "error"},
		{"=1", "error"},
		{"!", "error"},
		{"a<~1", "error"},
	} {
		term, conflict, err := ParseAlpine(c.in)
		have := term.String()
		if conflict {
			have = "!" + have
		}
		if err != nil {
			have = "error"
		}
		if have != c.want {
			t.Errorf("%q: %s (%v), want %s", c.in, have, err, c.want)
		}
	}
}

func TestPacmanTerms(t *testing.T) {
	for _, c := range []struct{ in, want string }{
		{"glibc", "glibc"},
		{"glibc>=2.38", "glibc (>= 2.38)"},
		{"libfoo.so=1-64", "libfoo.so (= 1-64)"},
		{"lib:libfoo.so.1", "lib:libfoo.so.1"},
		{"a=1:2.0-1", "a (= 1:2.0-1)"},
		{"a<1", "a (<< 1)"},
		{"a>1", "a (>> 1)"},
		{"a<=1", "a (<= 1)"},
		{"a==1", "error"},
		{"", "error"},
		{">=1", "error"},
		{"a>=", "error"},
		{"a b", "error"},
	} {
		term, err := ParsePacman(c.in)
		have := term.String()
		if err != nil {
			have = "error"
		}
		if have != c.want {
			t.Errorf("%q: %s (%v), want %s", c.in, have, err, c.want)
		}
	}
}

func ExampleClause_String() {
	clauses, _ := ParseDebian("exim4 (>= 4.90) | mail-transport-agent, python3:any", "")
	for _, c := range clauses {
		fmt.Println(c)
	}
	// Output:
	// exim4 (>= 4.90) | mail-transport-agent
	// python3:any
}

// FuzzRelation: what was read is written in a form that reads the same.
func FuzzRelation(f *testing.F) {
	for _, s := range []string{
		"a (>= 1) | b:any, c [amd64]", "a [!amd64 any-i386] <!x y> <z>", "so:libc.musl-x86_64.so.1, cmd:x (~ 1)",
		"busybox>=1.36", "!conflict<2", "a@edge=1", "libfoo.so=1-64", "a(1", "a (<< 1:2.3~rc1-4+b5) , ,|",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if clauses, err := ParseDebian(s, "amd64"); err == nil {
			text := clausesText(clauses)
			again, err := ParseDebian(text, "")
			if err != nil || clausesText(again) != text {
				t.Errorf("%q is %q, and that is %q, %v", s, text, clausesText(again), err)
			}
		}
		for _, parse := range []func(string) (Term, error){
			ParsePacman, func(s string) (Term, error) { term, _, err := ParseAlpine(s); return term, err },
		} {
			term, err := parse(s)
			if err != nil {
				continue
			}
			clauses, err := ParseDebian(term.String(), "")
			if err != nil || clausesText(clauses) != term.String() {
				t.Errorf("%q is %q, and that is %q, %v", s, term, clausesText(clauses), err)
			}
		}
	})
}
