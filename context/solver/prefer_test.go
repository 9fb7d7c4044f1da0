package solver

import (
	"strings"
	"testing"
)

// What a closure prefers where there is more than one. Packages behind a line
// "== root" are what the root file system has.
func TestPreferences(t *testing.T) {
	for _, c := range []struct{ about, packages, root, want string }{
		{"what a later choice needs makes an earlier one unnecessary",
			"app 1: a | b, c | d\na 1:\nb 1:\nc 1: b\nd 1:", "app", "app (b) (c)"},
		{"newest before the first alternative",
			"app 1: a | b, lib\na 1:\n conflicts: lib (>= 2)\nb 1:\nlib 1:\nlib 2:", "app", "app (b) (lib=2)"},
		{"newest before fewest",
			"app 1: lib\nlib 1:\nlib 2: x, y\nx 1:\ny 1:", "app", "app (lib=2) (x) (y)"},
		{"of those that provide a name, the one that brings fewest",
			"app 1: mta\nexim 4: exim-base, exim-config\n provides: mta\nexim-base 4:\nexim-config 4:\nnull 1:\n provides: mta",
			"app", "app (null)"},
		{"counting only what is not needed anyway",
			"app 1: mta, exim-base, exim-config\nexim 4: exim-base, exim-config\n provides: mta\nexim-base 4:\nexim-config 4:\nnull 1: x\n provides: mta\nx 1:",
			"app", "app (exim) (exim-base) (exim-config)"},
		{"of equal ones, the first by name",
			"app 1: mta\npostfix 3:\n provides: mta\nexim 4:\n provides: mta", "app", "app (exim)"},
		{"of one that provides it in two versions, the newest",
			"app 1: mta\nexim 4.1: x\n provides: mta\nexim 4.0:\n provides: mta\nx 1:", "app", "app (exim=4.1) (x)"},
		{"the order of alternatives before fewest",
			"app 1: a | b\na 1: x, y\nb 1:\nx 1:\ny 1:", "app", "app (a) (x) (y)"},
		{"none that has a conflict with the rest, even far away",
			"app 1: mta, z\nexim 4:\n provides: mta\npostfix 3: p\n provides: mta\np 1:\nz 1: y\ny 1:\n conflicts: exim",
			"app", "app (p) (postfix) (y) (z)"},

		{"what the root file system has is not needed",
			"app 1: libc6 (>= 2.36)\n== root\nlibc6 2.37:", "app", "app"},
		{"nor is what that needs",
			"app 1: libc6\n== root\nlibc6 2.37: libgcc", "app", "app"},
		{"nor what it provides",
			"app 1: mta\nexim 4:\n provides: mta\n== root\npostfix 3:\n provides: mta", "app", "app"},
		{"nor an earlier alternative",
			"app 1: exim | mta\nexim 4:\n== root\npostfix 3:\n provides: mta", "app", "app"},
		{"newest still comes first",
			"app 1: libc6\nlibc6 2.38:\n== root\nlibc6 2.37:", "app", "app (libc6)"},
		{"but not where only the older one does",
			"app 1: libc6 (<< 2.38)\nlibc6 2.38:\n== root\nlibc6 2.37:", "app", "app"},
		{"of one version, the one that is there",
			"app 1: libc6\nlibc6 2.37: x\nx 1:\n== root\nlibc6 2.37:", "app", "app"},
		{"not beside another version of its name",
			"app 1: x, y\nx 1: libc6 (>= 2.38)\ny 1: libc6 (<< 2.38)\nlibc6 2.38:\n== root\nlibc6 2.37:", "app",
			"app needs y, y needs libc6 (<< 2.38): libc6=2.37 (of the root file system) cannot be there together with libc6=2.38 (which x needs)"},
		{"not beside what conflicts with it",
			"app 1: libc6\n conflicts: libc6 (<< 2.38)\n== root\nlibc6 2.37:", "app",
			"app needs libc6: app=1 conflicts with libc6 (<< 2.38): that is libc6=2.37 (of the root file system)"},
		{"it does not stand in the way unless it is needed",
			"app 1: x\nx 1:\n conflicts: libc6\n== root\nlibc6 2.37:", "app", "app (x)"},
		{"too old",
			"app 1: libc6 (>= 3)\n== root\nlibc6 2.37:", "app", "app needs libc6 (>= 3): installed is 2.37"},
	} {
		installed, root, _ := strings.Cut(c.packages, "== root\n")
		if got := answer(archive(t, installed), archive(t, root), c.root); got != c.want {
			t.Errorf("%s:\ngot  %s\nwant %s", c.about, got, c.want)
		}
	}
}
