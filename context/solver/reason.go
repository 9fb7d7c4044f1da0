package solver

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/packagefs/packagefs/pkgindex/pkgmeta"
	"github.com/packagefs/packagefs/pkgindex/relation"
	"github.com/packagefs/packagefs/pkgindex/version"
)

// gaveUpWords tell of a search that met its limit.
const gaveUpWords = "gave up after too many combinations, so it is not known whether there is a way; pin what it depends on to certain versions"

const (
	maxAttempts = 3 // candidates whose failure is told
	maxDepth    = 3 // failures within failures that are told
	maxLinks    = 6 // packages in a chain that are told
	maxVersions = 5 // installed versions that are told

	// maxWords bounds, in bytes, a reason that goes through what was tried.
	maxWords = 800
)

// A failure is a conflict: what could not be had, and what was tried.
type failure struct {
	need     need
	root     *pkgmeta.Meta // set instead of need where a root itself cannot be
	attempts []attempt

	blame []int // levels of the decisions that took part
	depth int   // of the failures within
}

// An attempt is a candidate that could not be taken, for one of two reasons.
type attempt struct {
	pkg      *pkgmeta.Meta
	obstacle *obstacle // what was there already
	because  *failure  // what it needs cannot be had
}

// An obstacle is a chosen package that another cannot be with. Without a term
// they are two versions of one name.
type obstacle struct {
	by   *Choice
	term relation.Term
	mine bool // the term is of the package that comes, not of the one that is there
}

// shallow bounds what a failure holds on to.
func (f *failure) shallow() *failure {
	for _, a := range f.attempts {
		if a.because != nil {
			f.depth = max(f.depth, a.because.depth+1)
		}
	}
	if f.depth < maxDepth {
		return f
	}
	return &failure{need: f.need, root: f.root}
}

// words tells why a closure does not resolve, to those who may know of all
// packages. It begins at from, or at the root if from is nil.
func (o *policy) words(f *failure, from *pkgmeta.Meta) string {
	if f.root != nil {
		return o.obstacleWords(f.root, f.attempts[0].obstacle)
	}
	var b strings.Builder
	b.WriteString(chain(f.need.by, from))
	b.WriteString(" needs ")
	b.WriteString(f.need.clause.String())
	b.WriteString(": ")
	b.WriteString(o.shortage(f))
	return b.String()
}

// chain names the packages from a root, or from one on the way, to the one of c:
// "app needs lib, lib".
func chain(c *Choice, from *pkgmeta.Meta) string {
	var links []string
	for last := false; c != nil && !last; c = c.By {
		text := c.Package.Name
		last = c.Package == from
		if last {
			text = c.Package.Ref.String()
		} else if c.By != nil {
			text = c.Clause.String()
			if len(c.Clause) > 1 || c.Clause[0].Name != c.Package.Name {
				text += " (" + c.Package.Name + ")"
			}
			text += ", " + c.Package.Name
		}
		links = append(links, text)
	}
	slices.Reverse(links)
	if len(links) > maxLinks {
		links = slices.Concat(links[:2], []string{"…"}, links[len(links)-maxLinks+3:])
	}
	return strings.Join(links, " needs ")
}

// shortage says what is wrong with each way to fulfil the need of f.
func (o *policy) shortage(f *failure) string {
	if len(f.attempts) == 0 {
		return o.absence(f.need.by.Package, f.need.clause)
	}
	var parts []string
	for _, a := range f.attempts {
		if a.because != nil {
			parts = append(parts, o.words(a.because, a.pkg))
		} else {
			parts = append(parts, o.obstacleWords(a.pkg, a.obstacle))
		}
	}
	if rest := len(f.need.candidates) - len(f.attempts); rest > 0 {
		parts = append(parts, fmt.Sprintf("and %d more like this", rest))
	}
	return strings.Join(parts, "; ")
}

// obstacleWords says why p cannot be together with what is there.
func (o *policy) obstacleWords(p *pkgmeta.Meta, ob *obstacle) string {
	there := o.ref(ob.by.Package)
	if ob.by.By != nil && !o.isAssumed(ob.by.Package) {
		there += " (which " + ob.by.By.Package.Name + " needs)"
	}
	switch {
	case ob.term.Name == "":
		return fmt.Sprintf("%s cannot be there together with %s", o.ref(p), there)
	case ob.mine:
		return fmt.Sprintf("%s conflicts with %s: there is %s", o.ref(p), ob.term, there)
	case ob.term.Op == version.OpAny && ob.term.Name == p.Name:
		return fmt.Sprintf("%s conflicts with %s", there, o.ref(p))
	}
	return fmt.Sprintf("%s conflicts with %s: that is %s", there, ob.term, o.ref(p))
}

func (o *policy) isAssumed(p *pkgmeta.Meta) bool { return o.graph.number[p] >= o.graph.assumed }

// ref names a package, and says so if it is one of the root file system.
func (o *policy) ref(p *pkgmeta.Meta) string {
	if o.isAssumed(p) {
		return p.Ref.String() + " (of the root file system)"
	}
	return p.Ref.String()
}

// absence says why nothing that is installed fulfils the clause.
func (o *policy) absence(from *pkgmeta.Meta, clause relation.Clause) string {
	var parts []string
	none := true
	for _, t := range clause {
		text, installed := o.termAbsence(from, t)
		none = none && !installed
		if len(clause) > 1 {
			text = t.Name + ": " + text
		}
		parts = append(parts, text)
	}
	if none && len(clause) > 1 {
		return "none of them is installed"
	}
	return strings.Join(parts, "; ")
}

// termAbsence says why nothing fulfils the term, and whether anything of that
// name is installed: what is there and does not fit, and what would fit and is
// kept out.
func (o *policy) termAbsence(from *pkgmeta.Meta, t relation.Term) (text string, installed bool) {
	var others, wrongArch, providers []*pkgmeta.Meta
	barred := make(map[string][]string) // packages by what keeps them out
	for _, i := range o.graph.byName[t.Name] {
		switch p := o.graph.packages[i]; {
		case o.graph.carries(from, t, p):
			barred[o.barWords(i)] = append(barred[o.barWords(i)], p.Version)
		case MeetsVersion(from, t, p.Scheme, p.Version):
			wrongArch = append(wrongArch, p)
		case o.Shown[t.Name] != p: // that one is told of beside those it keeps out
			others = append(others, p)
		}
	}
	for _, i := range o.graph.byWhat[t.Name] {
		if p := o.graph.packages[i]; o.graph.carries(from, t, p) {
			barred[o.barWords(i)] = append(barred[o.barWords(i)], p.Ref.String())
		} else {
			providers = append(providers, p)
		}
	}
	if shown := o.Shown[t.Name]; shown != nil && len(barred) == 0 {
		others = append(others, shown)
	}
	var parts []string
	if len(others) > 0 {
		parts = append(parts, InstalledVersions(from, others))
	}
	for _, why := range slices.Sorted(maps.Keys(barred)) {
		parts = append(parts, why+": "+listed(barred[why]))
	}
	switch {
	case len(parts) > 0:
	case len(wrongArch) > 0:
		parts = append(parts, "installed for "+wrongArch[0].Architecture+" only")
	case len(providers) > 0:
		parts = append(parts, providers[0].Ref.String()+" provides it, but not in that version")
	default:
		return "not installed", false
	}
	return strings.Join(parts, "; "), true
}

// barWords says what keeps a package that would do out.
func (o *policy) barWords(i int32) string {
	p := o.graph.packages[i]
	switch o.bars(i) {
	case barDenied:
		return "hidden by deny in " + o.Rules.DeniedBy(p.Ref)
	case barPinned:
		version, context := o.Rules.PinOf(p.Name)
		return fmt.Sprintf("hidden by pin %q in %s", version, context)
	case barShown:
		return fmt.Sprintf("hidden by %s, which the context shows", o.Shown[p.Name].Ref)
	case barNone:
	}
	return "does not fit"
}

// list tells of needs that cannot all be met where no choice stands out.
func (o *policy) list(c *core) string {
	const most = 4
	var parts []string
	for _, n := range c.needs[:min(most, len(c.needs))] {
		p := o.graph.packages[n.pkg]
		parts = append(parts, p.Name+" needs "+shortClause(p.Depends[n.at]))
	}
	if more := len(c.needs) - most; more > 0 {
		parts = append(parts, fmt.Sprintf("and %d more", more))
	}
	return o.graph.packages[c.roots[len(c.roots)-1]].Ref.String() + " needs what cannot all be there together: " + strings.Join(parts, "; ")
}

// shortClause leaves out alternatives beyond the first few.
func shortClause(c relation.Clause) string {
	const most = 3
	if len(c) > most+1 {
		return fmt.Sprintf("%s or one of %d more", c[:most], len(c)-most)
	}
	return c.String()
}

// InstalledVersions lists the versions of packages of one name.
func InstalledVersions(from *pkgmeta.Meta, ps []*pkgmeta.Meta) string {
	var versions []string
	for _, p := range ps {
		v := p.Version
		if from != nil && p.Scheme != from.Scheme {
			v += " (not comparable: " + string(p.Format) + ")"
		}
		if !slices.Contains(versions, v) {
			versions = append(versions, v)
		}
	}
	if len(versions) == 1 {
		return "installed is " + versions[0]
	}
	return "installed are " + listed(versions)
}

// listed writes a list for people: "1, 2 and 3".
func listed(items []string) string {
	if n := len(items); n > maxVersions {
		items = append(items[:maxVersions:maxVersions], fmt.Sprintf("%d more", n-maxVersions))
	}
	if len(items) == 1 {
		return items[0]
	}
	last := len(items) - 1
	return strings.Join(items[:last], ", ") + " and " + items[last]
}
