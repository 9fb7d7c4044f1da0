package context

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/packagefs/packagefs/context/attachname"
	"github.com/packagefs/packagefs/context/files"
	"github.com/packagefs/packagefs/pkgindex"
	"github.com/packagefs/packagefs/pkgindex/relation"
	"github.com/packagefs/packagefs/pkgindex/version"
)

// members reads a view: packages as setOf does, those in deps as dependencies.
func membersOf(t testing.TB, text, deps string) []member {
	var out []member
	for _, p := range setOf(t, text).Packages {
		out = append(out, member{p, Why{Toplevel: !slices.Contains(strings.Fields(deps), p.Name)}, false})
	}
	return out
}

func sequence(ms []member) string {
	var out []string
	for _, m := range ms {
		out = append(out, m.pkg.Ref.String())
	}
	return strings.Join(out, " ")
}

func TestOrder(t *testing.T) {
	for _, c := range []struct{ about, packages, deps, prefer, want string }{
		{"by name", "b 1:\na 1:\nc 1:", "", "", "a=1 b=1 c=1"},
		{"newest first", "a 1.9:\na 1.10:\nb 2:", "", "", "a=1.10 a=1.9 b=2"},
		{"toplevel before dependencies", "a 1:\nb 1:\nc 1:", "a c", "", "b=1 a=1 c=1"},
		{"what is preferred before all", "a 1:\nb 1:\nc 1:", "c", "c b", "c=1 b=1 a=1"},
		{"a preferred version", "a 1:\na 2:", "", "a=1", "a=1 a=2"},
		{"who replaces comes first", "a 1:\nb 1:\n replaces: a", "", "", "b=1 a=1"},
		{"if it replaces that version", "a 2:\nb 1:\n replaces: a (<< 2)", "", "", "a=2 b=1"},
		{"others stay where they are", "a 1:\nb 1:\nc 1:\nd 1:\n replaces: b", "", "", "a=1 c=1 d=1 b=1"},
		{"over several steps", "a 1:\nb 1:\n replaces: a\nc 1:\n replaces: b", "", "", "c=1 b=1 a=1"},
		{"a circle goes by name, what hangs on it stays right",
			"a 1:\nx 1:\n replaces: y, a\ny 1:\n replaces: x", "", "", "x=1 a=1 y=1"},
		{"two circles", "a 1:\n replaces: b\nb 1:\n replaces: a\nc 1:\n replaces: d, a\nd 1:\n replaces: c", "", "", "b=1 c=1 a=1 d=1"},
		{"itself", "a 1:\n replaces: a\nb 1:", "", "", "a=1 b=1"},
		{"toplevel before who replaces it", "a 1:\nb 1:\n replaces: a", "b", "", "a=1 b=1"},
		{"a provided name is not replaced", "a 1:\n provides: v\nb 1:\n replaces: v", "", "", "a=1 b=1"},
	} {
		var prefer []files.Pattern
		for _, s := range strings.Fields(c.prefer) {
			name, version, _ := strings.Cut(s, "=")
			prefer = append(prefer, files.Pattern{Name: name, Version: version})
		}
		ms := membersOf(t, c.packages, c.deps)
		for range 5 {
			if got := sequence(order(ms, newPatterns(prefer))); got != c.want {
				t.Errorf("%s: %s, want %s", c.about, got, c.want)
			}
			rand.Shuffle(len(ms), func(i, j int) { ms[i], ms[j] = ms[j], ms[i] })
		}
	}
}

// manyMembers is as large as an archive, with replacements and circles in it.
func manyMembers(n int) []member {
	r := rand.New(rand.NewPCG(3, 4))
	ms := make([]member, n)
	for i := range ms {
		p := &pkgindex.Package{ID: uint64(i)}
		p.Name, p.Version, p.Scheme = fmt.Sprintf("package-%d", i/2), fmt.Sprintf("1.%d-1", i%2), version.Debian
		if r.IntN(3) == 0 {
			for range 3 {
				p.Replaces = append(p.Replaces, relation.Term{Name: fmt.Sprintf("package-%d", r.IntN(n/2)), Op: version.OpEarlier, Version: "1.1"})
			}
		}
		ms[i] = member{p, Why{Toplevel: r.IntN(2) == 0}, r.IntN(9) == 0}
	}
	return ms
}

func TestOrderOfManyIsTotal(t *testing.T) {
	ms := manyMembers(5000)
	want := order(ms, nil)
	if len(want) != len(ms) {
		t.Fatalf("%d packages of %d", len(want), len(ms))
	}
	r := rand.New(rand.NewPCG(5, 6))
	for range 3 {
		r.Shuffle(len(ms), func(i, j int) { ms[i], ms[j] = ms[j], ms[i] })
		if got := order(ms, nil); sequence(got) != sequence(want) {
			t.Fatal("the order depends on that of the input")
		}
	}
}

func BenchmarkOrder60000(b *testing.B) {
	ms := manyMembers(60_000)
	for b.Loop() {
		order(ms, nil)
	}
}

// What an attach costs when nothing is kept: every package is toplevel.
func BenchmarkResolveEverything60000(b *testing.B) {
	var all []*pkgindex.Package
	for _, m := range manyMembers(60_000) {
		all = append(all, m.pkg)
	}
	set := pkgindex.NewSet(1, all, nil)
	for b.Loop() {
		c := &Contexts{Directory: people(someone)}
		if _, err := c.Resolve(set, attachname.Name{Kind: attachname.KindUser, Name: "alice"}, Caller{Trusted: true}); err != nil {
			b.Fatal(err)
		}
	}
}
