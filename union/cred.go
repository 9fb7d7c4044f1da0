package union

import "slices"

// A Cred is somebody whom modes and owners bind. A nil Cred is bound by
// nothing, and neither is user 0.
type Cred struct {
	UID  uint32
	GIDs []uint32
}

// The permission bits, as they stand for others.
const (
	maySearch = 1 // of a directory; of a file, to execute it
	mayWrite  = 2
	mayRead   = 4
)

// may says whether c has a permission, by the class of the mode that c falls in.
func (c *Cred) may(a fileAttr, permission uint32) bool {
	switch {
	case c.root():
		return true
	case c.UID == a.uid:
		return a.mode>>6&permission == permission
	case slices.Contains(c.GIDs, a.gid):
		return a.mode>>3&permission == permission
	}
	return a.mode&permission == permission
}

// mayOpen says whether c may open a file for reading. A client that executes a
// file reads it.
func (c *Cred) mayOpen(a fileAttr) bool { return c.may(a, mayRead) || c.may(a, maySearch) }

// root says whether c is bound by nothing.
func (c *Cred) root() bool { return c == nil || c.UID == 0 }

// owns says whether c may do what only a file's owner may.
func (c *Cred) owns(a fileAttr) bool { return c.root() || c.UID == a.uid }

// in says whether c is in a group.
func (c *Cred) in(gid uint32) bool { return c.root() || slices.Contains(c.GIDs, gid) }
