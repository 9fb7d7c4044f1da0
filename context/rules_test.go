package context

import (
	"fmt"
	"io"
	"strings"
	"testing"

	"github.com/packagefs/packagefs/context/files"
	"github.com/packagefs/packagefs/pkgindex/pkgmeta"
)

func TestPatterns(t *testing.T) {
	var list []files.Pattern
	for _, ref := range []string{"python3*=3.11*", "bash", "lib?", "g++", "bash=5", "b*"} {
		name, version, _ := strings.Cut(ref, "=")
		list = append(list, files.Pattern{Name: name, Version: version})
	}
	s := newPatterns(list)
	for in, want := range map[string]int{
		"python3.11 3.11.2": 0, "python3 2": -1, "bash 4": 1, "bash 5": 1, "liba 1": 2, "libab 1": -1,
		"g++ 1": 3, "gxx 1": -1, "busybox 1": 5, "": -1,
	} {
		name, version, _ := strings.Cut(in, " ")
		if got := s.first(name, func(p files.Pattern) bool { return p.MatchesVersion(version) }); got != want {
			t.Errorf("%s: pattern %d, want %d", in, got, want)
		}
	}
	if !s.names("python3") || s.namesAll("python3") || !s.namesAll("bash") || s.names("x") {
		t.Error("names or namesAll is wrong")
	}
	if (*patterns)(nil).names("a") {
		t.Error("no patterns match something")
	}
}

// Rules of whatever parses answer all that is asked of them, and a pin without globs
// holds.
func FuzzRules(f *testing.F) {
	for _, text := range []string{
		"", "allow = []", `deny = ["python3*=3.11*", "bash"]`, "pin = { bash = \"5*\", \"b?sh\" = \"[1-4]\" }\nprefer = [\"a\"]",
		"toplevel = [\"[a-c]*\"]\npublic = true\ndependencies = \"visible\"\nmutable = \"none\"",
	} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		file, err := files.Parse("system.toml", data)
		if err != nil {
			return
		}
		r := newRules([]layer{{files.System, "system.toml", file}}, "")
		for _, p := range file.Pin {
			if _, _, ok := r.pin(p.Name); !ok && !files.Pattern(p).IsGlob() {
				t.Fatalf("pin %+v does not hold", p)
			}
		}
		for _, ref := range []pkgmeta.Ref{{Name: "bash", Version: "1"}, {Name: "python3.11", Version: "3.11.2"}} {
			if r.Allows(ref) && r.Denies(ref) || r.Denies(ref) && r.DeniedBy(ref) != "system" {
				t.Fatalf("%s: allowed %v, denied %v by %q", ref, r.Allows(ref), r.Denies(ref), r.DeniedBy(ref))
			}
			fmt.Fprint(io.Discard, r.explain(true), r.refusal(ref), r.MeetsPin(ref))
		}
	})
}
