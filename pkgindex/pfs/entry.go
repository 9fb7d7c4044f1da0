package pfs

import (
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"
)

// MetadataPath is the first member of every package file.
const MetadataPath = ".packagefs/package.toml"

// A Type says what an entry is. It is written as in the table of contents.
type Type string

const (
	Regular   Type = "reg"
	Directory Type = "dir"
	Symlink   Type = "symlink"
	HardLink  Type = "hardlink"
	Fifo      Type = "fifo"

	chunk Type = "chunk" // a further piece of the file before it
)

// An Entry is one member of the archive.
type Entry struct {
	Path     string // clean, relative and UTF-8: "usr/bin/env"
	Type     Type
	Mode     uint32 // permission bits with setuid, setgid and sticky; of symlinks 0777
	UID, GID uint32
	Size     int64             // in bytes, of a regular file
	Time     int64             // modification time, in seconds since 1970, from 0 to the year 9999
	Target   string            // of a symlink, verbatim; of a hard link an earlier file's Path
	Xattrs   map[string]string // by full name: security.capability
}

// MaxTime is the last second of the year 9999.
const MaxTime = 253402300799

// name is the entry's name in archive and table.
func (e *Entry) name() string {
	if e.Type == Directory {
		return e.Path + "/"
	}
	return e.Path
}

// check refuses what has no place in archive or table.
func (e *Entry) check() error {
	switch {
	case e.Path == "" || strings.HasPrefix(e.Path, "/") || strings.HasSuffix(e.Path, "/"):
		return fmt.Errorf("the path %q is not a relative path", e.Path)
	case !utf8.ValidString(e.Path) || !utf8.ValidString(e.Target):
		return errors.New("its name or target is not UTF-8")
	case strings.ContainsRune(e.Path, 0) || strings.ContainsRune(e.Target, 0):
		return errors.New("its name or target has a NUL")
	case e.Mode > 0o7777:
		return fmt.Errorf("its mode %o has more than permission bits", e.Mode)
	case e.Time < 0 || e.Time > MaxTime:
		return fmt.Errorf("its time %d is not between 1970 and 9999", e.Time)
	case e.Size < 0 || e.Size > 0 && e.Type != Regular:
		return fmt.Errorf("it cannot have the size %d", e.Size)
	case (e.Target != "") != (e.Type == Symlink || e.Type == HardLink):
		return errors.New("a target belongs to links, and every link has one")
	case e.Type == Symlink && e.Mode != 0o777:
		return fmt.Errorf("the mode of a symlink is 0777, not %04o", e.Mode)
	}
	for name, value := range e.Xattrs {
		if name == "" || !utf8.ValidString(name) || strings.ContainsAny(name, "=\x00") || len(name) > 255 || len(value) > 64<<10 {
			return fmt.Errorf("the extended attribute %q cannot be kept", name)
		}
	}
	switch e.Type {
	case Regular, Directory, Symlink, HardLink, Fifo:
		return nil
	}
	return fmt.Errorf("its type %q is not allowed in packages", e.Type)
}

// A Member is an Entry with what the table of contents knows of its content.
type Member struct {
	Entry
	Offset int64    // of a regular file: where its bytes begin in the contents
	Digest [32]byte // of a regular file: its SHA-256
}
