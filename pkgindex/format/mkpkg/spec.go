package mkpkg

import (
	"archive/tar"
	"cmp"
	"errors"
	"fmt"
	"io"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
)

// A Compression is a way to write an archive.
type Compression string

const (
	Gzip  Compression = ".gz" // the default
	Zstd  Compression = ".zst"
	Plain Compression = ".plain"
)

// A Spec is a package to write. Only Name is needed.
type Spec struct {
	Name         string
	Version      string // 1.0-1 if empty, for apk 1.0-r1
	Architecture string // all, noarch or any if empty
	Summary      string // "NAME, a package" if empty
	Description  string // further lines, Debian only
	Homepage     string
	Maintainer   string // "Nobody <nobody@example.org>" if empty
	License      string // not in Debian
	Source       string // the source package

	PreDepends, Breaks  []string // Debian only
	Depends, Provides   []string
	Conflicts, Replaces []string
	MultiArch           string // Debian only
	Essential           bool   // Debian only

	// Extra lines go to the end of control or .PKGINFO as they are.
	Extra []string

	Files       []File
	Time        int64 // modification time of what has none, in seconds; 1700000000 if 0
	Compression Compression
	NoChecksums bool
	LargeFiles  bool // rpm only: an archive as it is for files of 4 GiB and more

	// Raw, if set, is called with the archive of the files when all of Files
	// are written. It may write whatever it wants to see refused.
	Raw func(*tar.Writer) error
}

// A File is one member. It is a directory if its Path ends in a slash, a
// symlink if it has a Target, another name of an earlier member if it has a
// HardLink, and else a regular file.
type File struct {
	Path     string // relative: usr/bin/hello
	Mode     int64  // 0644 if 0; for directories 0755
	UID, GID int
	Time     int64 // in seconds; the Spec's if 0
	Body     string
	Target   string
	HardLink string
	Fifo     bool
	Conffile bool // users change it: conffile or backup
	Xattrs   map[string]string
}

// withDefaults fills in what is empty.
func (s Spec) withDefaults(version, architecture string) (Spec, error) {
	s.Version = cmp.Or(s.Version, version)
	s.Architecture = cmp.Or(s.Architecture, architecture)
	s.Summary = cmp.Or(s.Summary, s.Name+", a package")
	s.Maintainer = cmp.Or(s.Maintainer, "Nobody <nobody@example.org>")
	s.Time = cmp.Or(s.Time, 1700000000)
	s.Compression = cmp.Or(s.Compression, Gzip)
	if s.Name == "" {
		return s, errors.New("write package: it has no name")
	}
	s.Files = s.withDirectories()
	return s, nil
}

// withDirectories returns the files with every directory above them, each
// before what it holds.
func (s Spec) withDirectories() []File {
	listed := make(map[string]bool)
	for _, f := range s.Files {
		listed[path.Clean(f.Path)] = strings.HasSuffix(f.Path, "/")
	}
	var all []File
	for _, f := range s.Files {
		var above []File
		for dir := path.Dir(path.Clean(f.Path)); dir != "." && dir != "/" && !listed[dir]; dir = path.Dir(dir) {
			listed[dir] = true
			above = append(above, File{Path: dir + "/"})
		}
		slices.Reverse(above)
		all = append(append(all, above...), f)
	}
	return all
}

// header makes the tar header of f. prefix stands before its path.
func (s Spec) header(f File, prefix string) *tar.Header {
	h := &tar.Header{
		Name: prefix + f.Path, Mode: cmp.Or(f.Mode, 0o644), Uid: f.UID, Gid: f.GID,
		ModTime: time.Unix(cmp.Or(f.Time, s.Time), 0), Typeflag: tar.TypeReg,
	}
	switch {
	case strings.HasSuffix(f.Path, "/"):
		h.Typeflag, h.Mode = tar.TypeDir, cmp.Or(f.Mode, 0o755)
	case f.Target != "":
		h.Typeflag, h.Linkname, h.Mode = tar.TypeSymlink, f.Target, 0o777
	case f.HardLink != "":
		h.Typeflag, h.Linkname = tar.TypeLink, prefix+f.HardLink
	case f.Fifo:
		h.Typeflag = tar.TypeFifo
	default:
		h.Size = int64(len(f.Body))
	}
	for name, value := range f.Xattrs {
		if h.PAXRecords == nil {
			h.PAXRecords = make(map[string]string)
		}
		h.PAXRecords["SCHILY.xattr."+name] = value
	}
	return h
}

// body returns the content that f has, its own or that of its hard link.
func (s Spec) body(f File) (body string, regular bool) {
	if f.HardLink != "" {
		for _, o := range s.Files {
			if o.Path == f.HardLink {
				return s.body(o)
			}
		}
	}
	return f.Body, !strings.HasSuffix(f.Path, "/") && f.Target == "" && !f.Fifo
}

// writeFiles writes the files and then what Raw writes. edit, if set, changes
// each header.
func (s Spec) writeFiles(tw *tar.Writer, prefix string, edit func(File, *tar.Header)) error {
	for _, f := range s.Files {
		h := s.header(f, prefix)
		if edit != nil {
			edit(f, h)
		}
		if err := tw.WriteHeader(h); err != nil {
			return fmt.Errorf("write %s: %w", f.Path, err)
		}
		if h.Typeflag == tar.TypeReg {
			if _, err := io.WriteString(tw, f.Body); err != nil {
				return fmt.Errorf("write %s: %w", f.Path, err)
			}
		}
	}
	if s.Raw != nil {
		return s.Raw(tw)
	}
	return nil
}

// writeMetadata writes one file of text that belongs to root.
func (s Spec) writeMetadata(tw *tar.Writer, name, text string) error {
	h := &tar.Header{Name: name, Mode: 0o644, Size: int64(len(text)), ModTime: time.Unix(s.Time, 0), Typeflag: tar.TypeReg}
	if err := tw.WriteHeader(h); err != nil {
		return fmt.Errorf("write %s: %w", name, err)
	}
	_, err := io.WriteString(tw, text)
	return err
}

// archive writes a compressed tar archive with what fill writes. cut leaves out
// the end of the archive, so that another can follow.
func archive(w io.Writer, c Compression, cut bool, fill func(*tar.Writer) error) error {
	z, err := compressor(w, c)
	if err != nil {
		return err
	}
	tw := tar.NewWriter(z)
	if err := fill(tw); err != nil {
		return err
	}
	if cut {
		err = tw.Flush()
	} else {
		err = tw.Close()
	}
	if err != nil {
		return err
	}
	return z.Close()
}

type nopCloser struct{ io.Writer }

func (nopCloser) Close() error { return nil }

func compressor(w io.Writer, c Compression) (io.WriteCloser, error) {
	switch c {
	case Gzip:
		return gzip.NewWriterLevel(w, 9)
	case Zstd:
		return zstd.NewWriter(w, zstd.WithEncoderConcurrency(1), zstd.WithEncoderLevel(zstd.SpeedBetterCompression))
	case Plain:
		return nopCloser{w}, nil
	}
	return nil, fmt.Errorf("cannot write compression %q", c)
}

// field writes "key SEPARATOR value" if there is a value.
func field(b *strings.Builder, key, separator, value string) {
	if value != "" {
		b.WriteString(key + separator + value + "\n")
	}
}
