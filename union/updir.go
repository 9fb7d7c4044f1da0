package union

import (
	"errors"
	"io/fs"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// An upDir is a directory that a mutable layer has, as it is on disk. What the
// server changes it changes here, too; what others change is seen when the
// directory is looked at a second later.
type upDir struct {
	node *node

	// Guarded by the layer's mu.
	entries map[string]upEntry
	opaque  bool // what is below the layer does not show
	inode   fileAttr
	ino     uint64 // for qid.path
	version uint32 // for qid.version: counts changes
	changed unix.StatxTimestamp
	modated unix.StatxTimestamp
	checked time.Duration // by the layer's clock
}

// fileAttr is what permissions depend on.
type fileAttr struct{ mode, uid, gid uint32 }

func attrOf(st *unix.Statx_t) fileAttr { return fileAttr{uint32(st.Mode) & 07777, st.Uid, st.Gid} }

// upEntry is a name in an upDir.
type upEntry struct {
	typ uint8  // a DT_ value; DT_WHT for a name that is gone
	ino uint64 // for qid.path
}

// lookAgain is how long what is known of a directory is not compared with the
// disk.
const lookAgain = time.Second

// upAt returns what the layer has of a directory, nil for nothing. It runs with
// mu locked; with wait unset it fails with errWait instead of reading a disk.
func (m *Mutable) upAt(n *node, wait bool) (*upDir, error) {
	if up := n.up.Load(); up != nil {
		return up, nil
	}
	if !wait {
		return nil, errWait
	}
	m.loading.Lock()
	defer m.loading.Unlock()
	if up := n.up.Load(); up != nil {
		return up, nil
	}
	up := &upDir{node: n}
	if err := m.load(up); err != nil {
		return nil, err
	}
	n.up.Store(up)
	return up, nil
}

// child returns the directory of a name that is one in up.
func (m *Mutable) child(up *upDir, name string, wait bool) (*upDir, error) {
	n := up.node.known(name)
	if n != nil {
		if c := n.up.Load(); c != nil {
			return c, nil
		}
	}
	if !wait {
		return nil, errWait
	}
	if n == nil {
		m.nodes.Lock()
		n = up.node.kid(name)
		m.nodes.Unlock()
	}
	n.retain()
	defer n.release()
	return m.upAt(n, true)
}

// load reads a directory.
func (m *Mutable) load(up *upDir) error {
	d, err := m.fds.open(up)
	if err != nil {
		return err
	}
	defer m.fds.close(d)
	st, err := statFD(d.fd)
	if err != nil {
		return err
	}
	entries, err := m.readDir(d.fd)
	if err != nil {
		return err
	}
	opaque, err := getXattrFD(d.fd, m.names.overlay+"opaque")
	if err != nil && !noXattr(err) {
		return err
	}
	up.entries, up.opaque = entries, string(opaque) == "y"
	up.ino = m.recordedIno(d.fd, &st)
	up.note(&st)
	return nil
}

// note takes over what stat said of the directory after a look or a change.
func (up *upDir) note(st *unix.Statx_t) {
	up.inode = attrOf(st)
	up.changed, up.modated, up.checked = st.Ctime, st.Mtime, up.node.layer.clock()
	up.version = max(up.version+1, uint32(st.Ctime.Sec), 1)
}

// readDir reads the names of a directory and what they are.
func (m *Mutable) readDir(dir int) (map[string]upEntry, error) {
	fd, err := openName(dir, ".", unix.O_RDONLY|unix.O_DIRECTORY, 0)
	if err != nil {
		return nil, err
	}
	f := os.NewFile(uintptr(fd), "layer")
	defer f.Close()
	list, err := f.ReadDir(-1)
	if err != nil {
		return nil, err
	}
	entries := make(map[string]upEntry, len(list))
	for _, e := range list {
		known, err := m.entryOf(dir, e.Name())
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, err
		}
		entries[e.Name()] = known
	}
	return entries, nil
}

// entryOf describes a name of a directory.
func (m *Mutable) entryOf(dir int, name string) (upEntry, error) {
	st, err := statName(dir, name)
	if err != nil {
		return upEntry{}, err
	}
	if isWhiteout(&st) {
		return upEntry{typ: unix.DT_WHT}, nil
	}
	e := newEntry(&st)
	if e.typ != unix.DT_REG && m.names == untrusted {
		return e, nil // other files have no attributes of users
	}
	fd, err := openName(dir, name, unix.O_PATH, 0)
	if err != nil {
		return upEntry{}, err
	}
	defer unix.Close(fd)
	e.ino = m.recordedIno(fd, &st)
	return e, nil
}

// newEntry describes what began in the layer.
func newEntry(st *unix.Statx_t) upEntry {
	return upEntry{typ: uint8(st.Mode & unix.S_IFMT >> 12), ino: inoOf(st)}
}

// stale says that it is time to compare up with the disk.
func (up *upDir) stale() bool { return up.node.layer.clock()-up.checked > lookAgain }

// freshen compares a directory with the disk, and reads it anew if others have
// changed it. It runs with mu locked for writing.
func (m *Mutable) freshen(up *upDir) error {
	if !up.stale() || up.node.up.Load() != up {
		return nil
	}
	d, err := m.fds.open(up)
	if err == nil {
		var st unix.Statx_t
		st, err = statFD(d.fd)
		m.fds.close(d)
		if err == nil && st.Ctime == up.changed && st.Mtime == up.modated && st.Nlink > 0 {
			up.checked = up.node.layer.clock()
			return nil
		}
		if err == nil && st.Nlink == 0 {
			err = unix.ENOENT
		}
	}
	if err == nil {
		before := up.entries
		if err = m.load(up); err == nil {
			m.replaced(up, before)
			return nil
		}
	}
	if notThere(err) { // the next look finds out from above
		m.nodes.Lock()
		up.node.drop()
		m.nodes.Unlock()
		m.shape.Add(1)
		return nil
	}
	return err
}

// replaced forgets what stood for names that others have changed.
func (m *Mutable) replaced(up *upDir, before map[string]upEntry) {
	for name, e := range before {
		if up.entries[name] != e {
			up.node.remove(name)
		}
	}
	m.shape.Add(1)
}
