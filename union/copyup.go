package union

import (
	"encoding/hex"
	"errors"
	"io"
	"os"
	"path/filepath"
	"sync"
	"syscall"

	"github.com/hugelgupf/p9/p9"
	"golang.org/x/sys/unix"

	"github.com/packagefs/packagefs/pkgindex/pkgmeta"
)

// A copySource is what a copy is made after.
type copySource struct {
	typ    uint8 // a DT_ value
	attr   fileAttr
	atime  unix.Timespec
	mtime  unix.Timespec
	size   int64
	target string // of a symlink
	xattrs map[string]string
	ino    uint64  // that the copy shall have
	origin *Origin // of a regular file of a package
	open   func() (io.ReadCloser, error)
}

// copySource describes a file of a package.
func (e *entry) copySource() copySource {
	i := e.layer.Inode(e.ino)
	ts := unix.Timespec{Sec: i.Sec, Nsec: int64(i.Nsec)}
	c := copySource{attr: attrOfInode(&i), atime: ts, mtime: ts, size: i.Size, xattrs: e.layer.Xattrs(e.ino)}
	switch i.Type {
	case pkgmeta.Symlink:
		c.typ, c.target = unix.DT_LNK, e.layer.Target(e.ino)
	case pkgmeta.Fifo:
		c.typ = unix.DT_FIFO
	default:
		c.typ = unix.DT_REG
		c.origin = &Origin{Package: e.layer.Package.Name, Version: e.layer.Package.Version, Digest: e.layer.Digest(e.ino)}
		c.open = func() (io.ReadCloser, error) {
			payload, err := e.layer.Package.Payload()
			if err != nil {
				return nil, err
			}
			return struct {
				io.Reader
				io.Closer
			}{io.NewSectionReader(payload, e.layer.Offset(e.ino), i.Size), payload}, nil
		}
	}
	return c
}

// copySource describes a file of a layer.
func (s *layerFile) copySource() (c copySource, err error) {
	err = s.withFD(func(fd int) error {
		st, err := statFD(fd)
		if err != nil {
			return err
		}
		c = copySource{
			typ: uint8(st.Mode & unix.S_IFMT >> 12), attr: attrOf(&st), size: int64(st.Size),
			atime: unix.Timespec{Sec: st.Atime.Sec, Nsec: int64(st.Atime.Nsec)},
			mtime: unix.Timespec{Sec: st.Mtime.Sec, Nsec: int64(st.Mtime.Nsec)},
		}
		c.xattrs, err = userXattrs(fd)
		return err
	})
	if err != nil {
		return c, err
	}
	switch c.typ {
	case unix.DT_LNK:
		buf := make([]byte, unix.PathMax)
		var n int
		n, err = unix.Readlinkat(s.dir, s.name, buf)
		c.target = string(buf[:max(n, 0)])
	case unix.DT_REG:
		var fd int
		if fd, err = openName(s.dir, s.name, unix.O_RDONLY, 0); err == nil {
			f := os.NewFile(uintptr(fd), s.name)
			c.open = func() (io.ReadCloser, error) { return f, nil }
		}
	}
	return c, err
}

// userXattrs returns the attributes of an open file that are not a layer's own.
func userXattrs(fd int) (map[string]string, error) {
	names, err := listUserXattrs(fd)
	all := make(map[string]string)
	for _, name := range names {
		value, err := getXattrFD(fd, name)
		if err != nil {
			return nil, err
		}
		all[name] = string(value)
	}
	return all, err
}

// copyUp makes the layer have the file. The content is copied before any lock is
// taken; what was copied is put in its place in one step.
func (f *upFile) copyUp() error {
	for {
		done, c, err := f.toCopy()
		if done || err != nil {
			return err
		}
		c.ino = f.qid.Path
		m := f.node.layer
		if err := f.dir.change(func(*mergedDir) error { return m.open() }); err != nil {
			return err
		}
		if err := f.copyAs(m, &c); err != errRetry {
			return err
		}
	}
}

// copyAs makes a copy and moves it to its place.
func (f *upFile) copyAs(m *Mutable, c *copySource) error {
	m.copying.begin()
	defer m.copying.end()
	temp := m.tempName()
	err := m.copy(temp, c)
	if err == nil {
		err = f.change(func(at *mergedDir, name string) error { return f.putCopy(at, name, temp, c) })
	}
	if err != nil {
		m.discard(temp)
	}
	return err
}

// toCopy returns what there is to copy, unless the layer has the file.
func (f *upFile) toCopy() (done bool, c copySource, err error) {
	if f.node == nil {
		return false, c, syscall.EROFS
	}
	err = f.look(func(s *layerFile) error {
		switch {
		case s == nil:
			c = f.leaf.e.copySource()
		case s.layer == f.node.layer:
			done = true
		default:
			c, err = s.copySource()
			return err
		}
		return nil
	})
	return done, c, err
}

// copying counts the copies of files of packages that were begun, and those that
// are in their place or given up. In between no edit tells of what they keep in
// base.
type copying struct {
	mu          sync.Mutex // guards what follows, and sweeps of base
	begun, done uint64
}

func (c *copying) begin() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.begun++
}

func (c *copying) end() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.done++
}

// quiet returns how many copies were begun, and whether none is going on.
func (c *copying) quiet() (begun uint64, ok bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.begun, c.begun == c.done
}

// putCopy moves a copy to its place. It fails with errRetry if something else is
// to be copied now.
func (f *upFile) putCopy(at *mergedDir, name, temp string, c *copySource) error {
	m := at.stack.own()
	now, err := at.look(name, true)
	if err != nil {
		return err
	}
	switch {
	case now.at != nil:
		return syscall.ESTALE
	case now.e == nil && now.layer == 0:
		m.discard(temp) // somebody else was faster
		return nil
	case now.e != nil && (f.leaf == nil || !sameEntry(now.e, f.leaf.e)):
		if !now.e.mutable(at.path, name) {
			return syscall.EPERM
		}
		f.leaf = &leaf{e: now.e, who: f.who} // another version came
		f.qid = at.fileQID(&now, name)
		return errRetry
	}
	up, err := m.ensureDir(at)
	if err != nil {
		return err
	}
	if err := m.grow(uint64(c.size), 1); err != nil {
		return err
	}
	err = m.withDir(up, func(dir int) error {
		return unix.Renameat2(m.work, temp, dir, name, unix.RENAME_NOREPLACE)
	})
	if err != nil {
		m.shrink(uint64(c.size), 1)
		return err
	}
	up.entries[name] = upEntry{typ: c.typ, ino: c.ino}
	if n := up.node.known(name); n != nil {
		n.copied.Store(true)
	}
	return nil
}

// sameEntry says whether both are the same file of the same package.
func sameEntry(a, b *entry) bool {
	return a == b || a.layer.Package == b.layer.Package && a.layer.Ino(a.ino) == b.layer.Ino(b.ino)
}

// copy makes a file in work.
func (m *Mutable) copy(temp string, c *copySource) error {
	if err := m.makeCopy(temp, c); err != nil {
		return err
	}
	fd, err := openName(m.work, temp, unix.O_PATH, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	return m.dress(fd, c)
}

func (m *Mutable) makeCopy(temp string, c *copySource) error {
	switch c.typ {
	case unix.DT_LNK:
		return unix.Symlinkat(c.target, m.work, temp)
	case unix.DT_DIR:
		return unix.Mkdirat(m.work, temp, 0o700)
	case unix.DT_FIFO, unix.DT_SOCK:
		return unix.Mknodat(m.work, temp, uint32(c.typ)<<12|0o600, 0)
	}
	from, err := c.open()
	if err != nil {
		return err
	}
	defer from.Close()
	fd, err := openName(m.work, temp, unix.O_RDWR|unix.O_CREAT|unix.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	to := os.NewFile(uintptr(fd), temp)
	defer to.Close()
	n, err := io.Copy(to, from)
	if err != nil {
		return bare(err)
	}
	if n != c.size && c.origin != nil {
		return syscall.EIO
	}
	if err := m.keepBase(to, c); err != nil {
		return bare(err)
	}
	return bare(to.Sync())
}

// bare takes the path of the server's machine out of an error.
func bare(err error) error {
	var e *os.PathError
	if errors.As(err, &e) {
		return e.Err
	}
	return err
}

// dress gives a new file what its source has beside content.
func (m *Mutable) dress(fd int, c *copySource) error {
	if err := chown(fd, c.attr.uid, c.attr.gid); err != nil {
		return err
	}
	for name, value := range c.xattrs {
		if err := unix.Setxattr(procPath(fd), name, []byte(value), 0); err != nil && !errors.Is(err, unix.EPERM) && !errors.Is(err, unix.EOPNOTSUPP) {
			return err
		}
	}
	if c.typ != unix.DT_LNK {
		if err := unix.Chmod(procPath(fd), c.attr.mode); err != nil {
			return err
		}
	}
	if c.typ == unix.DT_REG || c.typ == unix.DT_DIR || m.names == trusted {
		if err := m.recordIno(fd, c.ino); err != nil {
			return err
		}
	}
	if c.origin != nil {
		if err := m.recordOrigin(fd, c.origin); err != nil {
			return err
		}
	}
	return unix.UtimesNanoAt(fd, "", []unix.Timespec{c.atime, c.mtime}, unix.AT_EMPTY_PATH)
}

// chown sets the owner of an open file. A server that is not root's keeps what
// it makes.
func chown(fd int, uid, gid uint32) error {
	if os.Geteuid() != 0 {
		return nil
	}
	return unix.Fchownat(fd, "", int(uid), int(gid), unix.AT_EMPTY_PATH)
}

// maxBase is the size of the largest file that is kept to compare later versions
// with, in bytes.
const maxBase = 4 << 20

// keepBase keeps the content that a file of a package has before it is edited.
func (m *Mutable) keepBase(from io.ReaderAt, c *copySource) error {
	if c.origin == nil || c.size > maxBase {
		return nil
	}
	file := filepath.Join(m.path, "base", hex.EncodeToString(c.origin.Digest[:]))
	if _, err := os.Stat(file); err == nil {
		return nil
	}
	temp := filepath.Join(m.path, "work", m.tempName())
	to, err := os.OpenFile(temp, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_, err = io.Copy(to, io.NewSectionReader(from, 0, c.size))
	err = errors.Join(err, to.Close())
	if err == nil {
		err = os.Rename(temp, file)
	}
	if err != nil {
		os.Remove(temp)
	}
	return err
}

// ensureDir returns what the layer has of a directory, which it makes with all
// above it where it has nothing. It runs with the stack locked for changes.
func (m *Mutable) ensureDir(at *mergedDir) (*upDir, error) {
	if up := at.own(); up != nil {
		return up, nil
	}
	if err := m.open(); err != nil {
		return nil, err
	}
	if at.path == "" {
		return m.ensureTop(at)
	}
	parent, err := at.stack.at(above(at.path), true)
	if err != nil {
		return nil, err
	}
	up, err := m.ensureDir(parent)
	if err != nil {
		return nil, err
	}
	c, err := at.copySource()
	if err != nil {
		return nil, err
	}
	temp, name := m.tempName(), filepath.Base(at.path)
	err = m.grow(0, 1)
	if err == nil {
		err = m.copy(temp, &c)
	}
	if err == nil {
		err = m.withDir(up, func(dir int) error {
			return unix.Renameat2(m.work, temp, dir, name, unix.RENAME_NOREPLACE)
		})
	}
	if err != nil {
		m.discard(temp)
		return nil, err
	}
	up.entries[name] = upEntry{typ: unix.DT_DIR, ino: c.ino}
	m.shape.Add(1)
	return m.child(up, name, true)
}

// ensureTop gives the top of the layer the attributes of what it is put over.
func (m *Mutable) ensureTop(at *mergedDir) (*upDir, error) {
	c, err := at.copySource()
	if err != nil {
		return nil, err
	}
	up, err := m.upTop(true)
	if err == nil && len(up.entries) == 0 {
		err = m.withDir(up, func(dir int) error { return m.dress(dir, &c) })
	}
	m.shape.Add(1)
	return up, err
}

// copySource describes a directory as its copy shall be.
func (p *mergedDir) copySource() (copySource, error) {
	c := copySource{typ: unix.DT_DIR, attr: p.attr(), ino: p.qid().Path}
	var a p9.Attr
	if len(p.ups) > 0 {
		if err := p.upAttr(&a); err != nil {
			return c, err
		}
		u := p.ups[0]
		m := p.stack.Layers[u.layer]
		err := m.withDir(u.dir, func(dir int) (err error) {
			c.xattrs, err = userXattrs(dir)
			return err
		})
		if err != nil {
			return c, err
		}
	} else {
		p.dir.fill(&a)
		if p.dir.attrs >= 0 {
			from := &p.dir.from[p.dir.attrs]
			c.xattrs = from.layer.Xattrs(from.ino)
		}
	}
	c.atime = unix.Timespec{Sec: int64(a.ATimeSeconds), Nsec: int64(a.ATimeNanoSeconds)}
	c.mtime = unix.Timespec{Sec: int64(a.MTimeSeconds), Nsec: int64(a.MTimeNanoSeconds)}
	return c, nil
}

// withDir opens a directory of the layer for do, and notes what came of it.
func (m *Mutable) withDir(up *upDir, do func(dir int) error) error {
	d, err := m.fds.open(up)
	if err != nil {
		return err
	}
	defer m.fds.close(d)
	if err := do(d.fd); err != nil {
		return err
	}
	st, err := statFD(d.fd)
	if err == nil {
		up.note(&st)
	}
	return err
}
