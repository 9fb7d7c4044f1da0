package context

import (
	"errors"
	"path/filepath"
	"strings"
	"testing"

	"github.com/packagefs/packagefs/context/attachname"
	"github.com/packagefs/packagefs/context/files"
	"github.com/packagefs/packagefs/pkgindex"
	"github.com/rs/zerolog"
)

const archive = `
blender 3: libc, python3.11 (>= 3.11.2)
python3.11 3.11.2-6+deb12u5: libpython3.11
python3.11 3.11.9-1: libpython3.11
libpython3.11 3.11.9-1: libc
libc 2:
libc 1:
gcc 12: gcc-lib, libc
gcc-lib 12:
broken 1: nosuch
old 1: libc (<< 2)
nmap 7: libc
exim 4:
 provides: mta
 conflicts: mta
postfix 3:
 provides: mta
 conflicts: mta
`

// What whom sees. An attach is "CALLER NAME"; under it stands the view, then what
// is missing.
func TestViews(t *testing.T) {
	for _, c := range []struct{ about, files, attach, want string }{
		{"without any file every package is toplevel, at its newest version", ``,
			"alice user:alice", "blender broken exim gcc gcc-lib libc=2 libpython3.11 nmap old postfix python3.11=3.11.9-1"},
		{"the empty name is one's own", ``,
			"alice ", "blender broken exim gcc gcc-lib libc=2 libpython3.11 nmap old postfix python3.11=3.11.9-1"},
		{"toplevel alone is shown, dependencies are hidden", `
== user:alice.toml
toplevel = ["blender"]
`, "alice user:alice", "blender"},
		{"dependencies are shown where the file says so", `
== user:alice.toml
toplevel = ["blender"]
dependencies = "visible"
`, "alice user:alice", "blender (libc=2) (libpython3.11) (python3.11=3.11.9-1)"},
		{"toplevel lists add up", `
== system.toml
toplevel = ["exim"]
== group:dev.toml
toplevel = ["gcc"]
== group:guests.toml
toplevel = ["nmap"]
== user:alice.toml
toplevel = ["blender"]
`, "alice user:alice", "blender exim gcc"},
		{"an empty toplevel list is one", `
== user:alice.toml
toplevel = []
`, "alice user:alice", ""},
		{"allow lists add up", `
== group:dev.toml
allow = ["gcc*"]
== user:alice.toml
allow = ["b*"]
`, "alice user:alice", "blender broken gcc gcc-lib"},
		{"an empty allow list allows nothing", `
== system.toml
allow = []
`, "alice user:alice", ""},
		{"deny always wins, over the nearest file too", `
== system.toml
deny = ["nmap", "libc=2"]
== user:alice.toml
allow = ["nmap", "libc"]
deny = []
toplevel = ["nmap", "libc"]
`, "alice user:alice", "libc=1\nnmap (user:alice.toml): it is denied by system.toml"},
		{"the nearest pin wins", `
== system.toml
pin = { "python*" = "3.9*" }
== user:alice.toml
pin = { "python3.11" = "3.11.2-*" }
toplevel = ["python3.11"]
`, "alice user:alice", "python3.11=3.11.2-6+deb12u5"},
		{"a pin that nothing matches shows nothing", `
== system.toml
pin = { "python*" = "3.9*" }
toplevel = ["python3.11", "gcc"]
`, "alice user:alice", "gcc\npython3.11 (system.toml): system.toml pins it to 3.9*: installed are 3.11.9-1 and 3.11.2-6+deb12u5"},
		{"a toplevel version is stronger than a pin", `
== system.toml
toplevel = ["python3.11=3.11.2-*"]
pin = { "python*" = "3.11.9*" }
`, "alice user:alice", "python3.11=3.11.2-6+deb12u5"},
		{"the nearest of two toplevel versions", `
== system.toml
toplevel = ["libc=2"]
== user:alice.toml
toplevel = ["libc=1", "libc"]
`, "alice user:alice", "libc=1\nlibc=2 (system.toml): user:alice.toml asks for libc=1, which is nearer"},
		{"globs are toplevel too, what nothing matches is missing", `
== system.toml
toplevel = ["gcc*", "libre*", "nosuch", "libc=7"]
`, "alice user:alice", "gcc gcc-lib\nlibc=7 (system.toml): installed are 2 and 1\nlibre* (system.toml): no installed package matches that may be shown\nnosuch (system.toml): not installed"},
		{"closures agree with the toplevel versions", `
== system.toml
toplevel = ["blender", "python3.11=3.11.2*"]
dependencies = "visible"
`, "alice user:alice", "blender python3.11=3.11.2-6+deb12u5 (libc=2) (libpython3.11)"},
		{"closures agree with each other", `
== system.toml
toplevel = ["blender", "old"]
dependencies = "visible"
`, "alice user:alice", "blender old (libc=1) (libpython3.11) (python3.11=3.11.9-1)"},
		{"one broken package is shown itself and spoils nothing", `
== system.toml
toplevel = ["blender", "broken", "old", "libc=2"]
dependencies = "visible"
`, "alice user:alice", "blender broken libc=2 old (libpython3.11) (python3.11=3.11.9-1)\n" +
			"broken=1: shown without all it needs: broken needs nosuch: not installed\n" +
			"old=1: shown without all it needs: old needs libc (<< 2): hidden by libc=2, which the context shows: 1"},
		{"two that conflict are both shown, since files say so", `
== system.toml
toplevel = ["exim", "postfix"]
prefer = ["postfix"]
dependencies = "visible"
`, "alice user:alice", "postfix exim\npostfix=3: shown without all it needs: postfix=3 conflicts with mta: there is exim=4"},
		{"a dependency that is not allowed is not shown", `
== system.toml
allow = ["blender", "python*"]
toplevel = ["blender"]
dependencies = "visible"
`, "alice user:alice", "blender (python3.11=3.11.9-1)\n" +
			"libc=2: blender=3 needs it, but it is not in the allow list of system.toml\n" +
			"libpython3.11=3.11.9-1: python3.11=3.11.9-1 needs it, but it is not in the allow list of system.toml"},
		{"a dependency that is denied does not exist", `
== system.toml
deny = ["libpython*"]
toplevel = ["blender"]
dependencies = "visible"
`, "alice user:alice", "blender\n" +
			"blender=3: shown without all it needs: blender needs python3.11 (>= 3.11.2): python3.11=3.11.9-1 needs libpython3.11: hidden by deny in system: 3.11.9-1; python3.11=3.11.2-6+deb12u5 needs libpython3.11: hidden by deny in system: 3.11.9-1"},
		{"preferred first, the nearest file's before the others'", `
== system.toml
prefer = ["exim"]
toplevel = ["blender", "exim", "postfix"]
== user:alice.toml
prefer = ["postfix"]
`, "alice user:alice", "postfix exim blender"},

		{"more toplevel packages by the attach name, with what they need", `
== user:alice.toml
toplevel = ["exim"]
`, "alice user:alice+gcc+python3.11=3.11.2-6+deb12u5",
			"gcc python3.11=3.11.2-6+deb12u5 exim (gcc-lib) (libc=2) (libpython3.11)"},
		{"to one's own context too", `
== user:alice.toml
toplevel = ["exim"]
`, "alice +gcc-lib", "gcc-lib exim"},
		{"they are nearer than any file", `
== user:alice.toml
toplevel = ["libc=2"]
`, "alice user:alice+libc=1", "libc=1"},
		{"they obey the allow list, installed or not", `
== user:alice.toml
allow = ["gcc*"]
`, "alice user:alice+exim", "ErrDenied exim is not in the allow list of user:alice.toml"},
		{"they obey the allow list, installed or not", `
== user:alice.toml
allow = ["gcc*"]
`, "alice user:alice+nosuch", "ErrDenied nosuch is not in the allow list of user:alice.toml"},
		{"they obey deny, for an administrator too", `
== system.toml
deny = ["nmap"]
`, "root user:alice+nmap", "ErrDenied nmap is denied by system.toml"},
		{"they must be installed", ``,
			"alice user:alice+gcc+nosuch", "ErrNotInstalled nosuch is not installed"},
		{"at that version", ``,
			"alice user:alice+libc=3", "ErrNotInstalled libc=3: installed are 2 and 1"},
		{"one that does not resolve is shown", `
== user:alice.toml
toplevel = []
`, "alice user:alice+broken", "broken\nbroken=1: shown without all it needs: broken needs nosuch: not installed"},

		{"a group's context is system and the group", `
== system.toml
toplevel = ["exim"]
== group:dev.toml
toplevel = ["gcc"]
== group:staff.toml
toplevel = ["nmap"]
`, "alice group:dev", "exim gcc"},
		{"a group by number", `
== group:dev.toml
toplevel = ["gcc"]
`, "alice group:103", "gcc"},
		{"a group that only files know, and its member", `
== group:artists.toml
toplevel = ["blender"]
members = ["bob"]
`, "bob group:artists", "blender"},
		{"members get what their group gets", `
== group:artists.toml
toplevel = ["blender"]
members = ["1001"]
`, "bob user:bob", "blender"},
		{"a user by number", `
== user:alice.toml
toplevel = ["gcc"]
`, "alice user:1000", "gcc"},
		{"a file by number", `
== user:1000.toml
toplevel = ["gcc"]
`, "alice user:alice", "gcc"},
		{"a user that only files know", `
== user:eve.toml
toplevel = ["gcc"]
`, "root user:eve", "gcc"},

		{"a package's context is its closure", ``,
			"alice package:blender", "blender (libc=2) (libpython3.11) (python3.11=3.11.9-1)"},
		{"the pins of system hold there", `
== system.toml
pin = { "python3.11" = "3.11.2*" }
`, "alice package:blender", "blender (libc=2) (libpython3.11) (python3.11=3.11.2-6+deb12u5)"},
		{"and for the package itself, unless a version is asked for", `
== system.toml
pin = { "python3.11" = "3.11.2*" }
`, "alice package:python3.11", "python3.11=3.11.2-6+deb12u5 (libc=2) (libpython3.11)"},
		{"and for the package itself, unless a version is asked for", `
== system.toml
pin = { "python3.11" = "3.11.2*" }
`, "alice package:python3.11=3.11.9-1", "python3.11=3.11.9-1 (libc=2) (libpython3.11)"},
		{"a version with a plus sign", ``,
			"alice package:python3.11=3.11.2-6+deb12u5", "python3.11=3.11.2-6+deb12u5 (libc=2) (libpython3.11)"},
		{"with another package", ``,
			"alice package:old+gcc-lib", "gcc-lib old (libc=1)"},
		{"a user's allow list bounds which packages, not what they need", `
== user:alice.toml
allow = ["blender"]
`, "alice package:blender", "blender (libc=2) (libpython3.11) (python3.11=3.11.9-1)"},
		{"a user's allow list bounds which packages", `
== user:alice.toml
allow = ["blender"]
`, "alice package:gcc", "ErrDenied gcc is not in the allow list of user:alice.toml"},
		{"a user's allow list bounds which packages, installed or not", `
== user:alice.toml
allow = ["blender"]
`, "alice package:nosuch", "ErrDenied nosuch is not in the allow list of user:alice.toml"},
		{"a user's deny bounds what they need, too", `
== user:alice.toml
deny = ["libpython*"]
`, "alice package:blender", "ErrUnresolvable blender needs python3.11 (>= 3.11.2): python3.11=3.11.9-1 needs libpython3.11: hidden by deny in user:alice: 3.11.9-1; python3.11=3.11.2-6+deb12u5 needs libpython3.11: hidden by deny in user:alice: 3.11.9-1"},
		{"and where there is another way it is taken", `
== user:alice.toml
deny = ["libc=2"]
`, "alice package:gcc", "gcc (gcc-lib) (libc=1)"},
		{"a deny of the user's group as well", `
== group:dev.toml
deny = ["gcc-lib"]
`, "alice package:gcc", "ErrUnresolvable gcc needs gcc-lib: hidden by deny in group:dev: 12"},
		{"it binds nobody else", `
== user:alice.toml
deny = ["gcc-lib"]
`, "bob package:gcc", "gcc (gcc-lib) (libc=2)"},
		{"nor an administrator", `
== user:alice.toml
deny = ["gcc-lib"]
`, "root package:gcc", "gcc (gcc-lib) (libc=2)"},
		{"a user's deny holds in the context of a group", `
== group:dev.toml
toplevel = ["gcc", "nmap"]
== user:alice.toml
deny = ["nmap"]
`, "alice group:dev", "gcc\nnmap (group:dev.toml): it is denied by user:alice.toml"},
		{"and so does a user's allow list", `
== group:dev.toml
toplevel = ["gcc", "nmap"]
== user:alice.toml
allow = ["gcc*"]
`, "alice group:dev", "gcc\nnmap (group:dev.toml): it is not in the allow list of user:alice.toml"},
		{"and for what is added to it", `
== user:alice.toml
deny = ["nmap"]
`, "alice group:dev+nmap", "ErrDenied nmap is denied by user:alice.toml"},
		{"in a public context of somebody else, too", `
== user:bob.toml
public = true
toplevel = ["gcc", "nmap"]
== user:alice.toml
deny = ["nmap"]
`, "alice user:bob", "gcc\nnmap (user:bob.toml): it is denied by user:alice.toml"},
		{"and a public context is for nobody whose own rules are not known", `
== user:bob.toml
public = true
== user:alice.toml
oops
`, "alice user:bob", "ErrBroken user:alice.toml: line 1: expected '=' after key (mend the file, or remove it)"},
		{"an administrator is not bound by it", `
== system.toml
allow = ["blender"]
`, "root package:gcc", "gcc (gcc-lib) (libc=2)"},
		{"but by deny", `
== system.toml
deny = ["gcc"]
`, "root package:gcc", "ErrDenied gcc is denied by system.toml"},
		{"denied packages are in no closure", `
== system.toml
deny = ["gcc-lib"]
`, "root package:gcc", "ErrUnresolvable gcc needs gcc-lib: hidden by deny in system: 12"},

		{"all shows every version", ``, "alice all",
			"blender broken exim gcc gcc-lib libc=2 libc=1 libpython3.11 nmap old postfix python3.11=3.11.9-1 python3.11=3.11.2-6+deb12u5"},
		{"all is for those whom nothing is kept from", `
== user:alice.toml
deny = ["nmap"]
`, "alice all", "ErrDenied it has packages that the rules for the caller do not allow"},

		{"another user's context", ``, "bob user:alice", "ErrDenied it is the context of another user, and the context is not public"},
		{"another group's context", ``, "bob group:dev", "ErrDenied it is the context of a group that the caller is not in, and the context is not public"},
		{"an administrator may", `
== user:alice.toml
toplevel = ["gcc"]
`, "root user:alice", "gcc"},
		{"so may everyone if it is public", `
== user:alice.toml
toplevel = ["gcc"]
public = true
`, "nobody user:alice", "gcc"},
		{"but to no other", `
== user:alice.toml
toplevel = ["gcc"]
public = true
`, "nobody user:bob", "ErrDenied it is the context of another user, and the context is not public"},
		{"nor to packages", `
== user:alice.toml
public = true
`, "nobody package:gcc", "ErrDenied nobody vouches for the caller, and the context is not public"},
		{"unless all is public", `
== system.toml
public = true
allow = ["gcc"]
`, "nobody package:gcc", "gcc (gcc-lib) (libc=2)"},
		{"as far as system allows", `
== system.toml
public = true
allow = ["gcc"]
`, "nobody package:nmap", "ErrDenied nmap is not in the allow list of system.toml"},
		{"the nearest word on public counts", `
== system.toml
public = true
== user:alice.toml
public = false
`, "nobody user:alice", "ErrDenied it is the context of another user, and the context is not public"},
		{"an unknown user", ``, "root user:mallory", "ErrUnknown user mallory is in neither the system's database nor the context files"},
		{"an unknown group", ``, "alice group:nosuch", "ErrUnknown group nosuch is in neither the system's database nor the context files"},
		{"strangers do not learn who is unknown", ``, "nobody user:mallory", "ErrDenied nobody vouches for the caller, and the context is not public"},
		{"nobody has no context of one's own", ``, "nobody ", "ErrUnknown the empty name is the context of the user who attaches, and nobody vouches for one; name a context"},
		{"ctl is no view", ``, "root ctl", "ErrSyntax it is no context but a directory of the server"},

		{"a file that never was good lets nobody in", `
== system.toml
deny = ["nmap"
`, "alice user:alice", "ErrBroken system.toml: line 1: array is incomplete (mend the file, or remove it)"},
		{"nor does a group's its members, for it may deny", `
== group:staff.toml
dependencies = 3
`, "bob user:bob", "ErrBroken group:staff.toml: line 1: dependencies: want \"hidden\" or \"visible\" (mend the file, or remove it)"},
		{"others do not mind", `
== group:dev.toml
dependencies = 3
`, "bob user:bob", "blender broken exim gcc gcc-lib libc=2 libpython3.11 nmap old postfix python3.11=3.11.9-1"},
	} {
		set := setOf(t, archive)
		caller, name, _ := strings.Cut(c.attach, " ")
		v, err := contextsOf(t, c.files).Resolve(set, mustParse(t, name), as(t, caller))
		got := outcome(set, v, err)
		if err == nil && missing(v) != "" {
			got += "\n" + missing(v)
		}
		if got != c.want {
			t.Errorf("%s: %s:\ngot  %s\nwant %s", c.about, c.attach, got, c.want)
		}
	}
}

// What a refusal says to the caller does not tell of what the caller may not see.
func TestRefusalsTellNothing(t *testing.T) {
	c := contextsOf(t, "== user:alice.toml\nallow = [\"gcc\"]\ndeny = [\"nmap\"]\n")
	set := setOf(t, archive)
	for _, base := range []string{"user:alice+", "package:"} {
		var first error
		for _, name := range []string{"exim", "nosuch", "nmap", "exim=4", "exim=9", "nosuch=1"} {
			_, err := c.Resolve(set, mustParse(t, base+name), as(t, "alice"))
			if err == nil {
				t.Fatalf("%s%s is let in", base, name)
			}
			if first == nil {
				first = err
			}
			text := strings.ReplaceAll(err.Error(), base+name, "X")
			if want := strings.ReplaceAll(first.Error(), base+"exim", "X"); text != want {
				t.Errorf("%s: %s; exim, which is installed: %s", name, text, want)
			}
		}
	}
}

func TestViewsAreKept(t *testing.T) {
	c := contextsOf(t, "== user:alice.toml\ntoplevel = [\"gcc\"]\n")
	set := setOf(t, archive)
	resolve := func(set *pkgindex.Set, name string) *View {
		t.Helper()
		v, err := c.Resolve(set, mustParse(t, name), Caller{Trusted: true})
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
	bob, carol := resolve(set, "user:bob"), resolve(set, "user:carol")
	if &bob.Packages[0] != &carol.Packages[0] || bob.Key != carol.Key {
		t.Error("users to whom the same applies do not share a view")
	}
	if bob.Name.String() != "user:bob" || carol.Name.String() != "user:carol" {
		t.Errorf("names %s and %s", bob.Name, carol.Name)
	}
	if alice := resolve(set, "user:1000"); alice.Key == bob.Key || alice.Name.String() != "user:alice" {
		t.Error("views of different packages share a key, or a number stays", alice.Name)
	}
	if back := resolve(setOf(t, archive), "user:bob"); &back.Packages[0] == &bob.Packages[0] || back.Key != bob.Key {
		t.Error("a view of another Set is taken for this one's, or equal packages have unequal keys")
	}
	more := setOf(t, archive+"zsh 5:\n")
	more.Generation = 2
	if v := resolve(more, "user:bob"); v.Packages[len(v.Packages)-1].Name != "zsh" || v.Generation != 2 {
		t.Error("a new package is not seen")
	}
	if v := resolve(set, "user:bob"); v.Generation != 1 || len(v.Packages) != len(bob.Packages) {
		t.Error("an older Set is not answered from itself")
	}
}

func TestViewsFollowFiles(t *testing.T) {
	dir := t.TempDir()
	store, err := files.Open(dir, zerolog.Nop())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { store.Close() })
	c := &Contexts{Store: store, Directory: people(someone)}
	set := setOf(t, archive)
	write := func(base, text string) {
		t.Helper()
		mustWrite(t, filepath.Join(dir, base), text)
		if err := store.Reload(); err != nil {
			t.Fatal(err)
		}
	}
	see := func(name, want string) {
		t.Helper()
		v, err := c.Resolve(set, mustParse(t, name), as(t, "alice"))
		if got := outcome(set, v, err); got != want {
			t.Errorf("%s: %s, want %s", name, got, want)
		}
	}
	write("system.toml", `toplevel = ["gcc"]`)
	see("user:alice", "gcc")
	write("system.toml", `toplevel = ["exim"]`)
	see("user:alice", "exim")
	write("system.toml", `toplevel = `)
	see("user:alice", "exim")
	write("group:new.toml", "toplevel = []\nmembers = [\"alice\"]")
	see("group:new", "exim")
}

// A user database that does not answer is neither an unknown user nor a refusal.
func TestDirectoryFails(t *testing.T) {
	down := errors.New("no answer from the network")
	c := &Contexts{Directory: failing{down}}
	var e *attachname.Error
	for _, name := range []string{"user:alice", "group:dev"} {
		_, err := c.Resolve(setOf(t, archive), mustParse(t, name), Caller{Trusted: true})
		if !errors.Is(err, down) || errors.As(err, &e) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

type failing struct{ err error }

func (f failing) User(string) (User, error)     { return User{}, f.err }
func (f failing) UserByID(uint32) (User, error) { return User{}, f.err }
func (f failing) Group(string) (Group, error)   { return Group{}, f.err }
func (f failing) Groups(User) ([]Group, error)  { return nil, f.err }

func TestUsersThatFilesKnow(t *testing.T) {
	c := contextsOf(t, "== user:2000.toml\n\n== group:x.toml\nmembers = [\"eve\", \"2001\"]\n")
	for name, want := range map[string]User{"alice": {"alice", 1000}, "eve": {"eve", NoID}, "2000": {"2000", 2000}, "2001": {"2001", 2001}} {
		if u, err := c.User(name); err != nil || u != want {
			t.Errorf("%s: %v, %v", name, u, err)
		}
	}
	for uid, want := range map[uint32]string{1000: "alice", 2000: "2000", 2001: "2001"} {
		if u, err := c.UserByID(uid); err != nil || u != (User{want, uid}) {
			t.Errorf("%d: %v, %v", uid, u, err)
		}
	}
	if _, err := c.UserByID(3000); !errors.Is(err, ErrUnknown) {
		t.Error(err)
	}
	if _, err := c.User("mallory"); !errors.Is(err, ErrUnknown) {
		t.Error(err)
	}
}

// The zero value serves a machine without any context file.
func TestZeroContexts(t *testing.T) {
	var c Contexts
	set := setOf(t, "a 1:\n arch: all\n")
	v, err := c.Resolve(set, mustParse(t, "user:root"), Caller{Trusted: true})
	if err != nil || refs(set, v) == "" || v.Dependencies != files.Hidden || v.Mutable != files.MutableOwn {
		t.Error(v, err)
	}
}
