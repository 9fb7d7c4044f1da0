package context

import (
	"fmt"
	"slices"
	"strings"

	"github.com/packagefs/packagefs/pkgindex"
)

const (
	maxAttempts = 3 // candidates whose failure is told
	maxDepth    = 3 // failures within failures that are told
	maxLinks    = 6 // packages in a chain that are told
	maxVersions = 5 // installed versions that are told
)

// A failure is a dead end: what could not be had, and what was tried.
type failure struct {
	need     need
	root     *pkgindex.Package // set instead of need where a root itself cannot be
	attempts []attempt
	budget   bool // the search was given up

	blame []int // levels of the decisions that took part
	depth int   // of the failures within
}

// An attempt is a candidate that could not be taken, for one of two reasons.
type attempt struct {
	pkg      *pkgindex.Package
	obstacle *obstacle // what was there already
	because  *failure  // what it needs cannot be had
}

// An obstacle is a chosen package that another cannot be with. Without a term
// they are two versions of one name.
type obstacle struct {
	by   *choice
	term pkgindex.Term
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
	return &failure{need: f.need, root: f.root, budget: f.budget}
}

// words tells why a closure does not resolve, to those who may know of all
// packages. It begins at from, or at the root if from is nil.
func (o *policy) words(f *failure, from *pkgindex.Package) string {
	switch {
	case f.budget:
		return "gave up after too many combinations; pin what it depends on to certain versions"
	case f.root != nil:
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
func chain(c *choice, from *pkgindex.Package) string {
	var links []string
	for last := false; c != nil && !last; c = c.by {
		text := c.pkg.Name
		last = c.pkg == from
		if last {
			text = c.pkg.Ref.String()
		} else if c.by != nil {
			text = c.clause.String()
			if len(c.clause) > 1 || c.clause[0].Name != c.pkg.Name {
				text += " (" + c.pkg.Name + ")"
			}
			text += ", " + c.pkg.Name
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
		return o.absence(f.need.by.pkg, f.need.clause)
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
func (o *policy) obstacleWords(p *pkgindex.Package, ob *obstacle) string {
	there := ob.by.pkg.Ref.String()
	if ob.by.by != nil {
		there += " (which " + ob.by.by.pkg.Name + " needs)"
	}
	switch {
	case ob.term.Name == "":
		return fmt.Sprintf("%s cannot be there together with %s", p.Ref, there)
	case ob.mine:
		return fmt.Sprintf("%s conflicts with %s: there is %s", p.Ref, ob.term, there)
	}
	return fmt.Sprintf("%s conflicts with %s", there, p.Ref)
}

// absence says why nothing that is installed fulfils the clause.
func (o *policy) absence(from *pkgindex.Package, clause pkgindex.Clause) string {
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
// name is installed.
func (o *policy) termAbsence(from *pkgindex.Package, t pkgindex.Term) (text string, installed bool) {
	var others, wrongArch, providers []*pkgindex.Package
	for _, p := range o.set.Named(t.Name) {
		switch {
		case o.carries(from, t, p):
			return o.barWords(p), true
		case meetsVersion(from, t, p.Scheme, p.Version):
			wrongArch = append(wrongArch, p)
		default:
			others = append(others, p)
		}
	}
	for _, p := range o.set.Providing(t.Name) {
		if o.carries(from, t, p) {
			return o.barWords(p), true
		}
		providers = append(providers, p)
	}
	switch {
	case len(wrongArch) > 0:
		return "installed for " + wrongArch[0].Architecture + " only", true
	case len(others) > 0:
		return installedVersions(from, others), true
	case len(providers) > 0:
		return fmt.Sprintf("%s provides it, but not in that version", providers[0].Ref), true
	}
	return "not installed", false
}

// barWords says what keeps a package that would do out.
func (o *policy) barWords(p *pkgindex.Package) string {
	switch o.bars(p) {
	case barDenied:
		return p.Ref.String() + " is " + o.rules.refusal(p.Ref)
	case barPinned:
		version, file, _ := o.rules.pin(p.Name)
		return fmt.Sprintf("%s is installed, but %s pins it to %s", p.Ref, file, version)
	case barFixed:
		return fmt.Sprintf("%s is installed, but the context shows %s", p.Ref, o.fixed[p.Name].Ref)
	case barNone:
	}
	return p.Ref.String() + " does not fit"
}

// installedVersions lists the versions of packages of one name.
func installedVersions(from *pkgindex.Package, ps []*pkgindex.Package) string {
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
	if n := len(versions); n > maxVersions {
		versions = append(versions[:maxVersions], fmt.Sprintf("%d more", n-maxVersions))
	}
	if len(versions) == 1 {
		return "installed is " + versions[0]
	}
	last := len(versions) - 1
	return "installed are " + strings.Join(versions[:last], ", ") + " and " + versions[last]
}
