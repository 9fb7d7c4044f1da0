package attachname

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/packagefs/packagefs/pkgindex/pkgmeta"
)

func TestParse(t *testing.T) {
	for _, c := range []struct {
		in   string
		want Name
		text string // of String; "" means the same as in
	}{
		{"", Name{}, ""},
		{"/", Name{}, "-"},
		{"user:alice", Name{Kind: KindUser, Name: "alice"}, ""},
		{"/user:alice", Name{Kind: KindUser, Name: "alice"}, "user:alice"},
		{"user:1000", Name{Kind: KindUser, Name: "1000"}, ""},
		{"user:a:b", Name{Kind: KindUser, Name: "a:b"}, ""},
		{`user:DOM\alice`, Name{Kind: KindUser, Name: `DOM\alice`}, ""},
		{"user:a..b", Name{Kind: KindUser, Name: "a..b"}, ""},
		{"user:DOM%2balice", Name{Kind: KindUser, Name: "DOM+alice"}, "user:DOM%2Balice"},
		{"user:%61lice", Name{Kind: KindUser, Name: "alice"}, "user:alice"},
		{"group:domain users", Name{Kind: KindGroup, Name: "domain users"}, "group:domain%20users"},
		{"group:a%2Cb", Name{Kind: KindGroup, Name: "a,b"}, ""},
		{"user:jörg", Name{Kind: KindUser, Name: "jörg"}, ""},
		{"package:bash", Name{Kind: KindPackage, selectors: "bash"}, ""},
		{"package:bash=5.2-1", Name{Kind: KindPackage, selectors: "bash=5.2-1"}, ""},
		{"/package:g++", Name{Kind: KindPackage, selectors: "g++"}, "package:g++"},
		{"package:python3.11=3.11.2-6+deb12u5", Name{Kind: KindPackage, selectors: "python3.11=3.11.2-6+deb12u5"}, ""},
		{"all", Name{Kind: KindAll}, ""},
		{"/ctl", Name{Kind: KindControl}, "ctl"},
		{"contexts", Name{Kind: KindContexts}, ""},
		{"+gcc", Name{Kind: KindOwn, selectors: "gcc"}, ""},
		{"all+gcc", Name{Kind: KindAll, selectors: "gcc"}, ""},
		{"user:alice+gcc=4:12+vim", Name{Kind: KindUser, Name: "alice", selectors: "gcc=4:12+vim"}, ""},
		{"user:alice+gcc=4%3a12", Name{Kind: KindUser, Name: "alice", selectors: "gcc=4:12"}, "user:alice+gcc=4:12"},
	} {
		got, err := Parse(c.in)
		if err != nil || got != c.want {
			t.Errorf("%q: %+v, %v; want %+v", c.in, got, err, c.want)
		}
		want := c.text
		switch want {
		case "":
			want = c.in
		case "-":
			want = ""
		}
		if got.String() != want {
			t.Errorf("%q: String %q, want %q", c.in, got, want)
		}
	}
}

func TestParseRefuses(t *testing.T) {
	for in, why := range map[string]string{
		"..":                                 "want user:NAME",
		"../etc":                             "want user:NAME",
		"/..":                                "want user:NAME",
		"//user:alice":                       "want user:NAME",
		"alice":                              "want user:NAME",
		"USER:alice":                         "want user:NAME",
		"user:":                              "empty",
		"user:.":                             "neither",
		"user:..":                            "neither",
		"user:%2e%2E":                        "neither",
		"user:a/b":                           "slash",
		"user:../bob":                        "slash",
		"user:a%2fb":                         "slash",
		"group:/":                            "slash",
		"user:a\x00b":                        "control",
		"user:a%00b":                         "control",
		"user:a\nb":                          "control",
		"user:a,b":                           "comma",
		"user:a%":                            "hexadecimal",
		"user:a%4":                           "hexadecimal",
		"user:a%zz":                          "hexadecimal",
		"user:\xff":                          "UTF-8",
		"user:" + strings.Repeat("x", 201):   "longer",
		"user:" + strings.Repeat(" ", 67):    "longer",
		strings.Repeat("x", 5000):            "longer",
		"package:":                           "want packages",
		"package:..":                         "want packages",
		"package:../x":                       "want packages",
		"package:a/b":                        "want packages",
		"package:a b":                        "want packages",
		"package:=1":                         "want packages",
		"package:a=":                         "want packages",
		"package:a=1=2":                      "want packages",
		"package:+a":                         "want packages",
		"package:%2Ba":                       "want packages",
		"user:alice+":                        "want packages",
		"user:alice++gcc":                    "want packages",
		"user:alice+gcc+x=":                  "want packages",
		"ctl+gcc":                            "takes no packages",
		"contexts+gcc":                       "takes no packages",
		"user:a" + strings.Repeat("+x", 100): "plus signs",
	} {
		got, err := Parse(in)
		if !errors.Is(err, ErrSyntax) || !strings.Contains(err.Error(), why) {
			t.Errorf("%q: %+v, %v; want an error about %q", in, got, err, why)
		}
	}
}

// The reading of plus signs follows what is installed.
func TestSelectors(t *testing.T) {
	installed := strings.Fields(`python3.11=3.11.2-6+deb12u5 python3.11=3.11.2-6 gcc=4:12.2.0-3 g++=4:12.2.0-3
		libstdc++6=12.2 libsigc++-2.0-0v5=2 deb12u5=1 a=1 b=1 a+b=1 c=1+d d=1`)
	has := func(r pkgmeta.Ref) bool {
		return slices.ContainsFunc(installed, func(s string) bool {
			return s == r.String() || strings.HasPrefix(s, r.String()+"=")
		})
	}
	for in, want := range map[string]string{
		"user:alice":                                  "",
		"package:python3.11=3.11.2-6+deb12u5":         "python3.11=3.11.2-6+deb12u5",
		"package:python3.11=3.11.2-6%2Bdeb12u5":       "python3.11=3.11.2-6+deb12u5",
		"package:python3.11=3.11.2-6+gcc":             "python3.11=3.11.2-6 gcc",
		"user:alice+gcc=4:12.2.0-3+python3.11":        "gcc=4:12.2.0-3 python3.11",
		"user:alice+python3.11=3.11.2-6+deb12u5+g++":  "python3.11=3.11.2-6+deb12u5 g++",
		"user:alice+g+++gcc":                          "g++ gcc",
		"user:alice+g++=4:12.2.0-3+gcc":               "g++=4:12.2.0-3 gcc",
		"user:alice+gcc+g++":                          "gcc g++",
		"user:alice+libstdc++6+libsigc++-2.0-0v5+gcc": "libstdc++6 libsigc++-2.0-0v5 gcc",
		"package:g++":                                 "g++",
		"user:alice+a+b":                              "a+b",
		"user:alice+a+d":                              "a d",
		"user:alice+a%2Bb+d":                          "a+b d",
		"user:alice+a%2Bb":                            "a+b",
		"user:alice+c=1+d":                            "c=1+d",
		"user:alice+gcc+nosuch":                       "gcc nosuch",
		"user:alice+nosuch+gcc":                       "nosuch gcc",
		"package:python3.11=3.11.2-6+deb12u4":         "python3.11=3.11.2-6 deb12u4",
		"package:nosuch=1+2":                          "nosuch=1+2",
		"+vim=2:9+gcc=4:12.2.0-3":                     "vim=2:9 gcc=4:12.2.0-3",
	} {
		var got []string
		for _, r := range parsed(t, in).Selectors(has) {
			got = append(got, r.String())
		}
		if strings.Join(got, " ") != want {
			t.Errorf("%s: %q, want %q", in, got, want)
		}
	}
}

func TestBuiltNames(t *testing.T) {
	gpp := pkgmeta.Ref{Name: "g++", Version: "4:12+x"}
	n := OfUser("DOM+alice").With(gpp, pkgmeta.Ref{Name: "gcc"})
	if got, want := n.String(), "user:DOM%2Balice+g%2B%2B=4:12%2Bx+gcc"; got != want {
		t.Fatalf("%s, want %s", got, want)
	}
	if back := parsed(t, n.String()); back != n {
		t.Fatalf("%+v, want %+v", back, n)
	}
	for _, installed := range []bool{false, true} {
		got := n.Selectors(func(pkgmeta.Ref) bool { return installed })
		if !slices.Equal(got, []pkgmeta.Ref{gpp, {Name: "gcc"}}) {
			t.Errorf("installed %v: %v", installed, got)
		}
	}
	if got := OfPackage(gpp).String(); got != "package:g%2B%2B=4:12%2Bx" {
		t.Error(got)
	}
	if got := (Name{}).For("bob").String(); got != "user:bob" {
		t.Error(got)
	}
	if got := (Name{Kind: KindGroup, Name: "domain users"}).String(); got != "group:domain%20users" {
		t.Error(got)
	}
}

// Whatever parses is written back in a form that is safe as a mount option and
// as a file name, and that means the same.
func FuzzAttachName(f *testing.F) {
	f.Fuzz(func(t *testing.T, s string) {
		n, err := Parse(s)
		if err != nil {
			if !errors.Is(err, ErrSyntax) {
				t.Fatalf("%q: %v is no ErrSyntax", s, err)
			}
			return
		}
		text := n.String()
		if strings.ContainsAny(text, ",/\x00\n ") || text == "." || text == ".." {
			t.Fatalf("%q: %q is not safe", s, text)
		}
		back, err := Parse(text)
		if err != nil || back != n || back.String() != text {
			t.Fatalf("%q: %q reads back as %+v, %v", s, text, back, err)
		}
		for _, installed := range []bool{false, true} {
			has := func(pkgmeta.Ref) bool { return installed }
			refs := n.Selectors(has)
			if n.Selects() != (len(refs) > 0) {
				t.Fatalf("%q: selectors %v", s, refs)
			}
			if len(refs) == 0 {
				continue
			}
			if one := n.With(refs[0]); !slices.Equal(one.Selectors(has), refs[:1]) {
				t.Fatalf("%q: %v becomes %v", s, refs[0], one.Selectors(has))
			}
		}
		if n.Kind == KindUser || n.Kind == KindGroup {
			// It is the base name of the context's file, but for a suffix.
			base := n.With().String()
			if back, err := Parse(base); err != nil || back.String() != base || back.Kind != n.Kind || back.Selects() || len(base) > 250 {
				t.Fatalf("%q: file %q: %+v, %v", s, base, back, err)
			}
		}
	})
}

func parsed(t testing.TB, s string) Name {
	t.Helper()
	n, err := Parse(s)
	if err != nil {
		t.Fatal(err)
	}
	return n
}
