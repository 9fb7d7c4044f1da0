package pack

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/packagefs/packagefs/pkgindex/pfs"
)

// A buildTree is what a directory has for a package, in the order in which it
// is written.
type buildTree struct {
	entries []buildEntry
	bytes   int64 // in regular files
	newest  int64 // modification time, of metadata that has none of its own
}

// A buildEntry is one entry and the file that it is made of.
type buildEntry struct {
	pfs.Entry
	file string
}

// inode identifies a file that may have several names.
type inode struct{ dev, ino uint64 }

// scanTree lists what is below dir. No time is later than epoch.
func scanTree(ctx context.Context, dir string, owners bool, epoch int64) (*buildTree, error) {
	if info, err := os.Stat(dir); err != nil {
		return nil, err
	} else if !info.IsDir() {
		return nil, fmt.Errorf("%s is not a directory", dir)
	}
	t, first := new(buildTree), make(map[inode]string)
	err := filepath.WalkDir(dir, func(file string, d fs.DirEntry, err error) error {
		if err == nil {
			err = ctx.Err()
		}
		if err != nil || file == dir {
			return err
		}
		rel, err := filepath.Rel(dir, file)
		if err != nil {
			return err
		}
		if d.IsDir() && rel == filepath.Dir(pfs.MetadataPath) {
			return filepath.SkipDir
		}
		e, err := scanEntry(file, rel, first)
		if err != nil {
			return err
		}
		if !owners {
			e.UID, e.GID = 0, 0
		}
		e.Time = max(0, min(e.Time, epoch))
		t.newest = max(t.newest, e.Time)
		t.bytes += e.Size
		t.entries = append(t.entries, buildEntry{e, file})
		return nil
	})
	return t, err
}

// scanEntry describes one file. first has the path of each file that has
// several names.
func scanEntry(file, rel string, first map[inode]string) (pfs.Entry, error) {
	info, err := os.Lstat(file)
	if err != nil {
		return pfs.Entry{}, err
	}
	st, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return pfs.Entry{}, fmt.Errorf("%s: the file system does not tell owners", file)
	}
	e := pfs.Entry{Path: filepath.ToSlash(rel), Mode: st.Mode & 0o7777, UID: st.Uid, GID: st.Gid, Time: info.ModTime().Unix()}
	switch info.Mode().Type() {
	case 0:
		e.Type, e.Size = pfs.Regular, info.Size()
		if id := (inode{uint64(st.Dev), st.Ino}); st.Nlink > 1 {
			if e.Target = first[id]; e.Target != "" {
				e.Type, e.Size = pfs.HardLink, 0
				return e, nil
			}
			first[id] = e.Path
		}
	case fs.ModeDir:
		e.Type = pfs.Directory
	case fs.ModeSymlink:
		e.Type, e.Mode = pfs.Symlink, 0o777
		e.Target, err = os.Readlink(file)
		return e, err
	case fs.ModeNamedPipe:
		e.Type = pfs.Fifo
	case fs.ModeSocket:
		return e, fmt.Errorf("%s is a socket, which no package can have; remove it", file)
	default:
		return e, fmt.Errorf("%s is a device node, which no package can have; remove it", file)
	}
	e.Xattrs, err = fileXattrs(file)
	return e, err
}

// fileXattrs returns the extended attributes that a package keeps.
func fileXattrs(file string) (map[string]string, error) {
	list := make([]byte, 64<<10)
	n, err := unix.Llistxattr(file, list)
	if errors.Is(err, unix.ENOTSUP) {
		return nil, nil
	} else if err != nil {
		return nil, &fs.PathError{Op: "list attributes of", Path: file, Err: err}
	}
	var attrs map[string]string
	value := make([]byte, 64<<10)
	for name := range strings.SplitSeq(string(list[:n]), "\x00") {
		user := strings.HasPrefix(name, "user.") && !strings.HasPrefix(name, "user.overlay.")
		if !user && name != "security.capability" {
			continue
		}
		size, err := unix.Lgetxattr(file, name, value)
		if err != nil {
			return nil, &fs.PathError{Op: "read attribute " + name + " of", Path: file, Err: err}
		}
		if attrs == nil {
			attrs = make(map[string]string)
		}
		attrs[name] = string(value[:size])
	}
	return attrs, nil
}

// addTo writes the entry.
func (e *buildEntry) addTo(w *pfs.Writer) error {
	if e.Type != pfs.Regular {
		return w.Add(e.Entry, nil)
	}
	f, err := os.OpenFile(e.file, os.O_RDONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK, 0)
	if err != nil {
		return err
	}
	defer f.Close()
	return w.Add(e.Entry, f)
}
