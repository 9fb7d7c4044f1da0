package pkgindex

import (
	"errors"
	"fmt"
	"hash/crc32"
	"hash/fnv"
	"os"
	"path"
	"path/filepath"
	"sync"
	"sync/atomic"

	"github.com/packagefs/packagefs/pkgindex/pkgmeta"
	"github.com/packagefs/packagefs/pkgindex/pkgpath"
	"github.com/packagefs/packagefs/pkgindex/signature"
)

// A Package is one installed package: its metadata with the override file
// applied, and its files. It is immutable. A Package made by hand, without a
// Store, has metadata only and no files; but see NewSynthetic.
type Package struct {
	pkgmeta.Meta
	ID   uint64 // the same for the same Ref, architecture and format on every start
	File string // base name of the package file

	Override string // base name of the override file that applies, or empty

	Signer *signature.Signer // who signed the package file, nil if it is not known

	imported  *imported     // nil in a package without a package file
	synthetic *synthetic    // of NewSynthetic, else nil
	extra     *Index        // files that the override adds, or nil
	marks     pkgpath.Globs // paths that the override makes mutable
	programs  pkgpath.Globs // paths of programs, where the override says so; see Program
	shown     pkgpath.Globs // likewise, of those that users start; see Inner
	enabled   []string      // services that the override enables
}

// NewPackage returns a package that has metadata and no files: what is said to be
// somewhere else.
func NewPackage(m pkgmeta.Meta) *Package { return &Package{Meta: m, ID: packageID(m)} }

// packageID is a hash: 64 bits are enough for qids to differ.
func packageID(m pkgmeta.Meta) uint64 {
	h := fnv.New64a()
	for _, s := range []string{m.Name, m.Version, m.Architecture, string(m.Format)} {
		h.Write([]byte(s))
		h.Write([]byte{0})
	}
	return h.Sum64()
}

// imported is what all Packages made from one package file share: the files that
// hold index and payload.
type imported struct {
	id      string       // names the files below index/ and payload/
	path    string       // of the package file
	meta    pkgmeta.Meta // as the package file has it
	head    head
	store   *Store
	broken  func(*imported, error) // called once when index or payload cannot be read
	reclaim atomic.Bool            // broken was called
	gone    atomic.Bool            // the store removes what it had of the package file
	serial  uint64                 // another for each imported of the store

	damage atomic.Pointer[string] // what was found wrong when contents were read, or nil

	objects sharedObjects

	mu    sync.Mutex // guards what follows
	index *Index     // nil until looked at
}

// files returns the index, reading it at the first call.
func (imp *imported) files() (*Index, error) {
	imp.mu.Lock()
	defer imp.mu.Unlock()
	if imp.index != nil {
		return imp.index, nil
	}
	f, err := os.Open(imp.store.indexPath(imp.id))
	if err == nil {
		defer f.Close()
		imp.index, err = readIndex(f, imp.head)
	}
	switch {
	case err != nil && imp.gone.Load():
		return nil, fmt.Errorf("index of %s: %w", imp.meta.Ref, ErrGone)
	case err != nil:
		// The error is not wrapped: no file of the package is said not to exist.
		return nil, imp.lost(fmt.Errorf("index of %s: %v", imp.meta.Ref, err))
	}
	return imp.index, nil
}

// lost has index and payload made again, if the package is still there, and
// returns err, which says what is wrong with them.
func (imp *imported) lost(err error) error {
	if !imp.reclaim.Swap(true) {
		go imp.broken(imp, err)
	}
	return err
}

// A Layer is a tree of files that a package brings.
type Layer struct {
	*Index
	Package *Package
	Salt    uint64 // makes inode numbers of different layers differ
}

// Ino numbers inode i of this layer: the same on every start, for as long as
// the package file is the same.
func (l *Layer) Ino(i InodeID) uint64 {
	key := uint64(i + 1)
	if l.keys != nil {
		key = l.keys[i]
	}
	// The finaliser of splitmix64 spreads the bits.
	z := l.Salt + key*0x9e3779b97f4a7c15
	z = (z ^ z>>30) * 0xbf58476d1ce4e5b9
	z = (z ^ z>>27) * 0x94d049bb133111eb
	return z ^ z>>31
}

// Version is a checksum of inode i, its content included: where the package is
// made anew under the same version, files that changed have another. It is
// never 0.
func (l *Layer) Version(i InodeID) uint32 {
	b := l.inode(i)
	sum := crc32.Checksum(b[:28], crcTable) // type to modification time
	if l.Type(i) == pkgmeta.Symlink {
		sum = crc32.Update(sum, crcTable, []byte(l.Target(i)))
	} else {
		sum = crc32.Update(sum, crcTable, b[48:]) // digest
	}
	return max(sum, 1)
}

// Loaded says whether Layers will answer without reading a disk.
func (p *Package) Loaded() bool {
	if p.imported == nil {
		return true
	}
	p.imported.mu.Lock()
	defer p.imported.mu.Unlock()
	return p.imported.index != nil
}

// Layers returns the package's trees, the first winning where two have one
// path: what the override file adds, then the package file's own. It fails with
// ErrGone if the package was removed; any other error says nothing of what files
// the package has, and its index is being made again.
func (p *Package) Layers() ([]Layer, error) {
	if p.synthetic != nil {
		return []Layer{{Index: p.synthetic.index, Package: p, Salt: p.ID}}, nil
	}
	if p.imported == nil {
		return nil, nil
	}
	index, err := p.imported.files()
	if err != nil {
		return nil, err
	}
	layers := []Layer{{Index: index, Package: p, Salt: p.ID}}
	if p.extra != nil {
		layers = append([]Layer{{Index: p.extra, Package: p, Salt: ^p.ID}}, layers...)
	}
	return layers, nil
}

// Mutable says whether users may change the file at path, relative and clean,
// that inode describes.
func (p *Package) Mutable(path string, inode Inode) bool {
	return inode.Mutable || p.marks.Match(path)
}

// MutableIn is Mutable for a name in a directory, relative and clean as well.
func (p *Package) MutableIn(dir, name string, inode Inode) bool {
	return inode.Mutable || len(p.marks) > 0 && p.marks.Match(path.Join(dir, name))
}

// Enabled returns the systemd units that the override file enables. The caller
// must not change the slice.
func (p *Package) Enabled() []string { return p.enabled }

// Counts tells how many regular files the package has and how many bytes are
// in them.
func (p *Package) Counts() (files int, bytes int64) {
	if p.imported == nil {
		return 0, 0
	}
	return int(p.imported.head.files), int64(p.imported.head.installd)
}

// Path is where the package file lies.
func (p *Package) Path() string {
	if p.imported == nil {
		return ""
	}
	return p.imported.path
}

// ErrGone says that a package's contents are no longer there: the package was
// removed after the caller found the file.
var ErrGone = errors.New("package was removed")

// Payload opens the package's contents. The caller must Close what it gets; it
// stays readable until then, whatever happens to the package.
func (p *Package) Payload() (*Payload, error) {
	if p.synthetic != nil && p.synthetic.payload != nil {
		return p.synthetic.payload, nil
	}
	if p.imported == nil {
		return nil, ErrGone
	}
	return p.imported.store.payloads.open(p.imported)
}

// Damage says what was found wrong with the package file when its contents were
// read, or is empty. What is wrong is not served: reading it fails with EIO.
func (p *Package) Damage() string {
	if p.imported == nil {
		return ""
	}
	if reason := p.imported.damage.Load(); reason != nil {
		return *reason
	}
	return ""
}

func (s *Store) indexPath(id string) string {
	return filepath.Join(s.config.State, "index", id+".index")
}

func (s *Store) payloadPath(id string) string {
	return filepath.Join(s.config.State, "payload", id+".payload")
}
