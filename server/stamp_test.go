package server

import (
	"testing"

	"github.com/hugelgupf/p9/p9"

	"github.com/packagefs/packagefs/pkgindex/format/mkpkg"
	"github.com/packagefs/packagefs/server/p9l"
	"github.com/packagefs/packagefs/server/p9l/p9ltest"
	"github.com/packagefs/packagefs/server/p9l/wire"
)

// TestStamps has a stamp of each context that is another one after each change of
// what it shows, in whichever way it is attached to, and of that alone.
func TestStamps(t *testing.T) {
	p := newFixture(t, map[string]string{"user:alice": `toplevel = ["tool"]`, "user:bob": "toplevel = [\"other\"]\ndependencies = \"visible\""})
	p.install(program("tool", "1", "tool itself", "lib"))
	p.settle()
	dir := p.attach("root", "contexts")
	top := func(name string) p9.File {
		t.Helper()
		f, err := walk(dir, name)
		if err != nil {
			t.Fatal(err)
		}
		return f
	}
	alice, bob := top("user:alice"), top("user:bob")
	stamp := func(f p9.File) uint64 {
		n, err := f.(p9l.Stamper).Stamp(true)
		if err != nil {
			return 0
		}
		return n
	}
	try := func(what string, changesAlice, changesBob bool, do func()) {
		t.Helper()
		a, b := stamp(alice), stamp(bob)
		if again := stamp(top("user:alice")); a == 0 || b == 0 || a == b || again != a {
			t.Errorf("before %s: alice %d, again %d, bob %d", what, a, again, b)
		}
		do()
		for _, c := range []struct {
			who     string
			file    p9.File
			before  uint64
			changes bool
		}{{"alice", alice, a, changesAlice}, {"bob", bob, b, changesBob}} {
			if now := stamp(c.file); (now != c.before) != c.changes {
				t.Errorf("%s: stamp of %s was %d, is %d", what, c.who, c.before, now)
			}
		}
	}
	order := func(text string) func() {
		return func() {
			if answer, errno := p.order("root", text+"\n"); errno != "" {
				t.Errorf("%s: %s", text, answer)
			}
		}
	}
	install := func(name, version, body string, depends ...string) func() {
		return func() { p.install(program(name, version, body, depends...)); p.settle() }
	}
	try("looking", false, false, func() {
		if got := reads(alice, "usr/bin/tool") + reads(bob, "usr/missing"); got != "#!/usr/libexec/packagefs/enter tool=1\nENOENT" {
			t.Errorf("there is %q", got)
		}
	})
	// With any package those of a context with launchers are decided anew.
	try("a package that neither sees", true, false, install("apart", "1", "apart"))
	try("a package that bob sees", true, true, func() {
		p.install(mkpkg.Spec{Name: "other", Version: "2", Files: []mkpkg.File{{Path: "usr/share/other", Body: "2"}}})
		p.settle()
	})
	try("a toplevel package", true, false, order("toplevel add user:alice app"))
	try("launchers that become the programs", true, false, order("set user:alice dependencies visible"))
	if got := reads(alice, "usr/bin/tool"); got != "tool itself" {
		t.Errorf("the program is %q", got)
	}
	try("launchers that come back", true, false, order("set user:alice dependencies hidden"))
	if got := reads(alice, "usr/bin/tool"); got != "#!/usr/libexec/packagefs/enter tool=1\n" {
		t.Errorf("the launcher is %q", got)
	}
	try("a file in the layer of the system", true, true, func() {
		f, err := walk(p.attach("root", "all"), "usr/share")
		if err != nil {
			t.Fatal(err)
		}
		if _, err := f.Mkdir("site", 0o755, p9.NoUID, p9.NoGID); err != nil {
			t.Fatal(err)
		}
	})
	try("a file in alice's layer", true, false, func() {
		f, err := walk(alice, "usr/share")
		if err != nil {
			t.Fatal(err)
		}
		if _, err := f.Mkdir("own", 0o755, p9.NoUID, p9.NoGID); err != nil {
			t.Fatal(err)
		}
	})
}

// TestStampsNeverComeBack brings a tree back that is still in use elsewhere: what a
// client learned in between, with the stamp from before, must not hold then.
func TestStampsNeverComeBack(t *testing.T) {
	p := newFixture(t, map[string]string{"user:alice": "toplevel = [\"app\"]\ndependencies = \"visible\"", "user:bob": "toplevel = [\"app\"]\ndependencies = \"visible\""})
	dir := p.attach("root", "contexts")
	stamp := func(name string) uint64 {
		t.Helper()
		f, err := walk(dir, name)
		if err != nil {
			return 0
		}
		n, err := f.(p9l.Stamper).Stamp(true)
		if err != nil {
			return 0
		}
		return n
	}
	kept, err := walk(dir, "user:alice")
	if err != nil {
		t.Fatal(err)
	}
	order := func(text string) {
		t.Helper()
		if answer, errno := p.order("root", text+"\n"); errno != "" {
			t.Fatalf("%s: %s", text, answer)
		}
	}
	bob := stamp("user:bob") // has the same tree all the time
	seen := map[uint64]string{stamp("user:alice"): "the beginning"}
	for _, step := range []string{
		"toplevel add user:alice other", "toplevel del user:alice other",
		"set user:alice mutable none", "set user:alice mutable own",
		"toplevel add user:alice other", "toplevel del user:alice other",
	} {
		order(step)
		n := stamp("user:alice")
		if again := stamp("user:alice"); n == 0 || again != n {
			t.Errorf("after %q: stamp %d, and then %d", step, n, again)
		}
		if before, ok := seen[n]; ok {
			t.Errorf("after %q: the stamp of %s", step, before)
		}
		seen[n] = step
	}
	if n, err := kept.(p9l.Stamper).Stamp(true); err != nil || n != stamp("user:alice") {
		t.Errorf("who attached at the beginning has stamp %d, %v", n, err)
	}
	if n := stamp("user:bob"); n != bob {
		t.Errorf("bob's stamp was %d, is %d", bob, n)
	}
}

// TestStampsEnd has no stamp for who may not look any more, and none of what is
// not the top of a tree.
func TestStampsEnd(t *testing.T) {
	p := newFixture(t, map[string]string{"user:alice": ""})
	dir := p.attach("alice", "contexts")
	top, err := walk(dir, "package:other")
	if err != nil {
		t.Fatal(err)
	}
	if n, err := top.(p9l.Stamper).Stamp(true); n == 0 || err != nil {
		t.Fatalf("stamp %d, %v", n, err)
	}
	for _, name := range []string{"package:other/usr", "user:alice/usr/share", "ctl"} {
		f, err := walk(dir, name)
		if err != nil {
			t.Fatal(err)
		}
		if s, ok := f.(p9l.Stamper); ok {
			if n, err := s.Stamp(true); n != 0 || err != nil {
				t.Errorf("%s has stamp %d, %v", name, n, err)
			}
		}
	}
	if text, errno := p.order("root", "deny add user:alice other\n"); errno != "" {
		t.Fatal(text)
	}
	if n, err := top.(p9l.Stamper).Stamp(true); n != 0 || err == nil {
		t.Errorf("what alice may not see has stamp %d, %v", n, err)
	}
}

// TestStampOverTheWire asks with and without the bit that asks for a stamp.
func TestStampOverTheWire(t *testing.T) {
	p := newFixture(t, nil)
	c := p9ltest.Serve(t, &p9l.Server{Attacher: attachAs{p.FS, asking("root", "all")}})()
	c.Start(1)
	ask := func(fid uint32, mask uint64) (valid, version uint64) {
		reply := c.Must(wire.Tgetattr, 1, p9ltest.Body(fid, mask))
		d := wire.Decode(reply)
		valid = d.U64()
		d = wire.Decode(reply[len(reply)-8:])
		return valid, d.U64()
	}
	plain, version := ask(1, wire.AllMask)
	if plain&wire.StampMask != 0 {
		t.Errorf("valid %#x of what nobody asked for", plain)
	}
	valid, stamp := ask(1, wire.BasicMask|wire.StampMask)
	if valid != wire.BasicMask|wire.StampMask || stamp == 0 || stamp == version {
		t.Errorf("valid %#x, stamp %#x; data version %#x", valid, stamp, version)
	}
	if _, again := ask(1, wire.BasicMask|wire.StampMask); again != stamp {
		t.Errorf("stamps %#x and %#x", stamp, again)
	}
	c.Walk(1, 2, "usr")
	if valid, _ := ask(2, wire.BasicMask|wire.StampMask); valid != wire.BasicMask {
		t.Errorf("valid %#x of a directory in the tree", valid)
	}
}
