package union

import (
	"slices"

	"github.com/packagefs/packagefs/pkgindex"
)

// A Cred is somebody whom modes and owners bind. A nil Cred is bound by
// nothing, and neither is user 0.
type Cred struct {
	UID  uint32
	GIDs []uint32
}

// The permission bits, as they stand for others.
const (
	maySearch = 1 // of a directory; of a file, to execute it
	mayRead   = 4
)

// may says whether c has a permission, by the class of the mode that c falls in.
func (c *Cred) may(i *pkgindex.Inode, permission uint32) bool {
	switch {
	case c == nil || c.UID == 0:
		return true
	case c.UID == i.UID:
		return i.Mode>>6&permission != 0
	case slices.Contains(c.GIDs, i.GID):
		return i.Mode>>3&permission != 0
	}
	return i.Mode&permission != 0
}

// mayDir is may for a merged directory, which has the mode of one contributor.
func (c *Cred) mayDir(d *dir, permission uint32) bool {
	if c == nil || d.attrs < 0 {
		return true
	}
	i := d.from[d.attrs].layer.Inode(d.from[d.attrs].ino)
	return c.may(&i, permission)
}
