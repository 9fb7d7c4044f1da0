package context

import (
	stdcontext "context"
	"errors"
	"fmt"
	"math/rand/v2"
	"regexp"
	"strings"
	"testing"

	"github.com/packagefs/packagefs/context/files"
	"github.com/packagefs/packagefs/context/solver/solvertest"
	"github.com/packagefs/packagefs/pkgindex/pkgmeta"
)

// verdicts writes what a check found, failures with their reasons.
func verdicts(vs []Verdict) string {
	var out []string
	for _, v := range vs {
		s := v.Package.Ref.String()
		if !v.OK {
			s += ": " + v.Reason
		}
		out = append(out, s)
	}
	return strings.Join(out, "\n")
}

func TestCheck(t *testing.T) {
	const packages = "app 1: lib (>= 2)\nold 1: lib (<< 2)\nbad 1: old, app\nlib 1:\nlib 2:\nnmap 7:\nscan 1: nmap\n"
	for _, c := range []struct{ about, files, caller, want string }{
		{"every version of every package", "", "root",
			"app=1\nbad=1: bad needs app, app needs lib (>= 2): lib=2 cannot be there together with lib=1 (which old needs)\nlib=2\nlib=1\nnmap=7\nold=1\nscan=1"},
		{"a user without rules sees the same", "", "alice",
			"app=1\nbad=1: bad needs app, app needs lib (>= 2): lib=2 cannot be there together with lib=1 (which old needs)\nlib=2\nlib=1\nnmap=7\nold=1\nscan=1"},
		{"what is denied is not there", "== system.toml\ndeny = [\"nmap\"]", "root",
			"app=1\nbad=1: bad needs app, app needs lib (>= 2): lib=2 cannot be there together with lib=1 (which old needs)\nlib=2\nlib=1\nold=1\nscan=1: scan needs nmap: hidden by deny in system: 7"},
		{"and who may not know of it reads no reason", "== system.toml\ndeny = [\"nmap\"]", "alice",
			"app=1\nbad=1: what the package needs does not resolve\nlib=2\nlib=1\nold=1\nscan=1: what the package needs does not resolve"},
		{"pins decide", "== system.toml\npin = { lib = \"1\" }", "root",
			"app=1: app needs lib (>= 2): installed is 1; hidden by pin \"1\" in system: 2\nbad=1: bad needs app, app needs lib (>= 2): installed is 1; hidden by pin \"1\" in system: 2\nlib=2\nlib=1\nnmap=7\nold=1\nscan=1"},
		{"a user's allow list bounds what is named, not what that needs", "== user:alice.toml\nallow = [\"scan\", \"bad\"]", "alice",
			"bad=1: what the package needs does not resolve\nscan=1"},
		{"nobody", "", "nobody", "ErrDenied"},
	} {
		contexts := contextsOf(t, c.files)
		set := setOf(t, packages)
		for range 2 { // the second answer is a kept one
			vs, err := contexts.Check(t.Context(), set, as(t, c.caller), nil)
			got := verdicts(vs)
			if errors.Is(err, ErrDenied) {
				got = "ErrDenied"
			} else if err != nil {
				got = err.Error()
			}
			if got != c.want {
				t.Errorf("%s:\ngot  %s\nwant %s", c.about, got, c.want)
			}
		}
	}
}

// A check that looks at many packages together says of each what its own context
// says.
func TestCheckAgainstResolve(t *testing.T) {
	r := rand.New(rand.NewPCG(13, 14))
	contexts := contextsOf(t, "== system.toml\npin = { a1 = \"1\" }\ndeny = [\"b2\"]")
	failed, ok := 0, 0
	for round := range 150 {
		text := manyArchives(r, 6)
		set := setOf(t, text)
		vs, err := contexts.Check(t.Context(), set, Caller{Trusted: true}, nil)
		if err != nil {
			t.Fatal(err)
		}
		m := contexts.memoFor(set)
		u := m.catalog().pool
		rules, err := m.rules(files.System)
		if err != nil {
			t.Fatal(err)
		}
		for _, v := range vs {
			left := u.Resolve(ownQuestion(u, rules, &v.Package.Meta), []*pkgmeta.Meta{&v.Package.Meta}).Failed
			if v.OK != (len(left) == 0) || !v.OK && v.Reason != left[0].Reason {
				t.Fatalf("round %d: %s %s: check says %v %s, its context %v in\n%s", round, v.Package.Ref, v.Package.Architecture, v.OK, v.Reason, left, text)
			}
			if v.OK {
				ok++
			} else {
				failed++
			}
		}
	}
	if ok < 1000 || failed < 1000 {
		t.Errorf("%d resolve and %d do not: they prove little", ok, failed)
	}
}

// manyArchives is several random archives with different names beside each other,
// for several architectures.
func manyArchives(r *rand.Rand, n int) string {
	name := regexp.MustCompile(`\b[a-f]\b`)
	var b strings.Builder
	for part := range n {
		for line := range strings.Lines(solvertest.Random(r)) {
			b.WriteString(name.ReplaceAllString(line, fmt.Sprintf("${0}%d", part)))
			if strings.HasPrefix(line, " ") {
				continue
			}
			switch r.IntN(5) {
			case 0:
				b.WriteString(" arch: i386\n")
			case 1:
				b.WriteString(" arch: all\n")
			case 2:
				b.WriteString(" multi-arch: foreign\n")
			}
		}
	}
	return b.String()
}

func TestCheckReportsProgressAndStops(t *testing.T) {
	set := setOf(t, solvertest.Pigeons(20, 20, false))
	contexts := &Contexts{Directory: people(""), Architecture: "amd64"}
	last := 0
	_, err := contexts.Check(t.Context(), set, Caller{Trusted: true}, func(done, total int) {
		if done < last || total != len(set.Packages) {
			t.Errorf("%d of %d done after %d", done, total, last)
		}
		last = done
	})
	if err != nil || last != len(set.Packages) {
		t.Fatal(err, last)
	}
	ctx, stop := stdcontext.WithCancel(t.Context())
	stop()
	contexts = &Contexts{Directory: people(""), Architecture: "amd64"}
	if _, err := contexts.Check(ctx, set, Caller{Trusted: true}, nil); !errors.Is(err, stdcontext.Canceled) {
		t.Fatal(err)
	}
	if vs, err := contexts.Check(t.Context(), set, Caller{Trusted: true}, nil); err != nil || len(vs) != len(set.Packages) || !vs[0].OK {
		t.Fatal("the check after one that was stopped:", err, len(vs))
	}
}
