package format

import (
	"archive/tar"
	"crypto/md5"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"strconv"
	"strings"

	"github.com/packagefs/packagefs/pkgindex/pkgmeta"
)

// An mtree compares members with an Arch package's .MTREE; see mtree(5).
// Members that it does not list are fine.
type mtree struct {
	files  map[string]mtreeFile
	sha256 hash.Hash
	md5    hash.Hash
}

// mtreeFile is what .MTREE says of one path. A field that it does not mention
// is -1 or empty.
type mtreeFile struct {
	kind   string
	link   string
	sum    string // of the content: 32 bytes of SHA-256, or 16 of MD5
	size   int64
	time   int64 // seconds
	mode   int32
	listed bool
	seen   bool
}

// mtreeKinds are the types that packages have, as mtree(5) calls them.
var mtreeKinds = map[pkgmeta.FileType]string{pkgmeta.Regular: "file", pkgmeta.Directory: "dir", pkgmeta.Symlink: "link", pkgmeta.Fifo: "fifo"}

func parseMtree(text []byte, limits Limits) (*mtree, error) {
	m := &mtree{files: make(map[string]mtreeFile), sha256: sha256.New(), md5: md5.New()}
	defaults := mtreeFile{size: -1, time: -1, mode: -1, listed: true}
	number := 0
	for line := range strings.SplitSeq(string(text), "\n") {
		number++
		words := strings.Fields(line)
		if len(words) == 0 || words[0][0] == '#' {
			continue
		}
		var err error
		switch words[0] {
		case "/set":
			err = defaults.set(words[1:])
		case "/unset":
			defaults = mtreeFile{size: -1, time: -1, mode: -1, listed: true}
		default:
			f := defaults
			var p string
			if p, err = cleanPath(unvis(words[0]), limits); err == nil {
				err = f.set(words[1:])
			}
			m.files[p] = f
		}
		if err != nil {
			return nil, fmt.Errorf("line %d: %w", number, err)
		}
	}
	delete(m.files, "") // the root is no member
	return m, nil
}

// set takes "key=value" words. Keys that say nothing about the content of a
// package are left alone.
func (f *mtreeFile) set(words []string) error {
	for _, word := range words {
		key, value, _ := strings.Cut(word, "=")
		var err error
		switch key {
		case "type":
			f.kind = value
		case "link":
			f.link = unvis(value)
		case "size":
			f.size, err = strconv.ParseInt(value, 10, 64)
		case "time":
			seconds, _, _ := strings.Cut(value, ".")
			f.time, err = strconv.ParseInt(seconds, 10, 64)
		case "mode":
			var mode uint64
			mode, err = strconv.ParseUint(value, 8, 16)
			f.mode = int32(mode)
		case "sha256", "sha256digest":
			err = f.setSum(value, sha256.Size)
		case "md5", "md5digest":
			if len(f.sum) != sha256.Size {
				err = f.setSum(value, md5.Size)
			}
		}
		if err != nil {
			return fmt.Errorf("%q: %w", word, err)
		}
	}
	return nil
}

func (f *mtreeFile) setSum(text string, size int) error {
	sum, err := hex.DecodeString(text)
	if err == nil && len(sum) != size {
		err = errors.New("wrong length")
	}
	f.sum = string(sum)
	return err
}

// unvis undoes the escapes of vis(3) that bsdtar writes: \ooo and \c.
func unvis(s string) string {
	if !strings.Contains(s, `\`) {
		return s
	}
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] != '\\' || i+1 == len(s) {
			b.WriteByte(s[i])
			continue
		}
		if i+3 < len(s) {
			if c, err := strconv.ParseUint(s[i+1:i+4], 8, 8); err == nil {
				b.WriteByte(byte(c))
				i += 3
				continue
			}
		}
		i++
		if j := strings.IndexByte("abfnrtvs", s[i]); j >= 0 {
			b.WriteByte("\a\b\f\n\r\t\v "[j])
		} else {
			b.WriteByte(s[i])
		}
	}
	return b.String()
}

// begin compares all but the content.
func (m *mtree) begin(e *pkgmeta.Entry, _ *tar.Header) (hash.Hash, error) {
	f := m.files[e.Path]
	if err := f.compare(e); err != nil {
		return nil, fmt.Errorf("does not match .MTREE: %w", err)
	}
	switch {
	case e.Type != pkgmeta.Regular || e.HardLink != "":
		return nil, nil
	case len(f.sum) == md5.Size:
		m.md5.Reset()
		return m.md5, nil
	}
	m.sha256.Reset()
	return m.sha256, nil
}

func (f *mtreeFile) compare(e *pkgmeta.Entry) error {
	switch {
	case !f.listed:
		return nil
	case f.kind != "" && f.kind != mtreeKinds[e.Type]:
		return fmt.Errorf("has the type %s, want %s", mtreeKinds[e.Type], f.kind)
	case f.size >= 0 && e.Type == pkgmeta.Regular && e.HardLink == "" && f.size != e.Size:
		return fmt.Errorf("has %d bytes, want %d", e.Size, f.size)
	case hidden(e.Path): // the metadata is written while the list is made
		return nil
	case f.mode >= 0 && e.Type != pkgmeta.Symlink && uint32(f.mode) != e.Mode:
		return fmt.Errorf("has the mode %04o, want %04o", e.Mode, f.mode)
	case f.time >= 0 && f.time != e.Sec:
		return fmt.Errorf("was modified at %d, want %d", e.Sec, f.time)
	case f.link != "" && f.link != e.Target:
		return fmt.Errorf("points to %q, want %q", e.Target, f.link)
	}
	return nil
}

// end compares the content, which a hard link shares with an earlier member.
func (m *mtree) end(e *pkgmeta.Entry, _ *tar.Header, h hash.Hash) error {
	f := m.files[e.Path]
	f.seen = true
	if e.Type == pkgmeta.Regular {
		have := m.files[e.HardLink].sum
		if e.HardLink == "" {
			have = string(h.Sum(nil))
		}
		if f.listed && len(f.sum) == len(have) && f.sum != have {
			return fmt.Errorf("its content does not match .MTREE: has %x, want %x", have, f.sum)
		}
		f.sum = have
	}
	m.files[e.Path] = f
	return nil
}

// missing fails if a member that is listed was not there.
func (m *mtree) missing() error {
	var paths []string
	for p, f := range m.files {
		if f.listed && !f.seen {
			paths = append(paths, p)
		}
	}
	return missingError(".MTREE", paths)
}

// noMtree takes packages without .MTREE, if they really have none.
type noMtree struct{}

func (noMtree) begin(e *pkgmeta.Entry, _ *tar.Header) (hash.Hash, error) {
	if e.Path == ".MTREE" {
		return nil, errors.New("stands behind the files that it lists; it must be before them")
	}
	return nil, nil
}

func (noMtree) end(*pkgmeta.Entry, *tar.Header, hash.Hash) error { return nil }
