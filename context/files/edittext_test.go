package files

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"golang.org/x/tools/txtar"
)

// change reads a change as it is written for the control file.
func change(s string) Change {
	f := strings.Fields(s)
	return Change{Op: ChangeOp(f[0]), Key: f[1], Values: f[2:]}
}

// An editCase is a text with changes and what becomes of it. In testdata/edit each
// is an archive whose comment has the changes, one a line, and whose files are the
// text before and after them.
type editCase struct{ changes, old, want string }

func editCases(t testing.TB) (cases []editCase) {
	t.Helper()
	files, err := filepath.Glob("testdata/edit/*.txt")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for text := range strings.SplitSeq(string(data), "\n====\n") {
			a := txtar.Parse([]byte(text))
			if len(a.Files) != 2 {
				t.Fatalf("%s: %d files in %q", file, len(a.Files), text)
			}
			cases = append(cases, editCase{string(a.Comment), string(a.Files[0].Data), string(a.Files[1].Data)})
		}
	}
	if len(cases) < 40 {
		t.Fatalf("%d cases", len(cases))
	}
	return cases
}

func TestEditText(t *testing.T) {
	for _, c := range editCases(t) {
		var changes []Change
		for line := range strings.Lines(c.changes) {
			changes = append(changes, change(line))
		}
		for _, nl := range []string{"\n", "\r\n"} {
			if c.old == "" && nl != "\n" {
				continue // nothing tells how its lines end
			}
			old, want := strings.ReplaceAll(c.old, "\n", nl), strings.ReplaceAll(c.want, "\n", nl)
			got, err := edited("group:dev.toml", []byte(old), changes)
			if err != nil || string(got) != want {
				t.Errorf("%s: %v, got\n%s\nwant\n%s", c.changes, err, got, want)
			}
		}
	}
}

func TestEditTextWithoutLastNewline(t *testing.T) {
	for old, want := range map[string]string{
		`allow = []`:   "allow = [\"x\"]\ndeny = [\"y\"]",
		`# x`:          "# x\nallow = [\"x\"]\ndeny = [\"y\"]\n",
		`[pin]`:        "allow = [\"x\"]\ndeny = [\"y\"]\n\n[pin]",
		"[pin]\na='1'": "allow = [\"x\"]\ndeny = [\"y\"]\n\n[pin]\na='1'",
	} {
		got, err := edited("system.toml", []byte(old), []Change{change("add allow x"), change("add deny y")})
		if err != nil || string(got) != want {
			t.Errorf("%q: %q, %v; want %q", old, got, err, want)
		}
	}
}

func TestEditTextRefuses(t *testing.T) {
	const text = `toplevel = ["blender", "python3.11"]
pin = { "python3.11" = "3.11.2-*" }
`
	for _, c := range []struct {
		change Change
		class  error
		want   string
	}{
		{change("add toplevels a"), fs.ErrInvalid, `unknown key "toplevels"; did you mean "toplevel"?`},
		{change("add colour a"), fs.ErrInvalid, `unknown key "colour"; there are allow, deny,`},
		{change("remove toplevel a"), fs.ErrInvalid, `"remove" is not a change; there are add, del, set and unset`},
		{change("add toplevel"), fs.ErrInvalid, "toplevel: no values; want: add toplevel VALUE…"},
		{change("set toplevel"), fs.ErrInvalid, "no values"},
		{change("unset toplevel blender"), fs.ErrInvalid, "to take values out: del toplevel"},
		{change("del toplevel blendr"), fs.ErrNotExist, `toplevel has no "blendr"; did you mean "blender"?`},
		{change("del toplevel x"), fs.ErrNotExist, `toplevel has no "x"; it has ["blender" "python3.11"]`},
		{change("del deny x"), fs.ErrNotExist, `deny has no "x"; it is empty`},
		{change("del pin python"), fs.ErrNotExist, `pin has no "python"; it has ["python3.11"]`},
		{change("set pin python3.11"), fs.ErrInvalid, `pin: "python3.11": want NAME=VERSION`},
		{change("set pin python3.11 3.11"), fs.ErrInvalid, `want NAME=VERSION`},
		{change("set pin a="), fs.ErrInvalid, `want NAME=VERSION`},
		{change("set pin [=1"), fs.ErrInvalid, `pin: "[" = "1"`},
		{change("add dependencies visible"), fs.ErrInvalid, `dependencies has one value: set dependencies VALUE, or unset dependencies; VALUE is "hidden" or "visible"`},
		{change("set dependencies shown"), fs.ErrInvalid, `dependencies: "shown": want ["hidden" "visible"]`},
		{change("set mutable own none"), fs.ErrInvalid, `mutable has one value`},
		{change("set public yes"), fs.ErrInvalid, `public: "yes": want true or false`},
		{change("set public 1"), fs.ErrInvalid, `want true or false`},
		{change("add allow [a"), fs.ErrInvalid, `allow: "[a" is not a glob`},
		{change("add allow a=b=\n"), fs.ErrInvalid, ``},
		{Change{Op: OpAdd, Key: "allow", Values: []string{"a b"}}, fs.ErrInvalid, `"a b" has a blank, comma or slash`},
		{Change{Op: OpAdd, Key: "allow", Values: []string{"\xff"}}, fs.ErrInvalid, `allow: "\xff" is not UTF-8`},
		{Change{Op: OpAdd, Key: "allow", Values: []string{""}}, fs.ErrInvalid, `"" is not a package`},
		{change("add members alice"), fs.ErrInvalid, `members: only a group has members`},
	} {
		got, err := edited("user:alice.toml", []byte(text), []Change{change("set public true"), c.change})
		if c.want == "" {
			continue
		}
		if !errors.Is(err, c.class) || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%v: %v, want %s", c.change, err, c.want)
		}
		if got != nil {
			t.Errorf("%v: there is a text", c.change)
		}
	}
}

// A set that takes many values out is as good as one that takes few out.
func TestEditTextSetsLongLists(t *testing.T) {
	var old, want []string
	text := "allow = [\n"
	for i := range 500 {
		v := fmt.Sprintf("p%d", i)
		old = append(old, v)
		text += fmt.Sprintf("  %q, # %d\n", v, i)
		if i%2 == 0 {
			want = append(want, v)
		}
	}
	got, err := edited("system.toml", []byte(text+"]\n"), []Change{{Op: OpSet, Key: "allow", Values: want}})
	if err != nil {
		t.Fatal(err)
	}
	if lines := strings.Split(string(got), "\n"); len(lines) != 250+3 || lines[2] != `  "p2",  # 2` {
		t.Errorf("%d lines, of %d values: %q", len(lines), len(old), lines[:3])
	}
}

func TestQuote(t *testing.T) {
	for _, s := range []string{"", "a", `a"b\c`, "\x00\x1f\x7f\u0080\u00a0", "ü\U0001F600\U000E0001\uFFFD", "\r\n\t"} {
		raw, err := decodeRaw([]byte("mutable = " + quote(s)))
		if err != nil || *raw.Mutable != s {
			t.Errorf("%q is read back as %v, %v", s, raw, err)
		}
	}
}

// Any change of any file is made as it is wanted, or refused before anything is
// edited; and comments stay.
func FuzzEdit(f *testing.F) {
	for _, c := range editCases(f) {
		f.Add(c.old, c.changes)
		f.Add(strings.ReplaceAll(c.old, "\n", "\r\n"), "unset pin\nset allow b a c\nadd deny x\ndel deny x\nset pin z=1 y=2\ndel pin z")
	}
	f.Fuzz(func(t *testing.T, text, script string) {
		const base = "group:dev.toml"
		if _, err := Parse(base, []byte(text)); err != nil {
			return
		}
		var changes []Change
		for line := range strings.Lines(script) {
			if words := strings.Fields(line); len(words) > 1 && len(changes) < 10 {
				changes = append(changes, change(line))
			}
		}
		got, err := edited(base, []byte(text), changes)
		if err != nil {
			if strings.Contains(err.Error(), "in place") || strings.Contains(err.Error(), "after the change") {
				t.Fatalf("%q\n%v: %v", text, changes, err)
			}
			return
		}
		adds := slices.ContainsFunc(changes, func(c Change) bool { return c.Op != OpAdd })
		if !adds {
			for line := range strings.Lines(text) {
				if c := strings.TrimSpace(line); strings.HasPrefix(c, "#") && !strings.Contains(string(got), c) {
					t.Fatalf("%q\n%v\n%q\nlost %q", text, changes, got, c)
				}
			}
		}
	})
}
