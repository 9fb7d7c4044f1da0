package pkgindex

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
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
	Chunks    int64           // bytes of native packages' contents kept unpacked; 256 MiB if 0

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

	jobs    chan job
	checks  chan *imported        // native packages whose contents are to be verified
	mailbox chan message          // for the owner of the inventory
	run     func(context.Context) // owns the inventory, until the context ends
	done    chan struct{}         // closed when the loop of Run has ended
	wg      sync.WaitGroup
}

// A job is one package file to read: to index, and to check the signature of.
type job struct {
	path, id string
	change   int64  // as changeOf has it
	signed   signed // with a signature, it is checked
	indexed  bool   // there is an index: it is to be made only if the file is another
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
		jobs: make(chan job), checks: make(chan *imported), mailbox: make(chan message), done: make(chan struct{}),
	}
	inv := newInventory(s)
	if err := s.open(inv); err != nil {
		s.release()
		return nil, err
	}
	s.run = inv.run
	return s, nil
}

func (s *Store) open(inv *inventory) error {
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
		if err := inv.readKeys(); err != nil {
			return err
		}
	}
	s.current.Store(NewSet(0, nil, nil))
	if err := s.endLeftovers(); err != nil {
		return err
	}
	for _, dir := range append([]string{s.config.Overrides}, s.config.Packages...) {
		if err := inv.scan(dir); err != nil {
			return err
		}
	}
	inv.sweep()
	inv.publish()
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
	s.run(ctx)
	cancel()
	close(s.done)
	s.watch.Close()
	s.wg.Wait()
	s.lock.Close()
}

// Close gives up a Store that was opened and shall not Run.
func (s *Store) Close() { s.release() }

// work reads package files.
func (s *Store) work(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case j := <-s.jobs:
			r := &result{job: j}
			s.read(r)
			s.post(ctx, func(inv *inventory) { inv.finish(r) })
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
		s.post(ctx, func(inv *inventory) { inv.handle(events) })
	}
}

// remake is called when index or payload turn out to be unreadable.
func (s *Store) remake(imp *imported, err error) {
	s.post(context.Background(), func(inv *inventory) { inv.reimport(imp, err) })
}
