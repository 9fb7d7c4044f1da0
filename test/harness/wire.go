package harness

import (
	"fmt"
	"io"
	"net"
	"strings"

	"github.com/hugelgupf/p9/p9"
)

// BigMsize is an msize as large as a client would choose.
const BigMsize = 512 << 10

// WalkWire makes the manifest of a context's tree over a 9P connection of its
// own, with a client that is not packagefs's. addr is as --listen takes it.
func WalkWire(addr, context string, msize uint32) (Manifest, error) {
	return walkWire(addr, context, msize, "")
}

// WalkWireWithout is WalkWire without one file or directory.
func WalkWireWithout(addr, context, without string) (Manifest, error) {
	return walkWire(addr, context, BigMsize, without)
}

func walkWire(addr, context string, msize uint32, without string) (Manifest, error) {
	root, closeAll, err := DialWire(addr, context, msize)
	if err != nil {
		return nil, err
	}
	defer closeAll()
	w := wireWalk{m: Manifest{}, groups: map[any][]string{}, without: without}
	if err := w.walk(root, ""); err != nil {
		return nil, err
	}
	w.m.link(w.groups)
	return w.m, nil
}

// DialWire attaches to a context over a connection of its own.
func DialWire(addr, context string, msize uint32) (root p9.File, closeAll func(), err error) {
	network, at, _ := strings.Cut(addr, ":")
	conn, err := net.Dial(network, at)
	if err != nil {
		return nil, nil, err
	}
	client, err := p9.NewClient(conn, p9.WithMessageSize(msize))
	if err != nil {
		conn.Close()
		return nil, nil, err
	}
	root, err = client.Attach(context)
	if err != nil {
		client.Close()
		return nil, nil, fmt.Errorf("attach %q: %w", context, err)
	}
	return root, func() { root.Close(); client.Close() }, nil
}

type wireWalk struct {
	m      Manifest
	groups map[any][]string // names of one qid

	without string // a path that is not walked to
}

// walk enters f and, if it is a directory, all below it.
func (w *wireWalk) walk(f p9.File, name string) error {
	qid, _, attr, err := f.GetAttr(p9.AttrMaskAll)
	if err != nil {
		return fmt.Errorf("getattr %q: %w", name, err)
	}
	e := Entry{Mode: uint32(attr.Mode) & 0o7777, UID: uint32(attr.UID), GID: uint32(attr.GID),
		Sec: int64(attr.MTimeSeconds), Nsec: int64(attr.MTimeNanoSeconds)}
	switch {
	case attr.Mode.IsRegular():
		e.Kind, e.Size = File, int64(attr.Size)
		if attr.NLink > 1 {
			w.groups[qid.Path] = append(w.groups[qid.Path], name)
		}
		e.SHA256, err = digestWire(f, name, e.Size)
	case attr.Mode.IsDir():
		e.Kind = Dir
		err = w.dir(f, name)
	case attr.Mode.FileType() == p9.ModeSymlink:
		e.Kind, e.Size = Symlink, int64(attr.Size)
		e.Target, err = f.Readlink()
	case attr.Mode.IsNamedPipe():
		e.Kind = Fifo
	default:
		e.Kind = Other
	}
	w.m[name] = e
	return err
}

// child walks from f to a name below it.
func child(f p9.File, name string) (p9.QID, p9.File, error) {
	var names []string
	if name != "" {
		names = []string{name}
	}
	qids, to, err := f.Walk(names)
	if err != nil || len(qids) != len(names) {
		return p9.QID{}, nil, fmt.Errorf("walk to %q: %d qids, %w", name, len(qids), err)
	}
	if name == "" {
		return p9.QID{}, to, nil
	}
	return qids[0], to, nil
}

// opened clones f and opens the clone.
func opened(f p9.File, name string) (p9.File, error) {
	_, open, err := child(f, "")
	if err != nil {
		return nil, err
	}
	if _, _, err := open.Open(p9.ReadOnly); err != nil {
		open.Close()
		return nil, fmt.Errorf("open %q: %w", name, err)
	}
	return open, nil
}

func digestWire(f p9.File, name string, size int64) (string, error) {
	open, err := opened(f, name)
	if err != nil {
		return "", err
	}
	defer open.Close()
	return Digest(name, io.NewSectionReader(open, 0, size+1), size)
}

// dir walks what a directory lists. Its listing must have . and .., no name
// twice, and the type and qid that a walk finds.
func (w *wireWalk) dir(f p9.File, name string) error {
	open, err := opened(f, name)
	if err != nil {
		return err
	}
	defer open.Close()
	seen := map[string]bool{}
	for offset := uint64(0); ; {
		entries, err := open.Readdir(offset, 4096)
		if err != nil {
			return fmt.Errorf("readdir %q: %w", name, err)
		}
		if len(entries) == 0 {
			break
		}
		for _, d := range entries {
			if d.Offset == 0 || seen[d.Name] {
				return fmt.Errorf("readdir %q: %q at offset %d, seen before: %v", name, d.Name, d.Offset, seen[d.Name])
			}
			seen[d.Name] = true
			offset = d.Offset
			if d.Name == "." || d.Name == ".." || strings.TrimPrefix(name+"/"+d.Name, "/") == w.without {
				continue
			}
			if err := w.entry(f, name, d); err != nil {
				return err
			}
		}
	}
	if !seen["."] || !seen[".."] {
		return fmt.Errorf("readdir %q: one of . and .. is missing", name)
	}
	return nil
}

// direntTypes are the DT_ values that Linux clients expect in Rreaddir.
var direntTypes = map[Kind]p9.QIDType{File: 8, Dir: 4, Symlink: 10, Fifo: 1}

func (w *wireWalk) entry(dir p9.File, dirName string, d p9.Dirent) error {
	qid, f, err := child(dir, d.Name)
	if err != nil {
		return fmt.Errorf("in %q: %w", dirName, err)
	}
	defer f.Close()
	path := strings.TrimPrefix(dirName+"/"+d.Name, "/")
	if err := w.walk(f, path); err != nil {
		return err
	}
	if qid != d.QID || d.Type != direntTypes[w.m[path].Kind] {
		return fmt.Errorf("%q: readdir says qid %v and type %d, walk says %v and it is %q", path, d.QID, d.Type, qid, w.m[path].Kind)
	}
	return nil
}
