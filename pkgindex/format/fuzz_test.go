package format

import (
	"os"
	"path/filepath"
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

// FuzzPfs begins with a file for each feature as well.
func FuzzPfs(f *testing.F) {
	files, err := filepath.Glob("testdata/native/*.pfs")
	if err != nil || len(files) == 0 {
		f.Fatalf("no seeds: %v", err)
	}
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
	fuzzPackages(f, ".pfs")
}

// FuzzRpmText: what is made of an rpm's boolean dependencies and capabilities is
// bounded.
func FuzzRpmText(f *testing.F) {
	for _, s := range []string{
		"(a >= 1 or (b with c))", "((a if b else c) and d()(64bit))", "cap_net_raw,cap_chown=ep", "=ep cap_setfcap-i",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if clauses, err := parseRich(s); err == nil && len(clauses) > maxRichClauses {
			t.Errorf("%q has %d clauses", s, len(clauses))
		}
		if value, err := fileCaps(s); err == nil && len(value) != 0 && len(value) != 20 {
			t.Errorf("%q makes capabilities of %d bytes", s, len(value))
		}
	})
}
