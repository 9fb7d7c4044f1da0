package pkgindex

import (
	"encoding/binary"
	"encoding/json"
	"fmt"
	"hash/crc32"
	"math"
	"path"
	"slices"
	"strings"

	"github.com/packagefs/packagefs/pkgindex/pkgmeta"
	"github.com/packagefs/packagefs/pkgindex/pkgpath"
)

// A builder collects the members of one package and writes its index.
type builder struct {
	aliases pkgpath.Aliases
	nodes   map[string]*node // by path after aliases; a directory's entries are in its children
	inodes  []*node          // in the order of the archive: InodeIDs
	names   uint64           // bytes of all names and targets
}

// node is a name's file. Hard links share one.
type node struct {
	pkgmeta.Entry
	ino      InodeID
	links    uint32
	offset   int64 // in the payload
	digest   [32]byte
	implicit bool
	aliased  bool // stood at an alias in the package file
	children []child
	dir      DirID
}

type child struct {
	name string
	n    *node
}

func newBuilder(aliases pkgpath.Aliases) *builder {
	b := &builder{aliases: aliases, nodes: make(map[string]*node)}
	b.insert("", &node{Entry: pkgmeta.Entry{Type: pkgmeta.Directory, Mode: 0o755}, implicit: true})
	return b
}

// reserve makes room for about n names in a builder that has none.
func (b *builder) reserve(n int) {
	root := b.nodes[""]
	b.nodes, b.inodes = make(map[string]*node, n), make([]*node, 0, n)
	b.nodes[""], b.inodes = root, append(b.inodes, root)
}

// insert gives n an inode and enters it at path, whose parents it makes.
func (b *builder) insert(p string, n *node) {
	n.ino = InodeID(len(b.inodes))
	b.inodes = append(b.inodes, n)
	b.link(p, n)
}

func (b *builder) link(p string, n *node) {
	n.links++
	b.nodes[p] = n
	if p == "" {
		return
	}
	dir, name := path.Split(p)
	dir = strings.TrimSuffix(dir, "/")
	parent := b.nodes[dir]
	if parent == nil {
		parent = &node{Entry: pkgmeta.Entry{Type: pkgmeta.Directory, Mode: 0o755, Sec: n.Sec}, implicit: true}
		b.insert(dir, parent)
	}
	parent.children = append(parent.children, child{name, n})
	b.names += uint64(len(name) + len(n.Target))
}

// add enters one member; offset and digest are those of a regular file. The
// format reader has checked paths: clean, below no symlink, none twice.
func (b *builder) add(e pkgmeta.Entry, offset int64, digest [32]byte) error {
	if b.names > math.MaxUint32/2 || len(b.inodes) > math.MaxUint32/2/inodeSize {
		return fmt.Errorf("%s: too many files for one package", e.Path)
	}
	p, alias := e.Path, ""
	if _, root := b.aliases[e.Path]; !root || e.Type == pkgmeta.Directory {
		p, alias = b.aliases.Apply(e.Path)
	}
	if alias != "" {
		b.addAlias(alias, e)
	}
	if e.HardLink != "" {
		target, _ := b.aliases.Apply(e.HardLink)
		n := b.nodes[target]
		if n == nil || n.Type != pkgmeta.Regular {
			return fmt.Errorf("%s: hard link to %s, which is no file of this package", e.Path, e.HardLink)
		}
		n.Mutable = n.Mutable || e.Mutable
		switch b.nodes[p] {
		case n: // its twin on the other side of a path alias
		case nil:
			b.link(p, n)
		default:
			return collide(e, p)
		}
		return nil
	}
	if e.Type == pkgmeta.Symlink && b.leadsTo(p, e.Target) {
		return nil // usr/bin/x → /bin/x is one file after the merge
	}
	have := b.nodes[p]
	if have == nil {
		b.insert(p, &node{Entry: e, offset: offset, digest: digest, aliased: alias != ""})
		return nil
	}
	return b.replace(have, e, p, alias != "", offset, digest)
}

// replace settles what to do with a member whose path is taken: by a parent
// that had to be made, or by its twin on the other side of a path alias.
func (b *builder) replace(have *node, e pkgmeta.Entry, p string, aliased bool, offset int64, digest [32]byte) error {
	switch {
	case have.Type == pkgmeta.Directory && e.Type == pkgmeta.Directory:
		if have.implicit || have.aliased && !aliased {
			have.Entry, have.implicit, have.aliased = e, false, aliased
		}
		return nil
	case have.Type == pkgmeta.Directory || e.Type == pkgmeta.Directory:
		return collide(e, p)
	case have.Type == pkgmeta.Symlink && b.leadsTo(p, have.Target), have.implicit,
		have.Type == pkgmeta.Symlink && e.Type != pkgmeta.Symlink,
		have.aliased && !aliased && (have.Type == pkgmeta.Symlink) == (e.Type == pkgmeta.Symlink):
		if have.links > 1 {
			return collide(e, p)
		}
		b.names += uint64(len(e.Target))
		have.Entry, have.offset, have.digest, have.implicit, have.aliased = e, offset, digest, false, aliased
		return nil
	default:
		return nil // a symlink beside the file itself, or the old path's copy
	}
}

func collide(e pkgmeta.Entry, p string) error {
	return fmt.Errorf("%s: stands twice in this package, at /%s and at its path alias", e.Path, p)
}

// addAlias makes the symlink at a directory's old place.
func (b *builder) addAlias(alias string, e pkgmeta.Entry) {
	if b.nodes[alias] == nil {
		b.insert(alias, &node{Entry: pkgmeta.Entry{
			Path: alias, Type: pkgmeta.Symlink, Mode: 0o777, Target: b.aliases[alias], Sec: e.Sec,
		}, implicit: true})
	}
}

// leadsTo says whether a symlink at p with this target points at itself, once
// path aliases are applied.
func (b *builder) leadsTo(p, target string) bool {
	if !strings.HasPrefix(target, "/") {
		return false
	}
	to, _ := b.aliases.Apply(strings.TrimPrefix(path.Clean(target), "/"))
	return to == p
}

// finish returns the whole index file.
func (b *builder) finish(m pkgmeta.Meta, payload int64, from origin) ([]byte, error) {
	meta, err := json.Marshal(m)
	if err != nil {
		return nil, fmt.Errorf("encode metadata: %w", err)
	}
	if len(meta) > maxMeta {
		relations := len(m.Depends) + len(m.Provides) + len(m.Conflicts) + len(m.Replaces)
		return nil, &sizeError{len(meta), relations}
	}
	h := head{aliases: b.aliases.Sum(), payload: uint64(payload), meta: uint32(len(meta)), inodes: uint32(len(b.inodes)), origin: from}
	body := b.body(&h)
	h.bodySum = crc32.Checksum(body, crcTable)
	out := append(make([]byte, 0, headSize+len(meta)+len(body)), h.encode(meta)...)
	return append(append(out, meta...), body...), nil
}

// A sizeError says that a package says more of itself than an index may have.
type sizeError struct{ size, relations int }

func (e *sizeError) Error() string {
	return fmt.Sprintf("its metadata is too large: %d bytes, with %d relations to other packages; %d bytes are the most", e.size, e.relations, maxMeta)
}

// index returns the index without going through a file.
func (b *builder) index() *Index {
	h := head{inodes: uint32(len(b.inodes))}
	body := b.body(&h)
	h.bodySum = crc32.Checksum(body, crcTable)
	return newIndex(body, h)
}

// body lays out the tables and counts them in h.
func (b *builder) body(h *head) []byte {
	dirs := b.orderDirs()
	h.dirs = uint32(len(dirs))
	for _, d := range dirs {
		h.entries += uint32(len(d.children))
	}
	tables := make([]byte, 0, int(h.dirs)*dirSize+int(h.entries)*entrySize+len(b.inodes)*inodeSize+int(b.names))
	strs := stringTable{at: make(map[string]uint32, len(b.inodes)), bytes: make([]byte, 0, b.names)}
	le := binary.LittleEndian
	next := uint32(0)
	for _, d := range dirs {
		tables = le.AppendUint32(tables, next)
		next += uint32(len(d.children))
		tables = le.AppendUint32(tables, next)
	}
	for _, d := range dirs {
		for _, c := range d.children {
			tables = le.AppendUint32(tables, strs.add(c.name))
			tables = le.AppendUint32(tables, uint32(c.n.ino))
			tables = append(tables, byte(len(c.name)), 0, 0, 0)
		}
	}
	for _, n := range b.inodes {
		if n.Type == pkgmeta.Regular {
			h.files++
			h.installd += uint64(n.Size)
		}
		tables = n.encode(tables, &strs)
	}
	h.strings = uint32(len(strs.bytes))
	return append(tables, strs.bytes...)
}

// orderDirs numbers the directories, the top first, and sorts their children.
func (b *builder) orderDirs() []*node {
	dirs := []*node{b.nodes[""]}
	for i := 0; i < len(dirs); i++ {
		d := dirs[i]
		d.dir = DirID(i)
		slices.SortFunc(d.children, func(x, y child) int { return strings.Compare(x.name, y.name) })
		for _, c := range d.children {
			if c.n.Type == pkgmeta.Directory {
				dirs = append(dirs, c.n)
			}
		}
	}
	return dirs
}

func (n *node) encode(b []byte, strs *stringTable) []byte {
	le := binary.LittleEndian
	flags, links, size, data := byte(0), n.links, uint64(n.Size), uint64(n.offset)
	if n.Mutable {
		flags |= flagMutable
	}
	if n.implicit {
		flags |= flagImplicit
	}
	switch n.Type {
	case pkgmeta.Directory:
		links, size, data = 1, 0, uint64(n.dir)
	case pkgmeta.Symlink:
		size, data = uint64(len(n.Target)), uint64(strs.add(n.Target))
	}
	b = append(b, byte(n.Type), flags)
	b = le.AppendUint16(b, uint16(n.Mode&0o7777))
	b = le.AppendUint32(b, n.UID)
	b = le.AppendUint32(b, n.GID)
	b = le.AppendUint32(b, links)
	b = le.AppendUint64(b, uint64(n.Sec))
	b = le.AppendUint32(b, n.Nsec)
	b = le.AppendUint32(b, strs.addXattrs(n.Xattrs))
	b = le.AppendUint64(b, size)
	b = le.AppendUint64(b, data)
	return append(b, n.digest[:]...)
}

// stringTable keeps each string once.
type stringTable struct {
	bytes []byte
	at    map[string]uint32
}

func (t *stringTable) add(s string) uint32 {
	if off, ok := t.at[s]; ok {
		return off
	}
	off := uint32(len(t.bytes))
	t.bytes = append(t.bytes, s...)
	t.at[s] = off
	return off
}

// addXattrs stores pairs of counted strings, an empty name at the end, and
// returns their offset plus one, or 0 for none.
func (t *stringTable) addXattrs(attrs map[string]string) uint32 {
	if len(attrs) == 0 {
		return 0
	}
	off := uint32(len(t.bytes))
	put := func(s string) {
		t.bytes = binary.LittleEndian.AppendUint32(t.bytes, uint32(len(s)))
		t.bytes = append(t.bytes, s...)
	}
	var names []string
	for name := range attrs {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		put(name)
		put(attrs[name])
	}
	put("")
	return off + 1
}
