package linediff

import (
	"math/rand"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestUnified(t *testing.T) {
	lines := func(s ...string) string { return strings.Join(s, "\n") + "\n" }
	nine := lines("1", "2", "3", "4", "5", "6", "7", "8", "9")
	for _, c := range []struct{ old, new, want string }{
		{nine, nine, ""},
		{"", "a\n", lines("@@ -0,0 +1,1 @@", "+a")},
		{"a\n", "", lines("@@ -1,1 +0,0 @@", "-a")},
		{"a\nb", "a\nb\n", lines("@@ -1,2 +1,2 @@", " a", "-b", `\ No newline at end of file`, "+b")},
		{nine, strings.Replace(nine, "5", "X", 1), lines("@@ -2,7 +2,7 @@", " 2", " 3", " 4", "-5", "+X", " 6", " 7", " 8")},
		{nine, "X" + nine[1:len(nine)-2] + "Y\n", lines("@@ -1,4 +1,4 @@", "-1", "+X", " 2", " 3", " 4", "@@ -6,4 +6,4 @@", " 6", " 7", " 8", "-9", "+Y")},
		{nine, "X" + nine[1:len(nine)-4] + "Y\n9\n", lines("@@ -1,9 +1,9 @@", "-1", "+X", " 2", " 3", " 4", " 5", " 6", " 7", "-8", "+Y", " 9")},
		{"a\n#\nb\n#\nc\n", "a\n#\nc\n", lines("@@ -1,5 +1,3 @@", " a", " #", "-b", "-#", " c")},
	} {
		want := c.want
		if want != "" {
			want = "diff old new\n--- old\n+++ new\n" + want
		}
		got, err := Unified(t.Context(), "old", []byte(c.old), "new", []byte(c.new))
		if err != nil || got != want {
			t.Errorf("%q to %q: %v\n%s\nwant\n%s", c.old, c.new, err, got, want)
		}
	}
}

// TestUnifiedApplies applies diffs of random changes with git.
func TestUnifiedApplies(t *testing.T) {
	rng := rand.New(rand.NewSource(1))
	for n := range 40 {
		lines := config(rng, 5+rng.Intn(2000))
		old, new := joined(lines), joined(edited(rng, lines, 1+rng.Intn(300), "new"))
		old, new = old[:len(old)-rng.Intn(2)], new[:max(0, len(new)-rng.Intn(2))]
		d, err := Unified(t.Context(), "conf", old, "conf", new)
		if err != nil {
			t.Fatal(err)
		}
		dir := write(t, map[string][]byte{"conf": old, "diff": []byte(d)})
		if d != "" {
			git(t, dir, "apply", "-p0", "--whitespace=nowarn", "diff")
		}
		if got, err := os.ReadFile(filepath.Join(dir, "conf")); err != nil || string(got) != string(new) {
			t.Errorf("case %d: the diff makes another text, %v:\n%s", n, err, d)
		}
	}
}
