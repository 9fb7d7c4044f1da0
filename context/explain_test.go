package context

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/packagefs/packagefs/context/files"
)

func TestExplain(t *testing.T) {
	c := contextsOf(t, `
== system.toml
deny = ["nmap"]
toplevel = ["nmap", "nosuch"]
dependencies = "hidden"
== group:dev.toml
members = ["bob"]
toplevel = ["b*"]
== user:alice.toml
allow = ["blender", "python*", "nmap"]
dependencies = "visible"
pin = { "python3.11" = "3.11.2-*" }
`)
	set := setOf(t, archive)
	x, err := c.Explain(set, mustParse(t, "user:alice"), as(t, "root"))
	if err != nil {
		t.Fatal(err)
	}
	if got := explained(x); got != strings.TrimSpace(`
context user:alice hidden=false
rule system.toml deny [nmap] true
rule system.toml toplevel [nmap nosuch] true
rule system.toml dependencies [hidden] false
rule group:dev.toml toplevel [b*] true
rule group:dev.toml members [bob] true
rule user:alice.toml allow [blender python* nmap] true
rule user:alice.toml pin python3.11 [3.11.2-*] true
rule user:alice.toml dependencies [visible] true
package blender=3 amd64 true: toplevel "b*" in group:dev.toml
package python3.11=3.11.2-6+deb12u5 amd64 false: blender=3 needs python3.11 (>= 3.11.2)
missing nmap (system.toml): it is denied by system.toml
missing nosuch (system.toml): not installed
missing libc=2 (): blender=3 needs it, but it is not in the allow list of user:alice.toml
missing libpython3.11=3.11.9-1 (): python3.11=3.11.2-6+deb12u5 needs it, but it is not in the allow list of user:alice.toml`) {
		t.Errorf("an administrator reads\n%s", got)
	}
	x, err = c.Explain(set, mustParse(t, ""), as(t, "alice"))
	if err != nil {
		t.Fatal(err)
	}
	got := explained(x)
	if !strings.Contains(got, "missing nmap (system.toml): not installed\nmissing nosuch (system.toml): not installed") ||
		strings.Contains(got, "denied") || strings.Contains(got, "deny") || strings.Contains(got, "libc") {
		t.Errorf("alice reads\n%s", got)
	}
}

func explained(x *Explanation) string {
	out := []string{"context " + x.Context + " hidden=" + boolText(x.Dependencies == files.Hidden)}
	for _, r := range x.Rules {
		out = append(out, strings.Join([]string{"rule", r.File, r.Key, "[" + strings.Join(r.Values, " ") + "]", boolText(r.Effective)}, " "))
	}
	for _, p := range x.Packages {
		out = append(out, "package "+p.Name+"="+p.Version+" "+p.Architecture+" "+boolText(p.Toplevel)+": "+p.Reason)
	}
	for _, m := range x.Missing {
		out = append(out, "missing "+m.Package+" ("+m.From+"): "+m.Reason)
	}
	for _, e := range x.Errors {
		out = append(out, "error "+e.File+": "+e.Reason)
	}
	if x.Reason != "" {
		out = append(out, "reason "+x.Reason)
	}
	return strings.Join(out, "\n")
}

func TestExplainWhatFails(t *testing.T) {
	c := contextsOf(t, "== system.toml\ndeny = [\"gcc-lib\"]\n== user:bob.toml\ntoplevel = [\n")
	set := setOf(t, archive)
	for attach, want := range map[string]string{
		"root package:broken": "reason broken needs nosuch: not installed",
		"root package:gcc":    "reason gcc needs gcc-lib: hidden by deny in system: 12",
		"alice package:gcc":   "reason what the package needs does not resolve",
		"root package:nosuch": "reason nosuch is not installed",
		"root user:mallory":   "reason user mallory is in neither",
		"root user:bob":       "reason user:bob.toml: line 1",
		"root user:alice":     "package blender=3",
	} {
		caller, name, _ := strings.Cut(attach, " ")
		x, err := c.Explain(set, mustParse(t, name), as(t, caller))
		if err != nil || !strings.Contains(explained(x), want) {
			t.Errorf("%s: %v\n%s\nwant %s", attach, err, explained(x), want)
		}
	}
	for attach, class := range map[string]error{"alice user:carol": ErrDenied, "bob user:bob": files.ErrBroken, "alice user:mallory": ErrUnknown} {
		caller, name, _ := strings.Cut(attach, " ")
		if x, err := c.Explain(set, mustParse(t, name), as(t, caller)); !errors.Is(err, class) {
			t.Errorf("%s: %+v, %v", attach, x, err)
		}
	}
}

// Who lists contexts does not learn of packages that they may not know of.
func TestListHidesDenied(t *testing.T) {
	c := contextsOf(t, "== group:dev.toml\ntoplevel = [\"gcc\", \"nmap\"]\n== user:alice.toml\ndeny = [\"nmap\"]\n")
	for caller, want := range map[string]string{"alice": "[gcc]", "root": "[gcc nmap]"} {
		list, err := c.List(setOf(t, archive), as(t, caller))
		i := slices.IndexFunc(list, func(l Listed) bool { return l.Context == "group:dev" })
		if err != nil || i < 0 || fmt.Sprint(list[i].Toplevel) != want {
			t.Errorf("%s: %+v, %v; want %s", caller, list, err, want)
		}
	}
}

func TestList(t *testing.T) {
	c := contextsOf(t, `
== system.toml
deny = []
== group:dev.toml
members = ["bob"]
== user:bob.toml
oops
== user:carol.toml
public = true
== alice.toml
`)
	set := setOf(t, archive)
	for caller, want := range map[string]string{
		"root":   "all ok, group:dev ok, system ok, user:bob error, user:carol ok public, alice error",
		"alice":  "all ok, group:dev ok, group:staff ok, user:alice ok, user:carol ok public",
		"bob":    "user:bob error", // what else bob may attach to is not known
		"nobody": "user:carol ok public",
	} {
		list, err := c.List(set, as(t, caller))
		var got []string
		for _, l := range list {
			s := l.Context + " " + l.State
			if l.Public {
				s += " public"
			}
			if (l.State != StateOK) != (l.Reason != "") || (l.Context == "group:dev") != slices.Equal(l.Members, []string{"bob"}) {
				t.Errorf("%s: %+v", caller, l)
			}
			got = append(got, s)
		}
		if text := strings.Join(got, ", "); err != nil || text != want {
			t.Errorf("%s lists %s, %v\nwant %s", caller, text, err, want)
		}
	}
}
