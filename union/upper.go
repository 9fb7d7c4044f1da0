package union

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/rs/zerolog"
	"golang.org/x/sys/unix"
)

// A Mutable is a mutable layer: the changed, new and deleted files of one
// context. It is a directory that has
//
//	upper  the files, in overlayfs's own format
//	work   files that are not yet, or no longer, in their place
//	base   what edited files of packages were copied from, by digest
//
// and that is made at the first change. All handles of a context share it; its
// methods may be called at the same time.
type Mutable struct {
	path  string
	id    uint64 // another one each time that the layer is opened
	born  time.Time
	salt  uint64 // makes the inode numbers of what it copied up its own
	limit func() Quota
	files *OpenFiles // nil for no limits
	log   zerolog.Logger

	// mu is held for reading by who looks at the layer, for writing by who
	// changes it. Of two layers the upper one is locked first; nodes, loading
	// and the others come after.
	mu      sync.RWMutex
	changes uint64 // counts what may have changed the layer; guarded by mu
	names   dialect
	work    int // open directory; -1 until the layer is there
	root    int // upper, likewise

	nodes   sync.Mutex // guards the fields of each node that say so
	loading sync.Mutex // held while a directory is read
	fds     dirFDs
	top     *node
	shape   atomic.Uint64 // counts directories that came, went or moved
	temp    atomic.Uint64 // counts names given in work
	there   atomic.Bool   // root is open

	copying copying
	usage   usage
}

// OpenMutable returns the layer in the directory at path, which need not be
// there yet. What a server that was killed left in work is removed. The caller
// Closes the layer when no handle is left. limit may be nil, and so may files, which
// layers share.
func OpenMutable(path string, limit func() Quota, files *OpenFiles, log zerolog.Logger) (*Mutable, error) {
	m := &Mutable{
		path: path, id: rand.Uint64(), born: time.Now(), salt: pathIno(filepath.Base(path)), limit: limit, files: files, work: -1, root: -1,
		log: log.With().Str("layer", filepath.Base(path)).Logger(),
	}
	m.top = &node{layer: m, refs: 1}
	m.fds.kept = make(map[*upDir]*dirFD)
	if _, err := os.Stat(filepath.Join(path, "upper")); err != nil {
		if errors.Is(err, os.ErrNotExist) {
			return m, nil
		}
		return nil, fmt.Errorf("mutable layer: %w", err)
	}
	if err := m.open(); err != nil {
		return nil, err
	}
	return m, nil
}

// clock tells the time since the layer was opened.
func (m *Mutable) clock() time.Duration { return time.Since(m.born) }

// open makes the layer's directories, as far as they are not there, and opens
// them. It runs with mu locked for writing, or before anybody else knows m.
func (m *Mutable) open() (err error) {
	if m.there.Load() {
		return nil
	}
	defer func() {
		if err != nil {
			err = fmt.Errorf("mutable layer: %w", err)
		}
	}()
	// Others than the server have no way in: there may be files in it that are
	// somebody's alone, or that change who runs them.
	if err := os.MkdirAll(m.path, 0o700); err != nil {
		return err
	}
	for _, name := range []string{"work", "base", "upper"} {
		err := os.Mkdir(filepath.Join(m.path, name), 0o755)
		if err != nil && !errors.Is(err, os.ErrExist) {
			return err
		}
		if name == "upper" && err == nil {
			// There is nothing to be counted.
			m.usage.counting.Do(func() { m.usage.known.Store(true) })
		}
	}
	if m.names, err = dialectOf(filepath.Join(m.path, "work")); err != nil {
		return err
	}
	if m.work, err = unix.Open(filepath.Join(m.path, "work"), unix.O_PATH|unix.O_DIRECTORY|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0); err != nil {
		return err
	}
	if m.root, err = unix.Open(filepath.Join(m.path, "upper"), unix.O_PATH|unix.O_DIRECTORY|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0); err != nil {
		unix.Close(m.work)
		return err
	}
	m.fds.root = m.root
	m.sweep()
	m.there.Store(true)
	m.shape.Add(1)
	return nil
}

// sweep empties work.
func (m *Mutable) sweep() {
	entries, err := os.ReadDir(filepath.Join(m.path, "work"))
	if err != nil {
		return
	}
	for _, e := range entries {
		if err := os.RemoveAll(filepath.Join(m.path, "work", e.Name())); err != nil {
			m.log.Warn().Err(err).Msg("a file that an earlier server left could not be removed")
		}
	}
}

// Close closes what the layer has open.
func (m *Mutable) Close() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.fds.closeAll()
	if m.there.Swap(false) {
		unix.Close(m.work)
		unix.Close(m.root)
	}
}

// upTop returns the top of what the layer has, nil for nothing.
func (m *Mutable) upTop(wait bool) (*upDir, error) {
	if !m.there.Load() {
		return nil, nil
	}
	return m.upAt(m.top, wait)
}

// tempName returns a name for work that nobody else has.
func (m *Mutable) tempName() string { return strconv.FormatUint(m.temp.Add(1), 36) }

// discard removes what is in work by that name, a tree as well.
func (m *Mutable) discard(name string) {
	if err := os.RemoveAll(filepath.Join(m.path, "work", name)); err != nil {
		m.log.Warn().Err(err).Msg("a file that is of no more use could not be removed")
	}
}

// inoName is the attribute that has the inode number of what was copied up.
const inoName = "ino"

// recordedIno returns the inode number of an open file of the layer: that of
// what it was copied from, else its own.
func (m *Mutable) recordedIno(fd int, st *unix.Statx_t) uint64 {
	if v, err := getXattrFD(fd, m.names.own+inoName); err == nil && len(v) == 8 {
		return binary.LittleEndian.Uint64(v)
	}
	return inoOf(st)
}

// recordIno keeps the inode number of what a file is copied from.
func (m *Mutable) recordIno(fd int, ino uint64) error {
	return m.setOwn(fd, m.names.own+inoName, binary.LittleEndian.AppendUint64(nil, ino))
}

// setOwn sets an attribute of the layer's own on an open file.
func (m *Mutable) setOwn(fd int, name string, value []byte) error {
	return retry(func() error { return unix.Setxattr(procPath(fd), name, value, 0) })
}

// saltIno is the inode number that a mutable file from below the layer has.
func (m *Mutable) saltIno(ino uint64) uint64 { return (ino ^ m.salt) * 0x9e3779b97f4a7c15 }
