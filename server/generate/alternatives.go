package generate

import (
	"fmt"
	"strings"

	"github.com/packagefs/packagefs/pkgindex"
	"github.com/packagefs/packagefs/union"
)

// alternatives makes the links that override files declare as alternatives, each
// to the first of its files that the tree has. Files of packages that the context
// prefers come before the others, in the order of the preference.
func alternatives(t *union.Tree, declared *pkgindex.Alternatives, preferred []*pkgindex.Package) ([]file, error) {
	if declared == nil {
		return nil, nil
	}
	rank := make(map[*pkgindex.Package]int)
	for _, p := range preferred {
		if rank[p] == 0 {
			rank[p] = len(rank) + 1
		}
	}
	var files []file
	for i := range declared.List {
		a := &declared.List[i]
		if f, ok := alternative(t, a, rank); ok && t.Vacant(a.Path) {
			files = append(files, f)
		}
	}
	return files, nil
}

// A candidate is a file that an alternative may lead to and that the tree has.
type candidate struct {
	pkgindex.AlternativeTarget
	owner *pkgindex.Package
	rank  int // from 1 where the context prefers the owner, else 0
}

// before says whether c is chosen rather than o, which comes earlier in the list.
func (c *candidate) before(o *candidate) bool { return c.rank > 0 && (o.rank == 0 || c.rank < o.rank) }

func alternative(t *union.Tree, a *pkgindex.Alternative, rank map[*pkgindex.Package]int) (f file, ok bool) {
	var all []candidate
	best := 0
	for _, target := range a.Targets {
		end, ok := t.Follow(target.Leads)
		if !ok {
			continue
		}
		if named, ok := t.File(target.Leads); ok {
			end = named // the package that has the name counts, wherever it leads
		}
		c := candidate{target, end.Package(), rank[end.Package()]}
		f.sec = max(f.sec, end.Layer.Inode(end.Ino).Sec)
		if len(all) > 0 && c.before(&all[best]) {
			best = len(all)
		}
		all = append(all, c)
	}
	if len(all) == 0 {
		return f, false
	}
	f.path, f.target, f.why = a.Path, all[best].Target, whyAlternative(a, all, best)
	return f, true
}

// whyAlternative tells which files were possible, and why one was chosen.
func whyAlternative(a *pkgindex.Alternative, all []candidate, best int) string {
	chosen := &all[best]
	reason := "the first that is there"
	if chosen.rank > 0 {
		reason = "the context prefers its package"
	}
	var b strings.Builder
	fmt.Fprintf(&b, "an alternative: %s of %s, by %s (%s)", chosen.Target, chosen.owner.Ref, chosen.File, reason)
	sep := "; also possible: "
	for i := range all {
		if i != best {
			fmt.Fprintf(&b, "%s%s of %s, by %s", sep, all[i].Target, all[i].owner.Ref, all[i].File)
			sep = ", "
		}
	}
	sep = "; not there: "
	for _, target := range a.Targets {
		there := false
		for i := range all {
			there = there || all[i].Target == target.Target
		}
		if !there {
			fmt.Fprintf(&b, "%s%s", sep, target.Target)
			sep = ", "
		}
	}
	return b.String()
}
