package files

import (
	"crypto/sha256"
	"errors"
	"maps"
	"slices"
)

// ErrBroken says that a context's file is broken, so that what it means is not known.
var ErrBroken = errors.New("a context file is broken")

// A Snapshot is what all context files mean at one moment. It is immutable.
type Snapshot struct {
	Revision uint64 // one more with each change

	files   map[string]*Entry   // by context
	stray   map[string]*Entry   // files that are no context's, by base name
	groupOf map[string][]string // groups that list a member, by the member as written
}

// Confines says whether some context is kept from packages.
func (n *Snapshot) Confines() bool {
	for _, e := range n.files {
		if e.File != nil && (e.File.Allow != nil || len(e.File.Deny) > 0) {
			return true
		}
	}
	return false
}

// An Entry is one file of a Snapshot.
type Entry struct {
	Base   string            // its base name
	File   *File             // its last good meaning, or nil
	Err    error             // what is wrong with it now
	Serial uint64            // changes whenever File does
	sum    [sha256.Size]byte // of its text, or zero if that cannot be read
}

// Of returns the file of a context, or nil if it has none.
func (n *Snapshot) Of(context string) *Entry { return n.files[context] }

// Contexts lists the contexts that have a file, by name.
func (n *Snapshot) Contexts() []string { return slices.Sorted(maps.Keys(n.files)) }

// Stray lists the files that are no context's, by name. Each has an Err.
func (n *Snapshot) Stray() []*Entry { return sortedEntries(n.stray) }

// GroupsOf lists the groups whose files have a user as a member, written so: the
// user's name, or the number in decimal. The caller must not change the slice.
func (n *Snapshot) GroupsOf(member string) []string { return n.groupOf[member] }

// Len is how many context files there are, broken ones among them.
func (n *Snapshot) Len() int { return len(n.files) + len(n.stray) }

// entries returns all files, those of contexts first, each by name.
func (n *Snapshot) entries() []*Entry {
	return append(sortedEntries(n.files), sortedEntries(n.stray)...)
}

func sortedEntries(in map[string]*Entry) []*Entry {
	var list []*Entry
	for _, key := range slices.Sorted(maps.Keys(in)) {
		list = append(list, in[key])
	}
	return list
}

// A FileError is what is wrong with a context file.
type FileError struct {
	File   string `json:"file"` // base name
	Reason string `json:"reason"`
	Kept   bool   `json:"kept"` // the file's last good meaning is in force
}

// Errors lists all context files that are broken.
func (n *Snapshot) Errors() []FileError {
	var out []FileError
	for _, e := range n.entries() {
		if e.Err != nil {
			out = append(out, FileError{e.Base, e.Err.Error(), e.File != nil})
		}
	}
	return out
}
