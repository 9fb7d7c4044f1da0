package server

import (
	stdcontext "context"
	"encoding/json"
	"errors"
	"io"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"
	"unicode/utf8"

	"github.com/hugelgupf/p9/p9"

	"github.com/packagefs/packagefs/context/files"
	"github.com/packagefs/packagefs/pkgindex"
	"github.com/packagefs/packagefs/server/api"
	"github.com/packagefs/packagefs/server/p9l"
)

const (
	// keptEvents is how many events a reader may be behind.
	keptEvents = 1000

	// maxEventText is how much of a text an event has, in bytes.
	maxEventText = 1024

	// refusals is how many refused attaches a second become events, so that
	// nobody can push the other events out.
	refusals = 10
)

// An eventLog keeps the last events for any number of readers. The zero value
// works.
type eventLog struct {
	now func() time.Time // nil means time.Now

	mu   sync.Mutex // guards what follows
	kept [][]byte   // lines; event n is at n % keptEvents
	next uint64     // the number of the next event
	more chan struct{}

	second  time.Time // that refused counts in
	refused int
	hushed  uint64 // refused attaches that became no event
}

func (l *eventLog) time() time.Time {
	if l.now != nil {
		return l.now()
	}
	return time.Now()
}

// add adds an event and wakes the readers.
func (l *eventLog) add(e api.Event) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.addLocked(e)
}

func (l *eventLog) addLocked(e api.Event) {
	for _, text := range []*string{&e.Package, &e.File, &e.Context, &e.Reason, &e.By, &e.Command} {
		*text = shorten(*text)
	}
	e.Number, e.Time = l.next+1, l.time().UTC()
	line, err := json.Marshal(e)
	if err != nil {
		panic("events: an Event does not encode: " + err.Error())
	}
	if line = append(line, '\n'); len(l.kept) < keptEvents {
		l.kept = append(l.kept, line)
	} else {
		l.kept[l.next%keptEvents] = line
	}
	l.next++
	if l.more != nil {
		close(l.more)
		l.more = nil
	}
}

// shorten cuts a text that others wrote to a size that is kept.
func shorten(s string) string {
	if len(s) <= maxEventText {
		return s
	}
	cut := maxEventText
	for cut > 0 && !utf8.RuneStart(s[cut]) {
		cut--
	}
	return s[:cut] + "…"
}

// addRefused adds the event of a refused attach, unless there are too many.
func (l *eventLog) addRefused(e api.Event) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if second := l.time().Truncate(time.Second); !second.Equal(l.second) {
		l.second, l.refused = second, 0
	}
	if l.refused++; l.refused > refusals {
		l.hushed++
		return
	}
	e.Missed, l.hushed = l.hushed, 0
	l.addLocked(e)
}

// position is where a reader that wants new events only begins.
func (l *eventLog) position() uint64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.next
}

// from appends whole lines to p, from event n on, until they are at least want
// bytes, and returns the number of the next one. If there are none it returns a
// channel that is closed when one comes.
func (l *eventLog) from(p []byte, n uint64, want int) (_ []byte, next uint64, more <-chan struct{}) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if oldest := l.next - uint64(len(l.kept)); n < oldest {
		line, err := json.Marshal(api.Event{Time: l.time().UTC(), Event: api.EventMissed, Missed: oldest - n})
		if err != nil {
			panic("events: an Event does not encode: " + err.Error())
		}
		p, n = append(append(p, line...), '\n'), oldest
	}
	if n == l.next && len(p) == 0 {
		if l.more == nil {
			l.more = make(chan struct{})
		}
		return p, n, l.more
	}
	for ; n < l.next && len(p) < want; n++ {
		p = append(p, l.kept[n%keptEvents]...)
	}
	return p, n, nil
}

// recent returns the last count events, as lines.
func (l *eventLog) recent(count int) []byte {
	next := l.position()
	kept := min(uint64(max(count, 0)), keptEvents, next)
	lines, _, _ := l.from(nil, next-kept, keptEvents*maxEventText*8)
	return lines
}

// packageEvents tells what differs between two generations of packages.
func packageEvents(before, after *pkgindex.Set, add func(api.Event)) {
	event := func(what string, p *pkgindex.Package) {
		add(api.Event{Event: what, Package: p.Ref.String(), Architecture: p.Architecture, File: p.File})
	}
	old, now := before.Packages, after.Packages
	for len(old) > 0 || len(now) > 0 {
		if len(old) > 0 && len(now) > 0 && old[0] == now[0] {
			old, now = old[1:], now[1:]
			continue
		}
		name := ""
		if len(now) == 0 || len(old) > 0 && old[0].Name < now[0].Name {
			name = old[0].Name
		} else {
			name = now[0].Name
		}
		var was, is []*pkgindex.Package
		was, old = cutName(old, name)
		is, now = cutName(now, name)
		for _, p := range was {
			if !slices.ContainsFunc(is, func(q *pkgindex.Package) bool { return q.ID == p.ID }) {
				event(api.EventPackageGone, p)
			}
		}
		for _, p := range is {
			if !slices.Contains(was, p) {
				event(api.EventPackageLive, p)
			}
		}
	}
	known := make(map[pkgindex.Rejected]bool, len(before.Rejected))
	for _, r := range before.Rejected {
		known[r] = true
	}
	for _, r := range after.Rejected {
		if !known[r] {
			add(api.Event{Event: api.EventPackageRejected, File: r.File, Reason: r.Reason})
		}
	}
}

// cutName cuts off the packages of that name at the beginning of ps.
func cutName(ps []*pkgindex.Package, name string) (of, rest []*pkgindex.Package) {
	i := 0
	for i < len(ps) && ps[i].Name == name {
		i++
	}
	return ps[:i], ps[i:]
}

// packagesChanged is told of each generation of packages, one call at a time.
// What is there when the server starts is no event.
func (fs *FS) packagesChanged(set *pkgindex.Set) {
	generation := fs.generation.Add(1)
	if fs.seen != nil {
		packageEvents(fs.seen, set, fs.events.add)
		fs.events.add(api.Event{Event: api.EventGeneration, Generation: generation})
	}
	fs.seen = set
	select {
	case fs.changed <- struct{}{}:
	default: // followEdits has not begun with an earlier one
	}
}

// packageDamaged is told once of each package file that is found damaged.
func (fs *FS) packageDamaged(d pkgindex.FileDamage) {
	fs.events.add(api.Event{
		Event: api.EventPackageDamaged, Package: d.Ref.String(), Architecture: d.Architecture, File: d.File, Reason: d.Reason,
	})
}

// contextsChanged is told of each change of context files, one call at a time.
func (fs *FS) contextsChanged(snap *files.Snapshot) {
	generation := fs.generation.Add(1)
	for _, c := range snap.Since(fs.seenFiles) {
		e := api.Event{Event: api.EventContextChanged, Context: c.Context, File: c.File, Reason: c.Reason}
		switch {
		case c.Gone:
			e.Event = api.EventContextGone
		case c.Reason != "":
			e.Event = api.EventContextBroken
		}
		fs.events.add(e)
	}
	fs.seenFiles = snap
	fs.events.add(api.Event{Event: api.EventGeneration, Generation: generation})
}

// attachRefused notes an attach that failed.
func (fs *FS) attachRefused(req p9l.AttachRequest, err error) {
	fs.refused.Add(1)
	reason := err.Error()
	if why := reasonOf(err); why != "" && !strings.Contains(reason, why) {
		reason += ": " + why
	}
	by := req.Peer.String()
	switch {
	case req.UID != p9l.NoUID:
		by += " as " + strconv.FormatUint(uint64(req.UID), 10)
	case req.Uname != "":
		by += " as " + req.Uname
	}
	fs.events.addRefused(api.Event{Event: api.EventAttachRefused, Context: req.Aname, By: by, Reason: reason})
}

// An eventReader is the file of the events as one reader has it. It begins with
// those that come after it was opened. Its offsets count the bytes that this
// reader got: a read goes on where the last one ended, or repeats it.
//
// Clients fill their buffers: the Linux client reads on until it gets nothing,
// and only then hands over what it has. Therefore, after it has given out all
// there is, the file answers one read with nothing, as if it ended, and the
// next one waits.
type eventReader struct {
	ctlFile

	mu    sync.Mutex // guards what follows
	open  bool
	next  uint64 // event behind held
	held  []byte // given out last, or not yet
	at    int64  // offset of held
	ended bool   // the end has been answered
}

func newEventReader(m ctlMeta) p9.File {
	return &eventReader{ctlFile: ctlFile{ctlMeta: m, again: newEventReader}}
}

func (f *eventReader) Open(mode p9.OpenFlags) (p9.QID, uint32, error) {
	qid, unit, err := f.ctlFile.Open(mode)
	if err == nil {
		f.mu.Lock()
		defer f.mu.Unlock()
		f.open, f.ended, f.next = true, true, f.fs.events.position()
	}
	return qid, unit, err
}

// read reads what there is. If it returns a channel, nothing is there yet.
func (f *eventReader) read(p []byte, off int64) (n int, more <-chan struct{}, err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	done := off - f.at // bytes of held that the client has
	switch {
	case !f.open:
		return 0, nil, syscall.EBADF
	case done < 0 || done > int64(len(f.held)):
		return 0, nil, syscall.ESPIPE
	case len(p) == 0:
		return 0, nil, nil
	}
	if done == int64(len(f.held)) {
		var fresh []byte
		fresh, f.next, more = f.fs.events.from(nil, f.next, min(len(p), p9l.EventRead))
		if more != nil {
			if f.ended {
				return 0, more, nil
			}
			f.ended = true
			return 0, nil, io.EOF
		}
		f.held, f.at, done = fresh, off, 0
	}
	f.ended = false
	return copy(p, f.held[done:]), nil, nil
}

// ReadNow implements NowReader.
func (f *eventReader) ReadNow(p []byte, off int64) (int, error) {
	n, more, err := f.read(p, off)
	if more != nil {
		return 0, syscall.EAGAIN
	}
	return n, err
}

// ReadContext implements ContextReader.
func (f *eventReader) ReadContext(ctx stdcontext.Context, p []byte, off int64) (int, error) {
	for {
		n, more, err := f.read(p, off)
		if more == nil {
			return n, err
		}
		select {
		case <-more:
		case <-ctx.Done():
			return 0, ctx.Err()
		}
	}
}

// ReadAt reads without waiting; the engine uses ReadContext.
func (f *eventReader) ReadAt(p []byte, off int64) (int, error) {
	n, err := f.ReadNow(p, off)
	if errors.Is(err, syscall.EAGAIN) {
		err = io.EOF
	}
	return n, err
}
