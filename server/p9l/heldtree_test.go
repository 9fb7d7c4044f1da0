package p9l

import (
	"context"
	"sync"
	"sync/atomic"

	"github.com/hugelgupf/p9/linux"
	"github.com/hugelgupf/p9/p9"
)

// A heldTree is a tree whose calls can be held up: reads of "slow", walks to "far",
// every Mkdir and every write announce themselves in started and go on when pass lets
// them. The close of "sticky" does, too, whose methods must not be called by the reader.
// Reads of "events" wait for an event or for their context. Reads and writes of
// "long" announce themselves and end with their context. "panic" panics when it is
// read, and "unclosable" when it is closed. Attributes whose names are errnos fail with
// these, as does the list of a file of such a name. Files can be opened for writing and swallow what is written.
type heldTree struct {
	*memTree
	started  chan string
	pass     chan struct{}
	events   chan string
	waiting  atomic.Int64 // reads of events at this moment
	biggest  atomic.Int64 // most bytes that a read of events was asked for
	writes   atomic.Int64
	attaches atomic.Int64
	request  atomic.Pointer[AttachRequest]
	mu       sync.Mutex
	set      map[string]string // attributes that were set, of any file
}

func newHeldTree() *heldTree {
	return &heldTree{
		memTree: newMemTree(false, "slow=slow data", "fast=fast data", "events=", "long=", "panic=", "far/", "unclosable=", "ENODATA=", "EIO=", "sticky=", "dir/"),
		started: make(chan string, 1000),
		pass:    make(chan struct{}),
		events:  make(chan string),
		set:     map[string]string{},
	}
}

func (g *heldTree) Attach(r AttachRequest) (p9.File, error) {
	g.attaches.Add(1)
	g.request.Store(&r)
	return g.wrap(g.handle(g.root).(*memFile)), nil
}

func (g *heldTree) wrap(f *memFile) p9.File {
	switch f.n.name {
	case "events":
		return &eventFile{heldFile{f, g}}
	case "long":
		return &longFile{heldFile{f, g}}
	case "sticky":
		return &stickyFile{heldFile{f, g}}
	}
	return &heldFile{f, g}
}

func (g *heldTree) hold(what string) {
	g.started <- what
	<-g.pass
}

type heldFile struct {
	*memFile
	g *heldTree
}

func (f *heldFile) Walk(names []string) ([]p9.QID, p9.File, error) {
	qids, file, err := f.memFile.Walk(names)
	if err != nil {
		return nil, nil, err
	}
	if len(names) > 0 && names[0] == "far" {
		f.g.hold("walk")
	}
	return qids, f.g.wrap(file.(*memFile)), nil
}

func (f *heldFile) Open(p9.OpenFlags) (p9.QID, uint32, error) {
	return f.memFile.Open(p9.ReadOnly)
}

func (f *heldFile) ReadAt(p []byte, offset int64) (int, error) {
	switch f.n.name {
	case "slow":
		f.g.hold("read")
	case "panic":
		panic("read of the file that panics")
	}
	return f.memFile.ReadAt(p, offset)
}

func (f *heldFile) WriteAt(p []byte, offset int64) (int, error) {
	f.g.writes.Add(int64(len(p)))
	if f.n.name == "slow" {
		f.g.hold("write")
	}
	return len(p), nil
}

func (f *heldFile) Mkdir(string, p9.FileMode, p9.UID, p9.GID) (p9.QID, error) {
	f.g.hold("mkdir")
	return p9.QID{Type: p9.TypeDir, Path: 99}, nil
}

func (f *heldFile) Create(name string, flags p9.OpenFlags, mode p9.FileMode, uid p9.UID, _ p9.GID) (p9.File, p9.QID, uint32, error) {
	n := &memNode{name: name, parent: f.n, mode: p9.ModeRegular | mode, qid: p9.QID{Path: uint64(uid)}}
	file := f.g.handle(n).(*memFile)
	file.opened.Store(true)
	return f.g.wrap(file), n.qid, 0, nil
}

func (f *heldFile) SetXattr(name string, value []byte, flags p9.XattrFlags) error {
	if name == "user.refused" {
		return linux.EPERM
	}
	if errno := namedErrnos[name]; errno != 0 {
		return errno
	}
	f.g.mu.Lock()
	defer f.g.mu.Unlock()
	f.g.set[name] = string(value)
	return nil
}

func (f *heldFile) RemoveXattr(name string) error {
	f.g.mu.Lock()
	defer f.g.mu.Unlock()
	delete(f.g.set, name)
	return nil
}

var namedErrnos = map[string]linux.Errno{
	"ENODATA": linux.ENODATA, "EIO": linux.EIO, "ENOSYS": linux.ENOSYS, "EOPNOTSUPP": linux.EOPNOTSUPP,
}

func (f *heldFile) ListXattrs() ([]string, error) {
	if errno := namedErrnos[f.n.name]; errno != 0 {
		return nil, errno
	}
	return f.memFile.ListXattrs()
}

func (f *heldFile) GetXattr(name string) ([]byte, error) {
	if errno := namedErrnos[name]; errno != 0 {
		return nil, errno
	}
	if name == "user.held" {
		f.g.hold("getxattr")
	}
	f.g.mu.Lock()
	defer f.g.mu.Unlock()
	if v, ok := f.g.set[name]; ok {
		return []byte(v), nil
	}
	return nil, linux.ENODATA
}

// attribute tells what was set.
func (g *heldTree) attribute(name string) (string, bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	v, ok := g.set[name]
	return v, ok
}

func (f *heldFile) Close() error {
	err := f.memFile.Close()
	if f.n.name == "unclosable" {
		panic("close of the file that panics")
	}
	return err
}

type stickyFile struct{ heldFile }

func (f *stickyFile) Ready() bool { return false }

func (f *stickyFile) Close() error {
	f.g.hold("close")
	return f.heldFile.Close()
}

type eventFile struct{ heldFile }

func (f *eventFile) ReadContext(ctx context.Context, p []byte, _ int64) (int, error) {
	f.g.waiting.Add(1)
	defer f.g.waiting.Add(-1)
	f.g.biggest.Store(max(f.g.biggest.Load(), int64(len(p))))
	select {
	case e := <-f.g.events:
		return copy(p, e), nil
	case <-ctx.Done():
		return 0, ctx.Err()
	}
}

type longFile struct{ heldFile }

func (f *longFile) ReadLong(ctx context.Context, _ []byte, _ int64) (int, error) {
	return 0, f.until(ctx, "read")
}

func (f *longFile) WriteLong(ctx context.Context, _ []byte, _ int64) (int, error) {
	return 0, f.until(ctx, "write")
}

func (f *longFile) until(ctx context.Context, what string) error {
	f.g.started <- what
	<-ctx.Done()
	f.g.started <- what + " ended"
	return ctx.Err()
}
