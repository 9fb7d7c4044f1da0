package server

import (
	"errors"
	"fmt"
	"net/netip"
	"os"
	"strconv"
	"sync"
	"sync/atomic"
	"syscall"

	"github.com/hugelgupf/p9/p9"

	"github.com/packagefs/packagefs/context"
	"github.com/packagefs/packagefs/context/attachname"
	"github.com/packagefs/packagefs/server/p9l"
	"github.com/packagefs/packagefs/union"
)

// A caller is who attaches, and how much of what they say is believed.
type caller = context.Caller

// Attach implements Attacher: the attach name becomes a context, the context a
// view, and the view a tree.
func (fs *FS) Attach(req p9l.AttachRequest) (p9.File, error) {
	f, err := fs.attach(req)
	if err != nil {
		fs.attachRefused(req, err)
	}
	return f, err
}

func (fs *FS) attach(req p9l.AttachRequest) (p9.File, error) {
	as, err := fs.identify(req)
	if err != nil {
		return nil, err
	}
	name, err := attachname.Parse(req.Aname)
	if err != nil {
		return nil, err
	}
	switch name.Kind {
	case attachname.KindControl:
		return fs.controlDir(fs.visitor(req, as), nil), nil
	case attachname.KindContexts:
		return fs.contextsDir(fs.visitor(req, as)), nil
	}
	if name.Kind == attachname.KindOwn && as.User != nil {
		if _, err := fs.contexts.User(as.User.Name); err != nil {
			return nil, fmt.Errorf("attach as %s: %w", as.User.Name, err)
		}
	}
	return fs.attachContext(name, as)
}

// credOf returns whom modes and owners are to be checked against: nobody for
// root and for those who speak for everybody, whose kernels check by themselves.
func (fs *FS) credOf(as caller) (*union.Cred, error) {
	if as.Trusted {
		return nil, nil
	}
	cred := &union.Cred{UID: context.NoID}
	if as.User == nil {
		return cred, nil
	}
	cred.UID = as.User.UID
	groups, err := fs.contexts.Groups(*as.User)
	if err != nil {
		return nil, err
	}
	for _, g := range groups {
		cred.GIDs = append(cred.GIDs, g.GID)
	}
	return cred, nil
}

// identify decides for whom a connection speaks. Root, the user who runs the
// server, and trusted networks speak for whomever they name; where they name
// nobody by number, as the kernel does when it mounts, they may attach to
// everything. Others speak for themselves.
func (fs *FS) identify(req p9l.AttachRequest) (caller, error) {
	trusted := req.Peer.HasCred && (req.Peer.UID == 0 || req.Peer.UID == uint32(os.Geteuid())) || fs.trusts(req.Peer)
	switch {
	case !trusted && !req.Peer.HasCred:
		return caller{}, nil
	case !trusted:
		u, err := fs.userByID(req.Peer.UID)
		if err != nil {
			return caller{}, err
		}
		if req.UID != p9l.NoUID && req.UID != req.Peer.UID || req.UID == p9l.NoUID && req.Uname != "" && req.Uname != u.Name {
			return caller{}, fmt.Errorf("attach: user %s cannot speak for another (n_uname %d, uname %q): %w", u.Name, req.UID, req.Uname, syscall.EACCES)
		}
		return caller{User: &u}, nil
	case req.UID != p9l.NoUID:
		u, err := fs.userByID(req.UID)
		return caller{User: &u, Trusted: req.UID == 0}, err
	case req.Uname != "":
		u, err := fs.contexts.User(req.Uname)
		if errors.Is(err, context.ErrUnknown) {
			return caller{Trusted: true}, nil // only the empty attach name needs to know
		}
		return caller{User: &u, Trusted: true}, err
	case req.Peer.HasCred:
		u, err := fs.userByID(req.Peer.UID)
		return caller{User: &u, Trusted: true}, err
	}
	return caller{Trusted: true}, nil
}

// userByID returns a user by number, who needs no entry in any database to
// attach to packages.
func (fs *FS) userByID(uid uint32) (context.User, error) {
	u, err := fs.contexts.UserByID(uid)
	if errors.Is(err, context.ErrUnknown) {
		return context.User{Name: strconv.FormatUint(uint64(uid), 10), UID: uid}, nil
	}
	return u, err
}

// trusts says whether the peer's address is in a trusted network.
func (fs *FS) trusts(p p9l.Peer) bool {
	addr, err := netip.ParseAddrPort(p.Address)
	if err != nil {
		return false
	}
	for _, n := range fs.config.TrustNetworks {
		if n.Contains(addr.Addr().Unmap().WithZone("")) {
			return true
		}
	}
	return false
}

// A binding is one attach to a context. It is the union.Stacker of its files.
type binding struct {
	fs   *FS
	name attachname.Name
	as   caller

	mu  sync.Mutex // held while the context is resolved
	now atomic.Pointer[bound]
}

// bound is what a context was resolved to.
type bound struct {
	generation uint64 // of the FS
	stack      *union.Stack
	err        error
}

// Stack implements union.Stacker.
func (b *binding) Stack(wait bool) (*union.Stack, error) {
	if now := b.now.Load(); now.generation == b.fs.generation.Load() {
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
	generation := b.fs.generation.Load()
	last := b.now.Load()
	if last != nil && last.generation == generation {
		return last.stack, last.err
	}
	next := &bound{generation: generation}
	view, err := b.fs.contexts.Resolve(b.fs.packages.Set(), b.name, b.as)
	var prev *union.Stack
	if last != nil {
		prev = last.stack
	}
	if err == nil {
		var tree *union.Tree
		if prev != nil {
			tree = prev.Tree
		}
		next.stack, err = b.fs.stackFor(view, b.as, b.fs.treeFor(view, tree), prev)
	}
	if err == nil {
		if turn := b.fs.turnOf(b.name, b.as, next.stack); turn != next.stack.Turn {
			s := *next.stack
			s.Turn = turn
			next.stack = &s
		}
	} else {
		b.fs.turnOf(b.name, b.as, nil)
		// The tree is kept to share from, should the context come back.
		next.stack, next.err = prev, err
		if last != nil && last.err == nil {
			b.fs.config.Log.Warn().Err(err).Str("reason", reasonOf(err)).Msg("an attached context no longer resolves")
		}
	}
	b.now.Store(next)
	return next.stack, next.err
}

// reasonOf returns what is for the log only in an error.
func reasonOf(err error) string {
	var e *attachname.Error
	if errors.As(err, &e) {
		return e.Reason
	}
	return ""
}
