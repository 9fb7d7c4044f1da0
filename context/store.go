package context

import (
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"golang.org/x/sys/unix"

	"github.com/packagefs/packagefs/pkgindex/dirwatch"
	"github.com/rs/zerolog"
)

// A Store follows a directory of context files and publishes what they say.
type Store struct {
	dir     string
	log     zerolog.Logger
	watcher *dirwatch.Watcher // nil if dir is empty
	current atomic.Pointer[Snapshot]
	done    chan struct{} // closed by Close
	wg      sync.WaitGroup

	mu   sync.Mutex // guards subs and next
	subs map[int]func(*Snapshot)
	next int
}

// A Snapshot is what all context files mean at one moment. It is immutable.
type Snapshot struct {
	Revision uint64 // one more with each change

	files   map[string]*entry   // by context
	stray   map[string]*entry   // files that are no context's, by base name
	groupOf map[string][]string // groups that list a member, by the member as written
}

// An entry is one file.
type entry struct {
	base   string // its base name
	file   *File  // its last good meaning, or nil
	err    error  // what is wrong with it now
	serial uint64 // changes whenever file does
}

// Open reads the context files of dir, which it makes if it is missing, and
// follows their changes until Close. An empty dir stands for no files at all.
func Open(dir string, log zerolog.Logger) (*Store, error) {
	s := &Store{dir: dir, log: log, done: make(chan struct{}), subs: make(map[int]func(*Snapshot))}
	s.current.Store(&Snapshot{Revision: 1})
	if dir == "" {
		return s, nil
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
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
	s.wg.Go(s.follow)
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

// Subscribe has f called after each change, by one goroutine, in order. f must
// not call Close or the cancel that Subscribe returns.
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

// publish runs in the goroutine that follows, or before there is one.
func (s *Store) publish(next *Snapshot) {
	next.Revision = s.current.Load().Revision + 1
	next.groupOf = make(map[string][]string)
	for _, context := range slices.Sorted(maps.Keys(next.files)) {
		if f := next.files[context].file; f != nil {
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
		names[e.base] = true
	}
	return s.update(slices.Sorted(maps.Keys(names))), nil
}

// update reads these files again, which may be gone, and publishes if anything
// changed.
func (s *Store) update(names []string) (changed bool) {
	old := s.current.Load()
	next := &Snapshot{files: maps.Clone(old.files), stray: maps.Clone(old.stray)}
	if next.files == nil {
		next.files, next.stray = make(map[string]*entry), make(map[string]*entry)
	}
	for _, base := range names {
		if !isContextFile(base) {
			continue
		}
		context, err := contextOfFile(base)
		if err != nil {
			changed = replace(next.stray, base, s.stray(base, err)) || changed
			continue
		}
		changed = replace(next.files, context, s.read(base, old.files[context])) || changed
	}
	if changed {
		s.publish(next)
	}
	return changed
}

// isContextFile leaves out what editors and package managers put beside a file.
func isContextFile(base string) bool {
	return strings.HasSuffix(base, fileSuffix) && !strings.HasPrefix(base, ".") && !strings.HasPrefix(base, "#")
}

// replace sets or, with a nil e, removes an entry, and says whether that is a
// change.
func replace(in map[string]*entry, key string, e *entry) bool {
	old := in[key]
	if e == nil {
		delete(in, key)
	} else {
		in[key] = e
	}
	return old != e
}

func (s *Store) stray(base string, err error) *entry {
	if _, lerr := os.Lstat(filepath.Join(s.dir, base)); lerr != nil {
		return nil
	}
	s.log.Warn().Str("file", base).Err(err).Msg("context file ignored")
	return &entry{base: base, err: err}
}

// read returns the new entry of a file; nil if it is gone. The last good
// meaning stays while the file is broken.
func (s *Store) read(base string, old *entry) *entry {
	data, err := readSmall(filepath.Join(s.dir, base))
	if errors.Is(err, os.ErrNotExist) {
		if old != nil {
			s.log.Info().Str("file", base).Msg("context file removed")
		}
		return nil
	}
	var f *File
	if err == nil {
		f, err = ParseFile(base, data)
	}
	e := &entry{base: base, file: f, err: err, serial: serials.Add(1)}
	if err == nil {
		s.log.Info().Str("file", base).Msg("context file read")
		return e
	}
	if old != nil && old.file != nil {
		e.file, e.serial = old.file, old.serial
	}
	s.log.Error().Str("file", base).Err(err).Bool("kept", e.file != nil).Msg("context file is broken")
	return e
}

// serials numbers the meanings of files, so that what was worked out from one is
// never taken for another's.
var serials atomic.Uint64

// readSmall reads a regular file, and waits for nothing else.
func readSmall(path string) ([]byte, error) {
	f, err := os.OpenFile(path, os.O_RDONLY|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("%s: not a regular file", filepath.Base(path))
	}
	return io.ReadAll(io.LimitReader(f, maxFileSize+1))
}

// entries returns all files, those of contexts first, each by name.
func (n *Snapshot) entries() []*entry {
	var list []*entry
	for _, in := range []map[string]*entry{n.files, n.stray} {
		for _, key := range slices.Sorted(maps.Keys(in)) {
			list = append(list, in[key])
		}
	}
	return list
}
