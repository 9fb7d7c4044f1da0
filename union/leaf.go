package union

import (
	"io"
	"syscall"

	"github.com/hugelgupf/p9/p9"
	"golang.org/x/sys/unix"

	"github.com/packagefs/packagefs/pkgindex"
	"github.com/packagefs/packagefs/pkgindex/pkgmeta"
)

// leaf is a handle of anything but a directory. It stays with the file that it
// was walked to.
type leaf struct {
	readOnly

	e   *entry
	who *Cred

	immutable bool // in a context that has a place for changes

	payload *pkgindex.Payload // once opened
	offset  int64             // of the file in the payload
	size    int64
}

// WalkPart clones the handle; there is nothing below it.
func (f *leaf) WalkPart(qids []p9.QID, names []string, _ bool) ([]p9.QID, p9.File, error) {
	if len(names) > 0 {
		return qids, nil, errNotDir
	}
	return qids, &leaf{e: f.e, who: f.who, immutable: f.immutable}, nil
}

// Walk implements p9.File.
func (f *leaf) Walk(names []string) ([]p9.QID, p9.File, error) { return f.WalkPart(nil, names, true) }

// Ready says that nothing but reading waits for a disk.
func (f *leaf) Ready() bool { return true }

// GetAttr implements p9.File.
func (f *leaf) GetAttr(req p9.AttrMask) (p9.QID, p9.AttrMask, p9.Attr, error) {
	q, inode := f.e.qid(), f.e.layer.Inode(f.e.ino)
	attr := p9.Attr{
		Mode: p9.ModeRegular, NLink: p9.NLink(inode.Links), Size: uint64(inode.Size), BlockSize: blockSize,
		Blocks: uint64(inode.Size+511) / 512, DataVersion: uint64(q.Version),
	}
	switch inode.Type {
	case pkgmeta.Symlink:
		attr.Mode, attr.Blocks = p9.ModeSymlink, 0
	case pkgmeta.Fifo:
		attr.Mode = p9.ModeNamedPipe
	}
	fill(&attr, inode)
	return q, req, attr, nil
}

// StatFS implements p9.File.
func (f *leaf) StatFS() (p9.FSStat, error) {
	files, bytes := f.e.layer.Package.Counts()
	return statFS(uint64(files), uint64(bytes)), nil
}

// oDirectory is O_DIRECTORY of the protocol, which is x86's everywhere.
const oDirectory = 0o200000

// Open implements p9.File.
func (f *leaf) Open(mode p9.OpenFlags) (p9.QID, uint32, error) {
	if err := f.mayOpen(mode); err != nil {
		return p9.QID{}, 0, err
	}
	payload, err := f.e.layer.Package.Payload()
	if err != nil {
		return p9.QID{}, 0, err
	}
	f.payload, f.offset, f.size = payload, f.e.layer.Offset(f.e.ino), f.e.layer.Inode(f.e.ino).Size
	return f.e.qid(), 0, nil
}

// mayOpen decides whether the file can be opened that way.
func (f *leaf) mayOpen(mode p9.OpenFlags) error {
	i := f.e.layer.Inode(f.e.ino)
	switch {
	case mode&oDirectory != 0:
		return errNotDir
	case i.Type == pkgmeta.Symlink:
		return syscall.ELOOP
	case i.Type == pkgmeta.Fifo:
		return syscall.ENXIO // clients open fifos by themselves
	case mode.Mode() != p9.ReadOnly || mode&unix.O_TRUNC != 0:
		return f.refuse()
	case !f.who.mayOpen(attrOfInode(&i)):
		return syscall.EACCES
	}
	return nil
}

// clip cuts p to what the file has at off.
func (f *leaf) clip(p []byte, off int64) ([]byte, error) {
	switch {
	case f.payload == nil:
		return nil, syscall.EBADF
	case off < 0:
		return nil, syscall.EINVAL
	case off >= f.size:
		return nil, io.EOF
	}
	return p[:min(int64(len(p)), f.size-off)], nil
}

// ReadAt implements p9.File.
func (f *leaf) ReadAt(p []byte, off int64) (int, error) {
	q, err := f.clip(p, off)
	if err != nil {
		return 0, err
	}
	n, err := f.payload.ReadAt(q, f.offset+off)
	switch {
	case n < len(q):
		return n, shortRead(err)
	case n < len(p):
		return n, io.EOF
	}
	return n, nil
}

// ReadNow reads from memory or fails with EAGAIN; see p9l.NowReader.
func (f *leaf) ReadNow(p []byte, off int64) (int, error) {
	q, err := f.clip(p, off)
	if err != nil {
		return 0, err
	}
	n, err := f.payload.ReadNow(q, f.offset+off)
	switch {
	case n == 0 && err == io.EOF:
		err = shortRead(err)
	case n < len(q) && err == nil:
		// Clients take a short read for the end of the file.
		n, err = 0, errWait
	}
	return n, err
}

// shortRead is the error of a payload that ends too early. Its size was checked
// when it was taken over, so this is damage.
func shortRead(err error) error {
	if err == nil || err == io.EOF {
		return syscall.EIO
	}
	return err
}

// Readlink implements p9.File.
func (f *leaf) Readlink() (string, error) {
	if f.e.layer.Type(f.e.ino) != pkgmeta.Symlink {
		return "", syscall.EINVAL
	}
	return f.e.layer.Target(f.e.ino), nil
}

// packageXattr tells which package a file is from. It is not listed, so that
// copies do not carry it.
const packageXattr = "user.packagefs.package"

// GetXattr implements p9.File.
func (f *leaf) GetXattr(name string) ([]byte, error) {
	if name == packageXattr {
		return []byte(f.e.layer.Package.Ref.String()), nil
	}
	return getXattr(f.e.layer, f.e.ino, name)
}

// ListXattrs implements p9.File.
func (f *leaf) ListXattrs() ([]string, error) { return listXattrs(f.e.layer, f.e.ino), nil }

// refuse is the error of what would change the file.
func (f *leaf) refuse() error {
	if f.immutable {
		return syscall.EPERM
	}
	return syscall.EROFS
}

// SetAttr implements p9.File.
func (f *leaf) SetAttr(p9.SetAttrMask, p9.SetAttr) error { return f.refuse() }

// SetXattr implements p9.File.
func (f *leaf) SetXattr(string, []byte, p9.XattrFlags) error { return f.refuse() }

// RemoveXattr implements p9.File.
func (f *leaf) RemoveXattr(string) error { return f.refuse() }

// Rename implements p9.File.
func (f *leaf) Rename(p9.File, string) error { return f.refuse() }

// Remove implements p9.File.
func (f *leaf) Remove() error { return f.refuse() }

// Close implements p9.File.
func (f *leaf) Close() error {
	if f.payload == nil {
		return nil
	}
	err := f.payload.Close()
	f.payload = nil
	return err
}
