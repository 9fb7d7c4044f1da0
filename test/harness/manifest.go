package harness

import (
	"archive/tar"
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
)

// A Kind is the type of a file, as find -type writes it.
type Kind string

const (
	File    Kind = "f"
	Dir     Kind = "d"
	Symlink Kind = "l"
	Fifo    Kind = "p"
	Other   Kind = "?" // sockets and devices; no package is served with one
)

// An Entry is all that is compared of one file.
type Entry struct {
	Kind     Kind
	Mode     uint32 // 07777 at most
	UID, GID uint32
	Size     int64 // of a regular file and of a symlink
	Sec      int64 // modification time
	Nsec     int64
	Target   string // of a symlink
	SHA256   string // of a regular file
	Links    string // the names of a file that has several, sorted, joined with spaces
}

// A Manifest is a tree: entries by their path without a leading slash. The
// root is "".
type Manifest map[string]Entry

// Save writes the manifest to a file, for a guest to Load.
func (m Manifest) Save(file string) error {
	data, err := json.Marshal(m)
	if err != nil {
		return err
	}
	return os.WriteFile(file, data, 0o644)
}

// LoadManifest reads what Save wrote.
func LoadManifest(file string) (Manifest, error) {
	data, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	var m Manifest
	return m, json.Unmarshal(data, &m)
}

// Paths lists the manifest's paths, sorted.
func (m Manifest) Paths() []string { return slices.Sorted(maps.Keys(m)) }

// link fills in Links for each group of paths that are one file.
func (m Manifest) link(groups map[any][]string) {
	for _, names := range groups {
		if len(names) < 2 {
			continue
		}
		slices.Sort(names)
		for _, name := range names {
			e := m[name]
			e.Links = strings.Join(names, " ")
			m[name] = e
		}
	}
}

// WalkDir makes the manifest of a directory. It reads every file, and fails
// where a directory's listing and lstat disagree.
func WalkDir(root string) (Manifest, error) {
	m := Manifest{}
	groups := map[any][]string{}
	err := filepath.WalkDir(root, func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := os.Lstat(name)
		if err != nil {
			return err
		}
		if name != root && d.Type() != info.Mode().Type() {
			return fmt.Errorf("%s: its directory lists it as %v, lstat as %v", name, d.Type(), info.Mode().Type())
		}
		rel := strings.TrimPrefix(strings.TrimPrefix(name, root), "/")
		st := info.Sys().(*syscall.Stat_t)
		e, err := statEntry(name, st)
		if err != nil {
			return err
		}
		if e.Kind == File && st.Nlink > 1 {
			ino := [2]uint64{uint64(st.Dev), st.Ino}
			groups[ino] = append(groups[ino], rel)
		}
		m[rel] = e
		return nil
	})
	m.link(groups)
	return m, err
}

func statEntry(name string, st *syscall.Stat_t) (Entry, error) {
	e := Entry{Mode: st.Mode & 0o7777, UID: st.Uid, GID: st.Gid, Sec: st.Mtim.Sec, Nsec: st.Mtim.Nsec}
	var err error
	switch st.Mode & syscall.S_IFMT {
	case syscall.S_IFREG:
		e.Kind, e.Size = File, st.Size
		e.SHA256, err = digestFile(name, st.Size)
	case syscall.S_IFDIR:
		e.Kind = Dir
	case syscall.S_IFLNK:
		e.Kind, e.Size = Symlink, st.Size
		e.Target, err = os.Readlink(name)
	case syscall.S_IFIFO:
		e.Kind = Fifo
	default:
		e.Kind = Other
	}
	return e, err
}

// digestFile fails where the file does not have size bytes.
func digestFile(name string, size int64) (string, error) {
	f, err := os.Open(name)
	if err != nil {
		return "", err
	}
	defer f.Close()
	return Digest(name, f, size)
}

// largePiece is how much is read at once of a large file: most machines' time goes
// by calls, above all the guests'.
const largePiece = 512 << 10

// Digest is the sum of what r reads, which is size bytes.
func Digest(name string, r io.Reader, size int64) (string, error) {
	h := sha256.New()
	n, err := io.CopyBuffer(h, struct{ io.Reader }{r}, make([]byte, max(512, min(size+1, largePiece))))
	if err != nil {
		return "", fmt.Errorf("read %s: %w", name, err)
	}
	if n != size {
		return "", fmt.Errorf("read %s: got %d bytes, its size is %d", name, n, size)
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}

// ReadTar makes the manifest of a tar stream.
func ReadTar(r io.Reader) (Manifest, error) {
	m := Manifest{}
	links := map[string][]string{} // by the first name
	in := tar.NewReader(r)
	for {
		h, err := in.Next()
		if err == io.EOF {
			break
		}
		if err != nil {
			return nil, err
		}
		name := tarName(h.Name)
		if h.Typeflag == tar.TypeLink {
			first := tarName(h.Linkname)
			m[name] = m[first]
			links[first] = append(links[first], name)
			continue
		}
		e := Entry{Mode: uint32(h.Mode & 0o7777), UID: uint32(h.Uid), GID: uint32(h.Gid),
			Sec: h.ModTime.Unix(), Nsec: int64(h.ModTime.Nanosecond())}
		switch h.Typeflag {
		case tar.TypeReg:
			e.Kind, e.Size = File, h.Size
			if e.SHA256, err = Digest(name, in, h.Size); err != nil {
				return nil, err
			}
		case tar.TypeDir:
			e.Kind = Dir
		case tar.TypeSymlink:
			e.Kind, e.Target, e.Size = Symlink, h.Linkname, int64(len(h.Linkname))
		case tar.TypeFifo:
			e.Kind = Fifo
		default:
			e.Kind = Other
		}
		m[name] = e
	}
	groups := map[any][]string{}
	for first, others := range links {
		groups[first] = append(others, first)
	}
	m.link(groups)
	return m, nil
}

func tarName(name string) string {
	return strings.TrimPrefix(path.Clean("/"+name), "/")
}

// Diff says in words how got differs from want: one line a difference, in the
// order of paths, and nothing where they are equal.
func Diff(want, got Manifest) []string {
	var lines []string
	all := maps.Clone(want)
	maps.Copy(all, got)
	for _, name := range all.Paths() {
		w, inWant := want[name]
		g, inGot := got[name]
		switch {
		case !inGot:
			lines = append(lines, fmt.Sprintf("/%s: missing; want %+v", name, w))
		case !inWant:
			lines = append(lines, fmt.Sprintf("/%s: must not be there: %+v", name, g))
		case w != g:
			lines = append(lines, fmt.Sprintf("/%s: %s", name, strings.Join(diffEntry(w, g), ", ")))
		}
	}
	return lines
}

func diffEntry(want, got Entry) []string {
	var lines []string
	field := func(name string, w, g any) {
		if w != g {
			lines = append(lines, fmt.Sprintf("%s is %v, want %v", name, g, w))
		}
	}
	field("type", want.Kind, got.Kind)
	field("mode", fmt.Sprintf("%04o", want.Mode), fmt.Sprintf("%04o", got.Mode))
	field("uid", want.UID, got.UID)
	field("gid", want.GID, got.GID)
	field("size", want.Size, got.Size)
	field("mtime", fmt.Sprintf("%d.%09d", want.Sec, want.Nsec), fmt.Sprintf("%d.%09d", got.Sec, got.Nsec))
	field("target", want.Target, got.Target)
	field("sha256", want.SHA256, got.SHA256)
	field("links", want.Links, got.Links)
	return lines
}

// A reporter is what of testing.TB the helpers need.
type reporter interface {
	Helper()
	Errorf(format string, args ...any)
}

// CheckSame reports the differences of two manifests, the first twenty in
// full. An empty want is a failure too: it would compare nothing.
func CheckSame(t reporter, what string, want, got Manifest) {
	t.Helper()
	if len(want) < 2 {
		t.Errorf("%s: the oracle has %d entries; it compares nothing", what, len(want))
		return
	}
	lines := Diff(want, got)
	if len(lines) == 0 {
		return
	}
	shown := lines[:min(len(lines), 20)]
	t.Errorf("%s: %d of %d entries differ:\n\t%s", what, len(lines),
		cmp.Or(len(want), 1), strings.Join(shown, "\n\t"))
}

func WithoutRootAndLinks(m Manifest) Manifest {
	without := Manifest{}
	for name, e := range m {
		if e.Links = ""; name != "" {
			without[name] = e
		}
	}
	return without
}
