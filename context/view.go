package context

import (
	"cmp"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"slices"

	"github.com/packagefs/packagefs/context/attachname"
	"github.com/packagefs/packagefs/context/files"
	"github.com/packagefs/packagefs/context/solver"
	"github.com/packagefs/packagefs/pkgindex"
	"github.com/packagefs/packagefs/pkgindex/pkgmeta"
	"github.com/packagefs/packagefs/pkgindex/relation"
)

// A View is a context resolved to an ordered list of packages. It is immutable.
type View struct {
	Name       attachname.Name // canonical: names in the place of numbers
	Generation uint64          // of the Set it was made from

	// Packages is in the view's order: of two files with one path, the package
	// that comes first wins. Why has the reason of each.
	Packages []*pkgindex.Package
	Why      []Why

	// Preferred are the packages whose files are chosen where several packages have
	// one that does: those that a prefer list names, in its order. In the context
	// of a package that one comes first, for it is what somebody started.
	Preferred []*pkgindex.Package

	// Added are those of Packages that only the attach name brings, with all that is
	// there for these: without it the context would not have them. nil for none.
	Added map[*pkgindex.Package]bool

	// Missing lists what the context asks for and does not get.
	Missing []Missing

	// Key is the same for views of one Set that have the same packages in the
	// same order, and for no others.
	Key string

	Dependencies files.Dependencies
	Mutable      files.Mutability

	// Closures tells what the packages of a view that hides dependencies need;
	// nil for other views.
	Closures *Closures
}

// Why says why a package is in a view.
type Why struct {
	Toplevel bool // else it is there for another

	Pattern string            // the entry of a toplevel list, or the selector of the attach name
	File    string            // base name of the context file with that entry
	By      *pkgindex.Package // that needs it
	Clause  relation.Clause   // of By
}

func (w Why) String() string {
	switch {
	case w.By != nil:
		return fmt.Sprintf("%s needs %s", w.By.Ref, w.Clause)
	case w.File != "":
		return fmt.Sprintf("toplevel %q in %s", w.Pattern, w.File)
	case w.Pattern != "":
		return fmt.Sprintf("%q in the attach name", w.Pattern)
	}
	return "no file has a toplevel list: every allowed package is toplevel"
}

// A Missing is something that a context asks for and does not get.
type Missing struct {
	Package string `json:"package"`        // as asked for: a name, a selector or a glob
	From    string `json:"from,omitempty"` // base name of the file that asks, if one does
	Reason  string `json:"reason"`         // for administrators

	// public is what everyone may read; empty if not even that it is missing.
	public string
}

// build makes the view of a subject, without its Name.
func (m *memo) build(s *subject) (*View, error) {
	b := &builder{catalog: m.catalog(), subject: s, shown: make(map[string]*pkgmeta.Meta)}
	v := &View{Generation: m.set.Generation, Dependencies: s.rules.dependencies, Mutable: s.rules.mutable}
	var err error
	switch s.name.Kind {
	case attachname.KindPackage:
		v.Dependencies, v.Mutable = files.Visible, files.MutableNone
		err = b.packageView()
	case attachname.KindAll:
		v.Dependencies, v.Mutable = files.Visible, files.MutableNone
		err = b.allView()
	default:
		err = b.userView()
	}
	if err != nil {
		return nil, err
	}
	members := order(b.members, s.rules.prefer)
	v.Missing = b.missing
	v.Packages = make([]*pkgindex.Package, len(members))
	v.Why = make([]Why, len(members))
	digest := sha256.New()
	var id [8]byte
	for i, member := range members {
		v.Packages[i], v.Why[i] = member.pkg, member.why
		if s.rules.prefer.index(member.pkg.Ref) >= 0 {
			v.Preferred = append(v.Preferred, member.pkg)
		}
		binary.LittleEndian.PutUint64(id[:], member.pkg.ID)
		digest.Write(id[:])
	}
	if s.name.Kind == attachname.KindPackage {
		v.Preferred = slices.Concat(toplevelOf(members), v.Preferred)
	}
	v.Key = hex.EncodeToString(digest.Sum(nil)[:16])
	v.Added, err = m.addedTo(s, b.bare(), v.Packages)
	return v, err
}

// bare is the attach name without what it adds to the context.
func (b *builder) bare() attachname.Name {
	if b.name.Kind == attachname.KindPackage {
		return b.name.With(b.members[0].pkg.Ref)
	}
	return b.name.With()
}

// addedTo returns which of packages, those of a subject, that of the bare name has
// not.
func (m *memo) addedTo(s *subject, bare attachname.Name, packages []*pkgindex.Package) (map[*pkgindex.Package]bool, error) {
	if bare.Selection() == s.name.Selection() {
		return nil, nil
	}
	base, err := m.view(&subject{name: bare, rules: s.rules, may: s.may})
	if err != nil {
		return nil, err
	}
	var added map[*pkgindex.Package]bool
	has := make(map[*pkgindex.Package]bool, len(base.Packages))
	for _, p := range base.Packages {
		has[p] = true
	}
	for _, p := range packages {
		if !has[p] {
			if added == nil {
				added = make(map[*pkgindex.Package]bool)
			}
			added[p] = true
		}
	}
	return added, nil
}

// toplevelOf returns the toplevel packages among members.
func toplevelOf(members []member) (roots []*pkgindex.Package) {
	for _, m := range members {
		if m.why.Toplevel {
			roots = append(roots, m.pkg)
		}
	}
	return roots
}

// builder gathers the members of one view.
type builder struct {
	catalog *catalog
	*subject
	members []member
	shown   map[string]*pkgmeta.Meta // toplevel packages by name, one each
	missing []Missing

	selectors int                        // how many toplevel packages the attach name brings
	added     map[*pkgindex.Package]bool // by it, to the context
}

func (b *builder) add(p *pkgindex.Package, why Why) {
	b.members = append(b.members, member{p, why, b.added[p]})
	if why.Toplevel {
		b.shown[p.Name] = &p.Meta
	}
}

// adds notes what the attach name adds to the context.
func (b *builder) adds(picks []pick) {
	b.added = make(map[*pkgindex.Package]bool, len(picks))
	for _, p := range picks {
		b.added[p.pkg] = true
	}
}

// allView shows every version of every package.
func (b *builder) allView() error {
	picks, err := b.selected()
	if err != nil {
		return err
	}
	named := make(map[*pkgindex.Package]string)
	for _, p := range picks {
		named[p.pkg] = p.why.Pattern
	}
	b.adds(picks)
	for _, p := range b.catalog.set.Packages {
		b.add(p, Why{Toplevel: true, Pattern: cmp.Or(named[p], "all")})
	}
	return nil
}

// packageView shows the closure of one package, and of those that the attach
// name adds.
func (b *builder) packageView() error {
	picks, err := b.selected()
	if err != nil {
		return err
	}
	b.adds(picks[1:])
	for _, p := range picks {
		b.add(p.pkg, p.why)
	}
	root := &picks[0].pkg.Meta
	q := solver.Question{Base: b.catalog.pool.Base(root), Rules: b.rules, Shown: b.shown}
	c := b.catalog.pool.Resolve(q, rootsOf(picks))
	for _, f := range c.Failed {
		if f.Root == root {
			return &attachname.Error{Class: ErrUnresolvable, Reason: f.Reason}
		}
	}
	b.addClosure(q, c)
	return nil
}

// userView shows what the rules of a user or a group say.
func (b *builder) userView() error {
	picks, err := b.selected()
	if err != nil {
		return err
	}
	b.adds(picks)
	for _, p := range picks {
		b.add(p.pkg, p.why)
	}
	if b.rules.toplevelAll {
		b.everything()
	} else {
		picks = append(picks, b.toplevel()...)
	}
	roots := rootsOf(picks)
	if b.rules.dependencies == files.Hidden {
		roots = roots[:b.selectors]
	}
	if len(roots) > 0 {
		q := solver.Question{Base: b.catalog.pool.Native(), Rules: b.rules, Shown: b.shown, Bounded: true}
		b.addClosure(q, b.catalog.pool.Resolve(q, roots))
	}
	return nil
}

// addClosure adds the dependencies of a closure, as far as they may be shown,
// and notes what failed.
func (b *builder) addClosure(q solver.Question, c *solver.Closure) {
	for _, f := range c.Failed {
		b.miss(f.Root.Ref.String(), "", "shown without all it needs: "+f.Reason, "shown without all it needs")
	}
	all := b.catalog.set.Packages
	for _, choice := range c.Chosen {
		p := choice.Package
		switch {
		case choice.By == nil || b.shown[p.Name] == p || choice.At >= len(all): // a root, or of the root file system
		case q.Bounded && !b.rules.Allows(p.Ref):
			b.miss(p.Ref.String(), "", fmt.Sprintf("%s needs it, but it is %s", choice.By.Package.Ref, b.rules.refusal(p.Ref)), "")
		default:
			b.add(all[choice.At], Why{By: all[choice.By.At], Clause: choice.Clause})
		}
	}
}

// miss notes something missing. Where the rules hide nothing, everyone may read
// the reason.
func (b *builder) miss(what, from, reason, public string) {
	if b.rules.unrestricted() && b.may.unrestricted() {
		public = reason
	}
	b.missing = append(b.missing, Missing{what, from, reason, public})
}
