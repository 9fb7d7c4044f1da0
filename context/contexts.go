package context

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/packagefs/packagefs/context/attachname"
	"github.com/packagefs/packagefs/context/files"
	"github.com/packagefs/packagefs/pkgindex"
)

// Contexts answers who sees what. The zero value works: it has no context files
// and asks this machine for users. Set the fields before first use.
type Contexts struct {
	Store        *files.Store // nil: no context files
	Directory    Directory    // nil: this machine's, kept for a short while
	Architecture string       // that comes first, in any format's spelling; empty: this machine's

	// Assumed are the packages that the root file system has: they meet needs,
	// and are in no view.
	Assumed []*pkgindex.Package

	mu    sync.Mutex // guards what follows
	users Directory  // Directory or its default
	memo  *memo
}

// A Caller is who attaches, as far as the server believes it. The zero Caller is
// somebody nobody vouches for.
type Caller struct {
	Trusted bool  // speaks for everybody
	Network bool  // vouched for by nothing but the network that the caller comes from
	User    *User // who is vouched for, or nil
}

// Resolve makes the view that name stands for, as far as caller may attach to it.
// An empty base is the caller's own context. The view may be shared; it is
// immutable. Refusals are *Error; any other error says that users or groups could
// not be looked up.
func (c *Contexts) Resolve(set *pkgindex.Set, name attachname.Name, caller Caller) (*View, error) {
	m := c.memoFor(set)
	s, err := c.subject(m, name, caller)
	if err != nil {
		return nil, named(err, name)
	}
	v, err := m.view(s)
	if err != nil {
		return nil, named(err, s.name)
	}
	own := *v
	own.Name = s.name
	if own.Dependencies == files.Hidden {
		if own.Closures, err = m.closuresNow(); err != nil {
			return nil, named(err, s.name)
		}
	}
	return &own, nil
}

// named completes an Error with the attach name.
func named(err error, name attachname.Name) error {
	var e *attachname.Error
	if errors.As(err, &e) {
		whole := *e
		whole.Name = name.String()
		return &whole
	}
	return fmt.Errorf("attach %q: %w", name, err)
}

// User looks a user up by name or number, in the Directory and in the context
// files: whoever has a file, or is a member in one, is known.
func (c *Contexts) User(nameOrUID string) (User, error) {
	return c.user(c.Store.Snapshot(), nameOrUID)
}

func (c *Contexts) user(snap *files.Snapshot, nameOrUID string) (User, error) {
	u, err := c.directory().User(nameOrUID)
	if errors.Is(err, ErrUnknown) && knowsUser(snap, nameOrUID) {
		uid, ok := parseID(nameOrUID)
		if !ok {
			uid = NoID
		}
		return User{nameOrUID, uid}, nil
	}
	return u, err
}

// UserByID looks a user up by number, as User does.
func (c *Contexts) UserByID(uid uint32) (User, error) {
	u, err := c.directory().UserByID(uid)
	if name := strconv.FormatUint(uint64(uid), 10); errors.Is(err, ErrUnknown) && knowsUser(c.Store.Snapshot(), name) {
		return User{name, uid}, nil
	}
	return u, err
}

// Groups returns the groups that the system has u in, none for a user whom only
// context files know.
func (c *Contexts) Groups(u User) ([]Group, error) {
	groups, err := c.directory().Groups(u)
	if errors.Is(err, ErrUnknown) {
		err = nil
	}
	return groups, err
}

func (c *Contexts) directory() Directory {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.users == nil {
		c.users = c.Directory
		if c.users == nil {
			c.users = &Cached{Directory: System{}}
		}
	}
	return c.users
}

func knowsUser(snap *files.Snapshot, name string) bool {
	return snap.Of(attachname.OfUser(name).String()) != nil || len(snap.GroupsOf(name)) > 0
}

// contextOf returns the context whose file is for that user or group: by name,
// or else by number.
func contextOf(snap *files.Snapshot, kind attachname.Kind, name string, id uint32) string {
	byName := attachname.Name{Kind: kind, Name: name}.String()
	if snap.Of(byName) == nil && id != NoID {
		byID := attachname.Name{Kind: kind, Name: strconv.FormatUint(uint64(id), 10)}.String()
		if snap.Of(byID) != nil {
			return byID
		}
	}
	return byName
}

func (c *Contexts) group(snap *files.Snapshot, nameOrGID string) (Group, error) {
	g, err := c.directory().Group(nameOrGID)
	if errors.Is(err, ErrUnknown) && snap.Of(attachname.Name{Kind: attachname.KindGroup, Name: nameOrGID}.String()) != nil {
		gid, ok := parseID(nameOrGID)
		if !ok {
			gid = NoID
		}
		return Group{nameOrGID, gid}, nil
	}
	return g, err
}

// groupContexts returns the contexts of the groups that u is in: by name, the
// primary one last.
func (c *Contexts) groupContexts(snap *files.Snapshot, u User) ([]string, error) {
	groups, err := c.directory().Groups(u)
	if err != nil && !errors.Is(err, ErrUnknown) {
		return nil, err
	}
	var contexts []string
	for _, g := range groups {
		contexts = append(contexts, contextOf(snap, attachname.KindGroup, g.Name, g.GID))
	}
	contexts = append(contexts, snap.GroupsOf(u.Name)...)
	if u.UID != NoID {
		contexts = append(contexts, snap.GroupsOf(strconv.FormatUint(uint64(u.UID), 10))...)
	}
	primary := ""
	if len(groups) > 0 {
		primary = contexts[0]
	}
	slices.SortFunc(contexts, func(a, b string) int {
		if (a == primary) != (b == primary) {
			if a == primary {
				return 1
			}
			return -1
		}
		return strings.Compare(a, b)
	})
	return slices.Compact(contexts), nil
}

// userRules puts together what applies to u.
func (c *Contexts) userRules(m *memo, u User) (*rules, error) {
	groups, err := c.groupContexts(m.snap, u)
	if err != nil {
		return nil, err
	}
	contexts := append([]string{files.System}, groups...)
	return m.rules(append(contexts, contextOf(m.snap, attachname.KindUser, u.Name, u.UID))...)
}

// callerRules puts together what bounds the packages that a caller may name: nil
// for nothing.
func (c *Contexts) callerRules(m *memo, caller Caller) (*rules, error) {
	switch {
	case caller.Trusted:
		return nil, nil
	case caller.User != nil:
		return c.userRules(m, *caller.User)
	}
	return m.rules(files.System)
}

// A subject is a context that a caller may attach to.
type subject struct {
	name  attachname.Name // canonical
	rules *rules          // that make it up
	may   *rules          // that bound the packages named, beside rules; nil for nothing
}

// subject finds the context and decides whether it is for the caller.
func (c *Contexts) subject(m *memo, name attachname.Name, caller Caller) (*subject, error) {
	switch name.Kind {
	case attachname.KindOwn:
		if caller.User == nil {
			return nil, &attachname.Error{Class: ErrUnknown, Reason: "the empty name is the context of the user who attaches, and nobody vouches for one; name a context"}
		}
		return c.userSubject(m, name.For(caller.User.Name), caller)
	case attachname.KindUser:
		return c.userSubject(m, name, caller)
	case attachname.KindGroup:
		return c.groupSubject(m, name, caller)
	case attachname.KindPackage, attachname.KindAll:
		return c.packageSubject(m, name, caller)
	case attachname.KindControl, attachname.KindContexts:
	}
	return nil, &attachname.Error{Class: attachname.ErrSyntax, Reason: "it is no context but a directory of the server"}
}

func (c *Contexts) userSubject(m *memo, name attachname.Name, caller Caller) (*subject, error) {
	var u User
	var err error
	if caller.User != nil && caller.User.Name == name.Name {
		u = *caller.User
	} else if u, err = c.user(m.snap, name.Name); err != nil {
		return nil, c.unknown(m, "user "+name.Name, err, caller)
	}
	r, err := c.userRules(m, u)
	mine := caller.Trusted || caller.User != nil && sameUser(*caller.User, u)
	if err = refuse(r, err, mine, "it is the context of another user"); err != nil {
		return nil, err
	}
	if caller.User == nil || !sameUser(*caller.User, u) {
		if r, err = c.bounded(m, r, caller); err != nil {
			return nil, err
		}
	}
	name.Name = u.Name
	return &subject{name: name, rules: r}, nil
}

// bounded returns the rules of a context as they are for a caller whose own it is
// not: what the caller may not see is in none.
func (c *Contexts) bounded(m *memo, r *rules, caller Caller) (*rules, error) {
	own, err := c.callerRules(m, caller)
	if err != nil {
		return nil, err
	}
	return r.within(own), nil
}

func sameUser(a, b User) bool {
	return a.Name == b.Name || a.UID == b.UID && a.UID != NoID
}

func (c *Contexts) groupSubject(m *memo, name attachname.Name, caller Caller) (*subject, error) {
	g, err := c.group(m.snap, name.Name)
	if err != nil {
		return nil, c.unknown(m, "group "+name.Name, err, caller)
	}
	context := contextOf(m.snap, attachname.KindGroup, g.Name, g.GID)
	mine := caller.Trusted
	if !mine && caller.User != nil {
		groups, err := c.groupContexts(m.snap, *caller.User)
		if err != nil {
			return nil, err
		}
		mine = slices.Contains(groups, context)
	}
	r, err := m.rules(files.System, context)
	if err = refuse(r, err, mine, "it is the context of a group that the caller is not in"); err != nil {
		return nil, err
	}
	if r, err = c.bounded(m, r, caller); err != nil {
		return nil, err
	}
	name.Name = g.Name
	return &subject{name: name, rules: r}, nil
}

func (c *Contexts) packageSubject(m *memo, name attachname.Name, caller Caller) (*subject, error) {
	system, err := m.rules(files.System)
	if err != nil {
		return nil, err
	}
	may, err := c.callerRules(m, caller)
	if err != nil {
		return nil, err
	}
	known := caller.Trusted || caller.User != nil
	if err := refuse(system, nil, known, "nobody vouches for the caller"); err != nil {
		return nil, err
	}
	if name.Kind == attachname.KindAll && !may.unrestricted() {
		return nil, &attachname.Error{Class: ErrDenied, Reason: "it has packages that the rules for the caller do not allow"}
	}
	rules := system
	if may != nil && len(may.deny.list) > 0 {
		rules = system.within(may) // an allow list does not bound what a program needs
	}
	return &subject{name: name, rules: rules, may: may}, nil
}

// refuse decides on a context whose rules are r, or could not be had because of
// err. why says whose it is if it is not mine.
func refuse(r *rules, err error, mine bool, why string) error {
	if mine || err == nil && r.public {
		return err
	}
	return &attachname.Error{Class: ErrDenied, Reason: why + ", and the context is not public"}
}

// unknown is the refusal for a name that could not be found. Those nobody
// vouches for do not learn which names there are.
func (c *Contexts) unknown(m *memo, what string, err error, caller Caller) error {
	if !errors.Is(err, ErrUnknown) {
		return err
	}
	if !caller.Trusted && caller.User == nil {
		system, err := m.rules(files.System)
		if err := refuse(system, err, false, "nobody vouches for the caller"); err != nil {
			return err
		}
	}
	return &attachname.Error{Class: ErrUnknown, Reason: fmt.Sprintf("%s is in neither the system's database nor the context files", what)}
}
