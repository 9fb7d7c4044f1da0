package mkpkg

import (
	"archive/tar"
	"bytes"
	"crypto/md5"
	"fmt"
	"io"
	"strings"
)

// Deb writes s as a .deb.
func Deb(w io.Writer, s Spec) error {
	s, err := s.withDefaults("1.0-1", "all")
	if err != nil {
		return err
	}
	var control, data bytes.Buffer
	err = archive(&control, s.Compression, false, func(tw *tar.Writer) error {
		if err := tw.WriteHeader(s.header(File{Path: "./"}, "")); err != nil {
			return err
		}
		return s.debControl(tw)
	})
	if err != nil {
		return fmt.Errorf("write control.tar of %s: %w", s.Name, err)
	}
	err = archive(&data, s.Compression, false, func(tw *tar.Writer) error {
		if err := tw.WriteHeader(s.header(File{Path: "./"}, "")); err != nil {
			return err
		}
		return s.writeFiles(tw, "./", nil)
	})
	if err != nil {
		return fmt.Errorf("write data.tar of %s: %w", s.Name, err)
	}
	ext := strings.TrimPrefix(string(s.Compression), string(Plain))
	return Ar(w, s.Time,
		ArMember{"debian-binary", []byte("2.0\n")},
		ArMember{"control.tar" + ext, control.Bytes()},
		ArMember{"data.tar" + ext, data.Bytes()})
}

// An ArMember is one member of an ar archive.
type ArMember struct {
	Name string
	Data []byte
}

// Ar writes an ar archive. Names have at most 16 bytes.
func Ar(w io.Writer, time int64, members ...ArMember) error {
	if _, err := io.WriteString(w, "!<arch>\n"); err != nil {
		return err
	}
	for _, m := range members {
		if len(m.Name) > 16 {
			return fmt.Errorf("write ar archive: the name %q is longer than 16 bytes", m.Name)
		}
		padding := "\n"[:len(m.Data)&1]
		_, err := fmt.Fprintf(w, "%-16s%-12d%-6d%-6d%-8o%-10d`\n%s%s", m.Name, time, 0, 0, 0o100644, len(m.Data), m.Data, padding)
		if err != nil {
			return err
		}
	}
	return nil
}

func (s Spec) debControl(tw *tar.Writer) error {
	var sums, conffiles strings.Builder
	var size int
	for _, f := range s.Files {
		body, regular := s.body(f)
		if !regular {
			continue
		}
		size += len(body)
		if f.Conffile {
			fmt.Fprintf(&conffiles, "/%s\n", f.Path)
		} else {
			fmt.Fprintf(&sums, "%x  %s\n", md5.Sum([]byte(body)), f.Path)
		}
	}
	if conffiles.Len() > 0 {
		if err := s.writeMetadata(tw, "./conffiles", conffiles.String()); err != nil {
			return err
		}
	}
	if err := s.writeMetadata(tw, "./control", s.debFields(size)); err != nil {
		return err
	}
	if sums.Len() == 0 || s.NoChecksums {
		return nil
	}
	return s.writeMetadata(tw, "./md5sums", sums.String())
}

// debFields is the text of the control file of a package of size bytes.
func (s Spec) debFields(size int) string {
	var b strings.Builder
	add := func(key, value string) { field(&b, key, ": ", value) }
	add("Package", s.Name)
	add("Source", s.Source)
	add("Version", s.Version)
	add("Architecture", s.Architecture)
	if s.Essential {
		add("Essential", "yes")
	}
	add("Maintainer", s.Maintainer)
	add("Installed-Size", fmt.Sprint((size+1023)/1024))
	for _, list := range [...]struct {
		key   string
		terms []string
	}{
		{"Pre-Depends", s.PreDepends}, {"Depends", s.Depends}, {"Provides", s.Provides},
		{"Conflicts", s.Conflicts}, {"Breaks", s.Breaks}, {"Replaces", s.Replaces},
	} {
		add(list.key, strings.Join(list.terms, ", "))
	}
	add("Section", "misc")
	add("Priority", "optional")
	add("Multi-Arch", s.MultiArch)
	add("Homepage", s.Homepage)
	add("Description", s.Summary)
	if s.Description != "" {
		for line := range strings.SplitSeq(strings.TrimRight(s.Description, "\n"), "\n") {
			if line == "" {
				line = "."
			}
			b.WriteString(" " + line + "\n")
		}
	}
	for _, line := range s.Extra {
		b.WriteString(line + "\n")
	}
	return b.String()
}
