package server

import (
	stdcontext "context"
	"encoding/json"
	"errors"
	"io"
	"sync"
	"syscall"
	"time"
	"unicode/utf8"

	"github.com/hugelgupf/p9/p9"

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
	return &eventReader{ctlFile: ctlFile{ctlMeta: m, clone: newEventReader}}
}

func (f *eventReader) Open(mode p9.OpenFlags) (p9.QID, uint32, error) {
	qid, unit, err := f.ctlFile.Open(mode)
	if err == nil {
		f.mu.Lock()
		defer f.mu.Unlock()
		f.open, f.ended, f.next = true, true, f.control.events.position()
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
		fresh, f.next, more = f.control.events.from(nil, f.next, min(len(p), p9l.EventRead))
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
