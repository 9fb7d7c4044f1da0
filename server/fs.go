package server

import (
	stdcontext "context"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"
	"weak"

	"github.com/rs/zerolog"

	"github.com/packagefs/packagefs/context"
	"github.com/packagefs/packagefs/context/files"
	"github.com/packagefs/packagefs/pkgindex"
	"github.com/packagefs/packagefs/pkgindex/format"
	"github.com/packagefs/packagefs/pkgindex/pkgmeta"
	"github.com/packagefs/packagefs/server/api"
	"github.com/packagefs/packagefs/server/generate"
	"github.com/packagefs/packagefs/server/p9l"
	"github.com/packagefs/packagefs/union"
)

// A Config says what an FS serves, and where.
type Config struct {
	Packages  []string // package directories
	State     string   // state directory
	Contexts  string   // directory of context files; State/contexts if empty
	Overrides string   // directory of override files; State/overrides if empty
	Listen    []string // addresses: unix:PATH, tcp:HOST:PORT

	// Assumed are packages that the root file system has already: they fulfil
	// what others need, and are never served.
	Assumed []pkgmeta.Meta

	// Trust is a directory of public keys of minisign: package files with another
	// signature are set aside, and with RequireSignatures those with none.
	Trust             string
	RequireSignatures bool

	TrustNetworks []netip.Prefix // TCP peers in these speak for everybody

	// Admins may command the server, beside root, who runs it, and trusted
	// networks: NAME of a user or of a group, or user:NAME or group:NAME, where
	// a number does as well.
	Admins []string

	Metrics string // where metrics are served over HTTP: HOST:PORT, or a port of this machine only; empty: nowhere

	// LayerBytes and LayerFiles are how many bytes and names each mutable layer
	// may hold; 0 is no limit but that of the disk.
	LayerBytes, LayerFiles uint64

	// ChunkCache is how many bytes of native packages' contents are kept
	// unpacked; 0 means 256 MiB.
	ChunkCache int64

	NoGenerate []string // names of generated files that are not wanted; see generate.Names

	Limits        p9l.Limits
	PackageLimits format.Limits
	Log           zerolog.Logger

	// Progress is told how many of the package files that were to be indexed
	// at the start are done. It may be nil.
	Progress func(done, total int)
}

// An FS serves packages through contexts.
type FS struct {
	config   Config
	packages *pkgindex.Store
	files    *files.Store
	contexts *context.Contexts
	engine   *p9l.Server
	listen   []net.Listener
	started  time.Time
	level    *logLevel
	events   eventLog
	installs installs
	users    func() context.Directory // of the system

	program    union.Generator // of every tree
	generated  generate.Set
	generators []union.Generator // of trees without alternatives

	metricsListener net.Listener // nil: no metrics over HTTP

	changed    chan struct{} // packages have changed: for followEdits
	generation atomic.Uint64 // counts what changes views: packages and context files
	refused    atomic.Uint64 // attaches

	seen      *pkgindex.Set   // of packagesChanged, which is called once at a time
	seenFiles *files.Snapshot // of contextsChanged, likewise

	layersMu sync.Mutex                // guards layers
	layers   map[string]*union.Mutable // by the name of their directory

	mu      sync.Mutex // guards what follows
	sweepAt int        // length of trees at which those that are gone are taken out
	trees   map[treeKey]weak.Pointer[union.Tree]
	shown   map[attaching]shown
	turns   uint64 // how many were given; see shown.turn
}

// New opens what config names and listens. Packages that were indexed before
// are there at once; Serve indexes the others.
func New(config Config) (*FS, error) {
	if len(config.Listen) == 0 {
		return nil, errors.New("nothing to listen on; name an address with --listen")
	}
	if config.Contexts == "" {
		config.Contexts = filepath.Join(config.State, "contexts")
	}
	fs := &FS{started: time.Now(), trees: make(map[treeKey]weak.Pointer[union.Tree]), shown: make(map[attaching]shown), layers: make(map[string]*union.Mutable), changed: make(chan struct{}, 1)}
	config.Log, fs.level = leveled(config.Log)
	fs.config = config
	fs.users = sync.OnceValue(func() context.Directory {
		if fs.contexts.Directory != nil {
			return fs.contexts.Directory
		}
		return &context.Cached{Directory: context.System{}}
	})
	fs.engine = &p9l.Server{Attacher: fs, Log: config.Log, Limits: config.Limits, Errno: meaning}
	if err := fs.open(); err != nil {
		fs.close()
		return nil, err
	}
	return fs, nil
}

func (fs *FS) open() (err error) {
	program, err := newOwnProgram(fs.config.Log)
	if err != nil {
		return err
	}
	fs.program = program
	fs.generated = generate.Set{
		Ref: ownRef(), Off: fs.config.NoGenerate, Log: fs.config.Log,
		Failed: func(name, reason string) {
			fs.events.add(api.Event{Event: api.EventGenerateFailed, File: name, Reason: reason})
		},
	}
	fs.generators = append([]union.Generator{fs.program}, fs.generated.For(nil, nil)...)
	total := 0
	fs.packages, err = pkgindex.Open(pkgindex.Config{
		Packages: fs.config.Packages, State: fs.config.State, Overrides: fs.config.Overrides,
		Limits: fs.config.PackageLimits, Log: fs.config.Log,
		Chunks: fs.config.ChunkCache, OnDamage: fs.packageDamaged,
		Trust: fs.config.Trust, RequireSignatures: fs.config.RequireSignatures,
		OnChange: func(set *pkgindex.Set) {
			fs.packagesChanged(set)
			if total = max(total, set.Pending); fs.config.Progress != nil && total > 0 {
				fs.config.Progress(total-set.Pending, total)
			}
		},
	})
	if err != nil {
		return err
	}
	if fs.files, err = files.Open(fs.config.Contexts, fs.config.Log); err != nil {
		return err
	}
	fs.seenFiles = fs.files.Snapshot()
	fs.files.Subscribe(fs.contextsChanged)
	fs.contexts = &context.Contexts{Store: fs.files, Assumed: withoutFiles(fs.config.Assumed)}
	for _, addr := range fs.config.Listen {
		l, err := Listen(addr)
		if err != nil {
			return err
		}
		fs.listen = append(fs.listen, l)
	}
	if fs.config.Metrics != "" {
		if fs.metricsListener, err = listenMetrics(fs.config.Metrics); err != nil {
			return err
		}
	}
	return nil
}

// close undoes open, for an FS that does not come to serve.
func (fs *FS) close() {
	for _, l := range fs.listen {
		l.Close()
	}
	if fs.metricsListener != nil {
		fs.metricsListener.Close()
	}
	if fs.files != nil {
		fs.files.Close()
	}
	if fs.packages != nil {
		fs.packages.Close()
	}
	fs.closeLayers()
}

// Addrs returns where the FS listens, with the ports that the system chose.
func (fs *FS) Addrs() []string {
	var out []string
	for _, l := range fs.listen {
		out = append(out, l.Addr().Network()+":"+l.Addr().String())
	}
	return out
}

// withoutFiles makes packages of what is said of packages that are somewhere else.
func withoutFiles(metas []pkgmeta.Meta) []*pkgindex.Package {
	packages := make([]*pkgindex.Package, len(metas))
	for i, m := range metas {
		packages[i] = pkgindex.NewPackage(m)
	}
	return packages
}

// Settle waits until every package file that is complete now is live or set
// aside.
func (fs *FS) Settle(ctx stdcontext.Context) error { return fs.packages.Settle(ctx) }

// shutdownTime is how long Serve lets requests end by themselves.
const shutdownTime = 5 * time.Second

// Serve serves until ctx ends, then lets the requests that are being worked on
// end. It is called once.
func (fs *FS) Serve(ctx stdcontext.Context) error {
	ctx, stop := stdcontext.WithCancel(ctx)
	defer stop()
	indexing := make(chan struct{})
	go func() { fs.packages.Run(ctx); close(indexing) }()
	fs.installs.open(ctx)
	following := make(chan struct{})
	go func() { fs.followEdits(ctx); close(following) }()
	var listeners []func() error
	for _, l := range fs.listen {
		listeners = append(listeners, func() error { return fs.engine.Serve(ctx, l) })
	}
	if fs.metricsListener != nil {
		listeners = append(listeners, func() error { return fs.serveMetrics(ctx) })
	}
	failed := make(chan error, len(listeners))
	for _, serve := range listeners {
		go func() { failed <- serve() }()
	}
	var err error
	for range listeners {
		if e := <-failed; e != nil && err == nil {
			err = fmt.Errorf("serve: %w", e)
			stop()
		}
	}
	drain, cancel := stdcontext.WithTimeout(stdcontext.Background(), shutdownTime)
	defer cancel()
	if e := fs.engine.Shutdown(drain); e != nil {
		fs.config.Log.Warn().Msg("some requests did not end; their connections were cut")
	}
	<-indexing
	fs.installs.running.Wait()
	<-following
	fs.files.Close()
	fs.closeLayers()
	return err
}

// treeFor returns the tree of a view. Contexts with equal views share it, as
// long as one of them is attached to; prev is the tree that it comes after.
func (fs *FS) treeFor(v *context.View, prev *union.Tree) *union.Tree {
	key := fs.treeKeyOf(v)
	fs.mu.Lock()
	defer fs.mu.Unlock()
	known := fs.trees[key].Value()
	extras := fs.extrasFor(v, key, known)
	if known != nil && slices.Equal(known.Packages(), v.Packages) && known.Launchers() == extras.Launchers {
		return known
	}
	if known != nil {
		prev = known
	}
	t := extras.NewTree(v.Packages, prev)
	if len(fs.trees) >= fs.sweepAt {
		for key, p := range fs.trees {
			if p.Value() == nil {
				delete(fs.trees, key)
			}
		}
		fs.sweepAt = max(minSweep, 2*len(fs.trees))
	}
	fs.trees[key] = weak.Make(t)
	return t
}

// A treeKey tells the trees of one generation apart.
type treeKey struct {
	view      string // View.Key
	launchers bool   // there may be some

	// Alternatives that override files declare, nil for none, and what tells
	// apart which packages are preferred there.
	alternatives *pkgindex.Alternatives
	preferred    string
}

func (fs *FS) treeKeyOf(v *context.View) treeKey {
	key := treeKey{view: v.Key, launchers: v.Closures != nil, alternatives: fs.packages.Set().Alternatives}
	if key.alternatives != nil {
		var ids []byte
		for _, p := range v.Preferred {
			ids = binary.LittleEndian.AppendUint64(ids, p.ID)
		}
		key.preferred = string(ids)
	}
	return key
}

// generatorsFor returns what makes files for the trees of a view, with its key.
func (fs *FS) generatorsFor(v *context.View, key treeKey) []union.Generator {
	if key.alternatives == nil {
		return fs.generators
	}
	return append([]union.Generator{fs.program}, fs.generated.For(key.alternatives, v.Preferred)...)
}

// liveTrees counts the trees that something is attached to.
func (fs *FS) liveTrees() int {
	fs.mu.Lock()
	defer fs.mu.Unlock()
	n := 0
	for _, p := range fs.trees {
		if p.Value() != nil {
			n++
		}
	}
	return n
}

// minSweep is how many keys of trees that are gone may gather, at least.
const minSweep = 1024

// Listen opens a listening socket at unix:PATH or tcp:HOST:PORT. The socket of
// a server that is gone is replaced, and everybody may connect to it: who they
// are decides what they see.
func Listen(addr string) (net.Listener, error) {
	if hostPort, ok := strings.CutPrefix(addr, "tcp:"); ok {
		l, err := net.Listen("tcp", hostPort)
		if err != nil {
			return nil, fmt.Errorf("listen on %s: %w", addr, err)
		}
		return l, nil
	}
	path, ok := strings.CutPrefix(addr, "unix:")
	if !ok {
		return nil, fmt.Errorf("listen on %q: want unix:PATH or tcp:HOST:PORT", addr)
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return nil, fmt.Errorf("listen on %s: %w", addr, err)
	}
	if info, err := os.Lstat(path); err == nil {
		if info.Mode()&os.ModeSocket == 0 {
			return nil, fmt.Errorf("listen on %s: there is something that is no socket; remove it or name another path", addr)
		}
		if c, err := net.Dial("unix", path); err == nil {
			c.Close()
			return nil, fmt.Errorf("listen on %s: a server is running there; stop it or name another path", addr)
		}
		if err := os.Remove(path); err != nil {
			return nil, fmt.Errorf("listen on %s: %w", addr, err)
		}
	}
	l, err := net.Listen("unix", path)
	if err != nil {
		return nil, fmt.Errorf("listen on %s: %w", addr, err)
	}
	if err := os.Chmod(path, 0o666); err != nil {
		l.Close()
		return nil, fmt.Errorf("listen on %s: %w", addr, err)
	}
	return l, nil
}
