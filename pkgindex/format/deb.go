package format

import (
	"archive/tar"
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/packagefs/packagefs/pkgindex/pkgmeta"
)

// A .deb is an ar archive of debian-binary, control.tar and data.tar, in this
// order. Members whose names begin with an underscore may stand between them,
// anything may follow; see deb(5).

// debMember finds the member NAME.tar at off or behind members that are to be
// ignored.
func (p *packageFile) debMember(off int64, name string) (arMember, compression, error) {
	for {
		m, err := p.arMember(off)
		if err == io.EOF {
			return m, "", notPackage("no " + name + ".tar; is it still being copied?")
		}
		if err != nil {
			return m, "", err
		}
		if strings.HasPrefix(m.name, "_") {
			off = m.next()
			continue
		}
		ext, ok := strings.CutPrefix(m.name, name+".tar")
		if !ok {
			return m, "", notPackage(fmt.Sprintf("it has the member %q where %s.tar belongs", m.name, name))
		}
		switch kind := compression(ext); kind {
		case plain, gzipped, xzipped, zstandard:
			return m, kind, nil
		}
		return m, "", fmt.Errorf("its member %q is compressed in a way that cannot be read; only .gz, .xz and .zst can", m.name)
	}
}

func (p *packageFile) readDeb() error {
	version, err := p.arMember(int64(len(arMagic)))
	if err == io.EOF {
		return notPackage("it ends behind its first line; is it still being copied?")
	}
	if err != nil {
		return err
	}
	if err := p.checkDebVersion(version); err != nil {
		return err
	}
	member, kind, err := p.debMember(version.next(), "control")
	if err != nil {
		return err
	}
	control, err := p.readDebControl(member, kind)
	if err != nil {
		return fmt.Errorf("%s: %w", member.name, err)
	}
	meta, err := pkgmeta.FromControl(control.fields)
	if err != nil {
		return fmt.Errorf("control: %w", err)
	}
	member, kind, err = p.debMember(member.next(), "data")
	if err != nil {
		return err
	}
	if err := p.start(meta); err != nil {
		return err
	}
	if err := p.readDebData(member, kind, control); err != nil {
		return fmt.Errorf("%s: %w", member.name, err)
	}
	return nil
}

// checkDebVersion takes versions 2.x of the format.
func (p *packageFile) checkDebVersion(m arMember) error {
	if m.name != "debian-binary" {
		return notPackage(fmt.Sprintf("it is an ar archive, but its first member is %q instead of debian-binary", m.name))
	}
	text, err := io.ReadAll(io.LimitReader(p.section(m.off, m.size), 64))
	if err != nil {
		return err
	}
	line, _, whole := strings.Cut(string(text), "\n")
	if !whole || !strings.HasPrefix(line, "2.") {
		return notPackage(fmt.Sprintf("its format version is %q; only 2.x can be read", line))
	}
	return nil
}

// debControl is what of control.tar is used.
type debControl struct {
	fields    map[string]string // of control, by name in lower case
	conffiles map[string]bool   // by Entry path
	sums      *md5Table         // nil if there is no md5sums
}

func (p *packageFile) readDebControl(m arMember, kind compression) (debControl, error) {
	var c debControl
	u := unpack(p.section(m.off, m.size), m.size, kind, p.limits)
	defer u.close()
	err := eachMember(u, p.limits, func(name string, h *tar.Header, r io.Reader) error {
		switch name {
		case "control":
			text, err := readMetadata(r, h, p.limits.Control)
			if err != nil {
				return err
			}
			if c.fields != nil {
				return errors.New("is there twice")
			}
			c.fields, err = pkgmeta.ParseControl(text)
			return err
		case "conffiles":
			text, err := readMetadata(r, h, p.limits.Control)
			if err != nil {
				return err
			}
			c.conffiles, err = parseConffiles(text, p.limits)
			return err
		case "md5sums":
			text, err := readMetadata(r, h, p.limits.Checksums)
			if err != nil {
				return err
			}
			c.sums, err = parseMD5Sums(text, p.limits)
			return err
		}
		return nil
	})
	if err == nil && c.fields == nil {
		err = notPackage("it has no control file")
	}
	return c, err
}

// errStop ends eachMember.
var errStop = errors.New("stop")

// eachMember calls do for each member of the tar archive in r, and reads r to
// its end. do may end it before that with errStop.
func eachMember(r io.Reader, limits Limits, do func(name string, h *tar.Header, r io.Reader) error) error {
	tr := tar.NewReader(r)
	for n := 0; ; n++ {
		h, err := tr.Next()
		if err == io.EOF {
			_, err := io.Copy(io.Discard, r)
			return err
		}
		if err != nil {
			return tarError(err)
		}
		if n == limits.Members {
			return fmt.Errorf("%q: it is one of more than %d members", h.Name, limits.Members)
		}
		name, err := cleanPath(h.Name, limits)
		if err == nil {
			err = do(name, h, tr)
		}
		if err == errStop {
			return nil
		}
		if err != nil {
			return fmt.Errorf("%q: %w", h.Name, err)
		}
	}
}

// readMetadata reads a metadata file of at most limit bytes.
func readMetadata(r io.Reader, h *tar.Header, limit int64) ([]byte, error) {
	if h.Typeflag != tar.TypeReg {
		return nil, errors.New("is no regular file")
	}
	if h.Size > limit {
		return nil, fmt.Errorf("has %d bytes; %d is the most", h.Size, limit)
	}
	var text bytes.Buffer
	text.Grow(int(min(h.Size, mib)))
	n, err := text.ReadFrom(r)
	if err == nil && n < h.Size {
		err = io.ErrUnexpectedEOF
	}
	return text.Bytes(), err
}

func (p *packageFile) readDebData(m arMember, kind compression, c debControl) error {
	u := unpack(p.section(m.off, m.size), m.size, kind, p.limits)
	defer u.close()
	w := tarWalk{limits: p.limits, sink: p.sink, filter: func(e *pkgmeta.Entry) bool {
		e.Mutable = e.Type == pkgmeta.Regular && c.conffiles[e.Path]
		return true
	}}
	if c.sums != nil {
		w.checks = c.sums
	}
	if err := w.walkTar(u, m.size); err != nil {
		return err
	}
	if c.sums != nil {
		return c.sums.missing()
	}
	return nil
}

// parseConffiles reads one absolute path a line. A line may begin with flags;
// remove-on-upgrade says that the package does not bring the file.
func parseConffiles(text []byte, limits Limits) (map[string]bool, error) {
	paths := make(map[string]bool)
	for line := range strings.Lines(string(text)) {
		line = strings.TrimRight(line, " \t\r\n")
		if i := strings.Index(line, " /"); i >= 0 && !strings.HasPrefix(line, "/") {
			if strings.Contains(line[:i], "remove-on-upgrade") {
				continue
			}
			line = line[i+1:]
		}
		if line == "" {
			continue
		}
		p, err := cleanPath(strings.TrimLeft(line, "/"), limits)
		if err != nil {
			return nil, fmt.Errorf("%q: %w", line, err)
		}
		paths[p] = true
	}
	return paths, nil
}
