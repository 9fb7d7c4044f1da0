// Package serve has the command that is the server.
package serve

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/KimMachineGun/automemlimit/memlimit"
	"github.com/rs/zerolog"

	"github.com/packagefs/packagefs/cmd/packagefs/internal/cli"
	"github.com/packagefs/packagefs/pkgindex/format"
	"github.com/packagefs/packagefs/pkgindex/pkgmeta"
	"github.com/packagefs/packagefs/server"
	"github.com/packagefs/packagefs/server/p9l"
	"github.com/packagefs/packagefs/server/p9l/client"
)

// Cmd serves package directories.
type Cmd struct {
	Packages  []string `placeholder:"DIR" sep:"none" help:"Directory of package files; may be given several times. Default: ./packages."`
	State     string   `placeholder:"DIR" help:"Where indexes, unpacked contents and changes are kept. Default: /var/lib/packagefs for root, $XDG_STATE_HOME/packagefs for others."`
	Contexts  string   `placeholder:"DIR" help:"Directory of context files. Default: contexts in the state directory."`
	Overrides string   `placeholder:"DIR" help:"Directory of override files. Default: overrides in the state directory."`
	Listen    []string `placeholder:"ADDR" sep:"none" help:"Where to listen: unix:PATH or tcp:HOST:PORT; may be given several times. Default: the address that clients use by default."`

	Assume []format.RootDatabase `placeholder:"KIND[:ROOT]" sep:"none" help:"Count as installed what the root file system has by its own package manager: dpkg, apk or pacman, as it was when the server started; may be given several times."`

	Trust             string `placeholder:"DIR" help:"Directory of public keys of minisign, NAME.pub: a package file with a signature beside it is served only if one of these keys made it."`
	RequireSignatures bool   `help:"With --trust: serve no package file that is not signed."`

	TrustNetwork []server.TrustNetwork `placeholder:"CIDR[,OPTION]" sep:"none" help:"Believe TCP clients in this network who their users are, as in 10.0.0.0/24, if they come from a port below 1024: root there is nobody here, and commands nothing. Options: insecure, from any port; root, root there speaks for everybody. May be given several times."`

	NoGenerate []string `placeholder:"NAME" enum:"alternatives,services,shells,info,ld.so.cache" sep:"none" help:"Do not generate these files from what is in a tree: alternatives, services, shells, info or ld.so.cache; may be given several times."`

	Admin   []string `placeholder:"NAME" sep:"none" help:"Let this user, or every member of this group of the system, command the server, beside root and who runs it: NAME, or user:NAME or group:NAME; may be given several times."`
	Metrics string   `placeholder:"ADDR" help:"Serve metrics in the text form of Prometheus at http://ADDR/metrics: HOST:PORT, or a port that only this machine can reach."`

	MaxConnections        int           `placeholder:"N" group:"limits" help:"Connections at once (1024, or a quarter of the open files that the system allows)."`
	MaxConnectionsPerPeer int           `placeholder:"N" group:"limits" help:"Connections of one user, or of one address (256)."`
	MaxFids               int           `placeholder:"N" group:"limits" help:"Files that one connection refers to (262144)."`
	MaxRequests           int           `placeholder:"N" group:"limits" help:"Requests of one connection that run at once (64)."`
	MaxMsize              cli.ByteSize  `placeholder:"BYTES" group:"limits" help:"Largest message (1M)."`
	MaxUnread             cli.ByteSize  `placeholder:"BYTES" group:"limits" help:"Replies that a client has not read, before it must read them (8M)."`
	FirstMessageTimeout   time.Duration `placeholder:"TIME" group:"limits" help:"How long a new connection may be without an attach that succeeds (10s)."`

	ChunkCache cli.DiskSize `placeholder:"BYTES" group:"limits" help:"Memory for unpacked contents of native packages (256M)."`

	LayerBytes cli.DiskSize `placeholder:"BYTES" group:"limits" help:"What the files of one mutable layer may take (what the disk has)."`
	LayerFiles uint64       `placeholder:"N" group:"limits" help:"How many names one mutable layer may have (what the disk has)."`

	LogLevel string `placeholder:"LEVEL" enum:"trace,debug,info,warn,error" default:"info" group:"log" help:"trace, debug, info, warn or error; trace shows every message (info)."`
	LogJSON  bool   `group:"log" help:"Log lines of JSON, as is done anyway where standard error is not a terminal."`
}

// Help is shown below the flags.
func (*Cmd) Help() string {
	return `Installing a package is moving its file into the directory, removing it is removing the file; clients see the change at once. Package files that were not indexed before are indexed while the others are served already.

Examples:
  packagefs serve --packages /srv/packages
  packagefs serve --packages . --listen unix:/run/packagefs/9p.sock --listen tcp:10.0.0.1:564 --trust-network 10.0.0.0/24`
}

// Validate is called by the command line parser.
func (c *Cmd) Validate() error {
	for _, l := range c.Listen {
		if _, err := client.ParseAddr(l); err != nil {
			return fmt.Errorf("--listen: %w", err)
		}
	}
	for _, a := range c.Admin {
		if name := strings.TrimPrefix(strings.TrimPrefix(a, "user:"), "group:"); name == "" || strings.ContainsAny(name, ":/,") {
			return fmt.Errorf("--admin: %q is not the name of a user or group: want NAME, user:NAME or group:NAME", a)
		}
	}
	if c.RequireSignatures && c.Trust == "" {
		return errors.New("--require-signatures: name the directory of the keys that are trusted with --trust")
	}
	for _, n := range []int{c.MaxConnections, c.MaxConnectionsPerPeer, c.MaxFids, c.MaxRequests, int(c.FirstMessageTimeout)} {
		if n < 0 {
			return errors.New("a limit cannot be negative")
		}
	}
	return nil
}

func (c *Cmd) Run(env *cli.Env) error {
	config, err := c.config(env)
	if err != nil {
		return err
	}
	fsys, err := server.New(config)
	if err != nil {
		return err
	}
	log := config.Log
	// What is free goes back before the service manager's limit is reached.
	if _, err := memlimit.Set(memlimit.WithMin(64 << 20)); err != nil {
		log.Warn().Err(err).Msg("the limit of memory of the control group is not known")
	}
	log.Info().Strs("packages", config.Packages).Str("state", config.State).
		Strs("listen", fsys.Addrs()).Msg("serving")
	if addr := fsys.MetricsAddr(); addr != "" {
		log.Info().Str("url", "http://"+addr+"/metrics").Msg("serving metrics")
	}
	if err := notify("READY=1"); err != nil {
		log.Warn().Err(err).Msg("the service manager cannot be told that the server is ready")
	}
	err = fsys.Serve(env)
	if err == nil {
		log.Info().Msg("stopped")
	}
	return err
}

// config turns the flags into what the server wants.
func (c *Cmd) config(env *cli.Env) (server.Config, error) {
	if len(c.Packages) == 0 {
		c.Packages = []string{"packages"}
		if _, err := os.Stat("packages"); errors.Is(err, fs.ErrNotExist) {
			return server.Config{}, errors.New("serve: there is no directory ./packages; make it, or name another one with --packages DIR")
		}
	}
	if c.State == "" {
		c.State = defaultState()
	}
	if len(c.Listen) == 0 {
		addr, err := env.AddrOr(cli.OwnAddr)
		if err != nil {
			return server.Config{}, err
		}
		c.Listen = []string{addr.String()}
	}
	assumed, err := c.assumed()
	if err != nil {
		return server.Config{}, err
	}
	log := c.logger(env.Stderr)
	return server.Config{
		Assumed:  assumed,
		Packages: c.Packages, State: c.State, Contexts: c.Contexts, Overrides: c.Overrides,
		Listen: c.Listen, TrustNetworks: c.TrustNetwork,
		Trust: c.Trust, RequireSignatures: c.RequireSignatures,
		Admins: c.Admin, Metrics: c.Metrics, NoGenerate: c.NoGenerate,
		ChunkCache: int64(c.ChunkCache),
		LayerBytes: uint64(c.LayerBytes), LayerFiles: c.LayerFiles,
		Limits: p9l.Limits{
			Conns: c.MaxConnections, ConnsPerPeer: c.MaxConnectionsPerPeer,
			Fids: c.MaxFids, Running: c.MaxRequests,
			MaxMsize: uint32(c.MaxMsize), ReplyBytes: int(c.MaxUnread),
			FirstMessage: c.FirstMessageTimeout,
		},
		Log:      log,
		Progress: (&progress{log: log, now: time.Now}).report,
	}, nil
}

// assumed reads what the root file system has.
func (c *Cmd) assumed() (all []pkgmeta.Meta, err error) {
	for _, d := range c.Assume {
		metas, err := d.Read()
		if err != nil {
			return nil, fmt.Errorf("serve: --assume: %w", err)
		}
		all = append(all, metas...)
	}
	return all, nil
}

// defaultState is the state directory of who runs the server.
func defaultState() string {
	if os.Geteuid() == 0 {
		return "/var/lib/packagefs"
	}
	dir := os.Getenv("XDG_STATE_HOME")
	if dir == "" {
		home, err := os.UserHomeDir()
		if err != nil {
			home = "."
		}
		dir = filepath.Join(home, ".local", "state")
	}
	return filepath.Join(dir, "packagefs")
}

// logger logs to w: for people if that is a terminal, else JSON.
func (c *Cmd) logger(w io.Writer) zerolog.Logger {
	level, err := zerolog.ParseLevel(c.LogLevel)
	if err != nil {
		level = zerolog.InfoLevel
	}
	if !c.LogJSON && cli.IsTerminal(w) {
		w = zerolog.ConsoleWriter{Out: w, TimeFormat: time.TimeOnly}
	}
	return zerolog.New(w).Level(level).With().Timestamp().Logger()
}

// progressEvery is how often a long first indexing is reported.
const progressEvery = 2 * time.Second

// A progress reports indexing that takes longer than a second. Its method is
// not called twice at once.
type progress struct {
	log   zerolog.Logger
	now   func() time.Time
	start time.Time
	last  time.Time
	ended bool
}

func (p *progress) report(done, total int) {
	now := p.now()
	if p.start.IsZero() || p.ended && done < total {
		p.start, p.last, p.ended = now, now.Add(time.Second-progressEvery), false
	}
	switch {
	case p.ended:
	case done == total:
		p.ended = true
		if now.Sub(p.start) > time.Second {
			p.log.Info().Int("package-files", total).Dur("took", now.Sub(p.start)).Msg("indexed")
		}
	case now.Sub(p.last) >= progressEvery:
		p.last = now
		p.log.Info().Int("done", done).Int("of", total).Msg("indexing package files")
	}
}

// notify tells the service manager about the server's state, as sd_notify(3)
// does, if one wants to know.
func notify(state string) error {
	path := os.Getenv("NOTIFY_SOCKET")
	if path == "" {
		return nil
	}
	conn, err := net.DialUnix("unixgram", nil, &net.UnixAddr{Name: path, Net: "unixgram"})
	if err != nil {
		return err
	}
	defer conn.Close()
	_, err = conn.Write([]byte(state))
	return err
}
