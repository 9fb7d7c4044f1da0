package context

import (
	"fmt"
	"slices"
	"strings"

	"github.com/packagefs/packagefs/context/attachname"
	"github.com/packagefs/packagefs/context/files"
	"github.com/packagefs/packagefs/pkgindex/pkgmeta"
)

// A layer is one context file's part in a context.
type layer struct {
	context string // "system", "group:dev", "user:alice"
	base    string // base name of the file
	file    *files.File
}

// rules are what the layers of a context say together. They are immutable.
type rules struct {
	layers []layer // the farthest from the user first
	key    string  // the same for rules made of the same files

	allow, deny *patterns
	allowAll    bool // nobody has an allow list
	prefer      *patterns
	toplevel    []toplevelEntry // the nearest layer's first
	toplevelAll bool            // nobody has a toplevel list

	dependencies files.Dependencies
	mutable      files.Mutability
	public       bool

	bound *rules // of who looks at the context of somebody else; nil for none
}

type toplevelEntry struct {
	files.Pattern
	layer layer
}

// newRules puts layers together, the farthest first.
func newRules(layers []layer, key string) *rules {
	r := &rules{layers: layers, key: key, allowAll: true, toplevelAll: true, dependencies: files.Hidden, mutable: files.MutableOwn}
	var allow, deny, prefer []files.Pattern
	for _, l := range layers {
		f := l.file
		allow, deny = append(allow, f.Allow...), append(deny, f.Deny...)
		prefer = slices.Concat(f.Prefer, prefer)
		r.allowAll = r.allowAll && f.Allow == nil
		r.toplevelAll = r.toplevelAll && f.Toplevel == nil
		if f.Dependencies != "" {
			r.dependencies = f.Dependencies
		}
		if f.Mutable != "" {
			r.mutable = f.Mutable
		}
		if f.Public != nil {
			r.public = *f.Public
		}
		entries := make([]toplevelEntry, 0, len(f.Toplevel)+len(r.toplevel))
		for _, p := range f.Toplevel {
			entries = append(entries, toplevelEntry{p, l})
		}
		r.toplevel = append(entries, r.toplevel...)
	}
	r.allow, r.deny, r.prefer = newPatterns(allow), newPatterns(deny), newPatterns(prefer)
	return r
}

// within returns these rules as they are for somebody whom bound binds: what that
// one may not see is in no context, whoever it is for.
func (r *rules) within(bound *rules) *rules {
	if bound == r || bound.unrestricted() {
		return r
	}
	w := *r
	w.bound, w.key = bound, r.key+"\x00"+bound.key
	return &w
}

// unrestricted says that the rules hide nothing. So do no rules at all.
func (r *rules) unrestricted() bool {
	return r == nil || r.allowAll && len(r.deny.list) == 0 && r.bound == nil
}

// Denies says whether there is no such package for a context of these rules.
func (r *rules) Denies(ref pkgmeta.Ref) bool {
	return r.deny.index(ref) >= 0 || r.bound != nil && r.bound.Denies(ref)
}

// Allows says whether a context of these rules may show that package.
func (r *rules) Allows(ref pkgmeta.Ref) bool {
	return (r.allowAll || r.allow.index(ref) >= 0) && !r.Denies(ref) && (r.bound == nil || r.bound.Allows(ref))
}

// allowsRef says whether ref, or some version of it where it has none, could be
// allowed. It does not depend on what is installed.
func (r *rules) allowsRef(ref pkgmeta.Ref) bool {
	if ref.Version != "" {
		return r.Allows(ref)
	}
	return (r.allowAll || r.allow.names(ref.Name)) && !r.deny.namesAll(ref.Name) && (r.bound == nil || r.bound.allowsRef(ref))
}

// pin returns the pin for name of the nearest layer that has one, and the base name
// of its file.
func (r *rules) pin(name string) (pin files.Pin, file string, ok bool) {
	for _, l := range slices.Backward(r.layers) {
		for _, p := range l.file.Pin {
			if p.MatchesName(name) {
				return p, l.base, true
			}
		}
	}
	return files.Pin{}, "", false
}

// PinOf is pin, with the context that has it.
func (r *rules) PinOf(name string) (version, context string) {
	pin, file, _ := r.pin(name)
	return pin.Version, strings.TrimSuffix(file, files.Suffix)
}

// MeetsPin says whether the pins admit that version of that name.
func (r *rules) MeetsPin(ref pkgmeta.Ref) bool {
	pin, _, ok := r.pin(ref.Name)
	return !ok || pin.MatchesVersion(ref.Version)
}

// Exclude says whether there is a package that rules keep out of closures.
func (r *rules) Exclude() bool {
	return len(r.deny.list) > 0 || r.bound != nil || slices.ContainsFunc(r.layers, func(l layer) bool { return len(l.file.Pin) > 0 })
}

// refusal says in words for administrators why ref, or all versions of it where
// it has none, is not allowed.
func (r *rules) refusal(ref pkgmeta.Ref) string {
	if r.bound != nil && !r.bound.allowsRef(ref) {
		return r.bound.refusal(ref)
	}
	if denied(r.deny, ref) {
		return "denied by " + r.filesWith(func(f *files.File) bool { return denied(newPatterns(f.Deny), ref) })
	}
	return "not in the allow list of " + r.filesWith(func(f *files.File) bool { return f.Allow != nil })
}

// denied says whether a deny list has ref, or all versions of it where it has none.
func denied(deny *patterns, ref pkgmeta.Ref) bool {
	return ref.Version == "" && deny.namesAll(ref.Name) || ref.Version != "" && deny.index(ref) >= 0
}

// DeniedBy names the contexts whose files deny ref.
func (r *rules) DeniedBy(ref pkgmeta.Ref) string {
	var contexts []string
	for r := r; r != nil; r = r.bound {
		for _, l := range r.layers {
			if name := strings.TrimSuffix(l.base, files.Suffix); denied(newPatterns(l.file.Deny), ref) && !slices.Contains(contexts, name) {
				contexts = append(contexts, name)
			}
		}
	}
	return strings.Join(contexts, ", ")
}

func (r *rules) filesWith(has func(*files.File) bool) string {
	var names []string
	for _, l := range r.layers {
		if has(l.file) {
			names = append(names, l.base)
		}
	}
	return strings.Join(names, ", ")
}

// layersOf collects the layers of these contexts from a Snapshot, and the key
// that tells their meanings from others. A context without a file is no layer;
// one whose file never was good is an error, since what it denies is not known.
func layersOf(n *files.Snapshot, contexts []string) (layers []layer, key string, err error) {
	for _, c := range contexts {
		e := n.Of(c)
		if e == nil {
			continue
		}
		if e.File == nil {
			return nil, "", &attachname.Error{Class: files.ErrBroken, Reason: fmt.Sprintf("%v (mend the file, or remove it)", e.Err)}
		}
		layers = append(layers, layer{c, e.Base, e.File})
		key += fmt.Sprintf("%s#%d ", c, e.Serial)
	}
	return layers, key, nil
}
