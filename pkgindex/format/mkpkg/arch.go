package mkpkg

import (
	"archive/tar"
	"bytes"
	"cmp"
	"crypto/md5"
	"crypto/sha256"
	"fmt"
	"io"
	"strings"

	"github.com/klauspost/compress/gzip"
)

// Arch writes s as a package for pacman, a .pkg.tar.zst unless s has another
// Compression.
func Arch(w io.Writer, s Spec) error {
	s.Compression = cmp.Or(s.Compression, Zstd)
	s, err := s.withDefaults("1.0-1", "any")
	if err != nil {
		return err
	}
	info := s.archInfo()
	err = archive(w, s.Compression, false, func(tw *tar.Writer) error {
		if err := s.writeMetadata(tw, ".PKGINFO", info); err != nil {
			return err
		}
		if !s.NoChecksums {
			mtree, err := s.mtree(info)
			if err != nil {
				return err
			}
			if err := s.writeMetadata(tw, ".MTREE", mtree); err != nil {
				return err
			}
		}
		return s.writeFiles(tw, "", nil)
	})
	if err != nil {
		return fmt.Errorf("write package %s: %w", s.Name, err)
	}
	return nil
}

// archInfo is the text of .PKGINFO.
func (s Spec) archInfo() string {
	var b strings.Builder
	var size int
	for _, f := range s.Files {
		size += len(f.Body)
	}
	add := func(key, value string) { field(&b, key, " = ", value) }
	add("pkgname", s.Name)
	add("pkgbase", cmp.Or(s.Source, s.Name))
	add("pkgver", s.Version)
	add("pkgdesc", s.Summary)
	add("url", s.Homepage)
	add("builddate", fmt.Sprint(s.Time))
	add("packager", s.Maintainer)
	add("size", fmt.Sprint(size))
	add("arch", s.Architecture)
	add("license", s.License)
	s.relations(add, "")
	for _, f := range s.Files {
		if f.Conffile {
			add("backup", f.Path)
		}
	}
	for _, line := range s.Extra {
		b.WriteString(line + "\n")
	}
	return b.String()
}

// mtree is the content of .MTREE, of a package with info as .PKGINFO.
func (s Spec) mtree(info string) (string, error) {
	var b bytes.Buffer
	z, err := gzip.NewWriterLevel(&b, 9)
	if err != nil {
		return "", err
	}
	fmt.Fprintf(z, "#mtree\n/set type=file uid=0 gid=0 mode=644\n")
	fmt.Fprintf(z, "./.PKGINFO time=%d.0 %s\n", s.Time, sums(info))
	for _, f := range s.Files {
		h := s.header(f, "./")
		fmt.Fprintf(z, "%s time=%d.0 mode=%o uid=%d gid=%d", vis(strings.TrimSuffix(h.Name, "/")), h.ModTime.Unix(), h.Mode, h.Uid, h.Gid)
		switch h.Typeflag {
		case tar.TypeDir:
			fmt.Fprint(z, " type=dir")
		case tar.TypeSymlink:
			fmt.Fprintf(z, " type=link link=%s", vis(f.Target))
		case tar.TypeFifo:
			fmt.Fprint(z, " type=fifo")
		default:
			body, _ := s.body(f)
			fmt.Fprintf(z, " %s", sums(body))
		}
		fmt.Fprintln(z)
	}
	if err := z.Close(); err != nil {
		return "", err
	}
	return b.String(), nil
}

func sums(body string) string {
	return fmt.Sprintf("size=%d md5digest=%x sha256digest=%x", len(body), md5.Sum([]byte(body)), sha256.Sum256([]byte(body)))
}

// vis writes a path as mtree(5) wants it: what is no plain character in octal.
func vis(s string) string {
	var b strings.Builder
	for i := range len(s) {
		if c := s[i]; c <= ' ' || c > '~' || c == '\\' || c == '#' || c == '=' {
			fmt.Fprintf(&b, `\%03o`, c)
		} else {
			b.WriteByte(c)
		}
	}
	return b.String()
}
