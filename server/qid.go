package server

import "github.com/hugelgupf/p9/p9"

// The d_type values of directory entries, as in struct dirent of Linux.
const (
	dtUnknown = 0
	dtDir     = 4
	dtReg     = 8
	dtLnk     = 10
)

// direntType is the d_type of an entry whose directory does not tell. The qid
// type of p9 stands for fifos, sockets and devices together, so those stay
// unknown, and the client asks.
func direntType(t p9.QIDType) uint8 {
	switch {
	case t&p9.TypeDir != 0:
		return dtDir
	case t&p9.TypeSymlink != 0:
		return dtLnk
	case t == p9.TypeRegular:
		return dtReg
	}
	return dtUnknown
}

func isDir(q p9.QID) bool { return q.Type&p9.TypeDir != 0 }

func isSymlink(q p9.QID) bool { return q.Type&p9.TypeSymlink != 0 }
