package server

import (
	"bytes"
	stdcontext "context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/rs/zerolog"

	"github.com/packagefs/packagefs/context"
	"github.com/packagefs/packagefs/context/files"
	"github.com/packagefs/packagefs/pkgindex"
	"github.com/packagefs/packagefs/pkgindex/pkgmeta"
	"github.com/packagefs/packagefs/server/api"
)

// A command is one that the control file takes.
type command struct {
	name     string // one word or two
	args     string // for help
	help     string
	min, max int  // how many arguments there may be; a max of −1 is any number
	changes  bool // it changes something, so it is logged with who gave it
	run      func(*invocation) error
}

// An invocation is a command with its arguments, and who gives it.
type invocation struct {
	control *control
	ctx     stdcontext.Context // done when nobody waits for the results
	as      visitor
	table   []command
	words   []string // all of the command
	args    []string // those behind its name
	asked   bool     // it only asked, though the command can change something

	out    bytes.Buffer      // the results in words
	result api.CommandResult // but for those
}

func (v *invocation) printf(format string, args ...any) { fmt.Fprintf(&v.out, format, args...) }

// commands are the commands of the control file. Their help is made of this.
var commands = slices.Concat(
	[]command{{"help", "[COMMAND]", "Show the commands, or those that begin with these words.", 0, 2, false, (*invocation).help}},
	listCommands("toplevel", "CONTEXT PKG…", "the packages that the context shows"),
	listCommands("allow", "CONTEXT PATTERN…", "the packages that the context may see at all"),
	listCommands("deny", "CONTEXT PATTERN…", "the packages that the context never sees"),
	listCommands("prefer", "CONTEXT PATTERN…", "the packages that win where two have one path"),
	[]command{
		{"pin add", "CONTEXT NAME=VERSION…", "Hold packages at versions.", 2, -1, true, edit(files.OpAdd, "pin")},
		{"pin del", "CONTEXT NAME…", "Hold packages no more.", 2, -1, true, edit(files.OpDel, "pin")},
	},
	listCommands("members", "GROUP USER…", "the users who are in the group beside those that the system says"),
	[]command{
		{"add", "CONTEXT KEY VALUE…", "Add to a list of the context file.", 3, -1, true, editKey(files.OpAdd)},
		{"del", "CONTEXT KEY VALUE…", "Take out of a list of the context file.", 3, -1, true, editKey(files.OpDel)},
		{"set", "CONTEXT KEY VALUE…", "Set a key of the context file.", 3, -1, true, editKey(files.OpSet)},
		{"unset", "CONTEXT KEY [NAME…]", "Take a key out of the context file.", 2, -1, true, editKey(files.OpUnset)},

		{"context new", "CONTEXT", "Make a context file.", 1, 1, true, (*invocation).contextNew},
		{"context del", "CONTEXT", "Remove a context file; its history stays.", 1, 1, true, (*invocation).contextDel},
		{"context show", "CONTEXT", "Show a context file.", 1, 1, false, (*invocation).contextShow},
		{"context put", "CONTEXT TEXT", "Replace a context file by a text, written in quotes as a string of the Go language.", 2, 2, true, (*invocation).contextPut},
		{"context history", "CONTEXT", "List the revisions of a context file: number, time, who, what.", 1, 1, false, (*invocation).contextHistory},
		{"context diff", "CONTEXT [FROM [TO]]", "Show what changed in a context file between two revisions; without them, what the last one changed.", 1, 3, false, (*invocation).contextDiff},
		{"context rollback", "CONTEXT REVISION", "Make a context file what it was.", 2, 2, true, (*invocation).contextRollback},

		{"reload", "", "Read all context files again.", 0, 0, true, (*invocation).reload},
		{"rescan", "", "Look through the package directories and the override files again.", 0, 0, true, (*invocation).rescan},
		{"install", "DIR", "Begin to install, all or none, the package files in a directory that stands in a package directory and whose name begins with .install-; packagefs install makes one.", 1, 1, true, (*invocation).install},
		{"remove", "PKG…", "Remove package files from the package directories, all or none: PKG is NAME, or NAME=VERSION where there are several.", 1, -1, true, (*invocation).remove},
		{"repair", "PKG…", "Make what is unpacked of packages again from their package files.", 1, -1, true, (*invocation).repair},
		{"gc", "", "Remove what killed servers and installs have left, indexes and contents without a package file, and what was kept of files that are not edited any more.", 0, 0, true, (*invocation).gc},
		{"log", "[LEVEL]", "Log from this level on: trace, debug, info, warn or error; without one, show it. trace shows the messages of connections that are made from then on.", 0, 1, true, (*invocation).log},
		{"events", "[COUNT]", "Show the last events, as lines of JSON.", 0, 1, false, (*invocation).recentEvents},
	},
	editCommands,
)

// listCommands are the commands for one list of context files.
func listCommands(key, args, what string) []command {
	return []command{
		{key + " add", args, "Add to " + what + ".", 2, -1, true, edit(files.OpAdd, key)},
		{key + " del", args, "Take out of " + what + ".", 2, -1, true, edit(files.OpDel, key)},
	}
}

// commandLine runs the command of a line and returns the results in words.
func (ctl *control) commandLine(ctx stdcontext.Context, as visitor, line string) (text string, err error) {
	words, err := api.SplitCommand(line)
	if err != nil {
		return "", refuse("%w", err)
	}
	result, err := ctl.command(ctx, as, words)
	return result.Text, err
}

// command runs one command; no words are none. Its error's errno tells what is
// wrong: EINVAL for what is no command. A command that fails has changed nothing; one
// for several paths has done those before the one that failed. What takes long ends
// early when ctx is done.
func (ctl *control) command(ctx stdcontext.Context, as visitor, words []string) (api.CommandResult, error) {
	if len(words) == 0 {
		return api.CommandResult{}, nil
	}
	v := &invocation{control: ctl, ctx: ctx, as: as, table: commands, words: words}
	c, err := v.find()
	if err != nil {
		return api.CommandResult{}, err
	}
	err = c.run(v)
	if c.changes && !v.asked {
		ctl.logCommand(as, shorten(api.JoinCommand(words...)), err)
	}
	if err != nil {
		err = fmt.Errorf("%s: %w", c.name, err)
	}
	v.result.Text = v.out.String()
	return v.result, err
}

func (ctl *control) logCommand(as visitor, line string, err error) {
	e := ctl.config.Log.Info().Str("by", as.by).Str("command", line)
	if err != nil {
		if reason := reasonOf(err); reason != "" {
			e.Str("reason", reason)
		}
		e.Err(err).Msg("control command failed")
		return
	}
	e.Msg("control command")
	ctl.events.add(api.Event{Event: api.EventCommand, Command: line, By: as.by})
}

// refuse is the error of what makes no sense.
func refuse(format string, args ...any) error {
	return &commandError{fmt.Errorf(format, args...)}
}

// A commandError is a command that makes no sense.
type commandError struct{ error }

func (e *commandError) Unwrap() []error { return []error{e.error, syscall.EINVAL} }

// find finds the command and checks how many arguments there are.
func (v *invocation) find() (*command, error) {
	var begun []string // commands whose first word this is
	for i := range v.table {
		c := &v.table[i]
		name := strings.Fields(c.name)
		if name[0] == v.words[0] {
			begun = append(begun, c.name)
		}
		if len(v.words) < len(name) || !slices.Equal(v.words[:len(name)], name) {
			continue
		}
		v.args = v.words[len(name):]
		if len(v.args) < c.min || c.max >= 0 && len(v.args) > c.max {
			return nil, refuse("%s: want: %s", c.name, c.usage())
		}
		return c, nil
	}
	switch {
	case len(begun) > 0:
		return nil, refuse("%s: want one of: %s", v.words[0], strings.Join(begun, ", "))
	default:
		return nil, refuse("unknown command %.100q; try: help", v.words[0])
	}
}

func (c *command) usage() string { return strings.TrimSpace(c.name + " " + c.args) }

func (v *invocation) help() error {
	want := strings.Join(v.args, " ")
	found := false
	c := columnsOn(&v.out)
	for _, cmd := range v.table {
		if cmd.name == want || strings.HasPrefix(cmd.name, want+" ") || want == "" {
			c.row(cmd.usage(), cmd.help)
			found = true
		}
	}
	if !found {
		return refuse("unknown command %.100q; try: help", want)
	}
	if want == "" {
		c.row()
		c.row(`CONTEXT is system, user:NAME or group:NAME. A word with blanks stands in double quotes.`)
	}
	return c.end()
}

// edit is a command that changes one key of a context file.
func edit(op files.ChangeOp, key string) func(*invocation) error {
	return func(v *invocation) error { return v.edit(op, key, v.args[0], v.args[1:]) }
}

// editKey is edit with the key among the arguments.
func editKey(op files.ChangeOp) func(*invocation) error {
	return func(v *invocation) error { return v.edit(op, v.args[1], v.args[0], v.args[2:]) }
}

func (v *invocation) edit(op files.ChangeOp, key, of string, values []string) error {
	if key == "members" && !strings.Contains(of, ":") {
		of = "group:" + of
	}
	change := files.Change{Context: of, Op: op, Key: key, Values: values}
	if err := v.control.files.Edit(v.as.by, change); err != nil {
		return err
	}
	v.printf("%s: %s\n", of, api.JoinCommand(append([]string{string(op), key}, values...)...))
	if key == "toplevel" && (op == files.OpAdd || op == files.OpSet) {
		v.noteMissing(values)
	}
	return nil
}

// noteMissing warns of toplevel packages that are not installed, which is no
// error: they may come later.
func (v *invocation) noteMissing(selectors []string) {
	set := v.control.packages.Set()
	for _, s := range selectors {
		name, _, _ := strings.Cut(s, "=")
		if !strings.ContainsAny(name, "*?") && len(set.Named(name)) == 0 {
			v.printf("note: %s is not installed\n", oneLine(name))
		}
	}
}

func (v *invocation) contextNew() error {
	if err := v.control.files.Create(v.as.by, v.args[0]); err != nil {
		return err
	}
	v.printf("%s: made\n", v.args[0])
	return nil
}

func (v *invocation) contextDel() error {
	if err := v.control.files.Delete(v.as.by, v.args[0]); err != nil {
		return err
	}
	v.printf("%s: removed; its history stays\n", v.args[0])
	return nil
}

func (v *invocation) contextShow() error {
	text, err := v.control.files.Text(v.args[0])
	v.out.WriteString(text)
	return err
}

func (v *invocation) contextPut() error {
	if err := v.control.files.Put(v.as.by, v.args[0], v.args[1]); err != nil {
		return err
	}
	v.printf("%s: replaced\n", v.args[0])
	return nil
}

func (v *invocation) contextHistory() error {
	revisions, err := v.control.files.History(v.args[0])
	for _, r := range revisions {
		by := r.By
		if by == "" {
			by = "-"
		}
		at := r.Time.UTC().Truncate(time.Second)
		v.printf("%s\n", api.JoinCommand(strconv.Itoa(r.Number), at.Format(time.RFC3339), by, r.What))
		v.result.Revisions = append(v.result.Revisions, api.Revision{Revision: r.Number, Time: at, By: r.By, What: r.What})
	}
	return err
}

func (v *invocation) contextDiff() error {
	var numbers [2]int
	for i, s := range v.args[1:] {
		var err error
		if numbers[i], err = revision(s); err != nil {
			return err
		}
	}
	text, err := v.control.files.Diff(v.ctx, v.args[0], numbers[0], numbers[1])
	v.out.WriteString(text)
	return err
}

func revision(s string) (int, error) {
	n, err := strconv.Atoi(s)
	if err != nil || n <= 0 {
		return 0, refuse("%.100q is not the number of a revision", s)
	}
	return n, nil
}

func (v *invocation) contextRollback() error {
	n, err := revision(v.args[1])
	if err == nil {
		err = v.control.files.Rollback(v.as.by, v.args[0], n)
	}
	if err != nil {
		return err
	}
	v.printf("%s: as at revision %d\n", v.args[0], n)
	return nil
}

func (v *invocation) reload() error {
	if err := v.control.files.Reload(); err != nil {
		return err
	}
	broken := v.control.files.Snapshot().Errors()
	for _, e := range broken {
		v.printf("%s\n", oneLine(e.Reason))
	}
	v.printf("reloaded; %d of the context files have an error\n", len(broken))
	return nil
}

// settleTime is how long a command waits for package files to be read. It is
// short, since a client cannot take a write back.
const settleTime = 2 * time.Second

// settle looks at the package directories, and waits for a while until what is
// there is live or set aside.
func (v *invocation) settle() error {
	ctx, cancel := stdcontext.WithTimeout(stdcontext.Background(), settleTime)
	defer cancel()
	err := v.control.packages.Settle(ctx)
	if errors.Is(err, stdcontext.DeadlineExceeded) {
		return nil
	}
	return err
}

func (v *invocation) rescan() error {
	if err := v.settle(); err != nil {
		return err
	}
	set := v.control.packages.Set()
	v.printf("%d packages, %d package files set aside, %d still to be read\n", len(set.Packages), len(set.Rejected), set.Pending)
	return nil
}

// selected returns the packages that a selector names: one version, for all its
// architectures.
func selected(set *pkgindex.Set, selector string) ([]*pkgindex.Package, error) {
	ref, err := pkgmeta.ParseRef(selector)
	if err != nil {
		return nil, refuse("%w", err)
	}
	var ps []*pkgindex.Package
	var versions []string
	for _, p := range set.Named(ref.Name) {
		if ref.Version != "" && p.Version != ref.Version {
			continue
		}
		ps = append(ps, p)
		if !slices.Contains(versions, p.Ref.String()) {
			versions = append(versions, p.Ref.String())
		}
	}
	switch {
	case len(ps) == 0:
		return nil, fmt.Errorf("%s: %w; see the file packages", ref, context.ErrNotInstalled)
	case len(versions) > 1:
		return nil, refuse("%s: there are several versions; name one: %s", ref, strings.Join(versions, ", "))
	}
	return ps, nil
}

func (v *invocation) log() error {
	if len(v.args) == 1 {
		level, err := zerolog.ParseLevel(v.args[0])
		if err != nil || level < zerolog.TraceLevel || level > zerolog.ErrorLevel || v.args[0] == "" {
			return refuse("%.100q is not a level; there are trace, debug, info, warn and error", v.args[0])
		}
		v.control.level.Store(int32(level))
	}
	v.asked = len(v.args) == 0
	v.printf("%s\n", v.control.level)
	return nil
}

func (v *invocation) recentEvents() error {
	count := keptEvents
	if len(v.args) == 1 {
		n, err := strconv.Atoi(v.args[0])
		if err != nil || n < 0 {
			return refuse("%.100q is not a number of events", v.args[0])
		}
		count = n
	}
	lines := v.control.events.recent(count)
	v.out.Write(lines)
	for line := range bytes.Lines(lines) {
		v.result.Events = append(v.result.Events, bytes.TrimSuffix(line, []byte{'\n'}))
	}
	return nil
}

// A logLevel is the level that is logged from. As a sampler it decides before a
// line is made, so that one that is not wanted costs nothing.
type logLevel struct{ atomic.Int32 }

// leveled returns a logger whose level can be changed, and that.
func leveled(log zerolog.Logger) (zerolog.Logger, *logLevel) {
	level := new(logLevel)
	level.Store(int32(log.GetLevel()))
	return log.Level(zerolog.TraceLevel).Sample(level), level
}

// Sample implements zerolog.Sampler.
func (l *logLevel) Sample(level zerolog.Level) bool { return int32(level) >= l.Load() }

func (l *logLevel) String() string { return zerolog.Level(l.Load()).String() }
