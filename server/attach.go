package server

import (
	"errors"
	"fmt"
	"os"
	"strconv"
	"sync"
	"sync/atomic"
	"syscall"

	"github.com/hugelgupf/p9/p9"

	"github.com/packagefs/packagefs/context"
	"github.com/packagefs/packagefs/context/attachname"
	"github.com/packagefs/packagefs/pkgindex"
	"github.com/packagefs/packagefs/server/api"
	"github.com/packagefs/packagefs/server/p9l"
	"github.com/packagefs/packagefs/union"
)

// A caller is who attaches, and how much of what they say is believed.
type caller = context.Caller

// attachments decide who a caller is and what an attach to a context shows.
type attachments struct {
	config   *Config
	packages *pkgindex.Store
	contexts *context.Contexts
	trees    *trees
	layers   *layers
	turns    *turns
	changes  *changes
	events   *eventLog
	refused  atomic.Uint64 // attaches
}

// context attaches a caller to a context.
func (at *attachments) context(name attachname.Name, as caller) (p9.File, error) {
	b := &binding{at: at, name: name, as: as}
	if _, err := b.refresh(); err != nil {
		return nil, err
	}
	cred, err := at.credOf(as)
	if err != nil {
		return nil, err
	}
	return union.Attach(b, cred)
}

// stack returns what an attach to a context shows.
func (at *attachments) stack(set *pkgindex.Set, name attachname.Name, as caller) (*union.Stack, *context.View, error) {
	v, err := at.contexts.Resolve(set, name, as)
	if err != nil {
		return nil, nil, err
	}
	s, err := at.layers.stack(v, as, at.trees.of(v, nil), nil)
	return s, v, err
}

// noteRefused notes an attach that failed.
func (at *attachments) noteRefused(req p9l.AttachRequest, err error) {
	at.refused.Add(1)
	reason := p9l.Brief(err.Error())
	if why := reasonOf(err); why != "" {
		reason += ": " + why
	}
	by := req.Peer.String()
	switch {
	case req.UID != p9l.NoUID:
		by += " as " + strconv.FormatUint(uint64(req.UID), 10)
	case req.Uname != "":
		by += " as " + p9l.Brief(req.Uname)
	}
	at.events.addRefused(api.Event{Event: api.EventAttachRefused, Context: p9l.Brief(req.Aname), By: by, Reason: reason})
}

// credOf returns whom modes and owners are to be checked against: nobody for
// root and for those who speak for everybody, whose kernels check by themselves.
func (at *attachments) credOf(as caller) (*union.Cred, error) {
	if as.Trusted {
		return nil, nil
	}
	cred := &union.Cred{UID: context.NoID}
	if as.User == nil {
		return cred, nil
	}
	cred.UID = as.User.UID
	groups, err := at.contexts.Groups(*as.User)
	if err != nil {
		return nil, err
	}
	for _, g := range groups {
		cred.GIDs = append(cred.GIDs, g.GID)
	}
	return cred, nil
}

// nobody is who root of a trusted network is here, unless more was said of it.
const nobody = 65534

// identify decides for whom a connection speaks. Whom the kernel knows is judged by
// that alone: root and the user who runs the server speak for whomever they name;
// where they name nobody by number, as the kernel does when it mounts, they may
// attach to everything. Others speak for themselves, and peers in trusted networks
// for the users whom they name.
func (at *attachments) identify(req p9l.AttachRequest) (caller, error) {
	switch {
	case req.Peer.HasCred && (req.Peer.UID == 0 || req.Peer.UID == uint32(os.Geteuid())):
		return at.speaking(req)
	case req.Peer.HasCred:
		u, err := at.userByID(req.Peer.UID)
		if err != nil {
			return caller{}, err
		}
		if req.UID != p9l.NoUID && req.UID != req.Peer.UID || req.UID == p9l.NoUID && req.Uname != "" && req.Uname != u.Name {
			return caller{}, fmt.Errorf("attach: user %s cannot speak for another (n_uname %d, uname %q): %w", u.Name, req.UID, req.Uname, syscall.EACCES)
		}
		return caller{User: &u}, nil
	}
	n := believes(at.config.TrustNetworks, req.Peer)
	if n == nil {
		return caller{}, nil
	}
	as, err := at.speaking(req)
	if err != nil {
		return caller{}, err
	}
	as.Network = true
	if as.Trusted = as.Trusted && n.Root; as.Trusted || as.User != nil && as.User.UID != 0 {
		return as, nil
	}
	u, err := at.userByID(nobody)
	as.User = &u
	return as, err
}

// speaking returns for whom a peer speaks that speaks for everybody.
func (at *attachments) speaking(req p9l.AttachRequest) (caller, error) {
	switch {
	case req.UID != p9l.NoUID:
		u, err := at.userByID(req.UID)
		return caller{User: &u, Trusted: req.UID == 0}, err
	case req.Uname != "":
		u, err := at.contexts.User(req.Uname)
		if errors.Is(err, context.ErrUnknown) {
			return caller{Trusted: true}, nil // only the empty attach name needs to know
		}
		return caller{User: &u, Trusted: true}, err
	case req.Peer.HasCred:
		u, err := at.userByID(req.Peer.UID)
		return caller{User: &u, Trusted: true}, err
	}
	return caller{Trusted: true}, nil
}

// userByID returns a user by number, who needs no entry in any database to
// attach to packages.
func (at *attachments) userByID(uid uint32) (context.User, error) {
	u, err := at.contexts.UserByID(uid)
	if errors.Is(err, context.ErrUnknown) {
		return context.User{Name: strconv.FormatUint(uint64(uid), 10), UID: uid}, nil
	}
	return u, err
}

// A binding is one attach to a context. It is the union.Stacker of its files.
type binding struct {
	at   *attachments
	name attachname.Name
	as   caller

	mu  sync.Mutex // held while the context is resolved
	now atomic.Pointer[bound]
}

// bound is what a context was resolved to.
type bound struct {
	generation uint64 // of changes
	stack      *union.Stack
	err        error
}

// Stack implements union.Stacker.
func (b *binding) Stack(wait bool) (*union.Stack, error) {
	if now := b.now.Load(); now.generation == b.at.changes.generation.Load() {
		return now.stack, now.err
	}
	if !wait {
		return nil, syscall.EAGAIN
	}
	return b.refresh()
}

// refresh resolves the context again if anything changed.
func (b *binding) refresh() (*union.Stack, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	generation := b.at.changes.generation.Load()
	last := b.now.Load()
	if last != nil && last.generation == generation {
		return last.stack, last.err
	}
	next := &bound{generation: generation}
	view, err := b.at.contexts.Resolve(b.at.packages.Set(), b.name, b.as)
	var prev *union.Stack
	if last != nil {
		prev = last.stack
	}
	if err == nil {
		var tree *union.Tree
		if prev != nil {
			tree = prev.Tree
		}
		next.stack, err = b.at.layers.stack(view, b.as, b.at.trees.of(view, tree), prev)
	}
	if err == nil {
		if turn := b.at.turns.of(b.name, b.as, next.stack); turn != next.stack.Turn {
			s := next.stack
			next.stack = &union.Stack{Tree: s.Tree, Layers: s.Layers, Own: s.Own, Turn: turn}
		}
	} else {
		b.at.turns.of(b.name, b.as, nil)
		// The tree is kept to share from, should the context come back.
		next.stack, next.err = prev, err
		if last != nil && last.err == nil {
			b.at.config.Log.Warn().Err(err).Str("reason", reasonOf(err)).Msg("an attached context no longer resolves")
		}
	}
	b.now.Store(next)
	return next.stack, next.err
}

// reasonOf returns what is for the log only in an error: its text does not say it.
func reasonOf(err error) string {
	var e *attachname.Error
	if errors.As(err, &e) && e.Class != attachname.ErrSyntax {
		return e.Reason
	}
	return ""
}
