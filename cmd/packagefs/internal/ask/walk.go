package ask

import (
	"cmp"
	"context"
	"io/fs"
	"path"
	"slices"
	"strings"
	"sync"
	"syscall"

	"github.com/hugelgupf/p9/p9"

	"github.com/packagefs/packagefs/server/api"
	"github.com/packagefs/packagefs/server/p9l/client"
)

const (
	maxLinks = 40 // symlinks that one path may lead through
	inFlight = 64 // files of a directory that are asked for at once
)

// names splits a path into its components.
func names(p string) []string {
	p = strings.Trim(path.Clean("/"+p), "/")
	if p == "" {
		return nil
	}
	return strings.Split(p, "/")
}

// Find walks to a path as a program on the tree would: symlinks on the way are
// followed within the tree, and one at the end if follow is set.
func Find(ctx context.Context, root *client.Fid, p string, follow bool) (*client.Fid, error) {
	todo := names(p)
	f, qids, err := root.Walk(ctx, todo...)
	if err == nil && (!follow || len(qids) == 0 || !isLink(qids[len(qids)-1])) {
		return f, nil
	}
	if err == nil {
		f.Clunk()
	}
	for range maxLinks {
		i, target, err := firstLink(ctx, root, todo, follow)
		if err != nil {
			return nil, err
		}
		if i < 0 {
			f, _, err := root.Walk(ctx, todo...)
			return f, err
		}
		base := "/" + path.Join(todo[:i]...) // without symlinks
		if path.IsAbs(target) {
			base = "/"
		}
		todo = append(names(path.Join(base, target)), todo[i+1:]...)
	}
	return nil, syscall.ELOOP
}

// firstLink gives the index and target of the first symlink on a way, or -1 if
// there is none. The last name counts only if follow is set.
func firstLink(ctx context.Context, root *client.Fid, todo []string, follow bool) (int, string, error) {
	at, _, err := root.Walk(ctx)
	if err != nil {
		return 0, "", err
	}
	defer func() { at.Clunk() }()
	for i, name := range todo {
		next, qids, err := at.Walk(ctx, name)
		if err != nil {
			return 0, "", err
		}
		at.Clunk()
		at = next
		if isLink(qids[0]) && (follow || i < len(todo)-1) {
			target, err := at.Readlink(ctx)
			return i, target, err
		}
	}
	return -1, "", nil
}

func isLink(q p9.QID) bool { return q.Type&p9.TypeSymlink != 0 }

// A fileRow is a file as ls, stat and tree show it.
type fileRow struct {
	Path   string `json:"path"`
	Name   string `json:"name"`
	Type   string `json:"type"` // file, directory, symlink, fifo or other
	Mode   uint32 `json:"mode"` // permission bits with setuid, setgid and sticky
	NLink  uint64 `json:"nlink"`
	UID    uint32 `json:"uid"`
	GID    uint32 `json:"gid"`
	Size   int64  `json:"size"`
	MTime  int64  `json:"mtime"` // seconds since 1970
	Inode  uint64 `json:"inode"`
	Target string `json:"target,omitempty"` // of a symlink

	// Launcher is set for a launcher: to NAME=VERSION of the package that it runs
	// the file of. Only stat asks.
	Launcher string `json:"launcher,omitempty"`

	qid  p9.QID
	mode p9.FileMode
	attr p9.Attr
}

// readRow asks for the attributes of f, and for a symlink's target.
func readRow(ctx context.Context, f *client.Fid, at string) (fileRow, error) {
	q, a, err := f.GetAttr(ctx)
	if err != nil {
		return fileRow{}, err
	}
	r := fileRow{
		Path: at, Name: path.Base(at), Type: typeName(a.Mode), Mode: uint32(a.Mode) & 0o7777,
		NLink: uint64(a.NLink), UID: uint32(a.UID), GID: uint32(a.GID),
		Size: int64(a.Size), MTime: int64(a.MTimeSeconds), Inode: q.Path,
		qid: q, mode: a.Mode, attr: a,
	}
	if a.Mode.IsSymlink() {
		r.Target, err = f.Readlink(ctx)
	}
	return r, err
}

func typeName(m p9.FileMode) string {
	switch {
	case m.IsRegular():
		return api.TypeFile
	case m.IsDir():
		return api.TypeDirectory
	case m.IsSymlink():
		return api.TypeSymlink
	case m.IsNamedPipe():
		return api.TypeFifo
	}
	return "other"
}

// modeText writes a mode as ls does: -rwsr-xr-x.
func (r *fileRow) modeText() string {
	kind := map[string]string{api.TypeDirectory: "d", api.TypeSymlink: "l", api.TypeFifo: "p", api.TypeFile: "-"}
	b := []byte(cmp.Or(kind[r.Type], "?") + fs.FileMode(r.Mode & 0o777).String()[1:])
	for i, c := range []struct {
		bit    uint32
		x, noX byte
	}{{0o4000, 's', 'S'}, {0o2000, 's', 'S'}, {0o1000, 't', 'T'}} {
		if at := 3 * (i + 1); r.Mode&c.bit != 0 {
			if b[at] == 'x' {
				b[at] = c.x
			} else {
				b[at] = c.noX
			}
		}
	}
	return string(b)
}

// ListDir gives the entries of directory f by name.
func ListDir(ctx context.Context, f *client.Fid) ([]p9.Dirent, error) {
	d, _, err := f.Walk(ctx)
	if err != nil {
		return nil, err
	}
	defer d.Clunk()
	if _, err := d.Open(ctx, syscall.O_RDONLY|syscall.O_DIRECTORY); err != nil {
		return nil, err
	}
	list, err := d.ReadDirAll(ctx)
	slices.SortFunc(list, func(a, b p9.Dirent) int { return strings.Compare(a.Name, b.Name) })
	return list, err
}

// listRows gives the entries of directory f, which is at a path, with their
// attributes; many are asked for at once. An entry that goes away meanwhile is
// left out.
func listRows(ctx context.Context, f *client.Fid, at string) ([]fileRow, error) {
	list, err := ListDir(ctx, f)
	if err != nil {
		return nil, err
	}
	rows, errs := make([]fileRow, len(list)), make([]error, len(list))
	var wg sync.WaitGroup
	slots := make(chan struct{}, inFlight)
	for i, d := range list {
		slots <- struct{}{}
		wg.Go(func() {
			defer func() { <-slots }()
			e, _, err := f.Walk(ctx, d.Name)
			if err == nil {
				rows[i], err = readRow(ctx, e, path.Join(at, d.Name))
				e.Clunk()
			}
			errs[i] = err
		})
	}
	wg.Wait()
	kept := rows[:0]
	for i := range rows {
		switch errs[i] {
		case nil:
			kept = append(kept, rows[i])
		case syscall.ENOENT:
		default:
			return nil, errs[i]
		}
	}
	return kept, nil
}
