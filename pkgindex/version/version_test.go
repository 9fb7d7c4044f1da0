package version

import (
	"cmp"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// signs are the results of a comparison, as golden files and tables write them.
var signs = map[string]int{"<": -1, "=": 0, ">": 1}

// TestVersionGolden compares with what dpkg, vercmp and rpm said; see
// testdata/versions/generate.sh.
func TestVersionGolden(t *testing.T) {
	compare := map[string]func(a, b string) int{
		"debian": Debian.Compare,
		"pacman": func(a, b string) int { c, _ := comparePacman(a, b); return c },
		"rpm":    Rpm.Compare,
	}
	for name, compare := range compare {
		text, err := os.ReadFile(filepath.Join("testdata", "versions", name+".golden"))
		if err != nil {
			t.Fatal(err)
		}
		count := 0
		for line := range strings.Lines(string(text)) {
			f := strings.Fields(line)
			if len(f) != 3 {
				t.Fatalf("%s.golden: bad line %q", name, line)
			}
			want := signs[f[1]]
			if have := cmp.Compare(compare(f[0], f[2]), 0); have != want {
				t.Errorf("%s: %s compared with %s: %d, want %d", name, f[0], f[2], have, want)
			}
			if have := cmp.Compare(compare(f[2], f[0]), 0); have != -want {
				t.Errorf("%s: %s compared with %s: %d, want %d", name, f[2], f[0], have, -want)
			}
			count++
		}
		if count < 1000 {
			t.Errorf("%s.golden has only %d comparisons", name, count)
		}
	}
}

// TestVersionOrder has versions in ascending order, those on one line equal.
func TestVersionOrder(t *testing.T) {
	for _, c := range []struct {
		scheme Scheme
		order  string
	}{
		{Alpine, `
			0.9
			1 01
			1-r0 01-r0
			1-r1
			1-r9
			1-r10
			1_p
			1_p0
			1_p1
			1a
			1.0
			1.00
			1.01
			1.1_alpha
			1.1_alpha1
			1.1_alpha2
			1.1_alpha10
			1.1_beta
			1.1_pre
			1.1_pre2-r3
			1.1_rc_alpha
			1.1_rc
			1.1_rc1
			1.1_rc1_p1_rc2
			1.1_rc1_p1
			1.1_rc1_p1_git5
			1.1_rc2
			1.1
			1.1-r0
			1.1-r1
			1.1~0abc
			1.1~0abc-r1
			1.1~1
			1.1_cvs
			1.1_svn3
			1.1_git20230101
			1.1_git20240101
			1.1_hg7
			1.1_p
			1.1_p1
			1.1_p1_p2
			1.1a
			1.1a-r1
			1.1a_p1
			1.1b
			1.1.0
			1.1.1
			1.2
			1.10
			1.99999999999999999999
			1.100000000000000000000
			2
			10
			20240101`},
		{Debian, `
			1.0~~
			1.0~~a
			1.0~
			1.0~rc1
			1.0 1.0-0 0:1.0 1.00
			1.0-1~bpo12+1
			1.0-1
			1.0-1+b1
			1.0a
			1.0+dfsg
			1.0.1
			1.2
			1.10
			1:0.1
			2:0`},
		{Pacman, `
			1.0alpha
			1.0beta
			1.0rc1
			1.0 0:1.0 1.00
			1.0-1
			1.0-2
			1.0-10
			1.0.
			1.0.a
			1.0.1 1.0+1
			1.0..a
			1.1
			1.10
			1:0.1
			1:0.1-1`},
	} {
		var lines [][]string
		for line := range strings.Lines(strings.TrimSpace(c.order)) {
			lines = append(lines, strings.Fields(line))
		}
		for i, la := range lines {
			for j, lb := range lines {
				for _, a := range la {
					for _, b := range lb {
						if have, want := cmp.Compare(c.scheme.Compare(a, b), 0), cmp.Compare(i, j); have != want {
							t.Errorf("%s: %s compared with %s: %d, want %d", c.scheme, a, b, have, want)
						}
					}
				}
			}
		}
	}
}

// TestInvalidVersionOrder: an Alpine version that breaks the syntax is earlier
// than it would be if it ended there, and every string has its place.
func TestInvalidVersionOrder(t *testing.T) {
	for _, c := range []struct{ invalid, valid string }{
		{"", "0"}, {"x", "0"}, {"1.", "1.0"}, {"1.", "1"}, {"1.2a3", "1.2a"}, {"1_foo", "1"}, {"1_p1_foo", "1_p1"},
		{"1-pre1", "1"}, {"1~", "1"}, {"1~xyz", "1"}, {"1-r", "1"}, {"1-r1_p1", "1-r1"}, {"1-r1~ab", "1-r1"},
		{"1..2", "1"}, {"1 2", "1"}, {"1\x00", "1"}, {"1ü", "1"},
	} {
		if Alpine.Compare(c.invalid, c.valid) >= 0 || Alpine.Compare(c.valid, c.invalid) <= 0 {
			t.Errorf("alpine: %q is not earlier than %q", c.invalid, c.valid)
		}
	}
	if Alpine.Compare("1.2$a", "1.2$b") >= 0 {
		t.Error("alpine: two invalid versions are not ordered by their text")
	}
	if Debian.Compare("x:1", "0:1") <= 0 || Scheme("unknown").Compare("1~", "1") >= 0 {
		t.Error("debian: an epoch that is no number, or an unknown scheme, is not ordered as a plain version")
	}
}

// versionParts are what random versions are made of.
var versionParts = map[Scheme][]string{
	Debian: {"0", "1", "9", "10", "01", "a", "b", "A", ".", "~", "+", "-", ":", "1:", "rc", "~~", "\xff", " "},
	Alpine: {"0", "1", "9", "10", "01", "a", "b", ".", "_alpha", "_p", "_rc", "_git", "-r", "-r1", "-r2", "~ab", "~1", "_x", "$"},
	Pacman: {"0", "1", "9", "10", "01", "a", "b", "rc", ".", "..", "-", ":", "1:", "_", "+", "\xff"},
	Rpm:    {"0", "1", "9", "10", "01", "a", "b", "rc", ".", "~", "^", "-", ":", "1:", "_", "~~", "\xff"},
}

func randomVersion(r *rand.Rand, s Scheme) string {
	parts := versionParts[s]
	var b strings.Builder
	if r.IntN(4) > 0 {
		b.WriteByte('1')
	}
	for range r.IntN(6) {
		b.WriteString(parts[r.IntN(len(parts))])
	}
	return b.String()
}

// TestVersionProperties: Compare is a total order.
func TestVersionProperties(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for scheme := range versionParts {
		for range 100_000 {
			a, b, c := randomVersion(r, scheme), randomVersion(r, scheme), randomVersion(r, scheme)
			checkOrder(t, scheme, a, b, c)
		}
	}
}

func checkOrder(t *testing.T, s Scheme, a, b, c string) {
	t.Helper()
	sign := func(a, b string) int { return cmp.Compare(s.Compare(a, b), 0) }
	ab, bc, ac := sign(a, b), sign(b, c), sign(a, c)
	if sign(a, a) != 0 {
		t.Fatalf("%s: %q is not equal to itself", s, a)
	}
	if sign(b, a) != -ab {
		t.Fatalf("%s: %q and %q: %d one way, %d the other", s, a, b, ab, sign(b, a))
	}
	if ab <= 0 && bc <= 0 && (ac > 0 || ac == 0 && (ab < 0 || bc < 0)) {
		t.Fatalf("%s: %q, %q, %q: %d, %d, but %d from first to last", s, a, b, c, ab, bc, ac)
	}
}

func TestSatisfies(t *testing.T) {
	for _, c := range []struct {
		scheme Scheme
		have   string
		op     Op
		want   string
		ok     bool
	}{
		{Debian, "1.0-1", OpAny, "", true},
		{Debian, "", OpAny, "", true},
		{Debian, "", OpLaterEqual, "0", false},
		{Debian, "1.0-1", OpEqual, "1.0-1", true},
		{Debian, "1.0-1", OpEqual, "0:1.00-1", true},
		{Debian, "1.0-1", OpEqual, "1.0", false},
		{Debian, "1.0", OpEqual, "1.0-0", true},
		{Debian, "1.0-1", OpEarlier, "1.0-1", false},
		{Debian, "1.0-1~", OpEarlier, "1.0-1", true},
		{Debian, "1.0-1", OpEarlierEqual, "1.0-1", true},
		{Debian, "1.0-1", OpLater, "1.0-1", false},
		{Debian, "1.0-1+b1", OpLater, "1.0-1", true},
		{Debian, "1:0", OpLaterEqual, "9", true},
		{Debian, "1.0", "!", "1.0", false},
		{Debian, "3.11.2-6", OpPrefix, "3.11", true},
		{Debian, "3.110.2-6", OpPrefix, "3.11", false},
		{Debian, "3.11", OpPrefix, "3.11", true},
		{Alpine, "1.36.1-r2", OpLaterEqual, "1.36", true},
		{Alpine, "1.36.1-r2", OpEqual, "1.36.1", false},
		{Alpine, "1.36.1-r2", OpPrefix, "1.36", true},
		{Alpine, "1.36.1-r2", OpPrefix, "1.36.1-r2", true},
		{Alpine, "1.36.1-r2", OpPrefix, "1.36.1", true},
		{Alpine, "1.36.1-r20", OpPrefix, "1.36.1-r2", false},
		{Alpine, "1.360", OpPrefix, "1.36", false},
		{Alpine, "1.36", OpPrefix, "1.36.1", false},
		{Alpine, "1.36_pre1", OpPrefix, "1.36", true},
		{Alpine, "1.36_pre1", OpEarlier, "1.36", true},
		{Pacman, "2.38-3", OpLaterEqual, "2.38", true},
		{Pacman, "2.38-3", OpEqual, "2.38", true},
		{Pacman, "2.38-3", OpEarlierEqual, "2.38", true},
		{Pacman, "2.38-3", OpLater, "2.38", false},
		{Pacman, "2.38-3", OpEqual, "2.38-2", false},
		{Pacman, "2.38-3", OpEarlier, "1:0.1", true},
		{Pacman, "1-64", OpEqual, "1-64", true},
		{Pacman, "1-64", OpEqual, "1-32", false},
		{Pacman, "2.38-3", OpPrefix, "2.38", true},
		{Rpm, "2.38-3", OpEqual, "2.38", true},
		{Rpm, "2.38-3", OpLater, "2.38", false},
		{Rpm, "2.38-3", OpEqual, "2.38-2", false},
		{Rpm, "2.38~rc1-3", OpEarlier, "2.38", true},
		{Rpm, "2.38^git1-3", OpLater, "2.38", true},
		{Rpm, "1:1-1", OpLaterEqual, "2", true},
		{Rpm, "", OpLaterEqual, "2", true},
		{Rpm, "", OpEarlier, "2", true},
	} {
		if ok := c.scheme.Satisfies(c.have, c.op, c.want); ok != c.ok {
			t.Errorf("%s: %q satisfies %q %q: %v", c.scheme, c.have, c.op, c.want, ok)
		}
	}
}

func BenchmarkCompare(b *testing.B) {
	for _, c := range []struct {
		scheme Scheme
		a, b   string
	}{
		{Debian, "1:2.36-9+deb12u14", "1:2.36-9+deb12u4"},
		{Alpine, "1.36.1_git20240101-r2", "1.36.1_git20240101-r12"},
		{Pacman, "1:2.38.r5.gdeadbee-3", "1:2.38.r5.gdeadbee-4"},
	} {
		b.Run(string(c.scheme), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if c.scheme.Compare(c.a, c.b) == 0 {
					b.Fatal("equal")
				}
			}
		})
	}
}

// FuzzVersion: every scheme is a total order over all strings.
func FuzzVersion(f *testing.F) {
	for _, v := range [][3]string{
		{"1.0-1", "1:0.9~rc1", "1.0+dfsg-2"}, {"1.2_rc1-r1", "1.2~0abc", "1.2a_p3"}, {"1.0", "1.0-1", "1.0-2"},
		{"1.", "1..a", "1.1"}, {"r5.gabc", "r15", "01"}, {"", "$", "\xff"},
		{"1.0~rc1^git2-1", "1.0^20240101-1", "1:1.0-1~x"},
	} {
		f.Add(v[0], v[1], v[2])
	}
	f.Fuzz(func(t *testing.T, a, b, c string) {
		for scheme := range versionParts {
			checkOrder(t, scheme, a, b, c)
			for _, op := range []Op{OpAny, OpEarlier, OpEarlierEqual, OpEqual, OpLaterEqual, OpLater, OpPrefix} {
				if ok := scheme.Satisfies(a, op, a); ok != (op == OpAny || a == "" && scheme == Rpm || a != "" && op != OpEarlier && op != OpLater) {
					t.Errorf("%s: %q satisfies %q %q: %v", scheme, a, op, a, ok)
				}
			}
		}
	})
}
