package context

import (
	"fmt"
	"strings"
	"testing"

	"github.com/packagefs/packagefs/context/attachname"
	"github.com/packagefs/packagefs/context/files"
	"github.com/packagefs/packagefs/pkgindex"
	"github.com/packagefs/packagefs/pkgindex/pkgmeta"
	"github.com/packagefs/packagefs/pkgindex/relation"
	"github.com/packagefs/packagefs/pkgindex/version"
)

// many makes n users' contexts of ten packages each, out of a thousand packages
// that need one another.
func many(t testing.TB, n int) (*Contexts, *pkgindex.Set) {
	var packages []*pkgindex.Package
	for i := range 1000 {
		p := &pkgindex.Package{ID: uint64(i), Meta: pkgmeta.Meta{
			Ref: pkgmeta.Ref{Name: fmt.Sprintf("p%03d", i), Version: "1"}, Scheme: version.Debian, Architecture: "amd64",
		}}
		if i > 0 {
			p.Depends = []relation.Clause{{{Name: fmt.Sprintf("p%03d", i/2)}}}
		}
		packages = append(packages, p)
	}
	var files strings.Builder
	for i := range n {
		fmt.Fprintf(&files, "== user:u%05d.toml\ndependencies = \"visible\"\ntoplevel = [", i)
		for j := range 10 {
			fmt.Fprintf(&files, "\"p%03d\", ", (i*7+j*j*31)%1000)
		}
		files.WriteString("]\n")
	}
	return contextsOf(t, files.String()), pkgindex.NewSet(1, packages, nil)
}

func oneOf(i int) attachname.Name { return attachname.OfUser(fmt.Sprintf("u%05d", i)) }

// TestChangeIsAlone changes one of many contexts: the views of all others are
// those that were there before.
func TestChangeIsAlone(t *testing.T) {
	const n = 1000
	contexts, set := many(t, n)
	before := make([]*View, n)
	for i := range before {
		v, err := contexts.Resolve(set, oneOf(i), Caller{Trusted: true})
		if err != nil || len(v.Packages) < 10 {
			t.Fatal(v, err)
		}
		before[i] = v
	}
	if err := contexts.Store.Edit("test", files.Change{Context: "user:u00007", Op: files.OpAdd, Key: "toplevel", Values: []string{"p999"}}); err != nil {
		t.Fatal(err)
	}
	for i, old := range before {
		v, err := contexts.Resolve(set, oneOf(i), Caller{Trusted: true})
		if err != nil {
			t.Fatal(err)
		}
		if same := &v.Packages[0] == &old.Packages[0]; same == (i == 7) {
			t.Errorf("view of u%05d: made anew is %t", i, !same)
		}
	}
}

// BenchmarkKnownView asks for views that are known, among ten thousand.
func BenchmarkKnownView(b *testing.B) {
	const n = 10_000
	contexts, set := many(b, n)
	for i := range n {
		if _, err := contexts.Resolve(set, oneOf(i), Caller{Trusted: true}); err != nil {
			b.Fatal(err)
		}
	}
	i := 0
	for b.Loop() {
		if _, err := contexts.Resolve(set, oneOf(i%n), Caller{Trusted: true}); err != nil {
			b.Fatal(err)
		}
		i += 7
	}
}

// BenchmarkEditOfMany changes one of ten thousand contexts and asks for its
// view.
func BenchmarkEditOfMany(b *testing.B) {
	contexts, set := many(b, 10_000)
	ops := []files.ChangeOp{files.OpAdd, files.OpDel}
	i := 0
	for b.Loop() {
		change := files.Change{Context: "user:u00007", Op: ops[i%2], Key: "toplevel", Values: []string{"p999"}}
		if err := contexts.Store.Edit("benchmark", change); err != nil {
			b.Fatal(err)
		}
		if _, err := contexts.Resolve(set, oneOf(7), Caller{Trusted: true}); err != nil {
			b.Fatal(err)
		}
		i++
	}
}
