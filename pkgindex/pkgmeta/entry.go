package pkgmeta

// A FileType says what a file is.
type FileType uint8

const (
	Regular FileType = iota
	Directory
	Symlink
	Fifo
)

// An Entry is one member of a package file's tree, as a format reader hands
// it on.
type Entry struct {
	Path     string // clean and relative: "usr/bin/env"; the tree's root is ""
	Type     FileType
	Mode     uint32 // permission bits with setuid, setgid and sticky: 07777 at most
	UID, GID uint32
	Size     int64 // in bytes, of a regular file
	Sec      int64 // modification time, seconds since 1970
	Nsec     uint32
	Target   string // of a symlink, verbatim
	HardLink string // Path of the earlier member that this is another name of, or empty
	Mutable  bool   // the format says that users change this file (conffile, backup)
	Xattrs   map[string]string
}
