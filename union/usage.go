package union

import (
	"io/fs"
	"path/filepath"
	"sync"
	"sync/atomic"
	"syscall"

	"github.com/hugelgupf/p9/p9"
	"golang.org/x/sys/unix"
)

// A Quota limits a mutable layer. 0 is no limit.
type Quota struct {
	Bytes uint64 // of the sizes of files
	Files uint64 // names: files, directories and marks of deleted ones
}

// usage is what a layer holds. A file counts with its size until its last name
// and its last handle are gone.
type usage struct {
	counting sync.Once
	err      error // of counting
	known    atomic.Bool

	mu    sync.Mutex // guards what follows
	bytes uint64
	files uint64
	open  map[uint64]*openSize // files that are open for writing, by inode number
}

// openSize is the size of a file that is open for writing.
type openSize struct {
	ino  uint64
	refs int  // guarded by usage.mu
	gone bool // no name is left; guarded by usage.mu

	mu   sync.Mutex // held by who changes the size
	size uint64
}

// count finds out what is on disk, at the first call.
func (m *Mutable) count() error {
	m.usage.counting.Do(func() {
		m.usage.err = m.countAll()
		m.usage.known.Store(true)
	})
	return m.usage.err
}

// counted says whether what the layer holds is known without a disk.
func (m *Mutable) counted() bool { return !m.there.Load() || m.usage.known.Load() }

func (m *Mutable) countAll() error {
	var bytes, files uint64
	linked := make(map[uint64]bool)
	err := filepath.WalkDir(filepath.Join(m.path, "upper"), func(p string, e fs.DirEntry, err error) error {
		if err != nil {
			if notThere(err) {
				return nil
			}
			return err
		}
		files++
		info, err := e.Info()
		if err != nil || !e.Type().IsRegular() {
			return nil // it went meanwhile
		}
		if st := info.Sys().(*syscall.Stat_t); st.Nlink > 1 {
			if linked[st.Ino] {
				return nil
			}
			linked[st.Ino] = true
		}
		bytes += uint64(info.Size())
		return nil
	})
	m.usage.mu.Lock()
	defer m.usage.mu.Unlock()
	m.usage.bytes += bytes
	m.usage.files += max(files, 1) - 1 // but for the top
	return err
}

// quota returns the limits of now.
func (m *Mutable) quota() Quota {
	if m.limit == nil {
		return Quota{}
	}
	return m.limit()
}

// Usage tells what the layer holds and may hold.
func (m *Mutable) Usage() (used, limit Quota, err error) {
	if m.there.Load() {
		err = m.count()
	}
	m.usage.mu.Lock()
	defer m.usage.mu.Unlock()
	return Quota{m.usage.bytes, m.usage.files}, m.quota(), err
}

// grow counts bytes and files that are to come. It fails with EDQUOT.
func (m *Mutable) grow(bytes, files uint64) error {
	limit := m.quota()
	u := &m.usage
	u.mu.Lock()
	defer u.mu.Unlock()
	if limit.Bytes > 0 && bytes > 0 && u.bytes+bytes > limit.Bytes || limit.Files > 0 && files > 0 && u.files+files > limit.Files {
		return unix.EDQUOT
	}
	u.bytes += bytes
	u.files += files
	return nil
}

// shrink counts bytes and files that went, or did not come.
func (m *Mutable) shrink(bytes, files uint64) {
	u := &m.usage
	u.mu.Lock()
	defer u.mu.Unlock()
	u.bytes -= min(bytes, u.bytes)
	u.files -= min(files, u.files)
}

// unlinked counts a file of which a name went that was a regular file's.
func (m *Mutable) unlinked(ino uint64, st *unix.Statx_t) {
	m.shrink(0, 1)
	if st.Mode&unix.S_IFMT != unix.S_IFREG || st.Nlink > 1 {
		return
	}
	m.usage.mu.Lock()
	o := m.usage.open[ino]
	if o != nil {
		o.gone = true
	}
	m.usage.mu.Unlock()
	if o == nil {
		m.shrink(st.Size, 0)
	}
}

// openSize returns the shared size of a file that a handle is to write. The
// caller gives it back by closeSize.
func (m *Mutable) openSize(ino, size uint64) *openSize {
	u := &m.usage
	u.mu.Lock()
	defer u.mu.Unlock()
	o := u.open[ino]
	if o == nil {
		if u.open == nil {
			u.open = make(map[uint64]*openSize)
		}
		o = &openSize{ino: ino, size: size}
		u.open[ino] = o
	}
	o.refs++
	return o
}

func (m *Mutable) closeSize(o *openSize) {
	u := &m.usage
	u.mu.Lock()
	o.refs--
	last := o.refs == 0
	if last {
		delete(u.open, o.ino)
	}
	u.mu.Unlock()
	if last && o.gone {
		m.shrink(o.size, 0)
	}
}

// resize runs call, which makes the file end at size at least, and counts what
// that takes. call returns the size that came of it.
func (m *Mutable) resize(o *openSize, grown func(now uint64) uint64, call func() error) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	before, after := o.size, grown(o.size)
	if after > before {
		if err := m.grow(after-before, 0); err != nil {
			return err
		}
	}
	if err := call(); err != nil {
		if after > before {
			m.shrink(after-before, 0)
		}
		return err
	}
	if after < before {
		m.shrink(before-after, 0)
	}
	o.size = after
	return nil
}

// statFS describes the layer's file system, or of it what the quota leaves.
func (m *Mutable) statFS() (p9.FSStat, error) {
	at := m.path
	for !m.there.Load() {
		// The layer comes to be below the nearest directory that is there.
		if unix.Access(at, unix.F_OK) == nil || at == filepath.Dir(at) {
			break
		}
		at = filepath.Dir(at)
	}
	var st unix.Statfs_t
	if err := retry(func() error { return unix.Statfs(at, &st) }); err != nil {
		return p9.FSStat{}, err
	}
	out := p9.FSStat{
		Type:      0x01021997, // V9FS_MAGIC
		BlockSize: uint32(st.Bsize), Blocks: st.Blocks, BlocksFree: st.Bfree, BlocksAvailable: st.Bavail,
		Files: st.Files, FilesFree: st.Ffree, NameLength: 255,
	}
	used, limit, err := m.Usage()
	if err != nil {
		return p9.FSStat{}, err
	}
	if block := uint64(out.BlockSize); limit.Bytes > 0 {
		out.Blocks = min(out.Blocks, limit.Bytes/block)
		left := (max(limit.Bytes, used.Bytes) - used.Bytes) / block
		out.BlocksFree, out.BlocksAvailable = min(out.BlocksFree, left), min(out.BlocksAvailable, left)
	}
	if limit.Files > 0 {
		out.Files = min(out.Files, limit.Files)
		out.FilesFree = min(out.FilesFree, max(limit.Files, used.Files)-used.Files)
	}
	return out, nil
}
