package pkgindex

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/rs/zerolog"
	"golang.org/x/sys/unix"

	"github.com/packagefs/packagefs/pkgindex/dirwatch"
	"github.com/packagefs/packagefs/pkgindex/format"
	"github.com/packagefs/packagefs/pkgindex/pfs"
	"github.com/packagefs/packagefs/pkgindex/pkgmeta"
	"github.com/packagefs/packagefs/pkgindex/pkgpath"
	"github.com/packagefs/packagefs/pkgindex/signature"
)

// A Config says what a Store indexes, and where it keeps what it found.
type Config struct {
	Packages  []string        // package directories; where two hold one package the first wins
	State     string          // gets index/ and payload/; made if it is not there
	Overrides string          // directory of override files; State/overrides if empty
	Aliases   pkgpath.Aliases // path aliases; UsrMerge if nil
	Limits    format.Limits   // what a package file may cost
	Workers   int             // package files read at the same time; the number of processors if 0
	Chunks    int64           // bytes of native packages' contents to be kept unpacked; 256 MiB if 0

	// Trust is a directory of public keys. With it, a package file that has a
	// signature beside it is served only if one of these keys made it, and with
	// RequireSignatures one without a signature is not served at all.
	Trust             string
	RequireSignatures bool

	Log zerolog.Logger

	// OnChange is told of each new Set, one call at a time. It must not wait
	// for the Store.
	OnChange func(*Set)

	// OnDamage is told when what is read of a native package is not what its
	// author made, once for each package file. The package stays, and
	// Package.Damage has the reason.
	OnDamage func(FileDamage)
}

// A FileDamage tells of a package file whose contents are not what they were.
type FileDamage struct {
	pkgmeta.Ref
	Architecture string
	File         string // base name
	Reason       string
}

const defaultChunks = 256 << 20

// A Store keeps the index of its package directories.
type Store struct {
	config   Config
	lock     *os.File
	watch    *dirwatch.Watcher
	current  atomic.Pointer[Set]
	keys     atomic.Pointer[signature.Keys] // that are trusted; nil without Config.Trust
	payloads payloadCache
	chunks   *pfs.Cache
	serial   atomic.Uint64 // of the last imported

	jobs     chan job
	checks   chan *imported // native packages whose contents are to be verified
	requests chan request
	done     chan struct{} // closed when the loop of Run has ended
	wg       sync.WaitGroup

	table
}

// A job is one package file to read: to index, and to check the signature of.
type job struct {
	path, id string
	signed   signed // with a signature, it is checked
	indexed  bool   // there is an index: only the signature is checked
}

// A request wakes the loop of Run.
type request struct {
	events  []dirwatch.Event
	result  *result
	remake  *imported
	why     error // of remake, unless it was asked for
	checked *check
	settled chan struct{} // closed when nothing is pending any more
	call    *call
}

type result struct {
	job
	meta   pkgmeta.Meta
	head   head
	signer *signature.Signer
	err    error
}

// Open prepares a Store: it locks the state directory, starts watching, and
// takes over the indexes that are there. Set has those at once; Run makes the
// others.
func Open(config Config) (*Store, error) {
	if len(config.Packages) == 0 || config.State == "" {
		return nil, errors.New("a store needs a package directory and a state directory")
	}
	if config.Aliases == nil {
		config.Aliases = pkgpath.UsrMerge
	}
	if err := config.Aliases.Check(); err != nil {
		return nil, err
	}
	if config.Overrides == "" {
		config.Overrides = filepath.Join(config.State, "overrides")
	}
	if config.RequireSignatures && config.Trust == "" {
		return nil, errors.New("signatures are required, but no directory of trusted keys is named")
	}
	if config.Workers <= 0 {
		config.Workers = runtime.NumCPU()
	}
	s := &Store{
		config: config, chunks: pfs.NewCache(cmp.Or(config.Chunks, defaultChunks)),
		jobs: make(chan job), checks: make(chan *imported), requests: make(chan request), done: make(chan struct{}),
		table: newTable(),
	}
	if err := s.open(); err != nil {
		s.release()
		return nil, err
	}
	return s, nil
}

func (s *Store) open() error {
	for _, dir := range s.config.Packages {
		if info, err := os.Stat(dir); err != nil {
			return fmt.Errorf("package directory: %w; make it, or name another with --packages", err)
		} else if !info.IsDir() {
			return fmt.Errorf("package directory %s is not a directory", dir)
		}
	}
	for _, dir := range []string{filepath.Dir(s.indexPath("")), filepath.Dir(s.payloadPath(""))} {
		if err := os.MkdirAll(dir, 0o700); err != nil {
			return fmt.Errorf("state directory: %w", err)
		}
	}
	if err := os.MkdirAll(s.config.Overrides, 0o755); err != nil {
		return fmt.Errorf("overrides directory: %w", err)
	}
	if err := s.lockState(); err != nil {
		return err
	}
	dirs := append(slices.Clone(s.config.Packages), s.config.Overrides)
	if s.config.Trust != "" {
		if slices.Contains(dirs, s.config.Trust) {
			return fmt.Errorf("directory of trusted keys %s: it cannot hold package or override files as well", s.config.Trust)
		}
		if _, err := os.Stat(s.config.Trust); err != nil {
			return fmt.Errorf("directory of trusted keys: %w; make it, or name another with --trust", err)
		}
		dirs = append(dirs, s.config.Trust)
	}
	w, err := dirwatch.New(dirs...)
	if err != nil {
		return err
	}
	s.watch = w
	if s.config.Trust != "" {
		if err := s.readKeys(); err != nil {
			return err
		}
	}
	s.current.Store(NewSet(0, nil, nil))
	if err := s.endLeftovers(); err != nil {
		return err
	}
	for _, dir := range append([]string{s.config.Overrides}, s.config.Packages...) {
		if err := s.scan(dir); err != nil {
			return err
		}
	}
	s.sweep()
	s.publish()
	return nil
}

// lockState keeps two servers out of one state directory.
func (s *Store) lockState() error {
	name := filepath.Join(s.config.State, "lock")
	f, err := os.OpenFile(name, os.O_CREATE|os.O_RDWR|unix.O_CLOEXEC, 0o600)
	if err != nil {
		return fmt.Errorf("state directory: %w", err)
	}
	s.lock = f
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		return fmt.Errorf("state directory %s is in use by another server (%w); name another with --state", s.config.State, err)
	}
	return nil
}

func (s *Store) release() {
	if s.watch != nil {
		s.watch.Close()
	}
	if s.lock != nil {
		s.lock.Close()
	}
}

// ChunkStats tells of the unpacked contents of native packages in memory.
func (s *Store) ChunkStats() pfs.Stats { return s.chunks.Stats() }

// Set returns the newest generation.
func (s *Store) Set() *Set { return s.current.Load() }

// Settle waits until every package file that was complete when it was called is
// live or set aside.
func (s *Store) Settle(ctx context.Context) error {
	settled := make(chan struct{})
	events := []dirwatch.Event{{Dir: s.config.Overrides, Op: dirwatch.Rescan}}
	for _, dir := range s.config.Packages {
		events = append(events, dirwatch.Event{Dir: dir, Op: dirwatch.Rescan})
	}
	if s.config.Trust != "" {
		events = append(events, dirwatch.Event{Dir: s.config.Trust, Op: dirwatch.Rescan})
	}
	select {
	case s.requests <- request{events: events, settled: settled}:
	case <-ctx.Done():
		return ctx.Err()
	case <-s.done:
		return fs.ErrClosed
	}
	select {
	case <-settled:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	case <-s.done:
		return fs.ErrClosed
	}
}

// Run indexes and follows the directories until ctx ends. It is called once;
// when it returns, the state directory is free for another Store.
func (s *Store) Run(ctx context.Context) {
	ctx, cancel := context.WithCancel(ctx)
	for range s.config.Workers {
		s.wg.Go(func() { s.work(ctx) })
	}
	s.wg.Go(func() { s.follow(ctx) })
	s.wg.Go(func() { s.chunks.Work(ctx) })
	s.wg.Go(func() { s.verify(ctx) })
	s.loop(ctx)
	cancel()
	close(s.done)
	s.watch.Close()
	s.wg.Wait()
	s.lock.Close()
}

// Close gives up a Store that was opened and shall not Run.
func (s *Store) Close() { s.release() }

// loop owns the table.
func (s *Store) loop(ctx context.Context) {
	for {
		var jobs chan job
		var next job
		if len(s.queue) > 0 {
			jobs, next = s.jobs, s.queue[0]
		}
		var checks chan *imported
		var unread *imported
		if len(s.unread) > 0 {
			checks, unread = s.checks, s.unread[0]
		}
		select {
		case <-ctx.Done():
			return
		case jobs <- next:
			s.queue = s.queue[1:]
			continue
		case checks <- unread:
			s.unread = s.unread[1:]
			continue
		case r := <-s.requests:
			s.take(r)
		}
		for more := true; more; { // what has come in meanwhile is one generation
			select {
			case r := <-s.requests:
				s.take(r)
			default:
				more = false
			}
		}
		s.publish()
	}
}

func (s *Store) take(r request) {
	if len(r.events) > 0 {
		s.handle(r.events)
	}
	if r.result != nil {
		s.finish(r.result)
	}
	if r.remake != nil {
		s.again(r.remake, r.why)
	}
	if r.checked != nil {
		s.judge(r.checked)
	}
	if r.settled != nil {
		s.waiting = append(s.waiting, r.settled)
	}
	if r.call != nil {
		r.call.err = r.call.do()
		s.called = append(s.called, r.call)
	}
}

// send hands r to the loop, unless it has ended.
func (s *Store) send(ctx context.Context, r request) {
	select {
	case s.requests <- r:
	case <-ctx.Done():
	}
}

// work reads package files.
func (s *Store) work(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case j := <-s.jobs:
			r := &result{job: j}
			s.read(r)
			s.send(ctx, request{result: r})
		}
	}
}

// follow hands on what the watch reports.
func (s *Store) follow(ctx context.Context) {
	for {
		events, err := s.watch.Next()
		if err != nil {
			if ctx.Err() == nil {
				s.config.Log.Error().Err(err).Msg("the package directories are no longer watched; restart the server")
			}
			return
		}
		s.send(ctx, request{events: events})
	}
}

// remake is called when index or payload turn out to be unreadable.
func (s *Store) remake(src *imported, err error) {
	select {
	case s.requests <- request{remake: src, why: err}:
	case <-s.done:
	}
}

// publish makes a generation of what changed in the table, and takes away the
// files of packages that are gone.
func (s *Store) publish() {
	added, removed, rejected, changed := s.changes()
	set := s.current.Load()
	if changed {
		next := set.with(added, removed)
		next.Rejected = rejected
		next.Pending = s.pending
		next.Alternatives = s.alternatives(next.Alternatives)
		s.current.Store(next)
		for _, p := range added {
			s.config.Log.Info().Str("package", p.Ref.String()).Str("file", p.File).Msg("package is live")
		}
		for _, p := range removed {
			if !slices.ContainsFunc(added, func(a *Package) bool { return a.ID == p.ID }) {
				s.config.Log.Info().Str("package", p.Ref.String()).Str("file", p.File).Msg("package is gone")
			}
		}
		if s.config.OnChange != nil {
			s.config.OnChange(next)
		}
	}
	for _, src := range s.dead {
		s.payloads.forget(src)
		if !s.uses(src.id) {
			os.Remove(s.indexPath(src.id))
			os.Remove(s.payloadPath(src.id))
			os.Remove(s.digestPath(src.id))
		}
	}
	s.dead = nil
	for _, c := range s.called {
		c.done <- c.err
	}
	s.called = nil
	if s.pending == 0 {
		for _, c := range s.waiting {
			close(c)
		}
		s.waiting = nil
	}
}

// sweep removes what no package file accounts for from the state directory.
func (s *Store) sweep() {
	for _, dir := range []string{filepath.Dir(s.indexPath("")), filepath.Dir(s.payloadPath(""))} {
		entries, err := os.ReadDir(dir)
		if err != nil {
			s.config.Log.Warn().Err(err).Msg("state directory is not swept")
			continue
		}
		for _, e := range entries {
			id, _, _ := strings.Cut(e.Name(), ".")
			if !s.uses(id) {
				os.Remove(filepath.Join(dir, e.Name()))
			}
		}
	}
}

// byFile orders package files: in the order of the package directories, then by
// name.
func byFile(a, b *file) int {
	return cmp.Or(cmp.Compare(a.dir, b.dir), strings.Compare(a.path, b.path))
}
