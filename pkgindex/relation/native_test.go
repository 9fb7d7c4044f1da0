package relation

import (
	"reflect"
	"testing"

	"github.com/packagefs/packagefs/pkgindex/version"
)

// TestNativeRelations: relations of all formats are written so that they are read
// as they were.
func TestNativeRelations(t *testing.T) {
	for text, clause := range map[string]Clause{
		`a | b:any (>= 1:2~3)`:             {{Name: "a"}, {Name: "b", Arch: "any", Op: version.OpLaterEqual, Version: "1:2~3"}},
		`so:libc.musl-x86_64.so.1 (~ 1.2)`: {{Name: "so:libc.musl-x86_64.so.1", Op: version.OpPrefix, Version: "1.2"}},
		`a (>= ~1)`:                        {{Name: "a", Op: version.OpLaterEqual, Version: "~1"}},
		`"perl(A::B)" (= 1^2) | "/bin/sh"`: {{Name: "perl(A::B)", Op: version.OpEqual, Version: "1^2"}, {Name: "/bin/sh"}},
		`"libx.so.1()(64bit)"`:             {{Name: "libx.so.1()(64bit)"}},
		`"a,b|\"c\\[d]<e>"`:                {{Name: `a,b|"c\[d]<e>`}},
		`"cmd:arm64"`:                      {{Name: "cmd:arm64"}},
		`"(a)":any (<< 1)`:                 {{Name: "(a)", Arch: "any", Op: version.OpEarlier, Version: "1"}},
	} {
		if have := FormatNative(clause); have != text {
			t.Errorf("%v is written %s, want %s", clause, have, text)
		}
		if have, err := ParseNative(text+", z", ""); err != nil || !reflect.DeepEqual(have, []Clause{clause, {{Name: "z"}}}) {
			t.Errorf("%s is read as %v, %v", text, have, err)
		}
	}
	for _, text := range []string{`"a`, `"a\`, `"a"b`, `"a" (>= )`, `"a b"`, `""`, `a "b"`, "\"a\nb\""} {
		if have, err := ParseNative(text, ""); err == nil {
			t.Errorf("%s is read as %v", text, have)
		}
	}
	if have, err := ParseNative(`"x y-z" [arm64], "(b)" [amd64] <!nocheck>`, "amd64"); err == nil {
		t.Errorf("a space in a name is read as %v", have)
	}
	if have, err := ParseNative(`"(a)" [arm64], "(b)" [amd64] <!nocheck>`, "amd64"); err != nil || len(have) != 1 || have[0][0].Name != "(b)" {
		t.Errorf("architectures: %v, %v", have, err)
	}
}
