package pkgindex

import (
	"strings"
	"testing"
)

// fuzzLimits keep one input cheap. The window is the default one, so that
// decoders are used again.
var fuzzLimits = Limits{Ratio: 50, RatioFloor: mib, Members: 200, Control: 64 * kib, Checksums: 64 * kib}

// fuzzPackages reads whatever it is given. The recorder complains where the
// Sink's contract is broken; a second reading must end as the first did.
func fuzzPackages(f *testing.F, suffix string) {
	for name, data := range samples(f) {
		if strings.Contains(name, suffix) {
			f.Add(data)
		}
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		first, errFirst := readBytes(t, "fuzz", data, fuzzLimits)
		second, errSecond := readBytes(t, "fuzz", data, fuzzLimits)
		if (errFirst == nil) != (errSecond == nil) || first.String() != second.String() {
			t.Errorf("read twice:\n%v\n%s\n%v\n%s", errFirst, first, errSecond, second)
		}
		if errFirst == nil && (first.meta.Name == "" || first.meta.Version == "") {
			t.Errorf("a package without name or version: %s", first)
		}
	})
}

func FuzzDeb(f *testing.F)  { fuzzPackages(f, ".deb") }
func FuzzApk(f *testing.F)  { fuzzPackages(f, ".apk") }
func FuzzArch(f *testing.F) { fuzzPackages(f, ".pkg.tar") }
func FuzzRpm(f *testing.F)  { fuzzPackages(f, ".rpm") }

// FuzzRelation: what was read is written in a form that reads the same.
func FuzzRelation(f *testing.F) {
	for _, s := range []string{
		"a (>= 1) | b:any, c [amd64]", "a [!amd64 any-i386] <!x y> <z>", "so:libc.musl-x86_64.so.1, cmd:x (~ 1)",
		"busybox>=1.36", "!conflict<2", "a@edge=1", "libfoo.so=1-64", "a(1", "a (<< 1:2.3~rc1-4+b5) , ,|",
		"(a >= 1 or (b with c))", "((a if b else c) and d()(64bit))", "cap_net_raw,cap_chown=ep", "=ep cap_setfcap-i",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if clauses, err := parseDebian(s, "amd64"); err == nil {
			text := clausesText(clauses)
			again, err := ParseDebianRelations(text)
			if err != nil || clausesText(again) != text {
				t.Errorf("%q is %q, and that is %q, %v", s, text, clausesText(again), err)
			}
		}
		if clauses, err := parseRich(s); err == nil && len(clauses) > maxRichClauses {
			t.Errorf("%q has %d clauses", s, len(clauses))
		}
		if value, err := fileCaps(s); err == nil && len(value) != 0 && len(value) != 20 {
			t.Errorf("%q makes capabilities of %d bytes", s, len(value))
		}
		for _, parse := range []func(string) (Term, error){
			parsePacmanTerm, func(s string) (Term, error) { term, _, err := parseAlpineTerm(s); return term, err },
		} {
			term, err := parse(s)
			if err != nil {
				continue
			}
			clauses, err := ParseDebianRelations(term.String())
			if err != nil || clausesText(clauses) != term.String() {
				t.Errorf("%q is %q, and that is %q, %v", s, term, clausesText(clauses), err)
			}
		}
	})
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
				if ok := scheme.Satisfies(a, op, a); ok != (op == OpAny || a == "" && scheme == RpmScheme || a != "" && op != OpEarlier && op != OpLater) {
					t.Errorf("%s: %q satisfies %q %q: %v", scheme, a, op, a, ok)
				}
			}
		}
	})
}
