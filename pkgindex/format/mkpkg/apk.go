package mkpkg

import (
	"archive/tar"
	"bytes"
	"crypto/sha1"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"strings"
)

// Apk writes s as an Alpine package of version 2, which is always compressed
// by gzip. Conffile is not used: apk takes all of etc/ for files that users
// change.
func Apk(w io.Writer, s Spec) error {
	s, err := s.withDefaults("1.0-r1", "noarch")
	if err != nil {
		return err
	}
	if s.Compression != Gzip {
		return errors.New("write apk: its compression can only be gzip")
	}
	var data bytes.Buffer
	err = archive(&data, Gzip, false, func(tw *tar.Writer) error {
		return s.writeFiles(tw, "", s.apkChecksum)
	})
	if err != nil {
		return fmt.Errorf("write data of %s: %w", s.Name, err)
	}
	err = archive(w, Gzip, true, func(tw *tar.Writer) error {
		return s.writeMetadata(tw, ".PKGINFO", s.apkInfo(data.Bytes()))
	})
	if err != nil {
		return fmt.Errorf("write control of %s: %w", s.Name, err)
	}
	_, err = w.Write(data.Bytes())
	return err
}

// apkChecksum adds the checksum that apk keeps of a file or symlink.
func (s Spec) apkChecksum(f File, h *tar.Header) {
	var content string
	switch {
	case s.NoChecksums:
		return
	case h.Typeflag == tar.TypeReg:
		content = f.Body
	case h.Typeflag == tar.TypeSymlink:
		content = f.Target
	default:
		return
	}
	if h.PAXRecords == nil {
		h.PAXRecords = make(map[string]string)
	}
	h.PAXRecords["APK-TOOLS.checksum.SHA1"] = fmt.Sprintf("%x", sha1.Sum([]byte(content)))
}

// apkInfo is the text of .PKGINFO before a data segment.
func (s Spec) apkInfo(data []byte) string {
	var b strings.Builder
	var size int
	for _, f := range s.Files {
		size += len(f.Body)
	}
	add := func(key, value string) { field(&b, key, " = ", value) }
	add("pkgname", s.Name)
	add("pkgver", s.Version)
	add("pkgdesc", s.Summary)
	add("url", s.Homepage)
	add("builddate", fmt.Sprint(s.Time))
	add("packager", s.Maintainer)
	add("size", fmt.Sprint(size))
	add("arch", s.Architecture)
	add("origin", s.Source)
	add("license", s.License)
	s.relations(add, "!")
	for _, line := range s.Extra {
		b.WriteString(line + "\n")
	}
	if !s.NoChecksums {
		add("datahash", fmt.Sprintf("%x", sha256.Sum256(data)))
	}
	return b.String()
}

// relations adds one line a relation. Conflicts are depends behind conflict, or
// have a key of their own if it is empty.
func (s Spec) relations(add func(key, value string), conflict string) {
	for _, t := range s.Depends {
		add("depend", t)
	}
	for _, t := range s.Conflicts {
		if conflict != "" {
			add("depend", conflict+t)
		} else {
			add("conflict", t)
		}
	}
	for _, t := range s.Provides {
		add("provides", t)
	}
	for _, t := range s.Replaces {
		add("replaces", t)
	}
}
