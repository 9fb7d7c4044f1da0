package server

import (
	stdcontext "context"
	"encoding/json"
	"errors"
	"io"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/hugelgupf/p9/fsimpl/templatefs"
	"github.com/hugelgupf/p9/p9"

	"github.com/packagefs/packagefs/context"
	"github.com/packagefs/packagefs/context/files"
	"github.com/packagefs/packagefs/pkgindex"
	"github.com/packagefs/packagefs/server/api"
	"github.com/packagefs/packagefs/server/p9l"
)

// The control directory is what an attach of ctl shows, and the entry ctl of
// the directory of contexts. Everybody sees the file query in it; see package
// api. Administrators see the rest:
//
//	ctl        commands, one a line; see ctlfile.go and ctlcmd.go
//	status     what the server says of itself
//	packages   the installed packages
//	rejected   the package files that are set aside, and why
//	conflicts  the paths that several packages carry with different content
//	contexts/  a file for each context: its rules, packages and conflicts
//	events     what happens, as it happens; see events.go
//	metrics    counts in the text form of Prometheus; see metrics.go
//
// A file that nobody writes to has no size: its content is made when it is
// opened, and a client reads it until there is no more. Clients that trust
// sizes, as the Linux client does with cache=loose, find such files empty;
// mounts with cache=none do not.

const (
	queryName = "query"

	// maxQuery is how long a query may be, in bytes, of who gives no commands.
	maxQuery = 64 << 10
)

// control answers what is asked and does what is ordered through the control
// directory.
type control struct {
	config      *Config
	packages    *pkgindex.Store
	files       *files.Store
	contexts    *context.Contexts
	attachments *attachments
	trees       *trees
	changes     *changes
	events      *eventLog
	engine      *p9l.Server
	users       func() context.Directory // of the system
	installs    installs
	inquirers   *inquirers
	level       *logLevel
	started     time.Time
	addrs       []string // where the server listens
}

func newControl(fs *FS, level *logLevel, started time.Time) *control {
	return &control{
		config: &fs.config, packages: fs.packages, files: fs.files, contexts: fs.contexts,
		inquirers: newInquirers(), attachments: fs.attachments, trees: fs.attachments.trees, changes: fs.changes, events: fs.changes.events,
		engine: fs.engine, level: level, started: started, addrs: fs.Addrs(),
		users: sync.OnceValue(func() context.Directory {
			if fs.contexts.Directory != nil {
				return fs.contexts.Directory
			}
			return &context.Cached{Directory: context.System{}}
		}),
	}
}

// A visitor is who looks into the control directory.
type visitor struct {
	caller
	admin bool
	by    string // the name under which changes are logged
}

// visitor tells who the peer of an attach is to the control directory.
func (ctl *control) visitor(req p9l.AttachRequest, as caller) visitor {
	return visitor{caller: as, admin: ctl.isAdmin(as), by: ctl.nameOf(req, as)}
}

// everything is a caller who may see what the visitor, an administrator, asks
// for.
func (v *visitor) everything() caller { return caller{Trusted: true, User: v.User} }

// isAdmin says whether a caller may command the server: those who are trusted,
// who runs the server, and whom the configuration names. A network that they come
// from is no reason to believe that they are one of these.
func (ctl *control) isAdmin(as caller) bool {
	switch {
	case as.Network:
		return false
	case as.Trusted:
		return true
	case as.User == nil:
		return false
	case as.User.UID == uint32(os.Geteuid()):
		return true
	}
	named := func(prefix, name string, id uint32) bool {
		return slices.ContainsFunc(ctl.config.Admins, func(a string) bool {
			rest, ok := strings.CutPrefix(a, prefix)
			return a == name || ok && (rest == name || rest == strconv.FormatUint(uint64(id), 10))
		})
	}
	if named("user:", as.User.Name, as.User.UID) {
		return true
	}
	groups, err := ctl.groups(*as.User)
	if err != nil {
		ctl.config.Log.Warn().Err(err).Str("user", as.User.Name).Msg("groups are not known, so whether the user is an administrator is not either")
	}
	return slices.ContainsFunc(groups, func(g context.Group) bool { return named("group:", g.Name, g.GID) })
}

// groups returns the groups of the system that u is in. Members that context
// files add to a group do not count here: whoever may edit one would make
// administrators.
func (ctl *control) groups(u context.User) ([]context.Group, error) {
	if len(ctl.config.Admins) == 0 {
		return nil, nil
	}
	return ctl.users().Groups(u)
}

// nameOf names who attaches, for the log and the history of context files: the
// user who speaks, not the one whom a trusted peer speaks for without a number.
func (ctl *control) nameOf(req p9l.AttachRequest, as caller) string {
	switch {
	case as.User != nil && (!as.Trusted || req.UID != p9l.NoUID):
		return as.User.Name
	case req.Peer.HasCred:
		if u, err := ctl.attachments.userByID(req.Peer.UID); err == nil {
			return u.Name
		}
	}
	return req.Peer.String()
}

func ctlQID(name string, kind p9.QIDType) p9.QID {
	return p9.QID{Type: kind, Path: hashOf("ctl", name)} // version 0: never cached
}

// ctlMeta is what all files and directories of the control directory have.
type ctlMeta struct {
	control *control
	as      visitor
	qid     p9.QID
	mode    p9.FileMode

	up func() (p9.QID, p9.File) // of a directory, the one above; nil at the top
}

func (m *ctlMeta) GetAttr(p9.AttrMask) (p9.QID, p9.AttrMask, p9.Attr, error) {
	attr := m.control.ctlAttr(m.mode)
	if m.as.admin && !m.as.Trusted {
		attr.UID = p9.UID(m.as.User.UID) // the client's kernel checks the mode, too
	}
	return m.qid, p9.AttrMaskAll, attr, nil
}

func (ctl *control) ctlAttr(mode p9.FileMode) p9.Attr {
	sec, nsec := uint64(ctl.started.Unix()), uint64(ctl.started.Nanosecond())
	return p9.Attr{
		Mode: mode, NLink: 1, BlockSize: 4096,
		ATimeSeconds: sec, ATimeNanoSeconds: nsec, MTimeSeconds: sec, MTimeNanoSeconds: nsec,
		CTimeSeconds: sec, CTimeNanoSeconds: nsec,
	}
}

func (*ctlMeta) StatFS() (p9.FSStat, error) {
	return p9.FSStat{Type: 0x01021997, BlockSize: 4096, NameLength: 255}, nil
}

func (*ctlMeta) GetXattr(string) ([]byte, error) { return nil, syscall.ENODATA }
func (*ctlMeta) ListXattrs() ([]string, error)   { return nil, nil }
func (*ctlMeta) Close() error                    { return nil }

// ctlFile is what the files of the control directory have in common. Each fid
// has a file of its own.
type ctlFile struct {
	templatefs.ReadOnlyFile
	p9.DefaultWalkGetAttr
	ctlMeta

	clone func(ctlMeta) p9.File // makes another handle
}

func (f *ctlFile) WalkPart(qids []p9.QID, names []string, _ bool) ([]p9.QID, p9.File, error) {
	if len(names) > 0 {
		return qids, nil, syscall.ENOTDIR
	}
	return qids, f.clone(f.ctlMeta), nil
}

func (f *ctlFile) Walk(names []string) ([]p9.QID, p9.File, error) {
	return f.WalkPart(nil, names, true)
}

func (f *ctlFile) FSync() error { return nil }

// Open refuses to open for writing; files that are written to have their own.
func (f *ctlFile) Open(mode p9.OpenFlags) (p9.QID, uint32, error) {
	if mode.Mode() != p9.ReadOnly {
		return p9.QID{}, 0, syscall.EACCES
	}
	return f.qid, 0, nil
}

// truncate lets clients truncate a file that is written to, as a shell does
// before it writes.
func truncate(valid p9.SetAttrMask) error {
	if valid.Permissions || valid.UID || valid.GID {
		return syscall.EPERM
	}
	return nil
}

// readText serves a read from what is in memory.
func readText(text, p []byte, off int64) (int, error) {
	switch {
	case off < 0:
		return 0, syscall.EINVAL
	case off >= int64(len(text)):
		return 0, io.EOF
	}
	return copy(p, text[off:]), nil
}

// queryFile answers one query each time that it is opened.
type queryFile struct {
	ctlFile

	mu       sync.Mutex // guards what follows
	question []byte
	answer   []byte // nil until first read
	held     int    // bytes that the one who asks pays for
}

func newQueryFile(m ctlMeta) p9.File {
	return &queryFile{ctlFile: ctlFile{ctlMeta: m, clone: newQueryFile}}
}

// hold counts what question and answer hold. It runs with mu locked, and fails only
// where less is not there already.
func (f *queryFile) hold(n int, there bool) error {
	err := f.control.inquirers.hold(&f.as, n-f.held, there)
	if err == nil {
		f.held = n
	}
	return err
}

// Close gives back what the file holds.
func (f *queryFile) Close() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.question, f.answer = nil, nil
	return f.hold(0, true)
}

func (f *queryFile) SetAttr(valid p9.SetAttrMask, _ p9.SetAttr) error { return truncate(valid) }

func (f *queryFile) Open(p9.OpenFlags) (p9.QID, uint32, error) { return f.qid, 0, nil }

// WriteAt takes a part of the query. A write after the first read begins the
// next query.
func (f *queryFile) WriteAt(p []byte, _ int64) (int, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.answer != nil {
		f.question, f.answer = nil, nil
	}
	most := maxQuery
	if f.as.admin {
		most = maxCommand
	}
	if len(f.question)+len(p) > most {
		return 0, syscall.EMSGSIZE
	}
	if err := f.hold(len(f.question)+len(p), false); err != nil {
		return 0, err
	}
	f.question = append(f.question, p...)
	return len(p), nil
}

func (f *queryFile) ReadAt(p []byte, off int64) (int, error) {
	return f.ReadLong(stdcontext.Background(), p, off)
}

// ReadLong implements p9l.LongReader.
func (f *queryFile) ReadLong(ctx stdcontext.Context, p []byte, off int64) (int, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.answer == nil {
		if err := f.ask(ctx); err != nil {
			return 0, err
		}
		if err := f.hold(len(f.question)+len(f.answer), true); err != nil {
			return 0, err
		}
	}
	return readText(f.answer, p, off)
}

// ask runs the query when it is its turn.
func (f *queryFile) ask(ctx stdcontext.Context) error {
	end, err := f.control.inquirers.begin(ctx, &f.as)
	if err != nil {
		return err
	}
	defer end()
	f.answer, err = f.control.answer(ctx, f.as, f.question)
	return err
}

// answer runs one query. It fails only with ctx's error, where the query did.
func (ctl *control) answer(ctx stdcontext.Context, as visitor, question []byte) ([]byte, error) {
	var a api.Answer
	result, err := ctl.runQuery(ctx, as, question)
	if err != nil && ctx.Err() != nil {
		return nil, ctx.Err()
	}
	if result != nil {
		var failed error
		a.Result, failed = json.Marshal(result)
		err = errors.Join(err, failed)
	}
	if err != nil {
		a.Error, a.Errno = err.Error(), uint32(errnoOf(err))
	}
	out, err := json.Marshal(a)
	if err != nil {
		panic("query: an Answer does not encode: " + err.Error())
	}
	return append(out, '\n'), nil
}
