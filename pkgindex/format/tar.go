package format

import (
	"archive/tar"
	"errors"
	"fmt"
	"hash"
	"io"
	"strings"

	"github.com/packagefs/packagefs/pkgindex/pkgmeta"
)

// A tarWalk hands the members of a package's tar archive to the sink, and
// refuses every archive that could reach out of its own tree.
type tarWalk struct {
	limits Limits
	sink   Sink

	// filter sets what the format knows of a member beside its header. Where
	// it returns false the member is not for the sink.
	filter func(e *pkgmeta.Entry) bool

	// checks, if set, compares the members with the package's own checksums.
	checks checker

	// marked says that the archive must have its end mark. Without it, one
	// that was cut short between two members looks whole.
	marked bool

	left    int64 // bytes of content that the limits still allow
	paths   int64 // likewise bytes of paths
	count   int
	members map[string]member
	links   map[string]string // hard link → the member that has the bytes
	content content
	buf     []byte // to drain content with
}

// A checker compares members with checksums.
type checker interface {
	// begin is called for each member before its content is read, and
	// returns the hash that wants the content, or nil.
	begin(e *pkgmeta.Entry, h *tar.Header) (hash.Hash, error)
	// end is called after begin, when the hash has the whole content.
	end(e *pkgmeta.Entry, h *tar.Header, sum hash.Hash) error
}

// member says what an archive has at a path.
type member uint8

const (
	memberImplied member = iota // a directory that only its content tells of
	memberDirectory
	memberRegular
	memberSymlink
	memberFifo
	memberHidden // not for the sink
)

func (m member) String() string {
	return [...]string{"a directory", "a directory", "a file", "a symlink", "a fifo", "metadata"}[m]
}

// walkTar reads the tar archive in r, of packed bytes, to its end.
func (w *tarWalk) walkTar(r io.Reader, packed int64) error {
	w.begin(packed)
	end := &endReader{r: r}
	tr := tar.NewReader(end)
	for {
		h, err := tr.Next()
		if err == io.EOF {
			break
		}
		if err != nil {
			return tarError(err)
		}
		if h.Typeflag == tar.TypeXGlobalHeader {
			continue
		}
		if err := w.add(tr, h); err != nil {
			return fmt.Errorf("%q: %w", h.Name, err)
		}
	}
	if w.marked && end.reached {
		return fmt.Errorf("its archive has no end mark: %w", io.ErrUnexpectedEOF)
	}
	// The padding is read too, so that the decompressor sees its checksum.
	_, err := io.CopyBuffer(discard{}, r, w.buf)
	return err
}

// begin makes w ready for an archive of packed bytes.
func (w *tarWalk) begin(packed int64) {
	w.left, w.paths = w.limits.unpacked(packed), w.limits.Paths
	w.members, w.links = make(map[string]member), make(map[string]string)
	w.buf = make([]byte, 64*kib)
}

// endReader tells whether the end of r was reached.
type endReader struct {
	r       io.Reader
	reached bool
}

func (e *endReader) Read(p []byte) (int, error) {
	n, err := e.r.Read(p)
	e.reached = e.reached || err == io.EOF
	return n, err
}

// discard is io.Discard without a buffer of its own.
type discard struct{}

func (discard) Write(p []byte) (int, error) { return len(p), nil }

// tarError puts an error of archive/tar into words.
func tarError(err error) error {
	if errors.Is(err, tar.ErrHeader) {
		return fmt.Errorf("its archive is corrupt: %w", err)
	}
	return err
}

// add checks one member and hands it on.
func (w *tarWalk) add(r io.Reader, h *tar.Header) error {
	e, repeated, err := w.entry(h)
	if err != nil || repeated {
		return err
	}
	wanted := w.filter(&e)
	if !wanted && e.Type != pkgmeta.Directory {
		w.members[e.Path] = memberHidden
	}
	var sum hash.Hash
	if w.checks != nil {
		if sum, err = w.checks.begin(&e, h); err != nil {
			return err
		}
	}
	if err := w.pass(r, e, wanted, sum); err != nil {
		return err
	}
	if w.checks != nil {
		return w.checks.end(&e, h, sum)
	}
	return nil
}

// pass hands e to the sink if it is wanted, and all of its content to sum.
func (w *tarWalk) pass(r io.Reader, e pkgmeta.Entry, wanted bool, sum hash.Hash) error {
	var body io.Reader
	if e.Type == pkgmeta.Regular && e.HardLink == "" {
		w.content = content{r: r, left: e.Size, sum: sum}
		body = &w.content
	}
	if wanted {
		err := w.sink.Add(e, body)
		if body != nil && w.content.err != nil {
			return w.content.err
		}
		if err != nil {
			return &sinkError{err}
		}
	}
	if body != nil && w.content.left > 0 {
		_, err := io.CopyBuffer(discard{}, body, w.buf)
		return err
	}
	return nil
}

// entry turns a header into an Entry and notes its path. repeated is set for a
// directory that has been there.
func (w *tarWalk) entry(h *tar.Header) (e pkgmeta.Entry, repeated bool, err error) {
	if w.count++; w.count > w.limits.Members {
		return e, false, fmt.Errorf("it is one of more than %d members", w.limits.Members)
	}
	e = pkgmeta.Entry{Mode: uint32(h.Mode) & 0o7777, Sec: h.ModTime.Unix(), Nsec: uint32(h.ModTime.Nanosecond())}
	if e.Path, err = cleanPath(h.Name, w.limits); err != nil {
		return e, false, err
	}
	kind, err := w.setType(&e, h)
	if err != nil {
		return e, false, err
	}
	if e.UID, err = ownerID(h.Uid); err != nil {
		return e, false, err
	}
	if e.GID, err = ownerID(h.Gid); err != nil {
		return e, false, err
	}
	e.Xattrs = xattrs(h)
	repeated, err = w.note(e.Path, kind)
	return e, repeated, err
}

// setType fills in what depends on the member's type.
func (w *tarWalk) setType(e *pkgmeta.Entry, h *tar.Header) (member, error) {
	switch h.Typeflag {
	case tar.TypeReg, tar.TypeCont, tar.TypeGNUSparse:
		if h.Size < 0 || h.Size > w.left {
			return 0, w.limits.ratioError()
		}
		w.left -= h.Size
		e.Type, e.Size = pkgmeta.Regular, h.Size
		return memberRegular, nil
	case tar.TypeDir:
		e.Type = pkgmeta.Directory
		return memberDirectory, nil
	case tar.TypeSymlink:
		// The mode is that of symlinks on every Linux file system.
		e.Type, e.Target, e.Mode = pkgmeta.Symlink, h.Linkname, 0o777
		if e.Target == "" || len(e.Target) > 4095 || strings.ContainsRune(e.Target, 0) {
			return 0, fmt.Errorf("its symlink target has %d bytes, or a NUL; 1 to 4095 are allowed", len(e.Target))
		}
		return memberSymlink, nil
	case tar.TypeLink:
		target, err := cleanPath(h.Linkname, w.limits)
		if err != nil {
			return 0, fmt.Errorf("hard link to %q: %w", h.Linkname, err)
		}
		if first, ok := w.links[target]; ok {
			target = first
		}
		if kind, ok := w.members[target]; !ok || kind != memberRegular || target == e.Path {
			return 0, fmt.Errorf("hard link to %q, which is no earlier file of the package", h.Linkname)
		}
		e.Type, e.HardLink = pkgmeta.Regular, target
		w.links[e.Path] = target
		return memberRegular, nil
	case tar.TypeFifo:
		e.Type = pkgmeta.Fifo
		return memberFifo, nil
	case tar.TypeChar, tar.TypeBlock:
		return 0, errors.New("device nodes are not allowed in packages")
	}
	return 0, fmt.Errorf("members of tar type %q are not allowed in packages", h.Typeflag)
}

// note puts a path into the archive's tree, and refuses one that is there or
// that lies below something that is no directory.
func (w *tarWalk) note(path string, kind member) (repeated bool, err error) {
	have, ok := w.members[path]
	switch {
	case path == "" && kind != memberDirectory:
		return false, fmt.Errorf("the root of the package is %s", kind)
	case ok && have == memberDirectory && kind == memberDirectory:
		return true, nil
	case ok && !(have == memberImplied && kind == memberDirectory):
		return false, fmt.Errorf("%s is there already, as %s", kind, have)
	}
	if err := w.keep(path, kind); err != nil {
		return false, err
	}
	for parent := dirOf(path); parent != ""; parent = dirOf(parent) {
		have, ok := w.members[parent]
		if ok && have > memberDirectory {
			return false, fmt.Errorf("lies below %q, which the package has as %s", parent, have)
		}
		if ok {
			break
		}
		if err := w.keep(parent, memberImplied); err != nil {
			return false, err
		}
	}
	return false, nil
}

func (w *tarWalk) keep(path string, kind member) error {
	if w.paths -= int64(len(path)); w.paths < 0 {
		return fmt.Errorf("the paths of the package have more than %d bytes", w.limits.Paths)
	}
	w.members[path] = kind
	return nil
}

func dirOf(path string) string {
	return path[:max(0, strings.LastIndexByte(path, '/'))]
}

// cleanPath turns a member's name into an Entry's path. Names that are
// absolute, that have "..", or that break the limits are refused.
func cleanPath(name string, limits Limits) (string, error) {
	if strings.HasPrefix(name, "/") {
		return "", errors.New("is an absolute path; packages may not reach out of their tree")
	}
	if i := strings.IndexAny(name, "\x00\n\x1b"); i >= 0 {
		return "", fmt.Errorf("has the control character %q in its name", name[i])
	}
	for strings.HasPrefix(name, "./") {
		name = strings.TrimLeft(name[2:], "/")
	}
	name = strings.TrimRight(name, "/")
	if len(name) > limits.Path {
		return "", fmt.Errorf("its path has %d bytes; %d is the most", len(name), limits.Path)
	}
	clean := true
	for part := range strings.SplitSeq(name, "/") {
		switch {
		case part == "..":
			return "", errors.New(`has ".." in its path; packages may not reach out of their tree`)
		case len(part) > limits.Name:
			return "", fmt.Errorf("a name in its path has %d bytes; %d is the most", len(part), limits.Name)
		case part == "" || part == ".":
			clean = false
		}
	}
	if clean {
		return name, nil
	}
	parts := strings.Split(name, "/")
	kept := parts[:0]
	for _, part := range parts {
		if part != "" && part != "." {
			kept = append(kept, part)
		}
	}
	return strings.Join(kept, "/"), nil
}

// ownerID refuses what is no uid or gid on Linux.
func ownerID(id int) (uint32, error) {
	if id < 0 || int64(id) >= 1<<32-1 {
		return 0, fmt.Errorf("its owner or group has the number %d", id)
	}
	return uint32(id), nil
}

// maxXattr is the largest value that Linux takes.
const maxXattr = 64 * kib

// xattrs returns the extended attributes that mean the same on any machine:
// security.capability and user.*, without those that overlayfs claims.
func xattrs(h *tar.Header) map[string]string {
	var attrs map[string]string
	for key, value := range h.PAXRecords {
		name, ok := strings.CutPrefix(key, xattrRecord)
		if !ok || !servedXattr(name) || len(value) > maxXattr {
			continue
		}
		if attrs == nil {
			attrs = make(map[string]string)
		}
		attrs[name] = value
	}
	return attrs
}

// capabilityXattr holds a file's capabilities.
const capabilityXattr = "security.capability"

// xattrRecord begins the keys of PAX records of extended attributes.
const xattrRecord = "SCHILY.xattr."

// servedXattr says whether files are served with an attribute of that name.
func servedXattr(name string) bool {
	user := strings.HasPrefix(name, "user.") && len(name) > len("user.") && !strings.HasPrefix(name, "user.overlay.")
	return len(name) <= 255 && (user || name == capabilityXattr)
}

// content is the body of one regular file. It hashes what goes through.
type content struct {
	r    io.Reader
	left int64
	sum  hash.Hash // or nil
	err  error     // what is wrong with the archive
}

func (c *content) Read(p []byte) (int, error) {
	if c.err != nil {
		return 0, c.err
	}
	if c.left == 0 {
		return 0, io.EOF
	}
	if int64(len(p)) > c.left {
		p = p[:c.left]
	}
	n, err := c.r.Read(p)
	c.left -= int64(n)
	if c.sum != nil {
		c.sum.Write(p[:n])
	}
	switch {
	case c.left == 0:
		return n, nil
	case err == io.EOF:
		err = io.ErrUnexpectedEOF
	}
	if err != nil {
		c.err = tarError(err)
	}
	return n, c.err
}
