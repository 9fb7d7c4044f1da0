package files

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"github.com/packagefs/packagefs/pkgindex/dirwatch"
	"github.com/rs/zerolog"
)

// A Store follows a directory of context files, publishes what they say, edits
// them, and keeps their history.
type Store struct {
	dir     string
	log     zerolog.Logger
	now     func() time.Time  // of revisions
	watcher *dirwatch.Watcher // nil if dir is empty
	current atomic.Pointer[Snapshot]
	done    chan struct{} // closed by Close
	wg      sync.WaitGroup

	files   sync.Mutex // held while files are read to publish them, edited, or kept in the history; taken before mu
	keeping bool       // what changes is kept in the history; set once, before anything is followed

	mu   sync.Mutex // guards subs and next
	subs map[int]func(*Snapshot)
	next int
}

// Open reads the context files of dir, which it makes if it is missing, and
// follows their changes until Close. An empty dir stands for no files at all.
func Open(dir string, log zerolog.Logger) (*Store, error) {
	return open(dir, log, time.Now)
}

func open(dir string, log zerolog.Logger, now func() time.Time) (*Store, error) {
	s := &Store{dir: dir, log: log, now: now, done: make(chan struct{}), subs: make(map[int]func(*Snapshot))}
	s.current.Store(&Snapshot{Revision: 1})
	if dir == "" {
		return s, nil
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("contexts directory: %w", err)
	}
	var err error
	if s.watcher, err = dirwatch.New(dir); err != nil {
		return nil, fmt.Errorf("contexts directory %s: %w", dir, err)
	}
	if _, err := s.rescan(); err != nil {
		s.watcher.Close()
		return nil, fmt.Errorf("contexts directory: %w", err)
	}
	s.keeping = true
	s.wg.Go(s.follow)
	s.wg.Go(s.keepAll)
	return s, nil
}

// Close ends the following of changes. The last Snapshot stays readable.
func (s *Store) Close() error {
	select {
	case <-s.done:
		return nil
	default:
	}
	close(s.done)
	var err error
	if s.watcher != nil {
		err = s.watcher.Close()
	}
	s.wg.Wait()
	return err
}

// Snapshot returns what the files mean now.
func (s *Store) Snapshot() *Snapshot {
	if s == nil {
		return &emptySnapshot
	}
	return s.current.Load()
}

var emptySnapshot Snapshot

// Subscribe has f called after each change, one call at a time, in order. f must
// neither change nor close the Store, nor call the cancel that Subscribe returns.
func (s *Store) Subscribe(f func(*Snapshot)) (cancel func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	id := s.next
	s.next++
	s.subs[id] = f
	return func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		delete(s.subs, id)
	}
}

// publish runs with files held.
func (s *Store) publish(next *Snapshot) {
	next.Revision = s.current.Load().Revision + 1
	next.groupOf = make(map[string][]string)
	for _, context := range slices.Sorted(maps.Keys(next.files)) {
		if f := next.files[context].File; f != nil {
			for _, m := range f.Members {
				next.groupOf[m] = append(next.groupOf[m], context)
			}
		}
	}
	s.current.Store(next)
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, id := range slices.Sorted(maps.Keys(s.subs)) {
		s.subs[id](next)
	}
}

// rescan reads the whole directory and publishes if anything changed.
func (s *Store) rescan() (changed bool, err error) {
	s.files.Lock()
	defer s.files.Unlock()
	list, err := os.ReadDir(s.dir)
	if err != nil {
		return false, err
	}
	old := s.current.Load()
	names := make(map[string]bool)
	for _, e := range list {
		names[e.Name()] = true
	}
	for _, e := range old.entries() {
		names[e.Base] = true
	}
	return s.update(slices.Sorted(maps.Keys(names))), nil
}

// update reads these files again, which may be gone, and publishes if anything
// changed. It runs with files held.
func (s *Store) update(names []string) (changed bool) {
	old := s.current.Load()
	next := &Snapshot{files: maps.Clone(old.files), stray: maps.Clone(old.stray)}
	if next.files == nil {
		next.files, next.stray = make(map[string]*Entry), make(map[string]*Entry)
	}
	var touched []string
	for _, base := range names {
		if !isContextFile(base) {
			continue
		}
		context, err := contextOfFile(base)
		if err != nil {
			changed = replace(next.stray, base, s.stray(base, err)) || changed
			continue
		}
		if replace(next.files, context, s.read(base, old.files[context])) {
			touched = append(touched, context)
		}
	}
	for _, context := range touched {
		if !s.keeping {
			break
		}
		// Before it is published: who sees a change may make the next one.
		if err := s.keep(context); err != nil {
			s.log.Error().Err(err).Str("context", context).Msg("history of the context cannot be kept")
		}
	}
	changed = changed || len(touched) > 0
	if changed {
		s.publish(next)
	}
	return changed
}

// Reload reads all context files again, as is otherwise done when the system
// says that one has changed: on some network file systems it does not. When it
// returns the Snapshot has what they say.
func (s *Store) Reload() error {
	if s == nil || s.dir == "" {
		return nil
	}
	if _, err := s.rescan(); err != nil {
		return fmt.Errorf("contexts directory: %w", err)
	}
	return nil
}

// isContextFile leaves out what editors and package managers put beside a file.
func isContextFile(base string) bool {
	return strings.HasSuffix(base, Suffix) && !strings.HasPrefix(base, ".") && !strings.HasPrefix(base, "#")
}

// replace sets or, with a nil e, removes an entry, and says whether that is a
// change.
func replace(in map[string]*Entry, key string, e *Entry) bool {
	old := in[key]
	if e == nil {
		delete(in, key)
	} else {
		in[key] = e
	}
	return old != e
}

func (s *Store) stray(base string, err error) *Entry {
	if _, lerr := os.Lstat(filepath.Join(s.dir, base)); lerr != nil {
		return nil
	}
	s.log.Warn().Str("file", base).Err(err).Msg("context file ignored")
	return &Entry{Base: base, Err: err}
}

// read returns the new entry of a file; nil if it is gone. The last good
// meaning stays while the file is broken.
func (s *Store) read(base string, old *Entry) *Entry {
	data, err := readSmall(filepath.Join(s.dir, base))
	if errors.Is(err, errWriting) {
		s.log.Debug().Str("file", base).Msg("context file is being written; it is read when that ends")
		return old
	}
	if errors.Is(err, os.ErrNotExist) {
		if old != nil {
			s.log.Info().Str("file", base).Msg("context file removed")
		}
		return nil
	}
	var f *File
	var sum [sha256.Size]byte
	if err == nil {
		if sum = sha256.Sum256(data); old != nil && sum == old.sum {
			return old
		}
		f, err = Parse(base, data)
	}
	e := &Entry{Base: base, File: f, Err: err, Serial: serials.Add(1), sum: sum}
	if err == nil {
		s.log.Info().Str("file", base).Msg("context file read")
		return e
	}
	if old != nil && old.File != nil {
		e.File, e.Serial = old.File, old.Serial
	}
	s.log.Error().Str("file", base).Err(err).Bool("kept", e.File != nil).Msg("context file is broken")
	return e
}

// serials numbers the meanings of files, so that what was worked out from one is
// never taken for another's.
var serials atomic.Uint64

// errWriting says that somebody has a file open for writing.
var errWriting error = &editError{"somebody writes its file at this moment; try again", unix.EBUSY}

// readSmall reads a file of at most maxFileSize bytes and one more.
func readSmall(path string) ([]byte, error) {
	data, err := dirwatch.ReadComplete(path, maxFileSize+1, 0)
	switch {
	case errors.Is(err, dirwatch.ErrWriting):
		return nil, errWriting
	case errors.Is(err, dirwatch.ErrNotRegular):
		return nil, fmt.Errorf("%s: %w", filepath.Base(path), err)
	}
	return data, err
}
