package context

import (
	"errors"
	"strings"
	"testing"

	"github.com/packagefs/packagefs/pkgindex"
)

// TestClosuresOf has closures be what an attach to a package shows, whatever rules
// the context has in which they are asked for, and the same ones for as long as
// nothing changes.
func TestClosuresOf(t *testing.T) {
	c := contextsOf(t, `
== system.toml
deny = ["python3.11=3.11.9-1"]
== user:alice.toml
toplevel = ["blender", "broken"]
pin = { libc = "1" }
`)
	set := setOf(t, archive)
	resolve := func(set *pkgindex.Set, name string) *View {
		t.Helper()
		v, err := c.Resolve(set, mustParse(t, name), as(t, "root"))
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
	alice := resolve(set, "user:alice")
	texts := func(v *View) string {
		var out []string
		for _, p := range v.Packages {
			closure, err := v.Closures.Of(p)
			var names []string
			for _, q := range closure {
				names = append(names, q.Ref.String())
			}
			if errors.Is(err, ErrUnresolvable) {
				names = append(names, "unresolvable")
			} else if err != nil {
				t.Error(err)
			}
			out = append(out, p.Name+": "+strings.Join(names, " "))
		}
		return strings.Join(out, "\n")
	}
	const want = "blender: blender=3 libc=2 libpython3.11=3.11.9-1 python3.11=3.11.2-6+deb12u5\nbroken: unresolvable"
	for range 2 {
		if got := texts(alice); got != want {
			t.Errorf("closures are\n%s\nwant\n%s", got, want)
		}
	}
	if bob := resolve(set, "user:bob"); bob.Closures != alice.Closures {
		t.Error("two contexts have closures of their own")
	}
	if v := resolve(set, "package:blender"); v.Closures != nil {
		t.Error("a package's context has launchers")
	}
	next := setOf(t, archive)
	next.Generation = 2
	if v := resolve(next, "user:alice"); v.Closures == alice.Closures {
		t.Error("other packages have the same closures")
	}

	// Another meaning of system is another answer; that of somebody else is not.
	before := resolve(next, "user:alice").Closures
	edit := func(name, text string) {
		t.Helper()
		if err := c.Store.Put("test", name, text); err != nil {
			t.Fatal(err)
		}
	}
	edit("user:bob", "toplevel = []\n")
	if resolve(next, "user:alice").Closures != before {
		t.Error("bob's file makes other closures")
	}
	edit("system", "dependencies = \"hidden\"\n")
	after := resolve(next, "user:alice")
	if got := texts(after); after.Closures == before || !strings.Contains(got, "python3.11=3.11.9-1") {
		t.Errorf("with another system.toml closures are\n%s", got)
	}
}
