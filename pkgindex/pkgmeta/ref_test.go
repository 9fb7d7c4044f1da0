package pkgmeta

import "testing"

func TestParseRef(t *testing.T) {
	for s, want := range map[string]Ref{
		"a": {Name: "a"}, "libx1=1:2.0-3": {Name: "libx1", Version: "1:2.0-3"}, "a=1=2": {Name: "a", Version: "1=2"},
	} {
		if got, err := ParseRef(s); err != nil || got != want || got.String() != s {
			t.Errorf("%q is %+v, written %q, %v", s, got, got, err)
		}
	}
	for _, s := range []string{"", "=1", "a=", "a/b", "a b", "a,b", "a\n", "a=\x00"} {
		if got, err := ParseRef(s); err == nil {
			t.Errorf("%q is taken for %+v", s, got)
		}
	}
}
