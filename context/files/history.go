package files

import (
	"bytes"
	stdcontext "context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/packagefs/packagefs/context/linediff"
)

// The history of a context is one file in the directory .history of the contexts
// directory: a line of JSON for each revision, followed by the whole text of the
// context file and a newline. It is written as a whole, beside and renamed in. What
// of it cannot be read ends it.

const (
	historyDir    = ".history"
	historySuffix = ".log"

	maxRevisions   = 100      // of a context that are kept
	maxHistorySize = 4 << 20  // bytes of text; the last two are kept whatever their size
	maxHistoryFile = 16 << 20 // bytes that are read
	maxWhat        = 500      // bytes of a description
)

// A Revision is one state that a context file had.
type Revision struct {
	Number  int       // from 1 on, over all that there ever were
	Time    time.Time // of the change, or when it was noticed
	By      string    // who; empty for somebody who changed the file by hand
	What    string    // in words: "add toplevel gcc"
	Deleted bool      // there was no file
	Text    string    // the whole file
}

// What stands in Revision.What for changes by hand.
const (
	whatFound   = "found"           // the first that is known
	whatChanged = "changed by hand" // since the revision before
	whatRemoved = "removed by hand"
)

// revisionHead is the line before the text of a revision.
type revisionHead struct {
	Revision int       `json:"revision"`
	Time     time.Time `json:"time"`
	By       string    `json:"by,omitempty"`
	What     string    `json:"what"`
	Deleted  bool      `json:"deleted,omitempty"`
	Size     int       `json:"size"` // of the text, in bytes
}

// history is what is known of one context's past, oldest first.
type history struct {
	context   string
	revisions []Revision
	last      int // the highest number that there ever was
}

// note adds a state of the file that was not noted yet, and says whether it did.
func (h *history) note(f *fileText, now time.Time) bool {
	r := Revision{Time: now, What: whatChanged, Deleted: !f.exists, Text: string(f.text)}
	if n := len(h.revisions); n > 0 {
		last := h.revisions[n-1]
		if last.Deleted == r.Deleted && last.Text == r.Text {
			return false
		}
	} else {
		r.What = whatFound
	}
	if r.Deleted {
		if len(h.revisions) == 0 {
			return false
		}
		r.What = whatRemoved
	}
	h.add(r)
	return true
}

// add adds a revision, gives it its number, and forgets the oldest ones.
func (h *history) add(r Revision) {
	h.last++
	r.Number = h.last
	r.Time = r.Time.UTC().Truncate(time.Second)
	r.By, r.What = cut(r.By), cut(r.What)
	h.revisions = append(h.revisions, r)
	size := 0
	for i := len(h.revisions) - 1; i >= 0; i-- {
		kept := len(h.revisions) - i
		if size += len(h.revisions[i].Text); kept > maxRevisions || kept > 2 && size > maxHistorySize {
			h.revisions = slices.Clone(h.revisions[i+1:])
			return
		}
	}
}

// cut shortens a description.
func cut(s string) string {
	if len(s) > maxWhat {
		s = s[:maxWhat] + "…"
	}
	return strings.ToValidUTF8(s, "")
}

func (h *history) encode() []byte {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	for _, r := range h.revisions {
		if err := enc.Encode(revisionHead{r.Number, r.Time, r.By, r.What, r.Deleted, len(r.Text)}); err != nil {
			panic("history: " + err.Error())
		}
		b.WriteString(r.Text)
		b.WriteByte('\n')
	}
	return b.Bytes()
}

// decode reads revisions up to the end, or to what is none.
func (h *history) decode(data []byte) error {
	for len(data) > 0 {
		line, rest, _ := bytes.Cut(data, []byte{'\n'})
		var head revisionHead
		if err := json.Unmarshal(line, &head); err != nil {
			return fmt.Errorf("behind revision %d: %w", h.last, err)
		}
		if head.Revision <= h.last || head.Size < 0 || head.Size >= len(rest) || rest[head.Size] != '\n' {
			return fmt.Errorf("behind revision %d: not a revision", h.last)
		}
		h.last = head.Revision
		h.revisions = append(h.revisions, Revision{
			head.Revision, head.Time, head.By, head.What, head.Deleted, string(rest[:head.Size]),
		})
		data = rest[head.Size+1:]
	}
	return nil
}

func (s *Store) historyPath(context string) string {
	return filepath.Join(s.dir, historyDir, context+historySuffix)
}

// history reads what is known of a context's past.
func (s *Store) history(context string) *history {
	h := &history{context: context}
	f, err := os.OpenFile(s.historyPath(context), os.O_RDONLY|unix.O_NONBLOCK, 0)
	if errors.Is(err, fs.ErrNotExist) {
		return h
	}
	if err == nil {
		var data []byte
		data, err = io.ReadAll(io.LimitReader(f, maxHistoryFile))
		f.Close()
		if err == nil {
			err = h.decode(data)
		}
	}
	if err != nil {
		s.log.Error().Err(err).Str("context", context).Int("revisions", len(h.revisions)).Msg("history of the context cannot be read to its end")
	}
	return h
}

func (s *Store) historyFile(h *history) *stagedFile {
	return &stagedFile{path: s.historyPath(h.context), data: h.encode()}
}

// lockHistory makes the history's directory and keeps other servers that have the
// same contexts directory from changing anything until unlock.
func (s *Store) lockHistory() (unlock func(), err error) {
	dir := filepath.Join(s.dir, historyDir)
	if err := os.Mkdir(dir, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
		return nil, err
	}
	f, err := os.Open(dir)
	if err != nil {
		return nil, err
	}
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX); err != nil {
		f.Close()
		return nil, fmt.Errorf("lock %s: %w", dir, err)
	}
	return func() { f.Close() }, nil
}

// keep notes in the history what a file says that was changed by hand. It runs
// with files held and the history not locked.
func (s *Store) keep(context string) error {
	f, err := s.readText(context)
	if err != nil || s.isKept(context, f) {
		return nil // what is wrong with the file is known where it is read to publish it
	}
	unlock, err := s.lockHistory()
	if err != nil {
		return err
	}
	defer unlock()
	if f, err = s.readText(context); err != nil {
		return nil
	}
	h := s.history(context)
	first := len(h.revisions) == 0
	if !h.note(f, s.now()) {
		return nil
	}
	file := s.historyFile(h)
	file.lazy = first // what is lost in a crash is found again
	defer file.drop()
	if err := file.write(); err != nil {
		return err
	}
	return file.commit()
}

// isKept says whether the last revision is the file as it is. It reads the end of
// the history only, and may say no wrongly.
func (s *Store) isKept(context string, f *fileText) bool {
	const head = 4 * maxWhat // more than a line before a text mostly has
	h, err := os.OpenFile(s.historyPath(context), os.O_RDONLY|unix.O_NONBLOCK, 0)
	if err != nil {
		return !f.exists && errors.Is(err, fs.ErrNotExist)
	}
	defer h.Close()
	info, err := h.Stat()
	if err != nil || !info.Mode().IsRegular() {
		return false
	}
	from := max(0, info.Size()-int64(len(f.text))-head)
	tail, err := io.ReadAll(io.NewSectionReader(h, from, int64(len(f.text))+head))
	if err != nil {
		return false
	}
	tail, ok := bytes.CutSuffix(tail, append(f.text[:len(f.text):len(f.text)], '\n'))
	tail, line := bytes.CutSuffix(tail, []byte{'\n'})
	var last revisionHead
	return ok && line && json.Unmarshal(tail[bytes.LastIndexByte(tail, '\n')+1:], &last) == nil &&
		last.Revision > 0 && last.Size == len(f.text) && last.Deleted == !f.exists
}

// keepAll notes what changed by hand while nobody followed.
func (s *Store) keepAll() {
	contexts := make(map[string]bool)
	for context := range s.Snapshot().files {
		contexts[context] = true
	}
	kept, err := os.ReadDir(filepath.Join(s.dir, historyDir))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		s.log.Error().Err(err).Msg("history of contexts cannot be read")
	}
	for _, e := range kept {
		if context, ok := strings.CutSuffix(e.Name(), historySuffix); ok && !strings.HasPrefix(context, ".") {
			contexts[context] = true
		}
	}
	for context := range contexts {
		select {
		case <-s.done:
			return
		default:
		}
		s.files.Lock()
		err := s.keep(context)
		s.files.Unlock()
		if err != nil {
			s.log.Error().Err(err).Str("context", context).Msg("history of contexts cannot be kept")
			return
		}
	}
}

// History returns the revisions of a context that are kept, the newest first. The
// first is the file as it is. It fails with fs.ErrNotExist if there never was a
// file.
func (s *Store) History(context string) ([]Revision, error) {
	context, err := s.fileContext(context)
	if err != nil {
		return nil, err
	}
	s.files.Lock()
	defer s.files.Unlock()
	if err := s.keep(context); err != nil {
		s.log.Error().Err(err).Str("context", context).Msg("history of the context cannot be kept")
	}
	h := s.history(context)
	if len(h.revisions) == 0 {
		return nil, inContext(context, absentf("it has no history, for it never had a file"))
	}
	slices.Reverse(h.revisions)
	return h.revisions, nil
}

// Diff returns what changed in a context file from one revision to another, as a
// unified diff; it is empty if that is nothing. A from of 0 is the revision before
// to, and a to of 0 is the last one. It fails with fs.ErrNotExist if a revision is
// not kept, and with ctx's error.
func (s *Store) Diff(ctx stdcontext.Context, context string, from, to int) (string, error) {
	revisions, err := s.History(context)
	if err != nil {
		return "", err
	}
	b := revisions[0]
	if to != 0 {
		if b, err = revisionOf(revisions, to); err != nil {
			return "", inContext(context, err)
		}
	}
	a := Revision{Deleted: true}
	switch i := slices.IndexFunc(revisions, func(r Revision) bool { return r.Number == b.Number }); {
	case from != 0:
		if a, err = revisionOf(revisions, from); err != nil {
			return "", inContext(context, err)
		}
	case i+1 < len(revisions):
		a = revisions[i+1]
	case b.Number > 1:
		return "", inContext(context, absentf("the revision before %d is not kept any more", b.Number))
	}
	return linediff.Unified(ctx, a.name(context), []byte(a.Text), b.name(context), []byte(b.Text))
}

// name is what a revision is called in a diff.
func (r Revision) name(context string) string {
	if r.Number == 0 {
		return os.DevNull
	}
	return fmt.Sprintf("%s@%d", context, r.Number)
}

func revisionOf(revisions []Revision, number int) (Revision, error) {
	i := slices.IndexFunc(revisions, func(r Revision) bool { return r.Number == number })
	if i < 0 {
		return Revision{}, absentf("there is no revision %d; there are %d to %d", number,
			revisions[len(revisions)-1].Number, revisions[0].Number)
	}
	return revisions[i], nil
}

// Rollback makes a context file what it was at a revision, which is a new revision.
// It fails with fs.ErrNotExist if that revision is not kept, and with
// fs.ErrInvalid if its text has an error.
func (s *Store) Rollback(by, context string, revision int) error {
	revisions, err := s.History(context)
	if err != nil {
		return err
	}
	r, err := revisionOf(revisions, revision)
	if err != nil {
		return inContext(context, err)
	}
	what := fmt.Sprintf("rollback to revision %d", revision)
	return s.change(by, []edit{{context: context, what: what, make: func(old *fileText) ([]byte, error) {
		if r.Deleted {
			return nil, nil
		}
		return checked(old.base, r.Text)
	}}})
}
