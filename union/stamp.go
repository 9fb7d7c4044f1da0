package union

import (
	"encoding/binary"
	"hash/fnv"
	"syscall"
)

// maxCompared is how many directories of a layer are compared with the disk for
// one stamp.
const maxCompared = 1024

// Stamp returns a number that tells one state of all that an attach shows from
// another, if the directory is the top of the attach: whoever got the same number
// before and after they learned something knows that it still holds, but for what
// is in mutable files. It is different after a change of packages, contexts or
// layers, also of one that brings back what was, and in another run of the server. It
// is 0 where there is nothing to rely on. With wait unset it fails with EAGAIN instead of waiting.
func (f *dirFile) Stamp(wait bool) (uint64, error) {
	if f.at.Load().path != "" {
		return 0, nil
	}
	s, err := f.stacker.Stack(wait)
	if err != nil {
		return 0, err
	}
	return s.stamp(wait)
}

func (s *Stack) stamp(wait bool) (uint64, error) {
	for _, m := range s.Layers {
		switch {
		case !m.there.Load():
		case !wait:
			return 0, syscall.EAGAIN
		default:
			if all, err := m.compare(); err != nil || !all {
				return 0, err
			}
		}
	}
	if !s.rlock(wait) {
		return 0, syscall.EAGAIN
	}
	defer s.runlock()
	state := []uint64{s.Tree.id, s.Turn, 0}
	if s.Own {
		state[2] = 1
	}
	for _, m := range s.Layers {
		state = append(state, m.id, m.changes, m.shape.Load())
	}
	h := fnv.New64a()
	for _, n := range state {
		h.Write(binary.LittleEndian.AppendUint64(nil, n))
	}
	return max(h.Sum64(), 1), nil
}

// compare compares with the disk what the layer knows of directories, as far as it
// is time for that. It is false if these are too many.
func (m *Mutable) compare() (bool, error) {
	m.mu.RLock()
	known := m.lookedAt()
	old := known[:0:0]
	for _, up := range known {
		if up.stale() {
			old = append(old, up)
		}
	}
	m.mu.RUnlock()
	if len(known) > maxCompared || len(old) == 0 {
		return len(known) <= maxCompared, nil
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, up := range old {
		if err := m.freshen(up); err != nil {
			return false, err
		}
	}
	return true, nil
}

// lookedAt returns the directories that the layer has looked at, or some if they are
// more than maxCompared.
func (m *Mutable) lookedAt() (all []*upDir) {
	m.nodes.Lock()
	defer m.nodes.Unlock()
	below := []*node{m.top}
	for len(below) > 0 && len(all) <= maxCompared {
		n := below[len(below)-1]
		below = below[:len(below)-1]
		if up := n.up.Load(); up != nil {
			all = append(all, up)
		}
		for _, k := range n.kids {
			below = append(below, k)
		}
	}
	return all
}
