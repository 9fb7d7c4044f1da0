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

func (p *packageFile) readArch(kind compression) error {
	// makepkg puts the metadata first. Others put it last; then the archive
	// is read twice.
	head, err := p.archHead(kind, false)
	if err == nil && head.pkginfo == nil {
		head, err = p.archHead(kind, true)
	}
	if err != nil {
		return err
	}
	if head.pkginfo == nil {
		return notPackage("no .PKGINFO in it; is it still being copied?")
	}
	meta, backup, err := archMeta(head.pkginfo, p.limits)
	if err != nil {
		return err
	}
	if err := p.start(meta); err != nil {
		return err
	}
	u := unpack(p.section(0, p.size), p.size, kind, p.limits)
	defer u.close()
	w := tarWalk{limits: p.limits, sink: p.sink, marked: true, filter: func(e *pkgmeta.Entry) bool {
		e.Mutable = e.Type == pkgmeta.Regular && backup[e.Path]
		return !hidden(e.Path)
	}}
	if head.mtree == nil {
		w.checks = noMtree{}
	} else {
		w.checks = head.mtree
	}
	if err := w.walkTar(u, p.size); err != nil {
		return err
	}
	if head.mtree != nil {
		return head.mtree.missing()
	}
	return nil
}

// archHead reads the metadata that stands before the first file, or all of it.
func (p *packageFile) archHead(kind compression, all bool) (archHead, error) {
	var head archHead
	u := unpack(p.section(0, p.size), p.size, kind, p.limits)
	defer u.close()
	err := eachMember(u, p.limits, func(name string, h *tar.Header, r io.Reader) (err error) {
		switch {
		case name == ".PKGINFO":
			if head.pkginfo != nil {
				return errors.New("is there twice")
			}
			head.pkginfo, err = readMetadata(r, h, p.limits.Control)
		case name == ".MTREE":
			if head.mtree != nil {
				return errors.New("is there twice")
			}
			head.mtree, err = p.readMtree(r, h)
		case !hidden(name) && name != "" && !all:
			return errStop
		}
		return err
	})
	return head, err
}

// readMtree reads .MTREE, which is compressed by gzip, or plain.
func (p *packageFile) readMtree(r io.Reader, h *tar.Header) (*mtree, error) {
	text, err := readMetadata(r, h, p.limits.Checksums)
	if err != nil {
		return nil, err
	}
	if bytes.HasPrefix(text, []byte("\x1f\x8b")) {
		u := unpack(bytes.NewReader(text), int64(len(text)), gzipped, p.limits)
		defer u.close()
		text, err = io.ReadAll(io.LimitReader(u, p.limits.Checksums+1))
		if err != nil {
			return nil, err
		}
		if int64(len(text)) > p.limits.Checksums {
			return nil, fmt.Errorf("unpacks to more than %d bytes", p.limits.Checksums)
		}
	}
	return parseMtree(text, p.limits)
}
