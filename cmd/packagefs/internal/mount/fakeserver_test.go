package mount

import (
	"io"
	"maps"
	"math/rand/v2"
	"net"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/hugelgupf/p9/fsimpl/templatefs"
	"github.com/hugelgupf/p9/p9"

	"github.com/packagefs/packagefs/server/p9l"
	"github.com/packagefs/packagefs/server/p9l/client"
)

// A memTree is a tree in memory that tests change while it is served, and that
// counts what it is asked.
type memTree struct {
	// depth is where directories are that have stamps: 0 for the top, 1 for the
	// entries of the top, as in the directory of contexts; −1 for nowhere.
	depth int

	mu    sync.Mutex
	items map[string]*item // by path; the root is ""
	count uint64           // of changes
	born  uint64           // makes stamps those of this run

	live   atomic.Int64 // fids
	reads  atomic.Int64 // Treads
	xattrs atomic.Int64 // questions about extended attributes
}

type item struct {
	qid    p9.QID
	xattrs map[string]string
	mode   p9.FileMode
	data   string
	target string
	nlink  p9.NLink
	mtime  uint64
	edited bool // some day, by a client: then its version is 0
}

func (i item) dataVersion() uint64 {
	if i.edited {
		return 0
	}
	return uint64(i.qid.Version)
}

func newMemTree() *memTree {
	s := &memTree{depth: -1, items: map[string]*item{}, born: rand.Uint64()}
	s.dir("")
	return s
}

var lastQID atomic.Uint64

func (s *memTree) put(path string, i item) *item {
	s.mu.Lock()
	defer s.mu.Unlock()
	if i.qid.Path == 0 {
		i.qid.Path = lastQID.Add(1)
	}
	i.qid.Type = i.mode.QIDType()
	i.nlink, i.mtime = 1, 1_500_000_000
	s.items[path] = &i
	s.count++
	return &i
}

func (s *memTree) dir(path string) *item {
	return s.put(path, item{mode: p9.ModeDirectory | 0o755})
}

// file makes an immutable file.
func (s *memTree) file(path, data string) *item {
	return s.put(path, item{mode: p9.ModeRegular | 0o644, data: data, qid: p9.QID{Version: 1}})
}

func (s *memTree) link(path, target string) *item {
	return s.put(path, item{mode: p9.ModeSymlink | 0o777, target: target, qid: p9.QID{Version: 1}})
}

// change changes what is at a path, also for those who have it open.
func (s *memTree) change(path string, do func(*item)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	do(s.items[path])
	s.count++
}

func (s *memTree) remove(path string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.items, path)
	s.count++
}

func (s *memTree) Attach() (p9.File, error) { return s.fid(""), nil }

func (s *memTree) fid(path string) *memFile {
	s.live.Add(1)
	return &memFile{s: s, path: path}
}

type memFile struct {
	templatefs.NoopFile
	p9.DefaultWalkGetAttr
	s    *memTree
	path string
	open *item
}

func (f *memFile) item() (item, error) {
	f.s.mu.Lock()
	defer f.s.mu.Unlock()
	switch i := f.s.items[f.path]; {
	case f.open != nil:
		return *f.open, nil
	case i != nil:
		return *i, nil
	}
	return item{}, syscall.ENOENT
}

func (f *memFile) Walk(names []string) ([]p9.QID, p9.File, error) {
	to := &memFile{s: f.s, path: f.path}
	var qids []p9.QID
	for _, n := range names {
		to.path = strings.TrimPrefix(path.Join(to.path, n), "/")
		i, err := to.item()
		if err != nil {
			return nil, nil, err
		}
		qids = append(qids, i.qid)
	}
	return qids, f.s.fid(to.path), nil
}

func (f *memFile) GetAttr(p9.AttrMask) (p9.QID, p9.AttrMask, p9.Attr, error) {
	i, err := f.item()
	if err != nil {
		return p9.QID{}, p9.AttrMask{}, p9.Attr{}, err
	}
	size := uint64(len(i.data) + len(i.target))
	return i.qid, p9.AttrMaskAll, p9.Attr{
		Mode: i.mode, NLink: i.nlink, UID: 7, GID: 8, Size: size, BlockSize: 4096,
		Blocks: (size + 511) / 512, MTimeSeconds: i.mtime, DataVersion: i.dataVersion(),
	}, nil
}

// Stamp implements p9l.Stamper.
func (f *memFile) Stamp(bool) (uint64, error) {
	if _, err := f.item(); err != nil {
		return 0, err
	}
	f.s.mu.Lock()
	defer f.s.mu.Unlock()
	switch {
	case f.s.depth == 0 && f.path == "", f.s.depth == 1 && f.path != "" && !strings.Contains(f.path, "/"):
		return f.s.born + f.s.count, nil
	}
	return 0, nil
}

func (f *memFile) Open(p9.OpenFlags) (p9.QID, uint32, error) {
	f.s.mu.Lock()
	defer f.s.mu.Unlock()
	i := f.s.items[f.path]
	if i == nil {
		return p9.QID{}, 0, syscall.ENOENT
	}
	f.open = i
	return i.qid, 0, nil
}

func (f *memFile) ReadAt(p []byte, off int64) (int, error) {
	f.s.reads.Add(1)
	i, err := f.item()
	if err != nil {
		return 0, err
	}
	if off >= int64(len(i.data)) {
		return 0, io.EOF
	}
	return copy(p, i.data[off:]), nil
}

func (f *memFile) Readdir(off uint64, count uint32) (p9.Dirents, error) {
	f.s.mu.Lock()
	defer f.s.mu.Unlock()
	var names []string
	for at := range f.s.items {
		if at != "" && strings.TrimPrefix(path.Dir("/"+at), "/") == f.path {
			names = append(names, at)
		}
	}
	slices.Sort(names)
	var list p9.Dirents
	for i := int(off); i < len(names) && len(list) < int(count); i++ {
		q := f.s.items[names[i]].qid
		list = append(list, p9.Dirent{QID: q, Type: q.Type, Offset: uint64(i) + 1, Name: path.Base(names[i])})
	}
	return list, nil
}

func (f *memFile) Readlink() (string, error) {
	i, err := f.item()
	if err != nil {
		return "", err
	}
	return i.target, nil
}

func (f *memFile) StatFS() (p9.FSStat, error) {
	return p9.FSStat{Type: 0x01021997, BlockSize: 4096, NameLength: 255, Files: 77}, nil
}

func (f *memFile) GetXattr(name string) ([]byte, error) {
	f.s.xattrs.Add(1)
	i, err := f.item()
	if err != nil {
		return nil, err
	}
	if v, ok := i.xattrs[name]; ok {
		return []byte(v), nil
	}
	return nil, syscall.ENODATA
}

func (f *memFile) ListXattrs() ([]string, error) {
	f.s.xattrs.Add(1)
	i, err := f.item()
	if err != nil {
		return nil, err
	}
	names := slices.Sorted(maps.Keys(i.xattrs))
	return slices.DeleteFunc(names, func(name string) bool { return strings.HasPrefix(name, unlistedXattrs) }), nil
}

func (f *memFile) Close() error { f.s.live.Add(-1); return nil }

// byEngine is a tree as the engine of packagefs wants it.
type byEngine struct{ *memTree }

func (e byEngine) Attach(p9l.AttachRequest) (p9.File, error) { return e.memTree.Attach() }

// A fakeServer serves a tree on a socket, and can be stopped and started.
type fakeServer struct {
	// foreign lets hugelgupf/p9's server answer instead of our engine.
	foreign bool

	t      *testing.T
	tree   *memTree
	engine p9l.Server
	addr   client.Addr
	l      net.Listener
	wg     sync.WaitGroup
	mu     sync.Mutex
	conns  []net.Conn
}

func newFakeServer(t *testing.T, s *memTree) *fakeServer {
	return startFakeServer(&fakeServer{t: t, tree: s})
}

func startFakeServer(h *fakeServer) *fakeServer {
	t := h.t
	h.engine.Attacher = byEngine{h.tree}
	h.addr = client.Addr{Network: "unix", Address: filepath.Join(t.TempDir(), "9p.sock")}
	h.start()
	t.Cleanup(h.stop)
	return h
}

func (h *fakeServer) start() {
	var err error
	if h.l, err = net.Listen("unix", h.addr.Address); err != nil {
		h.t.Fatal(err)
	}
	h.wg.Go(func() {
		for {
			c, err := h.l.Accept()
			if err != nil {
				return
			}
			h.mu.Lock()
			h.conns = append(h.conns, c)
			h.mu.Unlock()
			h.wg.Go(func() { h.serve(c) })
		}
	})
}

func (h *fakeServer) serve(c net.Conn) {
	if h.foreign {
		p9.NewServer(h.tree).Handle(c, c)
		return
	}
	h.engine.ServeConn(c, p9l.PeerOf(c))
}

// requests tells how many requests there were, when no more come.
func (h *fakeServer) requests() int {
	for n := h.engine.Stats().Requests; ; {
		time.Sleep(50 * time.Millisecond)
		now := h.engine.Stats().Requests
		if now == n {
			return int(n)
		}
		n = now
	}
}

func (h *fakeServer) stop() {
	h.l.Close()
	h.mu.Lock()
	for _, c := range h.conns {
		c.Close()
	}
	h.conns = nil
	h.mu.Unlock()
	h.wg.Wait()
}

// mountIt mounts what a fake server serves, keeping fids of so many directories.
func (h *fakeServer) mountIt(dirs int) string {
	h.t.Helper()
	point, _ := h.mountConnection(dirs, lostGrace)
	return point
}

func (h *fakeServer) mountConnection(dirs int, grace time.Duration) (string, *connection) {
	h.t.Helper()
	return h.mountWith(Options{}, dirs, grace)
}

func (h *fakeServer) mountWith(o Options, dirs int, grace time.Duration) (string, *connection) {
	h.t.Helper()
	o.Server = h.addr
	l, err := newConnection(h.t.Context(), connector(o, dirs))
	if err != nil {
		h.t.Fatal(err)
	}
	l.grace = grace
	return h.mountBridge(newBridge(l, &o), o), l
}

func (h *fakeServer) mountBridge(b *bridge, o Options) string {
	h.t.Helper()
	point := h.t.TempDir()
	m, err := b.mount(point, &o)
	if err != nil {
		h.t.Fatal(err)
	}
	h.t.Cleanup(func() {
		if err := m.Unmount(); err != nil {
			h.t.Error(err)
		}
	})
	return point
}

// soon waits until a condition holds, which takes no longer than the kernel
// keeps names.
func soon(t *testing.T, what string, holds func() bool) {
	t.Helper()
	for end := time.Now().Add(20 * time.Second); !holds(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("never: %s", what)
		}
	}
}

func readFile(t *testing.T, name string) string {
	t.Helper()
	b, err := os.ReadFile(name)
	if err != nil {
		t.Error(err)
	}
	return string(b)
}
