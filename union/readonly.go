package union

import (
	"slices"
	"syscall"

	"github.com/hugelgupf/p9/p9"

	"github.com/packagefs/packagefs/pkgindex"
)

// blockSize is what stat tells programs to read at a time, in bytes.
const blockSize = 4096

// fill sets what an inode tells. Times before 1970 are shown as 1970: the
// protocol's are unsigned.
func fill(a *p9.Attr, inode pkgindex.Inode) {
	a.Mode |= p9.FileMode(inode.Mode)
	if a.Mode.IsDir() {
		a.Mode = p9.ModeDirectory | p9.FileMode(inode.Mode)
	}
	a.UID, a.GID = p9.UID(inode.UID), p9.GID(inode.GID)
	sec, nsec := uint64(max(inode.Sec, 0)), uint64(inode.Nsec)
	a.ATimeSeconds, a.ATimeNanoSeconds = sec, nsec
	a.MTimeSeconds, a.MTimeNanoSeconds = sec, nsec
	a.CTimeSeconds, a.CTimeNanoSeconds = sec, nsec
	a.BTimeSeconds, a.BTimeNanoSeconds = sec, nsec
}

// statFS describes a full, read-only file system that holds files files.
func statFS(files, bytes uint64) p9.FSStat {
	return p9.FSStat{
		Type:      0x01021997, // V9FS_MAGIC
		BlockSize: blockSize, Blocks: (bytes + blockSize - 1) / blockSize, Files: files, NameLength: 255,
	}
}

func getXattr(l *pkgindex.Layer, ino pkgindex.InodeID, name string) ([]byte, error) {
	if v, ok := l.Xattrs(ino)[name]; ok {
		return []byte(v), nil
	}
	return nil, syscall.ENODATA
}

func listXattrs(l *pkgindex.Layer, ino pkgindex.InodeID) []string {
	var names []string
	for name := range l.Xattrs(ino) {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

// readOnly has the methods of a p9.File that change something, and those that
// only the other kind of file has.
type readOnly struct {
	p9.DefaultWalkGetAttr
}

func (readOnly) SetAttr(p9.SetAttrMask, p9.SetAttr) error     { return syscall.EROFS }
func (readOnly) SetXattr(string, []byte, p9.XattrFlags) error { return syscall.EROFS }
func (readOnly) RemoveXattr(string) error                     { return syscall.EROFS }
func (readOnly) WriteAt([]byte, int64) (int, error)           { return 0, syscall.EROFS }
func (readOnly) FSync() error                                 { return nil }
func (readOnly) Close() error                                 { return nil }
func (readOnly) Link(p9.File, string) error                   { return syscall.EROFS }
func (readOnly) Rename(p9.File, string) error                 { return syscall.EROFS }
func (readOnly) RenameAt(string, p9.File, string) error       { return syscall.EROFS }
func (readOnly) UnlinkAt(string, uint32) error                { return syscall.EROFS }
func (readOnly) Remove() error                                { return syscall.EROFS }
func (readOnly) Renamed(p9.File, string)                      {}
func (readOnly) ReadAt([]byte, int64) (int, error)            { return 0, syscall.EISDIR }
func (readOnly) Readlink() (string, error)                    { return "", syscall.EINVAL }
func (readOnly) Readdir(uint64, uint32) (p9.Dirents, error)   { return nil, errNotDir }
func (readOnly) Mkdir(string, p9.FileMode, p9.UID, p9.GID) (p9.QID, error) {
	return p9.QID{}, syscall.EROFS
}
func (readOnly) Symlink(string, string, p9.UID, p9.GID) (p9.QID, error) {
	return p9.QID{}, syscall.EROFS
}
func (readOnly) Mknod(string, p9.FileMode, uint32, uint32, p9.UID, p9.GID) (p9.QID, error) {
	return p9.QID{}, syscall.EROFS
}
func (readOnly) Create(string, p9.OpenFlags, p9.FileMode, p9.UID, p9.GID) (p9.File, p9.QID, uint32, error) {
	return nil, p9.QID{}, 0, syscall.EROFS
}
func (readOnly) Lock(int, p9.LockType, p9.LockFlags, uint64, uint64, string) (p9.LockStatus, error) {
	return p9.LockStatusOK, nil // the server's lock table is what clients share
}
