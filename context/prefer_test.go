package context

import (
	"strings"
	"testing"

	"github.com/packagefs/packagefs/pkgindex"
)

// What a closure prefers where there is more than one. Packages behind a line
// "== root" are what the root file system has.
func TestPreferences(t *testing.T) {
	for _, c := range []struct{ story, packages, root, want string }{
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
			"ErrUnresolvable app needs y, y needs libc6 (<< 2.38): libc6=2.37 (of the root file system) cannot be there together with libc6=2.38 (which x needs)"},
		{"not beside what conflicts with it",
			"app 1: libc6\n conflicts: libc6 (<< 2.38)\n== root\nlibc6 2.37:", "app",
			"ErrUnresolvable app needs libc6: app=1 conflicts with libc6 (<< 2.38): that is libc6=2.37 (of the root file system)"},
		{"it does not stand in the way unless it is needed",
			"app 1: x\nx 1:\n conflicts: libc6\n== root\nlibc6 2.37:", "app", "app (x)"},
		{"it is no package that can be named",
			"app 1:\n== root\nlibc6 2.37:", "libc6", "ErrNotInstalled libc6 is not installed"},
		{"too old",
			"app 1: libc6 (>= 3)\n== root\nlibc6 2.37:", "app", "ErrUnresolvable app needs libc6 (>= 3): installed is 2.37"},
	} {
		installed, root, _ := strings.Cut(c.packages, "== root\n")
		set := setOf(t, installed)
		contexts := &Contexts{Directory: people(""), Architecture: "amd64", Assumed: setOf(t, root).Packages}
		v, err := contexts.Resolve(set, mustParse(t, "package:"+c.root), Caller{Trusted: true})
		if got := outcome(set, v, err); got != c.want {
			t.Errorf("%s:\ngot  %s\nwant %s", c.story, got, c.want)
		}
	}
}

// Rules of the system bound what a closure may go through, and say so.
func TestClosuresUnderRules(t *testing.T) {
	const pythons = "blender 3: python3 (>= 3.11)\npython3 2.7.18:\npython3 3.9.2:\npython3 3.11.2:\npython3 3.12.1:\n"
	for _, c := range []struct{ story, system, packages, want string }{
		{"deny", `deny = ["python3=3.12*"]`, pythons, "blender (python3=3.11.2)"},
		{"pin", `pin = { "python3" = "3.11*" }`, pythons, "blender (python3=3.11.2)"},
		{"all that fits is denied", `deny = ["python3=3.1*"]`, pythons,
			"ErrUnresolvable blender needs python3 (>= 3.11): installed are 3.9.2 and 2.7.18; hidden by deny in system: 3.12.1 and 3.11.2"},
		{"the pin does not fit", `pin = { "python3" = "3.9*" }`, pythons,
			`ErrUnresolvable blender needs python3 (>= 3.11): installed are 3.9.2 and 2.7.18; hidden by pin "3.9*" in system: 3.12.1 and 3.11.2`},
		{"one is denied, and the other version does not fit the pin", "deny = [\"python3=3.12*\"]\npin = { \"python3\" = \"2*\" }", pythons,
			`ErrUnresolvable blender needs python3 (>= 3.11): installed are 3.9.2 and 2.7.18; hidden by deny in system: 3.12.1; hidden by pin "2*" in system: 3.11.2`},
		{"who provides it is denied", `deny = ["exim"]`, "blender 1: mta\nexim 4:\n provides: mta\n",
			"ErrUnresolvable blender needs mta: hidden by deny in system: exim=4"},
	} {
		set := setOf(t, c.packages)
		contexts := contextsOf(t, "== system.toml\n"+c.system)
		v, err := contexts.Resolve(set, mustParse(t, "package:blender"), Caller{Trusted: true})
		if got := outcome(set, v, err); got != c.want {
			t.Errorf("%s:\ngot  %s\nwant %s", c.story, got, c.want)
		}
	}
}

// The same question has the same answer, whatever was asked before, and in
// whatever order packages came.
func TestClosuresAreDeterministic(t *testing.T) {
	const text = "app 1: mta, a | b, lib\nexim 4:\n provides: mta\npostfix 3:\n provides: mta\na 1:\nb 1:\nlib 1:\nlib 2:\nother 1: postfix, b, lib (<< 2)\n"
	var lines []string
	for _, part := range strings.SplitAfter(text, "\n") {
		if strings.HasPrefix(part, " ") {
			lines[len(lines)-1] += part
		} else if part != "" {
			lines = append(lines, part)
		}
	}
	var want string
	for round := range 8 {
		lines = append(lines[1:], lines[0])
		set := setOf(t, strings.Join(lines, ""))
		for i := range set.Packages {
			set.Packages[i].ID = uint64(i + 1)
		}
		contexts := &Contexts{Directory: people(""), Architecture: "amd64"}
		if round%2 == 1 {
			if _, err := contexts.Resolve(set, mustParse(t, "package:other"), Caller{Trusted: true}); err != nil {
				t.Fatal(err)
			}
		}
		v, err := contexts.Resolve(set, PackageName(pkgindex.Ref{Name: "app"}), Caller{Trusted: true})
		got := outcome(set, v, err) + v.Key
		if want == "" {
			want = got
		}
		if got != want {
			t.Errorf("round %d: %s, want %s", round, got, want)
		}
	}
	if !strings.HasPrefix(want, "app (a) (exim) (lib=2)") {
		t.Error(want)
	}
}
