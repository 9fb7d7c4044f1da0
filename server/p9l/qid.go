package p9l

import (
	"github.com/hugelgupf/p9/p9"
	"golang.org/x/sys/unix"
)

// direntType is the d_type of an entry whose directory does not tell. The qid
// type of p9 stands for fifos, sockets and devices together, so those stay
// unknown, and the client asks.
func direntType(t p9.QIDType) uint8 {
	switch {
	case t&p9.TypeDir != 0:
		return unix.DT_DIR
	case t&p9.TypeSymlink != 0:
		return unix.DT_LNK
	case t == p9.TypeRegular:
		return unix.DT_REG
	}
	return unix.DT_UNKNOWN
}

func isDir(q p9.QID) bool { return q.Type&p9.TypeDir != 0 }

func isSymlink(q p9.QID) bool { return q.Type&p9.TypeSymlink != 0 }
