package files

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/packagefs/packagefs/context/attachname"
)

// Edit makes changes in context files, all of them or none. by says who makes
// them, for the history. Comments, order, blank lines and ways of writing stay as
// they are. A file that is missing is made, unless something is to be taken out of
// it. When Edit returns the Snapshot has the changes.
//
// It fails with fs.ErrInvalid if a change makes no sense, with fs.ErrNotExist if
// what is to be taken out is not there, and with ErrBroken if the file as it is has
// an error.
func (s *Store) Edit(by string, changes ...Change) error {
	var edits []edit
	values := 0
	for _, c := range changes {
		if values += len(c.Values); values > maxValues {
			return refusef("more than %d values at once; do it in parts, or with: packagefs context edit", maxValues)
		}
		context, err := s.fileContext(c.Context)
		if err != nil {
			return err
		}
		i := slices.IndexFunc(edits, func(e edit) bool { return e.context == context })
		if i < 0 {
			i = len(edits)
			edits = append(edits, edit{context: context})
		}
		edits[i].changes = append(edits[i].changes, c)
	}
	for i := range edits {
		e := &edits[i]
		var what []string
		for _, c := range e.changes {
			what = append(what, c.String())
		}
		e.what = strings.Join(what, "; ")
		e.make = func(old *fileText) ([]byte, error) { return e.apply(old) }
	}
	return s.change(by, edits)
}

// apply makes the changes of an Edit in one file.
func (e *edit) apply(old *fileText) ([]byte, error) {
	if !old.exists {
		for _, c := range e.changes {
			if c.Op == OpDel || c.Op == OpUnset {
				return nil, absentf("it has no file, so there is nothing to take out")
			}
		}
	} else if _, err := Parse(old.base, old.text); err != nil {
		return nil, &editError{fmt.Sprintf("its file is broken and stays as it is: %v; mend it with: packagefs context edit %s", err, e.context), ErrBroken}
	}
	return edited(old.base, old.text, e.changes)
}

// Create makes the file of a context, with comments that say what it may have in
// it. It fails with fs.ErrExist if there is one.
func (s *Store) Create(by, context string) error {
	return s.change(by, []edit{{context: context, what: "new", make: func(old *fileText) ([]byte, error) {
		if old.exists {
			return nil, &editError{fmt.Sprintf("it has a file; see it with: packagefs context show %s", context), fs.ErrExist}
		}
		return []byte(Template(strings.TrimSuffix(old.base, Suffix))), nil
	}}})
}

// Template is what a new file of a context says: nothing but comments, which tell
// what it may have.
func Template(context string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "# What the context %s sees. To set a key, take its # away.\n\n", context)
	for _, line := range []struct{ key, value, about string }{
		{"allow", `["blender", "python3*"]`, "packages that it may see; without this key, all"},
		{"deny", `["nmap"]`, "packages that it never sees"},
		{"toplevel", `["blender"]`, "packages whose files it sees; without this key, all that are allowed"},
		{"pin", `{ "python3.11" = "3.11.2-*" }`, "versions"},
		{"prefer", `["exim4-daemon-light"]`, "packages that win where several have one path"},
		{"dependencies", `"hidden"`, `or "visible": files of the packages that toplevel ones depend on`},
		{"mutable", `"own"`, `or "none": whether it has changed files of its own`},
		{"members", `["alice", "1001"]`, "users, beside those that the system says"},
		{"public", `false`, "whether everyone may attach to it"},
	} {
		if line.key != "members" || strings.HasPrefix(context, "group:") {
			fmt.Fprintf(&b, "#%-12s = %-30s # %s\n", line.key, line.value, line.about)
		}
	}
	return b.String()
}

// Delete removes the file of a context. Its history stays, and Rollback brings it
// back. It fails with fs.ErrNotExist if there is none.
func (s *Store) Delete(by, context string) error {
	return s.change(by, []edit{{context: context, what: "del", make: func(old *fileText) ([]byte, error) {
		return nil, old.mustExist()
	}}})
}

// Put replaces the whole file of a context, or makes it. It fails with
// fs.ErrInvalid if the text is not that of a context file.
func (s *Store) Put(by, context, text string) error {
	return s.change(by, []edit{{context: context, what: "edit", make: func(old *fileText) ([]byte, error) {
		return checked(old.base, text)
	}}})
}

// checked is a text that Parse accepts. It is not nil.
func checked(base, text string) ([]byte, error) {
	if _, err := Parse(base, []byte(text)); err != nil {
		return nil, &editError{err.Error(), fs.ErrInvalid}
	}
	return append([]byte{}, text...), nil
}

// Text returns the file of a context as it is, good or broken. It fails with
// fs.ErrNotExist if there is none.
func (s *Store) Text(context string) (string, error) {
	context, err := s.fileContext(context)
	if err != nil {
		return "", err
	}
	f, err := s.readText(context)
	if err == nil {
		err = f.mustExist()
	}
	if err != nil {
		return "", inContext(context, err)
	}
	return string(f.text), nil
}

// fileContext returns the canonical form of a context that can have a file.
func (s *Store) fileContext(context string) (string, error) {
	if s == nil || s.dir == "" {
		return "", inContext(context, &editError{"the server has no contexts directory", errors.ErrUnsupported})
	}
	if context == System {
		return context, nil
	}
	n, err := attachname.Parse(context)
	if err != nil || n.Kind != attachname.KindUser && n.Kind != attachname.KindGroup || n.Selects() {
		return "", inContext(context, refusef("it cannot have a file; want system, user:NAME or group:NAME"))
	}
	return n.String(), nil
}

func inContext(context string, err error) error {
	return fmt.Errorf("context %s: %w", attachname.Printable(context), err)
}

// A fileText is a context file as it was read.
type fileText struct {
	base   string // its base name
	path   string // where it is, behind symlinks
	exists bool
	text   []byte
	info   os.FileInfo // nil if there is none
}

func (f *fileText) mustExist() error {
	if !f.exists {
		return absentf("it has no file; make one with: packagefs context new %s", strings.TrimSuffix(f.base, Suffix))
	}
	return nil
}

// readText reads the file of a context in canonical form. The file need not be
// there.
func (s *Store) readText(context string) (*fileText, error) {
	base := context + Suffix
	if _, err := contextOfFile(base); err != nil {
		return nil, err
	}
	f := &fileText{base: base, path: filepath.Join(s.dir, base)}
	if path, err := filepath.EvalSymlinks(f.path); err == nil {
		f.path = path
	}
	var err error
	if f.info, err = os.Lstat(f.path); errors.Is(err, fs.ErrNotExist) {
		return f, nil
	}
	if err == nil {
		f.text, err = readSmall(f.path)
	}
	if err == nil && len(f.text) > maxFileSize {
		err = fmt.Errorf("%s: longer than %d bytes", base, maxFileSize)
	}
	f.exists = err == nil
	return f, err
}

// An edit is what is to become of one context file.
type edit struct {
	context string
	what    string // for the history
	changes []Change

	// make returns the new text, or nil to remove the file.
	make func(old *fileText) ([]byte, error)

	old, next *fileText
	staged    []*stagedFile
}

// errMoved says that a file changed under an edit.
var errMoved error = &editError{"somebody else changes its file all the time; try again", syscall.EBUSY}

// change makes edits, all of them or none, and publishes what they mean. An edit by
// hand that comes between is not lost: it is kept, and what was read is read again.
func (s *Store) change(by string, edits []edit) error {
	if len(edits) == 0 {
		return nil
	}
	bases := make([]string, len(edits))
	for i := range edits {
		context, err := s.fileContext(edits[i].context)
		if err != nil {
			return err
		}
		edits[i].context, bases[i] = context, context+Suffix
	}
	s.files.Lock()
	defer s.files.Unlock()
	err := s.changeFiles(by, edits)
	s.update(bases)
	return err
}

// changeFiles is change without publishing.
func (s *Store) changeFiles(by string, edits []edit) error {
	const (
		attempts = 20
		patience = 400 * time.Millisecond // with somebody who writes a file
	)
	unlock, err := s.lockHistory()
	if err != nil {
		return inContext(edits[0].context, err)
	}
	defer unlock()
	for range attempts {
		err = s.tryChange(by, edits)
		switch {
		case errors.Is(err, errMoved):
		case errors.Is(err, errWriting):
			time.Sleep(patience / attempts)
		default:
			return err
		}
	}
	return err
}

// tryChange is one attempt. It runs with the history locked.
func (s *Store) tryChange(by string, edits []edit) error {
	defer func() {
		for _, e := range edits {
			for _, f := range e.staged {
				f.drop()
			}
		}
	}()
	for i := range edits {
		if err := s.stage(by, &edits[i]); err != nil {
			return inContext(edits[i].context, err)
		}
	}
	for _, e := range edits {
		now, err := s.readText(e.context)
		if err == nil && !now.same(e.old) {
			err = errMoved
		}
		if err != nil {
			return inContext(e.context, err)
		}
	}
	for i, e := range edits {
		for _, f := range e.staged {
			if err := f.commit(); err != nil {
				s.undo(edits[:i+1])
				return inContext(e.context, err)
			}
		}
	}
	return nil
}

// same says whether two readings found the same.
func (f *fileText) same(o *fileText) bool {
	return f.exists == o.exists && f.path == o.path && bytes.Equal(f.text, o.text) &&
		(!f.exists || os.SameFile(f.info, o.info))
}

// stage works out one edit and writes all of it beside its files.
func (s *Store) stage(by string, e *edit) (err error) {
	e.staged = nil
	if e.old, err = s.readText(e.context); err != nil {
		return err
	}
	text, err := e.make(e.old)
	if err != nil {
		return err
	}
	next := *e.old
	next.exists, next.text = text != nil, text
	e.next = &next
	if next.exists == e.old.exists && bytes.Equal(next.text, e.old.text) {
		return nil
	}
	h := s.history(e.context)
	h.note(e.old, s.now())
	h.add(Revision{Time: s.now(), By: by, What: e.what, Deleted: !next.exists, Text: string(text)})
	file := &stagedFile{path: next.path, data: text, remove: !next.exists, like: e.old.info}
	e.staged = []*stagedFile{file, s.historyFile(h)}
	for _, f := range e.staged {
		if err := f.write(); err != nil {
			return err
		}
	}
	return nil
}

// undo brings files back to what they were.
func (s *Store) undo(edits []edit) {
	for _, e := range edits {
		if len(e.staged) == 0 || !e.staged[0].done {
			continue
		}
		f := &stagedFile{path: e.old.path, data: e.old.text, remove: !e.old.exists, like: e.old.info}
		err := f.write()
		if err == nil {
			err = f.commit()
		}
		if err != nil {
			s.log.Error().Err(err).Str("file", e.old.base).Msg("a change that failed could not be undone; see the history of the context")
		}
	}
}

// A stagedFile is a file that is written beside another one and takes its place.
type stagedFile struct {
	path   string
	data   []byte
	remove bool        // the file, instead of writing one
	like   os.FileInfo // whose owner and mode it gets, or nil
	lazy   bool        // it need not be on the disk
	done   bool
}

func (f *stagedFile) beside() string {
	return filepath.Join(filepath.Dir(f.path), "."+filepath.Base(f.path)+".new")
}

// write writes the file beside its place, down to the disk.
func (f *stagedFile) write() error {
	if f.remove {
		return nil
	}
	f.drop() // what a crash left
	out, err := os.OpenFile(f.beside(), os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if err != nil {
		return err
	}
	_, err = out.Write(f.data)
	if err == nil {
		err = f.liken(out)
	}
	if err == nil && !f.lazy {
		err = out.Sync()
	}
	return errors.Join(err, out.Close())
}

// liken gives the new file the owner and mode of the old one. An owner that may
// not be given away does not matter as much as the change does.
func (f *stagedFile) liken(out *os.File) error {
	if f.like == nil {
		return nil
	}
	if st, ok := f.like.Sys().(*syscall.Stat_t); ok {
		if err := out.Chown(int(st.Uid), int(st.Gid)); err != nil && !errors.Is(err, fs.ErrPermission) {
			return err
		}
	}
	return out.Chmod(f.like.Mode().Perm())
}

// commit puts the file in its place.
func (f *stagedFile) commit() error {
	var err error
	if f.remove {
		err = os.Remove(f.path)
	} else {
		err = os.Rename(f.beside(), f.path)
	}
	if err != nil {
		return err
	}
	f.done = true
	if f.lazy {
		return nil
	}
	dir, err := os.Open(filepath.Dir(f.path))
	if err != nil {
		return err
	}
	return errors.Join(dir.Sync(), dir.Close())
}

// drop removes what was written and not committed.
func (f *stagedFile) drop() {
	if !f.done && !f.remove {
		os.Remove(f.beside())
	}
}
