package pkgindex

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"iter"
	"os"
	"strings"
	"unsafe"

	"github.com/packagefs/packagefs/pkgindex/pkgmeta"
	"github.com/packagefs/packagefs/pkgindex/signature"
)

// An index file is a head, the package's metadata as JSON, and a body of four
// tables: directories, entries, inodes, strings. All integers are
// little-endian. The head and the metadata have a checksum of their own, so
// that a start reads no more than these.
const (
	indexMagic   = "pfsindex"
	indexVersion = 2

	headSize  = 144
	dirSize   = 8
	entrySize = 12
	inodeSize = 80

	maxMeta = 16 << 20 // bytes of metadata that a head may announce
)

// errIndex says that an index file is not what was written. The index is then
// made again from the package file.
var errIndex = errors.New("index is corrupt")

var crcTable = crc32.MakeTable(crc32.Castagnoli)

// head is the fixed beginning of an index file.
type head struct {
	aliases  uint64 // Aliases.sum at the time of indexing
	payload  uint64 // size of the payload in bytes
	meta     uint32 // size of the metadata in bytes
	dirs     uint32
	entries  uint32
	inodes   uint32
	strings  uint32 // size in bytes
	files    uint32 // regular files, hard links not counted
	bodySum  uint32
	installd uint64 // bytes in regular files
	origin
}

// An origin is what of a package file an index was made of. Only while the file
// is the same by both is the index believed.
type origin struct {
	change int64            // when the file was last changed, in nanoseconds since 1970
	digest signature.Digest // of the whole file; zero for a native one that was read in place
}

// same says whether the bytes were the same: where both digests are known they tell,
// and otherwise the time does.
func (o origin) same(other origin) bool {
	if none := (signature.Digest{}); o.digest != none && other.digest != none {
		return o.digest == other.digest
	}
	return o.change == other.change
}

func (h *head) bodySize() int64 {
	return int64(h.dirs)*dirSize + int64(h.entries)*entrySize + int64(h.inodes)*inodeSize + int64(h.strings)
}

// encode returns the head with its checksum, which covers meta as well.
func (h *head) encode(meta []byte) []byte {
	b := make([]byte, headSize)
	copy(b, indexMagic)
	le := binary.LittleEndian
	le.PutUint32(b[8:], indexVersion)
	le.PutUint64(b[16:], h.aliases)
	le.PutUint64(b[24:], h.payload)
	le.PutUint32(b[32:], h.meta)
	le.PutUint32(b[36:], h.dirs)
	le.PutUint32(b[40:], h.entries)
	le.PutUint32(b[44:], h.inodes)
	le.PutUint32(b[48:], h.strings)
	le.PutUint32(b[52:], h.files)
	le.PutUint32(b[56:], h.bodySum)
	le.PutUint64(b[64:], h.installd)
	le.PutUint64(b[72:], uint64(h.change))
	copy(b[80:], h.digest[:])
	le.PutUint32(b[12:], crc32.Update(crc32.Checksum(b[16:], crcTable), crcTable, meta))
	return b
}

// decodeHead reads a head; check verifies it together with the metadata.
func decodeHead(b []byte) (h head, err error) {
	le := binary.LittleEndian
	if len(b) < headSize || string(b[:8]) != indexMagic {
		return h, fmt.Errorf("%w: no index", errIndex)
	}
	if v := le.Uint32(b[8:]); v != indexVersion {
		return h, fmt.Errorf("%w: made by another version of the program (%d, this one makes %d)", errIndex, v, indexVersion)
	}
	h = head{
		aliases: le.Uint64(b[16:]), payload: le.Uint64(b[24:]), meta: le.Uint32(b[32:]),
		dirs: le.Uint32(b[36:]), entries: le.Uint32(b[40:]), inodes: le.Uint32(b[44:]),
		strings: le.Uint32(b[48:]), files: le.Uint32(b[52:]), bodySum: le.Uint32(b[56:]),
		installd: le.Uint64(b[64:]),
		origin:   origin{int64(le.Uint64(b[72:])), signature.Digest(b[80:headSize])},
	}
	if h.meta > maxMeta || h.dirs == 0 {
		return h, fmt.Errorf("%w: impossible sizes", errIndex)
	}
	return h, nil
}

func checkHead(b, meta []byte) error {
	if crc32.Update(crc32.Checksum(b[16:headSize], crcTable), crcTable, meta) != binary.LittleEndian.Uint32(b[12:]) {
		return fmt.Errorf("%w: the head's checksum does not match", errIndex)
	}
	return nil
}

// readHead reads head and metadata of an index file, and checks that the file
// has the size they announce.
func readHead(f *os.File) (head, pkgmeta.Meta, error) {
	var first [4096]byte
	n, err := f.ReadAt(first[:], 0)
	if n < headSize {
		return head{}, pkgmeta.Meta{}, fmt.Errorf("%w: too short (%v)", errIndex, err)
	}
	h, err := decodeHead(first[:n])
	if err != nil {
		return head{}, pkgmeta.Meta{}, err
	}
	meta := first[headSize:n]
	if int(h.meta) <= len(meta) {
		meta = meta[:h.meta]
	} else {
		meta = make([]byte, h.meta)
		if _, err := f.ReadAt(meta, headSize); err != nil {
			return head{}, pkgmeta.Meta{}, fmt.Errorf("%w: metadata: %v", errIndex, err)
		}
	}
	if err := checkHead(first[:headSize], meta); err != nil {
		return head{}, pkgmeta.Meta{}, err
	}
	info, err := f.Stat()
	if err != nil {
		return head{}, pkgmeta.Meta{}, err
	}
	if want := headSize + int64(h.meta) + h.bodySize(); info.Size() != want {
		return head{}, pkgmeta.Meta{}, fmt.Errorf("%w: %d bytes, want %d", errIndex, info.Size(), want)
	}
	var m pkgmeta.Meta
	if err := json.Unmarshal(meta, &m); err != nil {
		return head{}, pkgmeta.Meta{}, fmt.Errorf("%w: metadata: %v", errIndex, err)
	}
	return h, m, nil
}

// readIndex reads the body of an index file and checks it.
func readIndex(f *os.File, h head) (*Index, error) {
	body := make([]byte, h.bodySize())
	if _, err := f.ReadAt(body, headSize+int64(h.meta)); err != nil {
		return nil, fmt.Errorf("%w: %v", errIndex, err)
	}
	if crc32.Checksum(body, crcTable) != h.bodySum {
		return nil, fmt.Errorf("%w: the checksum does not match", errIndex)
	}
	return newIndex(body, h), nil
}

// An Index is the tree of one package: its directories, their entries sorted by
// name, and the inodes that the entries name. It is immutable. Strings that it
// returns share its memory.
type Index struct {
	dirs, entries, inodes []byte
	strings               string
	stamp                 uint32
	keys                  []uint64 // what inode numbers are made of; nil for those of the table
}

// Stamp is a checksum of the whole index: another content has another.
func (x *Index) Stamp() uint32 { return x.stamp }

// newIndex takes body as its own. The checksum was verified: what stands in the
// tables is what a builder wrote.
func newIndex(body []byte, h head) *Index {
	x := &Index{stamp: h.bodySum}
	x.dirs, body = body[:h.dirs*dirSize], body[h.dirs*dirSize:]
	x.entries, body = body[:h.entries*entrySize], body[h.entries*entrySize:]
	x.inodes, body = body[:h.inodes*inodeSize], body[h.inodes*inodeSize:]
	x.strings = unsafe.String(unsafe.SliceData(body), len(body))
	return x
}

// A DirID, EntryID or InodeID numbers a directory, an entry or an inode of one
// index, from 0. RootDir is the directory at the top.
type (
	DirID   uint32
	EntryID uint32
	InodeID uint32
)

// RootDir is the top of every index; its inode is 0.
const RootDir DirID = 0

// Entries returns the entries of d as the half-open range [lo, hi), sorted by
// name.
func (x *Index) Entries(d DirID) (lo, hi EntryID) {
	b := x.dirs[d*dirSize:]
	return EntryID(binary.LittleEndian.Uint32(b)), EntryID(binary.LittleEndian.Uint32(b[4:]))
}

// Entry returns the name and the inode of e.
func (x *Index) Entry(e EntryID) (name string, ino InodeID) {
	b := x.entries[e*entrySize:]
	off := binary.LittleEndian.Uint32(b)
	return x.strings[off : off+uint32(b[8])], InodeID(binary.LittleEndian.Uint32(b[4:]))
}

// Find looks a name up in d.
func (x *Index) Find(d DirID, name string) (InodeID, bool) {
	lo, hi := x.Entries(d)
	for lo < hi {
		mid := lo + (hi-lo)/2
		have, ino := x.Entry(mid)
		switch c := strings.Compare(have, name); {
		case c == 0:
			return ino, true
		case c < 0:
			lo = mid + 1
		default:
			hi = mid
		}
	}
	return 0, false
}

// Lookup follows path, relative and clean, "" for the top. It follows no
// symlinks.
func (x *Index) Lookup(path string) (InodeID, bool) {
	ino := InodeID(0)
	for path != "" {
		var name string
		name, path, _ = strings.Cut(path, "/")
		if x.Type(ino) != pkgmeta.Directory {
			return 0, false
		}
		next, ok := x.Find(x.Dir(ino), name)
		if !ok {
			return 0, false
		}
		ino = next
	}
	return ino, true
}

const (
	flagMutable  = 1 << iota // the format or an override says that users change it
	flagImplicit             // not in the package file: a parent directory, a path alias
)

// An Inode is what an index knows of one file, whatever names it has.
type Inode struct {
	Type     pkgmeta.FileType
	Mode     uint32 // permission bits with setuid, setgid and sticky
	UID, GID uint32
	Links    uint32 // names in this package; 1 for directories
	Size     int64  // bytes; of a symlink the length of its target
	Sec      int64  // modification time, seconds since 1970
	Nsec     uint32
	Mutable  bool
	Implicit bool // the package file has no such member
}

func (x *Index) inode(i InodeID) []byte { return x.inodes[i*inodeSize:][:inodeSize] }

// Inode returns the attributes of i.
func (x *Index) Inode(i InodeID) Inode {
	b, le := x.inode(i), binary.LittleEndian
	return Inode{
		Type: pkgmeta.FileType(b[0]), Mutable: b[1]&flagMutable != 0, Implicit: b[1]&flagImplicit != 0,
		Mode: uint32(le.Uint16(b[2:])), UID: le.Uint32(b[4:]), GID: le.Uint32(b[8:]), Links: le.Uint32(b[12:]),
		Sec: int64(le.Uint64(b[16:])), Nsec: le.Uint32(b[24:]), Size: int64(le.Uint64(b[32:])),
	}
}

// Type returns the type of i alone.
func (x *Index) Type(i InodeID) pkgmeta.FileType { return pkgmeta.FileType(x.inode(i)[0]) }

// Dir returns the directory that i is. i must be of type Directory.
func (x *Index) Dir(i InodeID) DirID { return DirID(binary.LittleEndian.Uint64(x.inode(i)[40:])) }

// Offset is where the bytes of the regular file i begin in the payload.
func (x *Index) Offset(i InodeID) int64 { return int64(binary.LittleEndian.Uint64(x.inode(i)[40:])) }

// Digest is the SHA-256 of the regular file i.
func (x *Index) Digest(i InodeID) [32]byte { return [32]byte(x.inode(i)[48:80]) }

// Target is where the symlink i points, verbatim.
func (x *Index) Target(i InodeID) string {
	b := x.inode(i)
	off := binary.LittleEndian.Uint64(b[40:])
	return x.strings[off : off+binary.LittleEndian.Uint64(b[32:])]
}

// Xattrs returns the extended attributes of i, nil for none.
func (x *Index) Xattrs(i InodeID) map[string]string {
	off := binary.LittleEndian.Uint32(x.inode(i)[28:])
	if off == 0 {
		return nil
	}
	s := x.strings[off-1:]
	next := func() string {
		n := uint32(s[0]) | uint32(s[1])<<8 | uint32(s[2])<<16 | uint32(s[3])<<24
		v := s[4 : 4+n]
		s = s[4+n:]
		return v
	}
	attrs := make(map[string]string)
	for {
		name := next()
		if name == "" {
			return attrs
		}
		attrs[name] = next()
	}
}

// A File is one name in an index.
type File struct {
	Path string // relative and clean
	Ino  InodeID
}

// Files yields all names below the top, a directory before what it holds,
// sorted by name within a directory.
func (x *Index) Files() iter.Seq[File] {
	return func(yield func(File) bool) { x.walk(RootDir, "", yield) }
}

func (x *Index) walk(d DirID, prefix string, yield func(File) bool) bool {
	for e, hi := x.Entries(d); e < hi; e++ {
		name, ino := x.Entry(e)
		if !yield(File{prefix + name, ino}) {
			return false
		}
		if x.Type(ino) == pkgmeta.Directory && !x.walk(x.Dir(ino), prefix+name+"/", yield) {
			return false
		}
	}
	return true
}
