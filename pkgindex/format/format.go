package format

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"strings"

	"github.com/packagefs/packagefs/pkgindex/pfs"
	"github.com/packagefs/packagefs/pkgindex/pkgmeta"
	"github.com/packagefs/packagefs/pkgindex/relation"
)

// A Sink takes what a format reader finds, in the order of the archive.
type Sink interface {
	// Start is called once, before any Add, with all metadata; Services are
	// those that the metadata names, beside those that the sink finds by
	// ServiceOf.
	Start(m pkgmeta.Meta) error

	// Add is called for each member, and for each path at most once. content
	// holds a regular file's bytes, exactly Size of them, and is nil for
	// everything else, hard links included: their Size is 0. A directory that
	// the archive leaves out is not added, and one may come after what it
	// holds. content is valid during the call only; what the sink leaves of it
	// is drained. An error ends the reading and comes back, wrapped, from
	// Read.
	Add(e pkgmeta.Entry, content io.Reader) error
}

// Read reads the package file of size bytes in r, in one pass and with
// bounded memory, and hands what it holds to sink. (Arch packages whose metadata
// is not at their start are read twice.) Its content tells its format; name, the
// package file's base name, is for messages only.
//
// The package's own checksums are verified on the way: until Read has
// returned nil, nothing that the sink got may be used. An error says what is
// wrong with the package file, and wraps io.ErrUnexpectedEOF where it is cut
// short.
func Read(r io.ReaderAt, size int64, name string, limits Limits, sink Sink) error {
	p := packageFile{r: r, size: size, limits: limits.withDefaults(), sink: sink}
	return Describe(name, p.read())
}

// Describe says of the package file of that name what is wrong with it, or nil.
func Describe(name string, err error) error {
	if err == nil {
		return nil
	}
	var bad notPackage
	var own *sinkError
	var local *fs.PathError
	switch {
	case errors.As(err, &own):
		return fmt.Errorf("%s: %w", name, own.err)
	case errors.As(err, &bad):
		return fmt.Errorf("%s is not a package file: %w", name, err)
	case errors.As(err, &local):
		return err
	case errors.Is(err, io.ErrUnexpectedEOF):
		return fmt.Errorf("%s is cut short: %w; is it still being copied?", name, err)
	}
	return fmt.Errorf("%s: %w", name, err)
}

// notPackage says why a file is not a package file at all.
type notPackage string

func (e notPackage) Error() string { return string(e) }

// sinkError sets what went wrong in the sink apart from what is wrong with the
// package file.
type sinkError struct{ err error }

func (e *sinkError) Error() string { return e.err.Error() }
func (e *sinkError) Unwrap() error { return e.err }

// A packageFile is one that is being read.
type packageFile struct {
	r      io.ReaderAt
	size   int64
	limits Limits
	sink   Sink
}

// section is the n bytes from off on.
func (p *packageFile) section(off, n int64) io.Reader { return io.NewSectionReader(p.r, off, n) }

// start hands checked metadata to the sink.
func (p *packageFile) start(m pkgmeta.Meta) error {
	if err := checkMeta(m); err != nil {
		return err
	}
	if err := p.sink.Start(m); err != nil {
		return &sinkError{err}
	}
	return nil
}

// read finds out the format by what the file begins with, and reads it.
func (p *packageFile) read() error {
	head := make([]byte, min(512, p.size))
	if n, err := p.r.ReadAt(head, 0); n < len(head) {
		if err == io.EOF {
			return fmt.Errorf("has %d bytes of %d: %w", n, p.size, io.ErrUnexpectedEOF)
		}
		return err
	}
	switch {
	case len(head) == 0:
		return notPackage("it is empty; is it still being copied?")
	case bytes.HasPrefix(head, []byte(arMagic)):
		return p.readDeb()
	case bytes.HasPrefix(head, []byte(rpmMagic)):
		return p.readRpm()
	case bytes.HasPrefix(head, []byte("\x1f\x8b")):
		apk, err := p.isApk()
		if err != nil {
			return err
		}
		if apk {
			return p.readApk()
		}
		return p.readArch(gzipped)
	case bytes.HasPrefix(head, []byte("\x28\xb5\x2f\xfd")):
		switch native, err := pfs.Detect(p.r, p.size); {
		case err != nil:
			return err
		case native:
			return p.readPfs()
		case pfs.Begins(p.r, p.size):
			return fmt.Errorf("it has no table of contents: %w", io.ErrUnexpectedEOF)
		}
		return p.readArch(zstandard)
	case bytes.HasPrefix(head, []byte("\xfd7zXZ\x00")):
		return p.readArch(xzipped)
	case len(head) == 512 && string(head[257:262]) == "ustar":
		return p.readArch(plain)
	}
	return notPackage(unknownFormat(head))
}

// unknownFormat says what a file is that begins with head.
func unknownFormat(head []byte) string {
	for _, known := range [...]struct{ magic, text string }{
		{"ADB", "it is an apk of version 3; only version 2 can be read"},
		{"PK\x03\x04", "it is a zip archive"},
		{"BZh", "it is compressed with bzip2; only gzip, xz and zstd can be read"},
	} {
		if bytes.HasPrefix(head, []byte(known.magic)) {
			return known.text
		}
	}
	if len(bytes.Trim(head, "\x00")) == 0 {
		return "it begins with zeros; is it still being copied?"
	}
	if bytes.HasPrefix([]byte(arMagic), head) || len(head) < 6 {
		return fmt.Sprintf("it has %d bytes; is it still being copied?", len(head))
	}
	// What is in it is nobody's business: the file may be somebody's secret.
	return "it begins like no .pfs, .deb, .apk, .rpm or .pkg.tar; is it still being copied?"
}

// checkMeta refuses names that could not be served or written down.
func checkMeta(m pkgmeta.Meta) error {
	for _, field := range [...]struct{ what, value string }{
		{"name", m.Name}, {"version", m.Version}, {"architecture", m.Architecture},
	} {
		switch v := field.value; {
		case v == "":
			return notPackage("its metadata has no " + field.what)
		case len(v) > 255:
			return fmt.Errorf("its %s has %d bytes; 255 is the most", field.what, len(v))
		case strings.ContainsAny(v, "/,=|()[]<>\"'\\") || !relation.Visible(v) || v[0] == '.' || v[0] == '-':
			return fmt.Errorf("its %s %q has characters that are not allowed there", field.what, v)
		}
	}
	return nil
}
