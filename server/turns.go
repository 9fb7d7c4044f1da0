package server

import (
	"slices"
	"sync"
	"weak"

	"github.com/packagefs/packagefs/context"
	"github.com/packagefs/packagefs/context/attachname"
	"github.com/packagefs/packagefs/union"
)

// A client that asks for a stamp, and a moment later for a name, may be told the name
// as it is after a change. The stamp that it keeps that with must never come back,
// also if the tree does: so each attach name has turns.

// maxShown is how many attach names have their turn remembered. The others get a new
// one, which costs clients some questions.
const maxShown = 1 << 14

// turns are the turns of attach names.
type turns struct {
	mu    sync.Mutex // guards what follows
	shown map[attaching]shown
	given uint64 // how many turns were given
}

func newTurns() *turns { return &turns{shown: make(map[attaching]shown)} }

// attaching is an attach name and who uses it.
type attaching struct {
	name    attachname.Name
	trusted bool
	uid     uint32
}

// shown is what an attach name stood for when somebody last looked.
type shown struct {
	tree   weak.Pointer[union.Tree] // zero where it could not be resolved
	own    bool
	layers []*union.Mutable
	turn   uint64
}

// of gives the turn of what an attach name stands for now, which is nil where it
// cannot be resolved: another one than for all that it stood for before.
func (t *turns) of(name attachname.Name, as caller, s *union.Stack) uint64 {
	key := attaching{name: name, trusted: as.Trusted, uid: context.NoID}
	if as.User != nil {
		key.uid = as.User.UID
	}
	var now shown
	if s != nil {
		now = shown{tree: weak.Make(s.Tree), own: s.Own, layers: s.Layers}
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if last := t.shown[key]; last.turn != 0 && last.tree == now.tree && last.own == now.own && slices.Equal(last.layers, now.layers) {
		return last.turn
	}
	if len(t.shown) >= maxShown {
		clear(t.shown)
	}
	t.given++
	now.turn = t.given
	t.shown[key] = now
	return now.turn
}
