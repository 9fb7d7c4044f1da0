package format

import (
	"archive/tar"
	"bytes"
	"errors"
	"fmt"
	"io"

	"github.com/packagefs/packagefs/pkgindex/pkgmeta"
)

// An Arch package is one compressed tar archive. Members whose names begin
// with a dot are metadata: .PKGINFO, .MTREE with the checksums, and .BUILDINFO,
// .INSTALL and .CHANGELOG, which are not used.

// archHead is what must be known before the first file.
type archHead struct {
	pkginfo []byte
	mtree   *mtree // nil if there is none
}

func (s *source) readArch(kind compression) error {
	// makepkg puts the metadata first. Others put it last; then the archive
	// is read twice.
	head, err := s.archHead(kind, false)
	if err == nil && head.pkginfo == nil {
		head, err = s.archHead(kind, true)
	}
	if err != nil {
		return err
	}
	if head.pkginfo == nil {
		return notPackage("no .PKGINFO in it; is it still being copied?")
	}
	meta, backup, err := archMeta(head.pkginfo, s.limits)
	if err != nil {
		return err
	}
	if err := s.start(meta); err != nil {
		return err
	}
	u := unpack(s.section(0, s.size), s.size, kind, s.limits)
	defer u.close()
	w := tarWalk{limits: s.limits, sink: s.sink, marked: true, admit: func(e *pkgmeta.Entry) bool {
		e.Mutable = e.Type == pkgmeta.Regular && backup[e.Path]
		return !hidden(e.Path)
	}}
	if head.mtree == nil {
		w.checks = noMtree{}
	} else {
		w.checks = head.mtree
	}
	if err := w.walkTar(u, s.size); err != nil {
		return err
	}
	if head.mtree != nil {
		return head.mtree.missing()
	}
	return nil
}

// archHead reads the metadata that stands before the first file, or all of it.
func (s *source) archHead(kind compression, all bool) (archHead, error) {
	var head archHead
	u := unpack(s.section(0, s.size), s.size, kind, s.limits)
	defer u.close()
	err := eachMember(u, s.limits, func(name string, h *tar.Header, r io.Reader) (err error) {
		switch {
		case name == ".PKGINFO":
			if head.pkginfo != nil {
				return errors.New("is there twice")
			}
			head.pkginfo, err = readMetadata(r, h, s.limits.Control)
		case name == ".MTREE":
			if head.mtree != nil {
				return errors.New("is there twice")
			}
			head.mtree, err = s.readMtree(r, h)
		case !hidden(name) && name != "" && !all:
			return errStop
		}
		return err
	})
	return head, err
}

// readMtree reads .MTREE, which is compressed by gzip, or plain.
func (s *source) readMtree(r io.Reader, h *tar.Header) (*mtree, error) {
	text, err := readMetadata(r, h, s.limits.Checksums)
	if err != nil {
		return nil, err
	}
	if bytes.HasPrefix(text, []byte("\x1f\x8b")) {
		u := unpack(bytes.NewReader(text), int64(len(text)), gzipped, s.limits)
		defer u.close()
		text, err = io.ReadAll(io.LimitReader(u, s.limits.Checksums+1))
		if err != nil {
			return nil, err
		}
		if int64(len(text)) > s.limits.Checksums {
			return nil, fmt.Errorf("unpacks to more than %d bytes", s.limits.Checksums)
		}
	}
	return parseMtree(text, s.limits)
}
