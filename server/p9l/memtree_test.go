package p9l

import (
	"fmt"
	"io"
	"path"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/hugelgupf/p9/linux"
	"github.com/hugelgupf/p9/p9"

	"github.com/packagefs/packagefs/server/p9l/p9ltest"
)

// A memTree is a read-only tree in memory, for tests. Its files are plain
// p9.Files, or with fast set have the engine's optional interfaces too. It
// counts handles, and notes each handle that is closed twice or used after its
// Close.
type memTree struct {
	root    *memNode
	fast    bool
	handles atomic.Int64 // that are not closed
	total   atomic.Int64 // that were ever made
	wrong   atomic.Int64 // uses against the rules of p9.File
	nextIno uint64
}

type memNode struct {
	name     string
	parent   *memNode
	qid      p9.QID
	mode     p9.FileMode
	data     []byte // or the target of a symlink
	children map[string]*memNode
	sorted   []*memNode
	xattrs   map[string]string
}

// newMemTree makes a tree of lines: "dir/", "file=content", "link->target",
// "fifo|". Parents are made as needed.
func newMemTree(fast bool, lines ...string) *memTree {
	t := &memTree{fast: fast}
	t.root = t.node(nil, "", p9.ModeDirectory|0o755)
	t.root.parent = t.root
	for _, l := range lines {
		t.add(l)
	}
	return t
}

func (t *memTree) node(parent *memNode, name string, mode p9.FileMode) *memNode {
	t.nextIno++
	n := &memNode{name: name, parent: parent, mode: mode}
	n.qid = p9.QID{Type: mode.QIDType(), Version: 1, Path: t.nextIno}
	if mode.IsDir() {
		n.children = map[string]*memNode{}
	}
	if parent != nil {
		parent.children[name] = n
		i, _ := slices.BinarySearchFunc(parent.sorted, name, func(n *memNode, s string) int { return strings.Compare(n.name, s) })
		parent.sorted = slices.Insert(parent.sorted, i, n)
	}
	return n
}

func (t *memTree) add(line string) *memNode {
	name, rest, mode := line, "", p9.ModeRegular|0o644
	if a, b, ok := strings.Cut(line, "->"); ok {
		name, rest, mode = a, b, p9.ModeSymlink|0o777
	} else if a, b, ok := strings.Cut(line, "="); ok {
		name, rest = a, b
	} else if a, ok := strings.CutSuffix(line, "|"); ok {
		name, mode = a, p9.ModeNamedPipe|0o600
	} else if a, ok := strings.CutSuffix(line, "/"); ok {
		name, mode = a, p9.ModeDirectory|0o755
	}
	at := t.root
	dir, base := path.Split(name)
	for part := range strings.SplitSeq(strings.Trim(dir, "/"), "/") {
		if part == "" {
			continue
		}
		next := at.children[part]
		if next == nil {
			next = t.node(at, part, p9.ModeDirectory|0o755)
		}
		at = next
	}
	n := t.node(at, base, mode)
	n.data = []byte(rest)
	return n
}

func (t *memTree) find(name string) *memNode {
	at := t.root
	for part := range strings.SplitSeq(name, "/") {
		at = at.children[part]
	}
	return at
}

// Attach implements Attacher.
func (t *memTree) Attach(AttachRequest) (p9.File, error) { return t.handle(t.root), nil }

// A p9Tree is a memTree for p9.Server.
type p9Tree struct{ *memTree }

func (t p9Tree) Attach() (p9.File, error) { return t.handle(t.root), nil }

func (t *memTree) handle(n *memNode) p9.File {
	t.handles.Add(1)
	t.total.Add(1)
	if t.fast {
		return &fastFile{memFile{t: t, n: n}}
	}
	return &memFile{t: t, n: n}
}

type memFile struct {
	p9.DefaultWalkGetAttr
	t      *memTree
	n      *memNode
	closed atomic.Bool
	opened atomic.Bool
}

func (f *memFile) use() {
	if f.closed.Load() {
		f.t.wrong.Add(1)
	}
}

func (f *memFile) step(n *memNode, name string) *memNode {
	if name == ".." {
		return n.parent
	}
	return n.children[name]
}

func (f *memFile) Walk(names []string) ([]p9.QID, p9.File, error) {
	f.use()
	n := f.n
	var qids []p9.QID
	for _, name := range names {
		if !n.mode.IsDir() {
			return nil, nil, linux.ENOTDIR
		}
		if n = f.step(n, name); n == nil {
			return nil, nil, linux.ENOENT
		}
		qids = append(qids, n.qid)
	}
	return qids, f.t.handle(n), nil
}

func (f *memFile) GetAttr(p9.AttrMask) (p9.QID, p9.AttrMask, p9.Attr, error) {
	f.use()
	valid := p9.AttrMask{Mode: true, NLink: true, UID: true, GID: true, RDev: true, ATime: true, MTime: true,
		CTime: true, INo: true, Size: true, Blocks: true}
	size := uint64(len(f.n.data))
	return f.n.qid, valid, p9.Attr{Mode: f.n.mode, UID: 3, GID: 4, NLink: 1, Size: size, BlockSize: 4096,
		Blocks: (size + 511) / 512, MTimeSeconds: 1700000000, CTimeSeconds: 1700000000}, nil
}

func (f *memFile) Open(flags p9.OpenFlags) (p9.QID, uint32, error) {
	f.use()
	if flags.Mode() != p9.ReadOnly {
		return p9.QID{}, 0, linux.EROFS
	}
	if f.opened.Swap(true) {
		f.t.wrong.Add(1)
	}
	return f.n.qid, 0, nil
}

func (f *memFile) ReadAt(p []byte, offset int64) (int, error) {
	f.use()
	if !f.opened.Load() {
		f.t.wrong.Add(1)
	}
	if offset >= int64(len(f.n.data)) {
		return 0, io.EOF
	}
	return copy(p, f.n.data[offset:]), nil
}

func (f *memFile) Readdir(offset uint64, count uint32) (p9.Dirents, error) {
	f.use()
	if !f.opened.Load() {
		f.t.wrong.Add(1)
	}
	if offset >= uint64(len(f.n.sorted)) {
		return nil, io.EOF
	}
	some := f.n.sorted[offset:]
	some = some[:min(uint64(len(some)), uint64(count))]
	out := make(p9.Dirents, len(some))
	for i, n := range some {
		offset++
		out[i] = p9.Dirent{QID: n.qid, Offset: offset, Type: n.qid.Type, Name: n.name}
	}
	return out, nil
}

func (f *memFile) Readlink() (string, error) { f.use(); return string(f.n.data), nil }

func (f *memFile) StatFS() (p9.FSStat, error) {
	f.use()
	return p9.FSStat{Type: 0x01021997, BlockSize: 4096, NameLength: 255, Blocks: 10, Files: f.t.nextIno}, nil
}

func (f *memFile) Close() error {
	if f.closed.Swap(true) {
		f.t.wrong.Add(1)
	}
	f.t.handles.Add(-1)
	return nil
}

func (f *memFile) GetXattr(name string) ([]byte, error) {
	f.use()
	if v, ok := f.n.xattrs[name]; ok {
		return []byte(v), nil
	}
	return nil, linux.ENODATA
}

func (f *memFile) ListXattrs() (names []string, err error) {
	f.use()
	for name := range f.n.xattrs {
		names = append(names, name)
	}
	slices.Sort(names)
	return names, nil
}

func (f *memFile) FSync() error { return linux.EROFS }

func (f *memFile) WriteAt([]byte, int64) (int, error)           { return 0, linux.EROFS }
func (f *memFile) SetAttr(p9.SetAttrMask, p9.SetAttr) error     { return linux.EROFS }
func (f *memFile) SetXattr(string, []byte, p9.XattrFlags) error { return linux.EROFS }
func (f *memFile) RemoveXattr(string) error                     { return linux.EROFS }
func (f *memFile) Link(p9.File, string) error                   { return linux.EROFS }
func (f *memFile) Rename(p9.File, string) error                 { return linux.EROFS }
func (f *memFile) RenameAt(string, p9.File, string) error       { return linux.EROFS }
func (f *memFile) UnlinkAt(string, uint32) error                { return linux.EROFS }
func (f *memFile) Remove() error                                { return linux.EROFS }
func (f *memFile) Renamed(p9.File, string)                      {}
func (f *memFile) Mkdir(string, p9.FileMode, p9.UID, p9.GID) (p9.QID, error) {
	return p9.QID{}, linux.EROFS
}
func (f *memFile) Symlink(string, string, p9.UID, p9.GID) (p9.QID, error) {
	return p9.QID{}, linux.EROFS
}
func (f *memFile) Mknod(string, p9.FileMode, uint32, uint32, p9.UID, p9.GID) (p9.QID, error) {
	return p9.QID{}, linux.EROFS
}
func (f *memFile) Create(string, p9.OpenFlags, p9.FileMode, p9.UID, p9.GID) (p9.File, p9.QID, uint32, error) {
	return nil, p9.QID{}, 0, linux.EROFS
}
func (f *memFile) Lock(int, p9.LockType, p9.LockFlags, uint64, uint64, string) (p9.LockStatus, error) {
	return p9.LockStatusOK, nil
}

// A fastFile is a memFile with the engine's optional interfaces.
type fastFile struct{ memFile }

func (f *fastFile) Ready() bool { return true }

func (f *fastFile) ReadNow(p []byte, offset int64) (int, error) { return f.ReadAt(p, offset) }

func (f *fastFile) WalkPart(qids []p9.QID, names []string, _ bool) ([]p9.QID, p9.File, error) {
	f.use()
	n := f.n
	for i, name := range names {
		var next *memNode
		if n.mode.IsDir() {
			next = f.step(n, name)
		}
		switch {
		case next == nil && i > 0:
			return qids, nil, nil
		case next == nil:
			return nil, nil, linux.ENOENT
		}
		n = next
		qids = append(qids, n.qid)
	}
	return qids, f.t.handle(n), nil
}

func (f *fastFile) DirentType(d *p9.Dirent) uint8 {
	return uint8(f.n.children[d.Name].mode >> 12)
}

// sampleTree is the tree that most tests use.
func sampleTree(fast bool) *memTree {
	t := newMemTree(fast,
		"usr/bin/env=#!env\n", "usr/bin/python->python3.11", "usr/bin/python3.11=\x7fELF python",
		"usr/lib/", "etc/motd=hello, world\n", "run/fifo|", "empty=", "a/b/c/d/e/f=deep")
	for i := range 1000 {
		t.add(fmt.Sprintf("many/file-%04d=%d", i, i))
	}
	big := make([]byte, 3<<20)
	for i := range big {
		big[i] = byte(i * 7 >> 3)
	}
	t.add("big=").data = big
	t.find("etc/motd").xattrs = map[string]string{"user.a": "value a", "user.b": ""}
	return t
}

// dialTree serves a tree and returns a client that has attached fid 0 to it.
func dialTree(tb testing.TB, t *memTree) *p9ltest.Client {
	c := p9ltest.Serve(tb, &Server{Attacher: t, Log: p9ltest.Log(tb)})()
	c.Start(0)
	return c
}
