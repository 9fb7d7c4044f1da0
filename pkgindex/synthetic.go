package pkgindex

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"hash/fnv"
	"io"
	"os"
	"sync"
	"sync/atomic"

	"github.com/packagefs/packagefs/pkgindex/pkgmeta"
)

// A SyntheticFile is one file of a synthetic package.
type SyntheticFile struct {
	pkgmeta.Entry
	Offset int64  // of a regular file: where its bytes begin in the content
	MadeOf string // what it is made of, in words; may be empty

	// Lazy is the content of a regular file that is made when somebody looks at it,
	// else nil. Nobody may change such a file.
	Lazy *Lazy
}

// A Lazy is the content of a regular file that is made when somebody first looks
// at the file. Until then it costs nothing.
type Lazy struct {
	stamp  [32]byte
	madeOf string
	done   atomic.Bool // content is there

	mu      sync.Mutex // held while make runs
	make    func() ([]byte, string)
	content []byte
}

// NewLazy returns a content of which stamp tells what it will be made of: two with
// one stamp are the same. make is called once at most. It returns the content and,
// in words, what it is made of; a nil content says that there is no such file
// after all.
func NewLazy(stamp [32]byte, make func() (content []byte, madeOf string)) *Lazy {
	return &Lazy{stamp: stamp, make: make}
}

// Content returns the bytes, which the caller must not change, nil if there is no
// such file. It returns false where it would have to make them and wait is unset.
func (l *Lazy) Content(wait bool) ([]byte, bool) {
	if !l.done.Load() {
		if !wait {
			return nil, false
		}
		l.mu.Lock()
		defer l.mu.Unlock()
		if !l.done.Load() {
			l.content, l.madeOf = l.make()
			l.make = nil
			l.done.Store(true)
		}
	}
	return l.content, true
}

// NewSynthetic returns a package of files that stand in no package file: what a server
// adds to the trees that it serves. The bytes of regular files are read from
// content, each time that somebody reads them; it stays open and must not change.
// Parents that files does not list are implicit. A clean relative path stands at
// most once in files, and behind the directory that it lies in. The inode number
// of a file follows from the package's Ref, the path and what the file is.
func NewSynthetic(meta pkgmeta.Meta, files []SyntheticFile, content *os.File) (*Package, error) {
	b := newBuilder(nil)
	s := &synthetic{}
	for _, f := range files {
		var digest [32]byte
		switch {
		case f.Lazy != nil:
			f.Mutable, digest = false, f.Lazy.stamp
		case f.Type == pkgmeta.Regular:
			h := sha256.New()
			if _, err := io.Copy(h, io.NewSectionReader(content, f.Offset, f.Size)); err != nil {
				return nil, fmt.Errorf("make %s: %w", f.Path, err)
			}
			h.Sum(digest[:0])
		}
		if err := b.add(f.Entry, f.Offset, digest); err != nil {
			return nil, err
		}
		ino := b.nodes[f.Path].ino
		s.set(ino, f)
	}
	s.index = b.index()
	s.index.keys = b.keys()
	p := &Package{Meta: meta, ID: packageID(meta), synthetic: s}
	if content != nil {
		p.synthetic.payload = &Payload{contents: &unpacked{File: content, fd: int(content.Fd())}}
	}
	return p, nil
}

// keys returns what inode numbers are made of.
func (b *builder) keys() []uint64 {
	keys := make([]uint64, len(b.inodes))
	for path, n := range b.nodes {
		h := fnv.New64a()
		io.WriteString(h, path)
		var fixed [16]byte
		binary.LittleEndian.PutUint32(fixed[:], uint32(n.Type))
		binary.LittleEndian.PutUint32(fixed[4:], n.Mode)
		binary.LittleEndian.PutUint64(fixed[8:], uint64(n.Sec))
		h.Write(fixed[:])
		h.Write(n.digest[:])
		io.WriteString(h, n.Target)
		keys[n.ino] ^= h.Sum64() // of hard links, in whatever order
	}
	return keys
}

// Synthetic says whether the package is one of NewSynthetic.
func (p *Package) Synthetic() bool { return p.synthetic != nil }

// synthetic is what a Package has instead of a package file.
type synthetic struct {
	index   *Index
	payload *Payload // of no cache
	madeOf  map[InodeID]string
	lazy    map[InodeID]*Lazy
}

func (s *synthetic) set(i InodeID, f SyntheticFile) {
	if f.MadeOf != "" {
		if s.madeOf == nil {
			s.madeOf = make(map[InodeID]string)
		}
		s.madeOf[i] = f.MadeOf
	}
	if f.Lazy != nil {
		if s.lazy == nil {
			s.lazy = make(map[InodeID]*Lazy)
		}
		s.lazy[i] = f.Lazy
	}
}

// Lazy returns the content of inode i of a package of NewSynthetic that is made when
// somebody looks at it, nil for other files.
func (l *Layer) Lazy(i InodeID) *Lazy {
	if l.Package == nil || l.Package.synthetic == nil {
		return nil
	}
	return l.Package.synthetic.lazy[i]
}

// MadeOf says in words what inode i of a package of NewSynthetic is made of, "" if
// nobody said or nobody has looked yet.
func (l *Layer) MadeOf(i InodeID) string {
	if l.Package == nil || l.Package.synthetic == nil {
		return ""
	}
	if lazy := l.Lazy(i); lazy != nil && lazy.done.Load() {
		return lazy.madeOf
	}
	return l.Package.synthetic.madeOf[i]
}
