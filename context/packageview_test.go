package context

import (
	"strings"
	"testing"

	"github.com/packagefs/packagefs/context/attachname"
	"github.com/packagefs/packagefs/pkgindex/pkgmeta"
)

// The refusals of a package: context, for an administrator.
func TestPackageRefusals(t *testing.T) {
	for _, c := range []struct{ about, packages, root, want string }{
		{"no such package", "app 1:", "nosuch", "ErrNotInstalled nosuch is not installed"},
		{"no such version", "app 1:\napp 3:", "app=2", "ErrNotInstalled app=2: installed are 3 and 1"},
		{"no packages at all", "", "app", "ErrNotInstalled app is not installed"},
		{"no closure", "app 1: nosuch", "app", "ErrUnresolvable app needs nosuch: not installed"},
	} {
		set := setOf(t, c.packages)
		v, err := (&Contexts{Directory: people(""), Architecture: "amd64"}).Resolve(set, mustParse(t, "package:"+c.root), Caller{Trusted: true})
		if got := outcome(set, v, err); got != c.want {
			t.Errorf("%s:\ngot  %s\nwant %s", c.about, got, c.want)
		}
	}
}

// What the root file system has meets needs, is in no view, and cannot be named.
func TestAssumed(t *testing.T) {
	set := setOf(t, "app 1: libc6 (>= 2.36), x\nx 1:")
	contexts := &Contexts{Directory: people(""), Architecture: "amd64", Assumed: setOf(t, "libc6 2.37:").Packages}
	for root, want := range map[string]string{"app": "app (x)", "libc6": "ErrNotInstalled libc6 is not installed"} {
		v, err := contexts.Resolve(set, mustParse(t, "package:"+root), Caller{Trusted: true})
		if got := outcome(set, v, err); got != want {
			t.Errorf("%s: %s, want %s", root, got, want)
		}
	}
}

// Rules of the system bound what a closure may go through, and say so.
func TestClosuresUnderRules(t *testing.T) {
	const pythons = "blender 3: python3 (>= 3.11)\npython3 2.7.18:\npython3 3.9.2:\npython3 3.11.2:\npython3 3.12.1:\n"
	for _, c := range []struct{ about, system, packages, want string }{
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
			t.Errorf("%s:\ngot  %s\nwant %s", c.about, got, c.want)
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
		v, err := contexts.Resolve(set, attachname.OfPackage(pkgmeta.Ref{Name: "app"}), Caller{Trusted: true})
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
