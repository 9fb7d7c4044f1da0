package pkgindex

import (
	"crypto/sha256"
	"fmt"
	"io"
	"os"
)

// A MadeFile is one file of a package that was made.
type MadeFile struct {
	Entry
	Offset int64 // of a regular file: where its bytes begin in the content
}

// NewMade returns a package of files that stand in no package file: what a server
// adds to the trees that it serves. The bytes of regular files are read from
// content, each time that somebody reads them; it stays open and must not change.
// Parents that files does not list are implicit. A clean relative path stands at
// most once in files, and behind the directory that it lies in.
func NewMade(meta Meta, files []MadeFile, content *os.File) (*Package, error) {
	b := newBuilder(nil)
	for _, f := range files {
		var digest [32]byte
		if f.Type == Regular {
			h := sha256.New()
			if _, err := io.Copy(h, io.NewSectionReader(content, f.Offset, f.Size)); err != nil {
				return nil, fmt.Errorf("make %s: %w", f.Path, err)
			}
			h.Sum(digest[:0])
		}
		if err := b.add(f.Entry, f.Offset, digest); err != nil {
			return nil, err
		}
	}
	p := &Package{Meta: meta, ID: packageID(meta), made: &made{index: b.index()}}
	if content != nil {
		p.made.payload = &Payload{contents: &unpacked{File: content, fd: int(content.Fd())}}
	}
	return p, nil
}

// Made says whether the package is one of NewMade.
func (p *Package) Made() bool { return p.made != nil }

// made is what a Package has instead of a package file.
type made struct {
	index   *Index
	payload *Payload // of no cache
}
