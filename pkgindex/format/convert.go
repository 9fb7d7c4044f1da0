package format

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"github.com/packagefs/packagefs/pkgindex/pfs"
	"github.com/packagefs/packagefs/pkgindex/pkgmeta"
	"github.com/packagefs/packagefs/pkgindex/pkgpath"
)

// A Conversion makes a native package of a package file of another format. It
// keeps all that an index has of it, but for the fractions of seconds.
type Conversion struct {
	Meta  pkgmeta.Meta // as it will be: a native package's
	Bytes int64        // of contents

	entries []convertedEntry // but for root, in the order of the archive
	root    *pkgmeta.Entry
	newest  int64
	spool   io.ReaderAt
}

// convertedEntry is an entry, and where the content of a regular file is.
type convertedEntry struct {
	pkgmeta.Entry
	at int64
}

// ReadConversion reads and verifies the package file of size bytes in r, called
// name, and writes its contents to spool, an empty file, which must stay open as
// long as the Conversion is used.
func ReadConversion(r io.ReaderAt, size int64, name string, spool *os.File) (*Conversion, error) {
	if native, err := pfs.Detect(r, size); err != nil {
		return nil, err
	} else if native {
		return nil, fmt.Errorf("%s is a native package already", name)
	}
	c := &Conversion{spool: spool}
	sink := &conversionSink{c, bufio.NewWriterSize(spool, mib)}
	if err := Read(r, size, name, Limits{}, sink); err != nil {
		return nil, err
	}
	return c, sink.out.Flush()
}

// conversionSink fills a Conversion.
type conversionSink struct {
	c   *Conversion
	out *bufio.Writer
}

func (s *conversionSink) Start(m pkgmeta.Meta) error {
	m.Format = pkgmeta.Pfs
	if strings.ContainsAny(m.Summary, "\n\r") {
		m.Summary = oneLine(m.Summary)
	}
	m.Description = strings.TrimRight(m.Description, "\n")
	s.c.Meta = m
	return nil
}

func (s *conversionSink) Add(e pkgmeta.Entry, content io.Reader) error {
	c := s.c
	e.Sec, e.Nsec = max(0, min(e.Sec, pfs.MaxTime)), 0
	c.newest = max(c.newest, e.Sec)
	if e.Path == nativeDir || strings.HasPrefix(e.Path, nativeDir+"/") {
		return fmt.Errorf("it has a file /%s, where native packages have their metadata", e.Path)
	}
	if e.Path == "" {
		c.root = &e
		return nil
	}
	e.Xattrs = maps.Clone(e.Xattrs)
	c.entries = append(c.entries, convertedEntry{e, c.Bytes})
	if content == nil {
		return nil
	}
	n, err := io.Copy(s.out, content)
	if err == nil && n != e.Size {
		err = fmt.Errorf("/%s has %d bytes, and its header says %d", e.Path, n, e.Size)
	}
	c.Bytes += n
	return err
}

// metadata is the text of package.toml.
func (c *Conversion) metadata() ([]byte, error) {
	d := NativeMetadata(c.Meta)
	for i := range c.entries {
		if e := &c.entries[i]; e.Mutable {
			d.Mutable = append(d.Mutable, pkgpath.QuoteGlob(e.Path))
		}
	}
	slices.Sort(d.Mutable)
	if r := c.root; r != nil {
		d.Root = &pfs.Root{Mode: "0" + strconv.FormatUint(uint64(r.Mode), 8), UID: r.UID, GID: r.GID, Time: r.Sec}
	}
	return d.Encode()
}

// Write writes the native package to w. The time of its metadata is that of the
// newest file, whatever o says. progress is told how many bytes of contents are
// done, now and then, and can end it with an error.
func (c *Conversion) Write(w io.Writer, o pfs.Options, progress func(bytes int64) error) error {
	text, err := c.metadata()
	if err != nil {
		return err
	}
	o.Time = c.newest
	pw, err := pfs.NewWriter(w, text, o)
	if err != nil {
		return err
	}
	for i := range c.entries {
		e := &c.entries[i]
		var content io.Reader
		if e.Type == pkgmeta.Regular && e.HardLink == "" {
			content = &progressReader{io.NewSectionReader(c.spool, e.at, e.Size), e.at, progress}
		}
		err := progress(e.at)
		if err == nil {
			err = pw.Add(e.native(), content)
		}
		if err != nil {
			return errors.Join(err, pw.Close())
		}
	}
	return pw.Close()
}

// native is the entry as the native format has it.
func (e *convertedEntry) native() pfs.Entry {
	n := pfs.Entry{Path: e.Path, Mode: e.Mode, UID: e.UID, GID: e.GID, Time: e.Sec, Target: e.Target, Xattrs: e.Xattrs}
	switch {
	case e.HardLink != "":
		n.Type, n.Target = pfs.HardLink, e.HardLink
	case e.Type == pkgmeta.Regular:
		n.Type, n.Size = pfs.Regular, e.Size
	case e.Type == pkgmeta.Directory:
		n.Type = pfs.Directory
	case e.Type == pkgmeta.Symlink:
		n.Type = pfs.Symlink
	case e.Type == pkgmeta.Fifo:
		n.Type = pfs.Fifo
	}
	return n
}

// progressReader tells how far it is read.
type progressReader struct {
	r        io.Reader
	at       int64
	progress func(int64) error
}

func (t *progressReader) Read(p []byte) (int, error) {
	if err := t.progress(t.at); err != nil {
		return 0, err
	}
	n, err := t.r.Read(p)
	t.at += int64(n)
	return n, err
}

// Check reads the native package that Write wrote as a server does, and fails if
// it says anything else than the package file that it was made of.
func (c *Conversion) Check(r io.ReaderAt, size int64, name string) error {
	k := &conversionCheck{c: c}
	if c.root != nil {
		k.left = append(k.left, convertedEntry{Entry: *c.root})
	}
	k.left = append(k.left, c.entries...)
	if err := Read(r, size, name, Limits{}, k); err != nil {
		return err
	}
	if len(k.left) > 0 {
		return fmt.Errorf("%s: /%s is missing in it", name, k.left[0].Path)
	}
	return nil
}

// conversionCheck is a Sink that compares.
type conversionCheck struct {
	c    *Conversion
	left []convertedEntry
}

func (k *conversionCheck) Start(m pkgmeta.Meta) error {
	have, want := reflect.ValueOf(m), reflect.ValueOf(k.c.Meta)
	for i := range have.NumField() {
		h, w := have.Field(i), want.Field(i)
		if empty := h.Kind() == reflect.Slice && h.Len()+w.Len() == 0; !empty && !reflect.DeepEqual(h.Interface(), w.Interface()) {
			return fmt.Errorf("its %s cannot be kept: %v becomes %v", have.Type().Field(i).Name, w, h)
		}
	}
	return nil
}

func (k *conversionCheck) Add(e pkgmeta.Entry, content io.Reader) error {
	if len(k.left) == 0 {
		return fmt.Errorf("/%s is more than there was", e.Path)
	}
	want := k.left[0].Entry
	k.left = k.left[1:]
	same := maps.Equal(e.Xattrs, want.Xattrs)
	if e.Xattrs, want.Xattrs = nil, nil; !same || !reflect.DeepEqual(e, want) {
		return fmt.Errorf("/%s cannot be kept: %+v becomes %+v", want.Path, want, e)
	}
	return nil
}
