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

// A MadeFile is one file of a package that was made.
type MadeFile struct {
	pkgmeta.Entry
	Offset int64  // of a regular file: where its bytes begin in the content
	Why    string // what it is made of, in words; may be empty
	Late   *Late  // of a regular file that is made when somebody looks at it, else nil; nobody may change it
}

// A Late is the content of a regular file that is made when somebody first looks
// at the file. Until then it costs nothing.
type Late struct {
	stamp [32]byte
	why   string
	done  atomic.Bool // content is there

	mu      sync.Mutex // held while make runs
	make    func() ([]byte, string)
	content []byte
}

// NewLate returns a content of which stamp tells what it will be made of: two with
// one stamp are the same. make is called once at most. It returns the content and,
// in words, what it is made of; a nil content says that there is no such file
// after all.
func NewLate(stamp [32]byte, make func() (content []byte, why string)) *Late {
	return &Late{stamp: stamp, make: make}
}

// Content returns the bytes, which the caller must not change, nil if there is no
// such file. It returns false where it would have to make them and wait is unset.
func (l *Late) Content(wait bool) ([]byte, bool) {
	if !l.done.Load() {
		if !wait {
			return nil, false
		}
		l.mu.Lock()
		defer l.mu.Unlock()
		if !l.done.Load() {
			l.content, l.why = l.make()
			l.make = nil
			l.done.Store(true)
		}
	}
	return l.content, true
}

// NewMade returns a package of files that stand in no package file: what a server
// adds to the trees that it serves. The bytes of regular files are read from
// content, each time that somebody reads them; it stays open and must not change.
// Parents that files does not list are implicit. A clean relative path stands at
// most once in files, and behind the directory that it lies in. The inode number
// of a file follows from the package's Ref, the path and what the file is.
func NewMade(meta pkgmeta.Meta, files []MadeFile, content *os.File) (*Package, error) {
	b := newBuilder(nil)
	m := &made{}
	for _, f := range files {
		var digest [32]byte
		switch {
		case f.Late != nil:
			f.Mutable, digest = false, f.Late.stamp
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
		m.set(ino, f)
	}
	m.index = b.index()
	m.index.keys = b.keys()
	p := &Package{Meta: meta, ID: packageID(meta), made: m}
	if content != nil {
		p.made.payload = &Payload{contents: &unpacked{File: content, fd: int(content.Fd())}}
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

// Made says whether the package is one of NewMade.
func (p *Package) Made() bool { return p.made != nil }

// made is what a Package has instead of a package file.
type made struct {
	index   *Index
	payload *Payload // of no cache
	why     map[InodeID]string
	late    map[InodeID]*Late
}

func (m *made) set(i InodeID, f MadeFile) {
	if f.Why != "" {
		if m.why == nil {
			m.why = make(map[InodeID]string)
		}
		m.why[i] = f.Why
	}
	if f.Late != nil {
		if m.late == nil {
			m.late = make(map[InodeID]*Late)
		}
		m.late[i] = f.Late
	}
}

// Late returns the content of inode i of a package of NewMade that is made when
// somebody looks at it, nil for other files.
func (l *Layer) Late(i InodeID) *Late {
	if l.Package == nil || l.Package.made == nil {
		return nil
	}
	return l.Package.made.late[i]
}

// WhyMade says in words what inode i of a package of NewMade is made of, "" if
// nobody said or nobody has looked yet.
func (l *Layer) WhyMade(i InodeID) string {
	if l.Package == nil || l.Package.made == nil {
		return ""
	}
	if late := l.Late(i); late != nil && late.done.Load() {
		return late.why
	}
	return l.Package.made.why[i]
}
