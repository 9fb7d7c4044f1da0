package solver

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/packagefs/packagefs/context/solver/solvertest"
	"github.com/packagefs/packagefs/pkgindex/pkgmeta"
	"github.com/packagefs/packagefs/pkgindex/relation"
	"github.com/packagefs/packagefs/pkgindex/version"
)

// What a package resolves to: want is the closure, or why there is none.
func TestClosures(t *testing.T) {
	for _, c := range []struct{ about, packages, root, want string }{
		{"a package that needs nothing",
			"app 1:", "app", "app"},
		{"the newest that fits",
			"app 1: lib (>= 2)\nlib 1:\nlib 2: libc\nlib 3: libc\nlibc 1:",
			"app", "app (lib=3) (libc)"},
		{"the newest is not the last as text",
			"app 1: lib\nlib 1.9:\nlib 1.10:", "app", "app (lib=1.10)"},
		{"a version relation that only an older one meets",
			"app 1: lib (<< 3)\nlib 1:\nlib 2:\nlib 3:", "app", "app (lib=2)"},
		{"a named version",
			"app 1: lib (= 1)\napp 2: lib (= 2)\nlib 1:\nlib 2:", "app=1", "app=1 (lib=1)"},
		{"the first alternative",
			"app 1: a | b\na 1:\nb 1:", "app", "app (a)"},
		{"the second where the first is not installed",
			"app 1: a | b\nb 1:", "app", "app (b)"},
		{"what is there already, before a first alternative",
			"app 1: a | b, b\na 1:\nb 1:", "app", "app (b)"},
		{"an alternative that itself does not resolve",
			"app 1: a | b\na 1: nosuch\nb 1:", "app", "app (b)"},
		{"an older version where the newest does not resolve",
			"app 1: lib\nlib 1:\nlib 2: nosuch", "app", "app (lib=1)"},
		{"a circle",
			"libc6 2.36: libgcc-s1\nlibgcc-s1 12: gcc-12-base (= 12), libc6 (>= 2.35)\ngcc-12-base 12:",
			"libc6", "libc6 (gcc-12-base) (libgcc-s1)"},
		{"a virtual package",
			"app 1: mta\nexim 4:\n provides: mta", "app", "app (exim)"},
		{"a package before those that provide its name",
			"app 1: mta\nexim 4:\n provides: mta\nmta 1:", "app", "app (mta)"},
		{"a relation with a version, and one who provides the name without",
			"app 1: mta (>= 2)\nexim 4:\n provides: mta", "app",
			"app needs mta (>= 2): exim=4 provides it, but not in that version"},
		{"a relation with a version, and one who provides it with one",
			"app 1: api (>= 2)\nx 1:\n provides: api (= 1)\ny 1:\n provides: api (= 2)", "app", "app (y)"},
		{"a package that provides what it needs",
			"app 1: api\n provides: api", "app", "app"},
		{"a conflict decides between alternatives",
			"app 1: a | b, c\na 1:\n conflicts: c\nb 1:\nc 1:", "app", "app (b) (c)"},
		{"a conflict with a virtual package, and not with itself",
			"app 1: x, y | z\nx 1:\n provides: v\n conflicts: v\ny 1:\n provides: v\nz 1:", "app", "app (x) (z)"},
		{"a conflict with some versions only",
			"app 1: lib, x\nx 1:\n conflicts: lib (<< 2)\nlib 1:\nlib 2:", "app", "app (lib=2) (x)"},
		{"a conflict that only an older version avoids",
			"app 1: lib, x\nx 1:\n conflicts: lib (>> 1)\nlib 1:\nlib 2:", "app", "app (lib=1) (x)"},
		{"one version of a name for all who need it",
			"app 1: lib, x\nx 1: lib (<< 2)\nlib 1:\nlib 2:", "app", "app (lib=1) (x)"},
		{"a decision far back is at fault",
			"app 1: a | b, m | n, o | p, z\na 1:\nb 1:\nm 1:\nn 1:\no 1:\np 1:\nz 1: y | x\ny 1:\n conflicts: a\nx 1:\n conflicts: a",
			"app", "app (b) (m) (o) (y) (z)"},

		{"another architecture does not do",
			"app 1: lib\nlib 2:\n arch: i386\nlib 1:", "app", "app (lib=1)"},
		{"none of the right architecture",
			"app 1: lib\nlib 2:\n arch: i386", "app", "app needs lib: installed for i386 only"},
		{"a tool of any architecture does",
			"app 1: tool\ntool 2:\n arch: i386\n multi-arch: foreign", "app", "app (tool)"},
		{"what is for every architecture does",
			"app 1: data\ndata 2: lib\n arch: all\nlib 1:\nlib 2:\n arch: i386", "app", "app (data) (lib=1)"},
		{"an interpreter that admits any, asked so",
			"app 1: python:any\npython 3:\n arch: arm64\n multi-arch: allowed", "app", "app (python)"},
		{"an interpreter that admits any, not asked so",
			"app 1: python\npython 3:\n arch: arm64\n multi-arch: allowed", "app", "app needs python: installed for arm64 only"},
		{"an architecture that is named",
			"app 1: lib:i386\nlib 1:\nlib 1:\n arch: i386", "app", "app (lib=1:i386)"},
		{"one library for two architectures",
			"app 1: lib, wine\nwine 1: lib\n arch: i386\n multi-arch: foreign\nlib 1:\n multi-arch: same\nlib 1:\n multi-arch: same\n arch: i386",
			"app", "app (lib=1) (lib=1:i386) (wine)"},
		{"but not at two versions",
			"app 1: lib, wine\nwine 1: lib\n arch: i386\n multi-arch: foreign\nlib 1:\n multi-arch: same\nlib 2:\n multi-arch: same\n arch: i386",
			"app", "app needs wine, wine needs lib: lib=2 cannot be there together with lib=1 (which app needs)"},
		{"a package of another architecture than the machine's brings its own",
			"app 1: lib, data\n arch: i386\nlib 1:\n arch: i386\nlib 1:\ndata 1: lib\n arch: all", "app", "app (data) (lib=1:i386)"},
		{"the machine's own architecture before a newer version of another",
			"app 2:\n arch: arm64\napp 1:", "app", "app=1"},

		{"a relation with a version is for the same format only",
			"app 1: lib (>= 1)\nlib 5:\n scheme: alpine\n arch: x86_64", "app",
			"app needs lib (>= 1): installed is 5 (not comparable: apk)"},
		{"one without a version takes another format",
			"app 1: lib\nlib 5:\n scheme: alpine\n arch: x86_64", "app", "app (lib)"},
		{"but its own first",
			"app 1: lib\nlib 5:\n scheme: alpine\n arch: x86_64\nlib 1:\nother 1:", "app", "app (lib=1)"},
		{"Alpine's libraries",
			"app 1: so:libc.musl-x86_64.so.1\n scheme: alpine\n arch: x86_64\nmusl 1.2.4-r2:\n scheme: alpine\n arch: x86_64\n provides: so:libc.musl-x86_64.so.1 (= 1)",
			"app", "app (musl)"},
		{"an rpm takes another of any architecture",
			"app 1: tool\n scheme: rpm\n arch: x86_64\ntool 2:\n scheme: rpm\n arch: i686", "app", "app (tool)"},
		{"but its own first",
			"app 1: tool\n scheme: rpm\n arch: x86_64\ntool 2:\n scheme: rpm\n arch: i686\ntool 1:\n scheme: rpm\n arch: x86_64",
			"app", "app (tool=1)"},
		{"and one rpm for two architectures",
			"app 1: liba, lib32\n scheme: rpm\n arch: x86_64\nlib 1:\n scheme: rpm\n arch: x86_64\n provides: liba\nlib 1:\n scheme: rpm\n arch: i686\n provides: lib32",
			"app", "app (lib=1) (lib=1:i686)"},
		{"a virtual package of an rpm without a version is of all versions",
			"app 1: virtual (>= 3)\n scheme: rpm\n arch: noarch\nlib 1:\n scheme: rpm\n arch: noarch\n provides: virtual", "app", "app (lib)"},
		{"an rpm's release need not be named",
			"app 1: lib (= 1:2.0)\n scheme: rpm\n arch: noarch\nlib 1:2.0-7:\n scheme: rpm\n arch: noarch", "app", "app (lib)"},

		{"what is not installed is named",
			"app 1: nosuch", "app", "app needs nosuch: not installed"},
		{"and by what way it is needed",
			"app 1: liba\nliba 1: libb (>= 2)\nlibb 1:", "app",
			"app needs liba, liba needs libb (>= 2): installed is 1"},
		{"the versions that are there are listed",
			"blender 3: python3 (>= 3.11)\npython3 2.7.18:\npython3 3.9.2:", "blender",
			"blender needs python3 (>= 3.11): installed are 3.9.2 and 2.7.18"},
		{"no alternative is installed",
			"app 1: a | b", "app", "app needs a | b: none of them is installed"},
		{"every alternative has its own reason",
			"app 1: a | b\na 1: nosuch\nb 1:\n conflicts: app", "app",
			"app needs a | b: a=1 needs nosuch: not installed; b=1 conflicts with app: there is app=1"},
		{"two who need two versions",
			"app 1: x, y\nx 1: lib (<< 2)\ny 1: lib (>= 2)\nlib 1:\nlib 2:", "app",
			"app needs y, y needs lib (>= 2): lib=2 cannot be there together with lib=1 (which x needs)"},
		{"a conflict without a way out",
			"app 1: x, y\nx 1:\ny 1:\n conflicts: x", "app",
			"app needs y: y=1 conflicts with x: there is x=1 (which app needs)"},
		{"nor in the other direction",
			"app 1: y, x\nx 1:\ny 1:\n conflicts: x", "app",
			"app needs x: y=1 (which app needs) conflicts with x=1"},
	} {
		if got := answer(archive(t, c.packages), nil, c.root); got != c.want {
			t.Errorf("%s:\ngot  %s\nwant %s", c.about, got, c.want)
		}
	}
}

// More packages than places, which no search sees that only tries: it is refused,
// and with places enough it resolves.
func TestPigeonholes(t *testing.T) {
	for _, versions := range []bool{false, true} {
		for _, n := range []int{3, 7, 12, 25} {
			for _, spare := range []int{-1, 0, 3} {
				switch got := answer(archive(t, solvertest.Pigeons(n, n+spare, versions)), nil, "app"); {
				case spare >= 0 && strings.Count(got, " (") != 2*n:
					t.Errorf("%d in %d places: %s", n, n+spare, got)
				case spare < 0 && (strings.HasPrefix(got, "app (") || strings.Contains(got, "gave up") || len(got) > 4000):
					t.Errorf("%d in %d places: %s", n, n+spare, got)
				}
			}
		}
	}
}

// A chain that is as deep as an archive is large.
func TestDeepClosure(t *testing.T) {
	const depth = 60_000
	all := make([]*pkgmeta.Meta, depth)
	for i := range all {
		all[i] = &pkgmeta.Meta{Ref: pkgmeta.Ref{Name: fmt.Sprintf("p%06d", i), Version: "1"}, Scheme: version.Debian}
		if i+1 < depth {
			all[i].Depends = []relation.Clause{{{Name: fmt.Sprintf("p%06d", i+1)}}}
		}
	}
	resolve := func() *Closure {
		pool := poolOf(all)
		return pool.Resolve(Question{Base: pool.Base(all[0])}, all[:1])
	}
	if c := resolve(); len(c.Failed) > 0 || len(c.Chosen) != depth {
		t.Fatal(c.Failed, len(c.Chosen))
	}
	all[depth-1].Depends = []relation.Clause{{{Name: "nosuch"}}}
	c := resolve()
	if len(c.Failed) != 1 || len(c.Failed[0].Reason) > 300 || !strings.HasSuffix(c.Failed[0].Reason, "p059999 needs nosuch: not installed") {
		t.Fatal(c.Failed)
	}
}

// Small random archives: a closure is right wherever one exists, and refused only
// where none does, as trying every subset tells.
func TestResolveAgainstEverySubset(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	resolved, refused := 0, 0
	for round := range 3000 {
		text := solvertest.Random(r)
		all := archive(t, text)
		root := all[r.IntN(len(all))]
		pool := poolOf(all)
		c := pool.Resolve(Question{Base: pool.Native()}, []*pkgmeta.Meta{root})
		possible := someSubset(all, root)
		if (len(c.Failed) == 0) != possible {
			t.Fatalf("round %d, %s: found %v, possible %v in\n%s", round, root.Ref, c.Failed, possible, text)
		}
		if !possible {
			refused++
			if words := c.Failed[0].Reason; words == "" || len(words) > 4000 {
				t.Fatalf("round %d: reason %q", round, words)
			}
			continue
		}
		resolved++
		var got []*pkgmeta.Meta
		for _, c := range c.Chosen {
			got = append(got, c.Package)
		}
		if why := inconsistent(got); why != "" {
			t.Fatalf("round %d, %s: %s in\n%s", round, root.Ref, why, text)
		}
	}
	if resolved < 300 || refused < 300 {
		t.Errorf("%d resolved and %d refused: the archives prove little", resolved, refused)
	}
}

// someSubset tries every subset of all that holds roots.
func someSubset(all []*pkgmeta.Meta, roots ...*pkgmeta.Meta) bool {
	for bits := range 1 << len(all) {
		var some []*pkgmeta.Meta
		for i, p := range all {
			if bits>>i&1 == 1 {
				some = append(some, p)
			}
		}
		if !slices.ContainsFunc(roots, func(p *pkgmeta.Meta) bool { return !slices.Contains(some, p) }) && inconsistent(some) == "" {
			return true
		}
	}
	return false
}

// inconsistent says what is wrong with a set of packages, by the definitions and
// without the resolver's own structures.
func inconsistent(some []*pkgmeta.Meta) string {
	for i, p := range some {
		for _, q := range some[:i] {
			if p.Name == q.Name {
				return fmt.Sprintf("%s beside %s", p.Ref, q.Ref)
			}
		}
		for _, clause := range p.Depends {
			if !slices.ContainsFunc(some, func(q *pkgmeta.Meta) bool {
				return slices.ContainsFunc(clause, func(term relation.Term) bool { return carriesPlainly(term, q) })
			}) {
				return fmt.Sprintf("%s lacks %s", p.Ref, clause)
			}
		}
		for _, term := range p.Conflicts {
			for _, q := range some {
				if q.Name != p.Name && carriesPlainly(term, q) {
					return fmt.Sprintf("%s beside %s, which it conflicts with", p.Ref, q.Ref)
				}
			}
		}
	}
	return ""
}

func carriesPlainly(t relation.Term, p *pkgmeta.Meta) bool {
	have := map[string]string{p.Name: p.Version}
	for _, v := range p.Provides {
		have[v.Name] = v.Version
	}
	ver, ok := have[t.Name]
	switch {
	case !ok:
		return false
	case t.Op == version.OpLaterEqual:
		return ver >= t.Version
	case t.Op == version.OpEarlier:
		return ver < t.Version
	}
	return true
}
