package pkgindex

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/packagefs/packagefs/pkgindex/pfs"
	"github.com/packagefs/packagefs/pkgindex/pkgmeta"
)

// A Damage is one thing that is not what was noted when a package file was read.
type Damage struct {
	Path   string // of a file in the package, relative; empty: the package's index
	Reason string
}

// Verify reads index and payload of the package from the disk again and compares
// them with the checksums and digests that they were made with. It returns what
// differs, one for each file, and fails only with ctx.
func (p *Package) Verify(ctx context.Context) ([]Damage, error) {
	if p.imported == nil {
		return nil, nil
	}
	index, err := p.imported.reread()
	if err != nil {
		return []Damage{{Reason: err.Error()}}, nil
	}
	payload, err := p.imported.open(pfs.NewCache(0)) // what is in memory tells nothing of the disk
	if err != nil {
		return []Damage{{Reason: "its contents cannot be read: " + err.Error()}}, nil
	}
	defer payload.Close()
	var damages []Damage
	done := make(map[InodeID]bool)
	buf := make([]byte, 256<<10)
	for f := range index.Files() {
		if index.Type(f.Ino) != pkgmeta.Regular || done[f.Ino] {
			continue
		}
		done[f.Ino] = true
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		size := index.Inode(f.Ino).Size
		sum := sha256.New()
		n, err := io.CopyBuffer(writerOnly{sum}, io.NewSectionReader(payload, index.Offset(f.Ino), size), buf)
		switch {
		case err != nil:
			damages = append(damages, Damage{f.Path, "its content cannot be read: " + err.Error()})
		case n != size:
			damages = append(damages, Damage{f.Path, fmt.Sprintf("its content has %d bytes of %d", n, size)})
		case [sha256.Size]byte(sum.Sum(nil)) != index.Digest(f.Ino):
			damages = append(damages, Damage{f.Path, "its content does not match its digest"})
		}
	}
	return damages, nil
}

// reread reads the whole index from the disk.
func (imp *imported) reread() (*Index, error) {
	f, err := os.Open(imp.store.indexPath(imp.id))
	if err != nil {
		return nil, err
	}
	defer f.Close()
	h, _, err := readHead(f)
	if err != nil {
		return nil, err
	}
	if h.origin = imp.head.origin; h != imp.head {
		return nil, fmt.Errorf("%w: it is that of another package file", errIndex)
	}
	return readIndex(f, h)
}

// Repair makes index and payload of the package again from its package file; until
// then the package is served as it is. It returns when that was begun; Settle tells
// when it is done.
func (s *Store) Repair(p *Package) error {
	if p.imported == nil {
		return errors.New("it has no package file")
	}
	return s.post(context.Background(), func(inv *inventory) { inv.reimport(p.imported, nil) })
}
