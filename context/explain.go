package context

import (
	"errors"
	"maps"
	"slices"
	"strings"

	"github.com/packagefs/packagefs/context/attachname"
	"github.com/packagefs/packagefs/context/files"
	"github.com/packagefs/packagefs/pkgindex"
	"github.com/packagefs/packagefs/pkgindex/pkgmeta"
)

// An Explanation is who sees what in one context, and why.
type Explanation struct {
	Context      string             `json:"context"`
	Generation   uint64             `json:"generation"`
	Dependencies files.Dependencies `json:"dependencies"`
	Mutable      files.Mutability   `json:"mutable"`
	Public       bool               `json:"public"`

	Rules    []Rule             `json:"rules"`    // in effect, the nearest layer last
	Packages []ExplainedPackage `json:"packages"` // in the view's order
	Missing  []Missing          `json:"missing"`
	Errors   []files.FileError  `json:"errors"` // of the files that make up the context

	// Reason says why the context cannot be attached to; Packages is then
	// empty.
	Reason string `json:"reason,omitempty"`
}

// A Rule is one key of one context file.
type Rule struct {
	Key    string   `json:"key"`
	Values []string `json:"values"`
	File   string   `json:"file"` // base name

	// Effective is false for a single value that a nearer file has too.
	Effective bool `json:"effective"`
}

// An ExplainedPackage is a package of a view.
type ExplainedPackage struct {
	Name         string `json:"name"`
	Version      string `json:"version"`
	Architecture string `json:"architecture"`
	Toplevel     bool   `json:"toplevel"`
	Reason       string `json:"reason"`
}

// Explain tells what name stands for, and why. To a trusted caller it explains
// even a context that does not exist or whose files are broken, by Reason; for
// others it fails as Resolve does there. A package that is not installed or does
// not resolve is explained to everyone. Callers who are not trusted do not learn
// what the rules keep from them.
func (c *Contexts) Explain(set *pkgindex.Set, name attachname.Name, caller Caller) (*Explanation, error) {
	m := c.memoFor(set)
	s, err := c.subject(m, name, caller)
	var refusal *attachname.Error
	if err != nil {
		if !errors.As(err, &refusal) || !caller.Trusted {
			return nil, named(err, name)
		}
		x := newExplanation(name, set)
		x.Reason, x.Errors = refusal.Reason, append(x.Errors, m.snap.Errors()...)
		return x, nil
	}
	x := newExplanation(s.name, set)
	x.Dependencies, x.Mutable, x.Public = s.rules.dependencies, s.rules.mutable, s.rules.public
	x.Rules = append(x.Rules, s.rules.explain(caller.Trusted)...)
	for _, e := range brokenOf(m.snap, s.rules.layers) {
		if !caller.Trusted {
			e.Reason = "the file has an error; ask whoever keeps it" // the text may quote rules
		}
		x.Errors = append(x.Errors, e)
	}
	v, err := m.view(s)
	if errors.As(err, &refusal) {
		x.Reason = refusal.Class.Error()
		if caller.Trusted || s.rules.unrestricted() && s.may.unrestricted() {
			x.Reason = refusal.Reason
		}
		return x, nil
	}
	if err != nil {
		return nil, named(err, s.name)
	}
	x.Dependencies, x.Mutable = v.Dependencies, v.Mutable
	x.Missing = append(x.Missing, v.missingFor(caller)...)
	for i, p := range v.Packages {
		x.Packages = append(x.Packages, ExplainedPackage{p.Name, p.Version, p.Architecture, v.Why[i].Toplevel, v.Why[i].String()})
	}
	return x, nil
}

// newExplanation has empty lists, which are not null in JSON.
func newExplanation(name attachname.Name, set *pkgindex.Set) *Explanation {
	return &Explanation{
		Context:    name.String(),
		Generation: set.Generation,
		Rules:      []Rule{},
		Packages:   []ExplainedPackage{},
		Missing:    []Missing{},
		Errors:     []files.FileError{},
	}
}

// missingFor returns what is missing in words that caller may read.
func (v *View) missingFor(caller Caller) []Missing {
	if caller.Trusted {
		return v.Missing
	}
	var out []Missing
	for _, m := range v.Missing {
		if m.public != "" {
			m.Reason = m.public
			out = append(out, m)
		}
	}
	return out
}

// explain lists the rules. A deny list is for administrators.
func (r *rules) explain(all bool) []Rule {
	var out []Rule
	last := make(map[string]int) // index of the nearest single value
	for _, l := range r.layers {
		list := func(key string, ps []files.Pattern) {
			if ps == nil {
				return
			}
			values := make([]string, len(ps))
			for i, p := range ps {
				values[i] = p.String()
			}
			out = append(out, Rule{key, values, l.base, true})
		}
		single := func(key, value string) {
			if value == "" {
				return
			}
			if i, ok := last[key]; ok {
				out[i].Effective = false
			}
			last[key] = len(out)
			out = append(out, Rule{key, []string{value}, l.base, true})
		}
		f := l.file
		list("allow", f.Allow)
		if all {
			list("deny", f.Deny)
		}
		list("toplevel", f.Toplevel)
		for _, p := range f.Pin {
			single("pin "+p.Name, p.Version)
		}
		list("prefer", f.Prefer)
		single("dependencies", string(f.Dependencies))
		single("mutable", string(f.Mutable))
		if f.Members != nil {
			out = append(out, Rule{"members", f.Members, l.base, true})
		}
		if f.Public != nil {
			single("public", boolText(*f.Public))
		}
	}
	return out
}

func boolText(b bool) string {
	if b {
		return "true"
	}
	return "false"
}

// brokenOf lists the files of layers that are broken, or all where there are no
// layers.
func brokenOf(snap *files.Snapshot, layers []layer) []files.FileError {
	if len(layers) == 0 {
		return snap.Errors()
	}
	return slices.DeleteFunc(snap.Errors(), func(e files.FileError) bool {
		return !slices.ContainsFunc(layers, func(l layer) bool { return l.base == e.File })
	})
}

// The states of a listed context.
const (
	StateOK    = "ok"
	StateKept  = "kept"  // its file is broken; the last good meaning is in force
	StateError = "error" // its file is broken and never was good
)

// A Listed is a context in a listing.
type Listed struct {
	Context  string   `json:"context"`        // an attach name, or system, or the name of a file that is neither
	File     string   `json:"file,omitempty"` // base name; empty for a context without one
	State    string   `json:"state"`
	Reason   string   `json:"reason,omitempty"` // what is wrong with the file
	Toplevel []string `json:"toplevel"`         // as the file has them
	Members  []string `json:"members,omitempty"`
	Public   bool     `json:"public"`
}

// List returns the contexts that have a file, and the caller's own: those of
// the user and of the user's groups, and all. A caller who is not trusted gets
// only what that caller may attach to.
func (c *Contexts) List(set *pkgindex.Set, caller Caller) ([]Listed, error) {
	m := c.memoFor(set)
	names := make(map[string]bool)
	if caller.User != nil {
		groups, err := c.groupContexts(m.snap, *caller.User)
		if err != nil {
			return nil, err
		}
		for _, g := range groups {
			names[g] = true
		}
		names[attachname.OfUser(caller.User.Name).String()] = true
	}
	names["all"] = true
	for _, context := range m.snap.Contexts() {
		names[context] = true
	}
	var out []Listed
	for _, context := range slices.Sorted(maps.Keys(names)) {
		l := listed(m.snap, context)
		if context != files.System {
			name, err := attachname.Parse(context)
			if err != nil {
				return nil, err
			}
			s, err := c.subject(m, name, caller)
			var refusal *attachname.Error
			switch {
			case err == nil:
				l.Public = s.rules.public
				if !caller.Trusted {
					l.Toplevel = slices.DeleteFunc(l.Toplevel, s.hides)
				}
			case !errors.As(err, &refusal):
				return nil, err
			case !caller.Trusted && (refusal.Class != files.ErrBroken || l.State != StateError):
				continue
			}
		} else if !caller.Trusted {
			continue
		}
		out = append(out, l)
	}
	if caller.Trusted {
		for _, e := range m.snap.Stray() {
			out = append(out, Listed{Context: strings.TrimSuffix(e.Base, files.Suffix), File: e.Base, State: StateError, Reason: e.Err.Error()})
		}
	}
	return out, nil
}

// hides says whether an entry of a toplevel list names a package that the caller
// may not know of.
func (s *subject) hides(entry string) bool {
	ref, err := pkgmeta.ParseRef(entry)
	return err == nil && !s.rules.allowsRef(pkgmeta.Ref{Name: ref.Name})
}

func listed(snap *files.Snapshot, context string) Listed {
	l := Listed{Context: context, State: StateOK}
	e := snap.Of(context)
	if e == nil {
		return l
	}
	l.File = e.Base
	if e.Err != nil {
		l.State, l.Reason = StateError, e.Err.Error()
	}
	if e.File != nil {
		l.Members = e.File.Members
		for _, p := range e.File.Toplevel {
			l.Toplevel = append(l.Toplevel, p.String())
		}
		if e.File.Public != nil {
			l.Public = *e.File.Public
		}
		if e.Err != nil {
			l.State = StateKept
		}
	}
	return l
}
