package union

import (
	"strings"
	"sync/atomic"
)

// A node is a name in the tree of a mutable layer that handles stand for, or a
// directory that the layer has. Handles follow their nodes where these are
// renamed, and know that they are removed. What packages have below the layer
// need not be in it for a node to be.
type node struct {
	layer *Mutable

	// Guarded by layer.nodes; written with layer.mu locked for writing, too.
	parent *node // nil at the top
	name   string
	gone   bool // removed: no name leads here any more

	kids map[string]*node // guarded by layer.nodes
	refs int              // handles and kids; guarded by layer.nodes

	up     atomic.Pointer[upDir] // of a directory that the layer has and that was looked at
	copied atomic.Bool           // the file was copied up while a handle was there
}

// path returns where the node is, and whether it is anywhere.
func (n *node) path() (string, bool) {
	n.layer.nodes.Lock()
	defer n.layer.nodes.Unlock()
	return n.pathLocked()
}

func (n *node) pathLocked() (string, bool) {
	size := -1
	for at := n; at.parent != nil; at = at.parent {
		if at.gone {
			return "", false
		}
		size += len(at.name) + 1
	}
	if size < 0 {
		return "", !n.gone
	}
	path := make([]byte, size)
	for at := n; at.parent != nil; at = at.parent {
		size -= len(at.name)
		copy(path[size:], at.name)
		if size > 0 {
			size--
			path[size] = '/'
		}
	}
	return string(path), true
}

// location returns the directory and the name of a node that is not the top.
func (n *node) location() (parent *node, name string, ok bool) {
	n.layer.nodes.Lock()
	defer n.layer.nodes.Unlock()
	return n.parent, n.name, n.parent != nil && !n.gone
}

// acquire returns the node of a path below the top, with a reference that the
// caller gives back by release.
func (m *Mutable) acquire(path string) *node {
	m.nodes.Lock()
	defer m.nodes.Unlock()
	at := m.top
	for path != "" {
		var name string
		name, path, _ = strings.Cut(path, "/")
		at = at.kid(name)
	}
	at.refs++
	return at
}

// kid returns the node of a name, new or not. It runs with nodes locked.
func (n *node) kid(name string) *node {
	if k := n.kids[name]; k != nil {
		return k
	}
	k := &node{layer: n.layer, parent: n, name: strings.Clone(name)}
	if n.kids == nil {
		n.kids = make(map[string]*node)
	}
	n.kids[k.name] = k
	n.refs++
	return k
}

// retain takes another reference.
func (n *node) retain() *node {
	n.layer.nodes.Lock()
	n.refs++
	n.layer.nodes.Unlock()
	return n
}

// release gives a reference back.
func (n *node) release() {
	m := n.layer
	m.nodes.Lock()
	defer m.nodes.Unlock()
	n.refs--
	n.tidy()
}

// tidy forgets nodes that nothing needs. It runs with nodes locked.
func (n *node) tidy() {
	for n.refs == 0 && n.parent != nil && n.up.Load() == nil {
		above := n.parent
		if above.kids[n.name] == n {
			delete(above.kids, n.name)
		}
		n.parent, n.gone = nil, true
		above.refs--
		n = above
	}
}

// known returns the node of a name in n if there is one.
func (n *node) known(name string) *node {
	n.layer.nodes.Lock()
	defer n.layer.nodes.Unlock()
	return n.kids[name]
}

// remove marks what a name stood for as gone. It runs with layer.mu locked for
// writing.
func (n *node) remove(name string) {
	n.layer.nodes.Lock()
	defer n.layer.nodes.Unlock()
	if k := n.kids[name]; k != nil {
		delete(n.kids, name)
		k.goneLocked()
	}
}

// goneLocked marks a node and all below it as gone. What the layer had there is
// forgotten; references stay, and with them the parents.
func (n *node) goneLocked() {
	n.gone = true
	n.drop()
	for _, k := range n.kids {
		k.goneLocked()
	}
	n.tidy()
}

// drop forgets what the layer has of a directory.
func (n *node) drop() {
	if up := n.up.Swap(nil); up != nil {
		n.layer.fds.forget(up)
	}
}

// move gives what stands for a name another one. It runs with layer.mu locked
// for writing; nothing stands for the other name any more.
func (n *node) move(name string, to *node, newName string) {
	n.layer.nodes.Lock()
	defer n.layer.nodes.Unlock()
	k := n.kids[name]
	if k == nil {
		return
	}
	delete(n.kids, name)
	if to.kids == nil {
		to.kids = make(map[string]*node)
	}
	k.parent, k.name = to, strings.Clone(newName)
	to.kids[k.name] = k
	to.refs++
	n.refs--
	n.tidy()
}
