package format

import (
	"archive/tar"
	"crypto/md5"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"slices"
	"strings"

	"github.com/packagefs/packagefs/pkgindex/pkgmeta"
)

// An md5Table compares files with a .deb's md5sums. Files that it does not
// list are fine; they are hashed all the same, for their hard links.
type md5Table struct {
	files map[string]md5File
	hash  hash.Hash
}

type md5File struct {
	sum    [md5.Size]byte
	listed bool
	seen   bool
}

// parseMD5Sums reads lines "sum  path". It returns nil if there are none.
func parseMD5Sums(text []byte, limits Limits) (*md5Table, error) {
	files := make(map[string]md5File)
	number := 0
	for line := range strings.SplitSeq(string(text), "\n") {
		number++
		line = strings.TrimRight(line, "\r")
		if line == "" {
			continue
		}
		// md5sum marks a line whose path has escapes by a backslash.
		rest, escaped := strings.CutPrefix(line, `\`)
		sum, p, ok := strings.Cut(rest, " ")
		f := md5File{listed: true}
		if !ok || len(sum) != 2*md5.Size || len(p) < 2 {
			return nil, fmt.Errorf("line %d is no checksum and path", number)
		}
		if _, err := hex.Decode(f.sum[:], []byte(sum)); err != nil {
			return nil, fmt.Errorf("line %d: %w", number, err)
		}
		if p[0] == ' ' || p[0] == '*' { // text or binary, the same on Unix
			p = p[1:]
		}
		if escaped {
			p = strings.NewReplacer(`\\`, `\`, `\n`, "\n", `\r`, "\r").Replace(p)
		}
		p, err := cleanPath(p, limits)
		if err != nil {
			return nil, fmt.Errorf("line %d: %w", number, err)
		}
		files[p] = f
	}
	if len(files) == 0 {
		return nil, nil
	}
	return &md5Table{files, md5.New()}, nil
}

func (t *md5Table) begin(e *pkgmeta.Entry, _ *tar.Header) (hash.Hash, error) {
	if e.Type != pkgmeta.Regular {
		if t.files[e.Path].listed {
			return nil, errors.New("is listed in md5sums, but it is no regular file")
		}
		return nil, nil
	}
	if e.HardLink != "" {
		return nil, nil
	}
	t.hash.Reset()
	return t.hash, nil
}

func (t *md5Table) end(e *pkgmeta.Entry, _ *tar.Header, h hash.Hash) error {
	if e.Type != pkgmeta.Regular {
		return nil
	}
	f := t.files[e.Path]
	have := t.files[e.HardLink].sum
	if e.HardLink == "" {
		h.Sum(have[:0])
	}
	if f.listed && f.sum != have {
		return fmt.Errorf("its content does not match md5sums: has %x, want %x", have, f.sum)
	}
	f.sum, f.seen = have, true
	t.files[e.Path] = f
	return nil
}

// missing fails if a file that is listed was not there.
func (t *md5Table) missing() error {
	var paths []string
	for p, f := range t.files {
		if !f.seen {
			paths = append(paths, p)
		}
	}
	return missingError("md5sums", paths)
}

// missingError says that a list names files that the package lacks.
func missingError(list string, paths []string) error {
	if len(paths) == 0 {
		return nil
	}
	return fmt.Errorf("lacks %q, which %s lists (%d such files)", slices.Min(paths), list, len(paths))
}
