package files

import (
	"reflect"
	"strings"
	"testing"
)

func TestParse(t *testing.T) {
	got, err := Parse("group:dev.toml", []byte(`
allow        = ["blender", "python3*", "libre*=7:*"]   # a whitelist
deny         = []
toplevel     = ["blender", "python3.11=3.11.2-6+deb12u5"]
pin          = { "python3*" = "3.11.*", "python3.11" = "3.11.2-*", "lib*" = "1" }
prefer       = ["exim4-daemon-light"]
dependencies = "visible"
mutable      = "none"
members      = ["alice", "1001"]
public       = true
`))
	if err != nil {
		t.Fatal(err)
	}
	yes := true
	want := &File{
		Allow:        []Pattern{{"blender", ""}, {"python3*", ""}, {"libre*", "7:*"}},
		Deny:         []Pattern{},
		Toplevel:     []Pattern{{"blender", ""}, {"python3.11", "3.11.2-6+deb12u5"}},
		Pin:          []Pin{{"python3.11", "3.11.2-*"}, {"python3*", "3.11.*"}, {"lib*", "1"}},
		Prefer:       []Pattern{{"exim4-daemon-light", ""}},
		Dependencies: Visible,
		Mutable:      MutableNone,
		Members:      []string{"alice", "1001"},
		Public:       &yes,
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
	if empty, err := Parse("system.toml", nil); err != nil || !reflect.DeepEqual(empty, &File{}) {
		t.Errorf("an empty file: %+v, %v", empty, err)
	}
}

func TestParseRefuses(t *testing.T) {
	for _, c := range []struct{ base, text, want string }{
		{"system.toml", "\nalow = [\"a\"]", `system.toml: line 2: unknown key "alow"; did you mean "allow"?`},
		{"system.toml", "Allow = [\"a\"]", `system.toml: line 1: unknown key "Allow"; did you mean "allow"?`},
		{"system.toml", "toplevels = []", `system.toml: line 1: unknown key "toplevels"; did you mean "toplevel"?`},
		{"system.toml", "colour = 1", `system.toml: line 1: unknown key "colour"; there are allow, deny, toplevel, pin, prefer, dependencies, mutable, members, public`},
		{"system.toml", "[user]\nallow = []", `line 1: unknown key "user"`},
		{"system.toml", "allow = [\n  \"a\",\n  \"b c\"]", `line 3: allow: "b c" has a blank`},
		{"system.toml", "deny = [\"[a\"]", `line 1: deny: "[a" is not a glob`},
		{"system.toml", "toplevel = [\"a=\"]", `line 1: toplevel: "a=" is not a package`},
		{"system.toml", "toplevel = [\"a/b\"]", `line 1: toplevel: "a/b" has a blank, comma or slash`},
		{"system.toml", "toplevel = \"a\"", `line 1: toplevel: want a list of strings`},
		{"system.toml", "toplevel = [1]", `line 1: toplevel: want a list of strings`},
		{"system.toml", "\npin = { a = \"\" }", `line 2: pin: "a" = "": want a name and a version`},
		{"system.toml", "[pin]\nb = \"1\"\n\"a=1\" = \"2\"", `line 3: pin: "a=1" = "2"`},
		{"system.toml", "\n\ndependencies = \"shown\"", `line 3: dependencies: "shown": want ["hidden" "visible"]`},
		{"system.toml", "mutable = \"yes\"", `line 1: mutable: "yes": want ["own" "none"]`},
		{"system.toml", "public = \"yes\"", `line 1: public: want true or false`},
		{"system.toml", "pin = 3", `line 1: pin: want a table of strings`},
		{"system.toml", "pin = { a = 3 }", `line 1: pin: want a table of strings`},
		{"user:alice.toml", "members = [\"bob\"]", `user:alice.toml: line 1: members: only a group has members`},
		{"group:dev.toml", "members = [\"a/b\"]", `line 1: members: "a/b" is not a user's name`},
		{"system.toml", "allow = []\nallow = []", `line 2: `},
		{"system.toml", "allow = [", `line 1: `},
		{"system.toml", "allow = \xff", `line 1: `},
		{"system.toml", "allow = [" + strings.Repeat(`"a*",`, 1001) + "]", `line 1: allow: more than 1000 globs`},
		{"system.toml", "allow = " + strings.Repeat("[", 100000), `line 1: `},
		{"system.toml", "#" + strings.Repeat("x", maxFileSize), `system.toml: longer than 1048576 bytes`},
		{"alice.toml", "", `alice.toml is not a context file: name it system.toml, user:NAME.toml or group:NAME.toml`},
		{"user:alice", "", `is not a context file`},
		{"user:.toml", "", `is not a context file`},
		{"all.toml", "", `is not a context file`},
		{"package:a.toml", "", `is not a context file`},
		{"user:alice+a.toml", "", `is not a context file`},
		{"user:%61lice.toml", "", `name it user:alice.toml`},
		{"user:a b.toml", "", `name it user:a%20b.toml`},
	} {
		_, err := Parse(c.base, []byte(c.text))
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s %.60q: %v\nwant %s", c.base, c.text, err, c.want)
		} else if strings.Contains(err.Error(), "\n") {
			t.Errorf("%.60q: the error has more than one line: %v", c.text, err)
		}
	}
}

// What parses holds what it says, and every error is one line that a person can
// act on.
func FuzzContextFile(f *testing.F) {
	f.Fuzz(func(t *testing.T, data []byte) {
		for _, base := range []string{"system.toml", "group:dev.toml"} {
			file, err := Parse(base, data)
			if err != nil {
				if !strings.HasPrefix(err.Error(), base) {
					t.Fatalf("%v does not name the file", err)
				}
				continue
			}
			for _, list := range [][]Pattern{file.Allow, file.Deny, file.Toplevel, file.Prefer} {
				for _, p := range list {
					if back, err := parsePattern(p.String()); err != nil || back != p {
						t.Fatalf("%+v reads back as %+v, %v", p, back, err)
					}
				}
			}
			for _, p := range file.Pin {
				if !p.MatchesName(p.Name) && !hasMeta(p.Name) || !p.MatchesVersion(p.Version) && !hasMeta(p.Version) {
					t.Fatalf("pin %+v does not hold", p)
				}
			}
		}
	})
}
