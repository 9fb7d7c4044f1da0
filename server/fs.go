package server

import (
	stdcontext "context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"time"

	"github.com/hugelgupf/p9/p9"
	"github.com/rs/zerolog"

	"github.com/packagefs/packagefs/context"
	"github.com/packagefs/packagefs/context/attachname"
	"github.com/packagefs/packagefs/context/files"
	"github.com/packagefs/packagefs/pkgindex"
	"github.com/packagefs/packagefs/pkgindex/format"
	"github.com/packagefs/packagefs/pkgindex/pkgmeta"
	"github.com/packagefs/packagefs/server/api"
	"github.com/packagefs/packagefs/server/generate"
	"github.com/packagefs/packagefs/server/p9l"
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

	TrustNetworks []TrustNetwork // TCP peers in these are believed who their users are

	// Admins may command the server, beside root and who runs it, on this machine
	// only: NAME of a user or of a group, or user:NAME or group:NAME, where
	// a number does as well.
	Admins []string

	Metrics string // where metrics are served over HTTP: HOST:PORT, or a port of this machine only; empty: nowhere

	// LayerBytes and LayerFiles are how many bytes and names each mutable layer
	// may hold; 0 is no limit but that of the disk.
	LayerBytes, LayerFiles uint64

	// ChunkCache is how many bytes of native packages' contents are kept
	// unpacked; 0 means 256 MiB.
	ChunkCache int64

	// Descriptors is how many the process may have open; 0 is what the system says.
	Descriptors int

	NoGenerate []string // names of generated files that are not wanted; see generate.Names

	Limits        p9l.Limits
	PackageLimits format.Limits
	Log           zerolog.Logger

	// Progress is told how many of the package files that were to be indexed
	// at the start are done. It may be nil.
	Progress func(done, total int)
}

// An FS is a whole server of packages: it opens, serves and closes what the others
// work with, and takes each attach to where it belongs.
type FS struct {
	config      Config
	packages    *pkgindex.Store
	files       *files.Store
	contexts    *context.Contexts
	changes     *changes
	attachments *attachments
	control     *control
	engine      *p9l.Server

	listen          []net.Listener
	metricsListener net.Listener // nil: no metrics over HTTP
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
	if config.Descriptors == 0 {
		n, err := descriptors()
		if err != nil {
			return nil, err
		}
		config.Descriptors = n
	}
	if config.Limits.Conns <= 0 {
		config.Limits.Conns = connections(config.Descriptors)
	}
	fs := &FS{}
	var level *logLevel
	config.Log, level = leveled(config.Log)
	fs.config = config
	fs.engine = &p9l.Server{Attacher: fs, Log: config.Log, Limits: config.Limits, Errno: meaning}
	if err := fs.open(level); err != nil {
		fs.close()
		return nil, err
	}
	return fs, nil
}

func (fs *FS) open(level *logLevel) error {
	started := time.Now()
	program, err := newOwnProgram(fs.config.Log)
	if err != nil {
		return err
	}
	events := new(eventLog)
	fs.changes = &changes{events: events, pending: make(chan struct{}, 1)}
	if err := fs.openStores(); err != nil {
		return err
	}
	fs.contexts = &context.Contexts{Store: fs.files, Assumed: withoutFiles(fs.config.Assumed)}
	fs.attachments = &attachments{
		config: &fs.config, packages: fs.packages, contexts: fs.contexts, changes: fs.changes, events: events,
		layers: newLayers(&fs.config), turns: newTurns(),
		trees: newTrees(fs.packages, program, &generate.Set{
			Ref: ownRef(), Off: fs.config.NoGenerate, Log: fs.config.Log,
			Failed: func(name, reason string) {
				events.add(api.Event{Event: api.EventGenerateFailed, File: name, Reason: reason})
			},
		}),
	}
	for _, addr := range fs.config.Listen {
		l, err := p9l.Listen(addr)
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
	fs.control = newControl(fs, level, started)
	return nil
}

// openStores opens the packages and the context files, whose changes are followed
// from then on.
func (fs *FS) openStores() (err error) {
	total := 0
	fs.packages, err = pkgindex.Open(pkgindex.Config{
		Packages: fs.config.Packages, State: fs.config.State, Overrides: fs.config.Overrides,
		Limits: fs.config.PackageLimits, Log: fs.config.Log,
		Chunks: fs.config.ChunkCache, OnDamage: fs.changes.packageDamaged,
		Trust: fs.config.Trust, RequireSignatures: fs.config.RequireSignatures,
		OnChange: func(set *pkgindex.Set) {
			fs.changes.packagesChanged(set)
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
	fs.changes.files = fs.files.Snapshot()
	fs.warnReadable()
	fs.files.Subscribe(fs.changes.contextsChanged)
	return nil
}

// warnReadable tells of package directories that anybody may list, though contexts
// keep packages from somebody: they would read them there.
func (fs *FS) warnReadable() {
	if !fs.files.Snapshot().Confines() {
		return
	}
	for _, dir := range fs.config.Packages {
		if info, err := os.Stat(dir); err == nil && info.Mode().Perm()&0o004 != 0 {
			fs.config.Log.Warn().Str("directory", dir).
				Msg("everybody can read the package directory, also packages that their context does not show; chmod it to 0711, or 0700")
		}
	}
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
	fs.control.installs.open(ctx)
	following := make(chan struct{})
	watch := editWatch{attachments: fs.attachments, told: make(map[string]map[string]string)}
	go func() { watch.run(ctx); close(following) }()
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
	fs.control.installs.running.Wait()
	<-following
	fs.files.Close()
	fs.attachments.layers.close()
	return err
}

// Attach implements Attacher: the attach name becomes a context, the context a
// view, and the view a tree.
func (fs *FS) Attach(req p9l.AttachRequest) (p9.File, error) {
	f, err := fs.attach(req)
	if err != nil {
		fs.attachments.noteRefused(req, err)
	}
	return f, err
}

func (fs *FS) attach(req p9l.AttachRequest) (p9.File, error) {
	as, err := fs.attachments.identify(req)
	if err != nil {
		return nil, err
	}
	name, err := attachname.Parse(req.Aname)
	if err != nil {
		return nil, err
	}
	switch name.Kind {
	case attachname.KindControl:
		if err := fs.control.admits(as); err != nil {
			return nil, err
		}
		return fs.control.dir(fs.control.visitor(req, as), nil), nil
	case attachname.KindContexts:
		return fs.control.contextsDir(fs.control.visitor(req, as)), nil
	}
	if name.Kind == attachname.KindOwn && as.User != nil {
		if _, err := fs.contexts.User(as.User.Name); err != nil {
			return nil, fmt.Errorf("attach as %s: %w", as.User.Name, err)
		}
	}
	return fs.attachments.context(name, as)
}
