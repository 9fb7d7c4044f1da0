package context

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/packagefs/packagefs/context/attachname"
	"github.com/packagefs/packagefs/context/files"
	"github.com/packagefs/packagefs/context/solver"
	"github.com/packagefs/packagefs/context/solver/solvertest"
	"github.com/packagefs/packagefs/pkgindex"
	"github.com/rs/zerolog"
)

// setOf reads packages as text; see solvertest.Packages.
func setOf(t testing.TB, text string) *pkgindex.Set {
	t.Helper()
	var all []*pkgindex.Package
	for i, m := range solvertest.Packages(t, text) {
		all = append(all, &pkgindex.Package{ID: uint64(i + 1), Meta: *m})
	}
	return pkgindex.NewSet(1, all, nil)
}

// refs writes packages as one line: name=version where a Set has more than one
// version of the name, else the name; dependencies in parentheses.
func refs(set *pkgindex.Set, v *View) string {
	var out []string
	for i, p := range v.Packages {
		s := p.Name
		if len(set.Named(p.Name)) > 1 {
			s += "=" + p.Version
			if solver.Architecture(p.Architecture) != "amd64" {
				s += ":" + p.Architecture
			}
		}
		if !v.Why[i].Toplevel {
			s = "(" + s + ")"
		}
		out = append(out, s)
	}
	return strings.Join(out, " ")
}

// people is a Directory for tests: "alice 1000 staff dev" a line, name, number,
// and groups, the primary one first; groups are numbered by their names' lengths
// plus 100.
type people string

func (d people) lines() (out [][]string) {
	for line := range strings.Lines(string(d)) {
		if f := strings.Fields(line); len(f) > 0 {
			out = append(out, f)
		}
	}
	return out
}

func (d people) find(ok func(name, uid string) bool) ([]string, User, error) {
	for _, f := range d.lines() {
		if ok(f[0], f[1]) {
			uid, _ := parseID(f[1])
			return f[2:], User{f[0], uid}, nil
		}
	}
	return nil, User{}, fmt.Errorf("look up: %w", ErrUnknown)
}

func (d people) User(s string) (User, error) {
	_, u, err := d.find(func(name, uid string) bool { return name == s || uid == s })
	return u, err
}

func (d people) UserByID(id uint32) (User, error) {
	_, u, err := d.find(func(_, uid string) bool { return uid == fmt.Sprint(id) })
	return u, err
}

func (d people) Group(s string) (Group, error) {
	for _, f := range d.lines() {
		for _, g := range f[2:] {
			if gid := uint32(100 + len(g)); g == s || fmt.Sprint(gid) == s {
				return Group{g, gid}, nil
			}
		}
	}
	return Group{}, fmt.Errorf("look up: %w", ErrUnknown)
}

func (d people) Groups(u User) ([]Group, error) {
	names, _, err := d.find(func(name, _ string) bool { return name == u.Name })
	var out []Group
	for _, g := range names {
		out = append(out, Group{g, uint32(100 + len(g))})
	}
	return out, err
}

const someone = `
alice 1000 staff dev
bob 1001 staff
carol 1002 guests
`

// contextsOf makes Contexts with these files: "== NAME" begins each.
func contextsOf(t testing.TB, text string) *Contexts {
	t.Helper()
	dir := t.TempDir()
	for _, part := range strings.Split(text, "== ")[1:] {
		name, body, _ := strings.Cut(part, "\n")
		mustWrite(t, filepath.Join(dir, strings.TrimSpace(name)), body)
	}
	s, err := files.Open(dir, zerolog.Nop())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return &Contexts{Store: s, Directory: people(someone), Architecture: "amd64"}
}

func mustWrite(t testing.TB, path, body string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(body), 0o644); err != nil {
		t.Fatal(err)
	}
}

// as makes a Caller: "root" is trusted, "nobody" is not vouched for.
func as(t testing.TB, name string) Caller {
	t.Helper()
	switch name {
	case "root":
		return Caller{Trusted: true}
	case "nobody":
		return Caller{}
	}
	u, err := people(someone).User(name)
	if err != nil {
		t.Fatal(err)
	}
	return Caller{User: &u}
}

func mustParse(t testing.TB, s string) attachname.Name {
	t.Helper()
	n, err := attachname.Parse(s)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// missing writes what a view lacks, a line each.
func missing(v *View) string {
	var out []string
	for _, m := range v.Missing {
		s := m.Package
		if m.From != "" {
			s += " (" + m.From + ")"
		}
		out = append(out, s+": "+m.Reason)
	}
	slices.Sort(out)
	return strings.Join(out, "\n")
}

// outcome writes a view or a refusal as text.
func outcome(set *pkgindex.Set, v *View, err error) string {
	if err == nil {
		return refs(set, v)
	}
	var e *attachname.Error
	if !errors.As(err, &e) {
		return "error " + err.Error()
	}
	for name, class := range map[string]error{
		"ErrSyntax": attachname.ErrSyntax, "ErrUnknown": ErrUnknown, "ErrDenied": ErrDenied,
		"ErrNotInstalled": ErrNotInstalled, "ErrUnresolvable": ErrUnresolvable, "ErrBroken": files.ErrBroken,
	} {
		if errors.Is(err, class) {
			return name + " " + e.Reason
		}
	}
	return "no class " + err.Error()
}
