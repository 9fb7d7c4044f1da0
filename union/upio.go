package union

import (
	"io"
	"syscall"

	"github.com/hugelgupf/p9/p9"
	"golang.org/x/sys/unix"
)

// openFile is an open file of a layer. It stays usable when its last name is
// gone.
type openFile struct {
	layer   *Mutable
	who     *Cred // in whose name it counts
	fd      int
	size    *openSize // nil if it was opened for reading only
	append  bool
	dropIDs bool // the first write takes setuid and setgid away
}

// writes says whether the file is open for writing. o may be nil.
func (o *openFile) writes() bool { return o != nil && o.size != nil }

func (o *openFile) close() {
	if o.size != nil {
		o.layer.closeSize(o.size)
	}
	unix.Close(o.fd)
	o.layer.files.give(o.who)
}

// passedFlags are those of Tlopen and Tlcreate that the layer's file system is to
// see, beside the access mode.
const passedFlags = unix.O_APPEND | unix.O_DSYNC | unix.O_SYNC | unix.O_NOATIME

// Open implements p9.File.
func (f *upFile) Open(mode p9.OpenFlags) (p9.QID, uint32, error) {
	if mode&oDirectory != 0 {
		return p9.QID{}, 0, errNotDir
	}
	attr, err := f.attr()
	if err != nil {
		return p9.QID{}, 0, err
	}
	reads, writes := mode.Mode() != p9.WriteOnly, mode.Mode() != p9.ReadOnly
	switch {
	case reads && !f.who.mayOpen(attr):
		return p9.QID{}, 0, syscall.EACCES
	case (writes || mode&unix.O_TRUNC != 0) && f.node == nil:
		return p9.QID{}, 0, syscall.EROFS
	case (writes || mode&unix.O_TRUNC != 0) && !f.who.may(attr, mayWrite):
		return p9.QID{}, 0, syscall.EACCES
	}
	if writes || mode&unix.O_TRUNC != 0 {
		if err := f.copyUp(); err != nil {
			return p9.QID{}, 0, err
		}
	}
	err = f.look(func(s *layerFile) error {
		if s == nil {
			q, _, err := f.leaf.Open(p9.ReadOnly)
			f.qid.Version = q.Version
			return err
		}
		o, err := s.open(f.qid.Path, int(mode), f.who)
		if err != nil {
			return err
		}
		if !f.open.CompareAndSwap(nil, o) { // a read beside this one has opened the copy
			o.close()
		}
		return nil
	})
	if err == nil && mode&unix.O_TRUNC != 0 {
		err = f.open.Load().truncate(0)
	}
	q := f.qid
	if f.open.Load() != nil {
		q.Version = 0
	}
	return q, 0, err
}

// open opens a file of a layer. The permissions were checked.
func (s *layerFile) open(ino uint64, mode int, who *Cred) (*openFile, error) {
	flags := mode&(unix.O_ACCMODE|passedFlags) | unix.O_NONBLOCK
	if mode&unix.O_TRUNC != 0 && mode&unix.O_ACCMODE == unix.O_RDONLY {
		flags |= unix.O_RDWR
	}
	if err := s.layer.files.take(who); err != nil {
		return nil, err
	}
	fd, err := openName(s.dir, s.name, flags, 0)
	if err != nil {
		s.layer.files.give(who)
		return nil, err
	}
	st, err := statFD(fd)
	if err != nil {
		unix.Close(fd)
		s.layer.files.give(who)
		return nil, err
	}
	return s.layer.opened(fd, &st, ino, flags, who)
}

// opened makes an openFile of a descriptor to the file that st describes. It takes over
// the descriptor, and the place among open files that was taken for it.
func (m *Mutable) opened(fd int, st *unix.Statx_t, ino uint64, flags int, who *Cred) (*openFile, error) {
	if st.Mode&unix.S_IFMT != unix.S_IFREG {
		unix.Close(fd)
		m.files.give(who)
		return nil, syscall.ENXIO
	}
	o := &openFile{layer: m, who: who, fd: fd, append: flags&unix.O_APPEND != 0}
	if flags&unix.O_ACCMODE != unix.O_RDONLY {
		o.size = m.openSize(ino, st.Size)
		o.dropIDs = !who.root() && st.Mode&(unix.S_ISUID|unix.S_ISGID) != 0
	}
	return o, nil
}

// truncate sets the size.
func (o *openFile) truncate(size uint64) error {
	if o.size == nil {
		return syscall.EBADF
	}
	return o.layer.resize(o.size, func(uint64) uint64 { return size }, func() error {
		return retry(func() error { return unix.Ftruncate(o.fd, int64(size)) })
	})
}

// ReadAt implements p9.File. Who has a file of a package open reads the copy as
// soon as there is one.
func (f *upFile) ReadAt(p []byte, off int64) (int, error) {
	if f.open.Load() == nil && f.node != nil && f.node.copied.Load() {
		if _, _, err := f.Open(p9.ReadOnly); err != nil {
			return 0, err
		}
	}
	o := f.open.Load()
	if o == nil {
		if f.leaf == nil {
			return 0, syscall.EBADF
		}
		return f.leaf.ReadAt(p, off)
	}
	n := 0
	for n < len(p) {
		got, err := unix.Pread(o.fd, p[n:], off+int64(n))
		switch {
		case err == unix.EINTR:
			continue
		case err != nil:
			return n, err
		case got == 0:
			return n, io.EOF
		}
		n += got
	}
	return n, nil
}

// ReadNow leaves all but files of packages to a worker; see p9l.NowReader.
func (f *upFile) ReadNow(p []byte, off int64) (int, error) {
	if f.open.Load() != nil || f.leaf == nil || f.node != nil && f.node.copied.Load() {
		return 0, errWait
	}
	return f.leaf.ReadNow(p, off)
}

// WriteAt implements p9.File. A file that is open for appending grows at its
// end, whatever the offset says.
func (f *upFile) WriteAt(p []byte, off int64) (n int, err error) {
	o := f.open.Load()
	if o == nil || o.size == nil {
		return 0, syscall.EBADF
	}
	if o.dropIDs {
		if err := dropIDs(o.fd); err != nil {
			return 0, err
		}
		o.dropIDs = false
	}
	end := func(size uint64) uint64 {
		if o.append {
			return size + uint64(len(p))
		}
		return max(size, uint64(off)+uint64(len(p)))
	}
	err = o.layer.resize(o.size, end, func() error {
		if n, err = pwrite(o.fd, p, off); err != nil && n == 0 {
			return err
		}
		return nil
	})
	return n, err
}

// pwrite writes all of p or says why not.
func pwrite(fd int, p []byte, off int64) (n int, err error) {
	for n < len(p) {
		got, err := unix.Pwrite(fd, p[n:], off+int64(n))
		if err == unix.EINTR {
			continue
		}
		if err != nil {
			return n, err
		}
		n += got
	}
	return n, nil
}

// dropIDs takes setuid away, and setgid of what is executed by its group.
func dropIDs(fd int) error {
	st, err := statFD(fd)
	if err != nil {
		return err
	}
	mode := uint32(st.Mode) & 07777 &^ unix.S_ISUID
	if mode&unix.S_IXGRP != 0 {
		mode &^= unix.S_ISGID
	}
	return unix.Fchmod(fd, mode)
}

// FSync implements p9.File. What the file is called is on disk then, too.
func (f *upFile) FSync() error {
	o := f.open.Load()
	if o == nil {
		return nil
	}
	return retry(func() error { return unix.Fsync(o.fd) })
}
