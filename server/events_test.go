package server

import (
	stdcontext "context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/hugelgupf/p9/linux"
	"github.com/hugelgupf/p9/p9"

	"github.com/packagefs/packagefs/pkgindex/format/mkpkg"
	"github.com/packagefs/packagefs/server/api"
	"github.com/packagefs/packagefs/server/p9l"
	"github.com/packagefs/packagefs/server/p9l/p9ltest"
	"github.com/packagefs/packagefs/server/p9l/wire"
)

// readEvents opens the events as somebody. The file is closed with the test.
func (p *fixture) readEvents(who string) *listener {
	p.Helper()
	f, err := walk(p.attach(who, "ctl"), "events")
	if err == nil {
		_, _, err = f.Open(p9.ReadOnly)
	}
	if err != nil {
		p.Fatal(err)
	}
	p.Cleanup(func() { f.Close() })
	return &listener{fixture: p, f: f.(*eventReader)}
}

// A listener reads events as a client does that fills its buffers.
type listener struct {
	*fixture
	f    *eventReader
	off  int64
	text string // read and not yet taken
}

// fill reads until the file answers with nothing, as the Linux client does.
func (l *listener) fill(ctx stdcontext.Context) error {
	for b := make([]byte, 100); ; {
		n, err := l.f.ReadContext(ctx, b, l.off)
		l.text += string(b[:n])
		l.off += int64(n)
		if n == 0 {
			return err
		}
	}
}

// next returns the next event that is none of a generation, waiting for it.
func (l *listener) next() api.Event {
	l.Helper()
	ctx, cancel := stdcontext.WithTimeout(stdcontext.Background(), p9ltest.Patience)
	defer cancel()
	for {
		line, rest, whole := strings.Cut(l.text, "\n")
		if !whole {
			if err := l.fill(ctx); ctx.Err() != nil {
				l.Fatalf("no event comes: %v", err)
			}
			continue
		}
		l.text = rest
		var e api.Event
		if err := json.Unmarshal([]byte(line), &e); err != nil {
			l.Fatalf("%s: %v", line, err)
		}
		if e.Event != api.EventGeneration {
			return e
		}
	}
}

// expect skips events until one is as wanted, in the fields that are set there.
func (l *listener) expect(want api.Event) api.Event {
	l.Helper()
	for {
		e := l.next()
		same := e.Event == want.Event
		for _, pair := range [][2]string{{e.Package, want.Package}, {e.File, want.File}, {e.Context, want.Context}, {e.Command, want.Command}, {e.By, want.By}} {
			same = same && (pair[1] == "" || pair[0] == pair[1])
		}
		if same && strings.Contains(e.Reason, want.Reason) {
			return e
		}
	}
}

// TestEventStream tells what happens as it happens.
func TestEventStream(t *testing.T) {
	p := newFixture(t, map[string]string{"user:alice": ""})
	l := p.readEvents("root")
	p.install(mkpkg.Spec{Name: "new", Version: "1"})
	if e := l.expect(api.Event{Event: api.EventPackageLive}); e.Package != "new=1" || e.File != "new_1.deb" || e.Architecture != "all" || e.Number == 0 || e.Time.IsZero() {
		t.Errorf("got %+v", e)
	}
	p.install(mkpkg.Spec{Name: "new", Version: "1", Files: []mkpkg.File{{Path: "x", Body: "made anew"}}})
	l.expect(api.Event{Event: api.EventPackageLive, Package: "new=1"})
	if err := os.Remove(filepath.Join(p.packages, "new_1.deb")); err != nil {
		t.Fatal(err)
	}
	if e := l.next(); e.Event != api.EventPackageGone || e.Package != "new=1" {
		t.Errorf("got %+v", e)
	}
	p.drop("junk", "junk")
	l.expect(api.Event{Event: api.EventPackageRejected, File: "junk", Reason: "package"})
	p.context("user:alice", `toplevel = ["app"]`)
	l.expect(api.Event{Event: api.EventContextChanged, Context: "user:alice", File: "user:alice.toml"})
	p.context("user:alice", `toplevel = 1`)
	l.expect(api.Event{Event: api.EventContextBroken, Context: "user:alice", File: "user:alice.toml", Reason: "toplevel"})
	if err := os.Remove(filepath.Join(p.state, "contexts", "user:alice.toml")); err != nil {
		t.Fatal(err)
	}
	l.expect(api.Event{Event: api.EventContextGone, Context: "user:alice"})
	if got := p.attachText(asking("bob", "user:alice")); got != "EACCES" {
		t.Error(got)
	}
	l.expect(api.Event{Event: api.EventAttachRefused, Context: "user:alice", Reason: "another user"})
	p.order("root", "toplevel add user:bob app\n")
	l.expect(api.Event{Event: api.EventContextChanged, Context: "user:bob"})
	l.expect(api.Event{Event: api.EventCommand, Command: "toplevel add user:bob app", By: "root"})
	before := p.changes.generation.Load()
	p.order("root", "deny add user:bob app\n")
	for {
		var e api.Event
		if lines, _, more := p.control.events.from(nil, p.control.events.position()-1, 1); more != nil || json.Unmarshal(lines, &e) != nil {
			t.Fatalf("%s", lines)
		}
		if e.Event == api.EventCommand {
			break
		}
	}
	if after := p.changes.generation.Load(); after != before+1 {
		t.Errorf("one change makes generation %d of %d", after, before)
	}
	if got, _ := p.order("root", "events 1\n"); strings.Count(got, "\n") != 1 || !strings.Contains(got, `"command":"deny add user:bob app"`) {
		t.Errorf("the last event: %s", got)
	}
	if got, errno := p.order("root", "events x\n"); errno != "EINVAL" {
		t.Error(got)
	}
}

// TestEventReaders has two readers, of which each gets all that comes after it
// was opened, and one that is too slow.
func TestEventReaders(t *testing.T) {
	p := newFixture(t, nil)
	slow, first := p.readEvents("root"), p.readEvents("root")
	say := func(text string) { p.control.events.add(api.Event{Event: api.EventCommand, Command: text}) }
	say("one")
	second := p.readEvents("root")
	say("two")
	for _, l := range []*listener{first, second} {
		if l == first {
			l.expect(api.Event{Event: api.EventCommand, Command: "one"})
		}
		if e := l.next(); e.Command != "two" {
			t.Errorf("got %+v", e)
		}
	}
	for i := range keptEvents {
		say(fmt.Sprint(i))
	}
	if e := slow.next(); e.Event != api.EventMissed || e.Missed != 2 {
		t.Errorf("the slow reader: %+v", e)
	}
	for i := range keptEvents {
		if e := slow.next(); e.Command != fmt.Sprint(i) {
			t.Fatalf("event %d of the slow reader: %+v", i, e)
		}
	}
	if len(p.control.events.kept) != keptEvents {
		t.Errorf("%d events are kept", len(p.control.events.kept))
	}
}

// TestEventOffsets reads as the engine does, at offsets and without waiting.
func TestEventOffsets(t *testing.T) {
	p := newFixture(t, nil)
	f := p.readEvents("root").f
	b := make([]byte, 30)
	if _, err := f.ReadNow(b, 0); !errors.Is(err, syscall.EAGAIN) {
		t.Errorf("nothing there: %v", err)
	}
	if n, err := f.ReadAt(b, 0); n != 0 || err == nil {
		t.Errorf("nothing there: %d, %v", n, err)
	}
	p.control.events.add(api.Event{Event: api.EventCommand, Command: "one"})
	n, err := f.ReadNow(b, 0)
	if err != nil || n != 30 || !strings.HasPrefix(string(b), `{"number":`) {
		t.Errorf("got %q, %v", b[:n], err)
	}
	again := make([]byte, 10)
	if n, err := f.ReadNow(again, 0); err != nil || string(again[:n]) != string(b[:10]) {
		t.Errorf("the same again: %q, %v", again[:n], err)
	}
	if n, err := f.ReadNow(again, 20); err != nil || string(again[:n]) != string(b[20:30]) {
		t.Errorf("a part of it again: %q, %v", again[:n], err)
	}
	rest := make([]byte, 1000)
	n, err = f.ReadNow(rest, 30)
	if err != nil || !strings.HasSuffix(string(rest[:n]), "}\n") {
		t.Errorf("the rest: %q, %v", rest[:n], err)
	}
	end := int64(30 + n)
	if n, err := f.ReadNow(rest, end); n != 0 || err == nil || errors.Is(err, syscall.EAGAIN) {
		t.Errorf("the first read at the end: %d, %v", n, err)
	}
	if n, err := f.ReadNow(rest, end); !errors.Is(err, syscall.EAGAIN) {
		t.Errorf("the second read at the end: %d, %v", n, err)
	}
	for _, off := range []int64{-1, end + 1} {
		if _, err := f.ReadNow(rest, off); errnoOf(err) != linux.ESPIPE {
			t.Errorf("offset %d: %v", off, err)
		}
	}
	p.control.events.add(api.Event{Event: api.EventCommand, Command: "two"})
	if n, err := f.ReadNow(rest, end); err != nil || !strings.Contains(string(rest[:n]), `"two"`) {
		t.Errorf("the next event: %q, %v", rest[:n], err)
	}
	if _, err := f.ReadNow(rest, 0); errnoOf(err) != linux.ESPIPE {
		t.Errorf("what is long gone: %v", err)
	}
	ctx, cancel := stdcontext.WithCancel(stdcontext.Background())
	cancel()
	end += int64(n)
	if _, err := (&eventReader{}).ReadContext(ctx, b, 0); errnoOf(err) != linux.EBADF {
		t.Errorf("not open: %v", err)
	}
	l := p.readEvents("root")
	if _, err := l.f.ReadContext(ctx, b, 0); !errors.Is(err, stdcontext.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
}

// TestRefusalsAreFew has somebody try attaches all the time.
func TestRefusalsAreFew(t *testing.T) {
	now := time.Unix(1000, 0)
	l := eventLog{now: func() time.Time { return now }}
	for range 5000 {
		l.addRefused(api.Event{Event: api.EventAttachRefused})
	}
	if l.next != refusals {
		t.Errorf("%d events of a second", l.next)
	}
	now = now.Add(time.Second)
	l.addRefused(api.Event{Event: api.EventAttachRefused})
	if last := string(l.recent(1)); !strings.Contains(last, fmt.Sprintf(`"missed":%d`, 5000-refusals)) {
		t.Errorf("got %s", last)
	}
	l.add(api.Event{Event: api.EventCommand, Command: strings.Repeat("ü", 2000)})
	if last := l.recent(1); len(last) > 2*maxEventText || !strings.Contains(string(last), "…") {
		t.Errorf("%d bytes: %.50s", len(last), last)
	}
	if all := l.recent(9999); strings.Count(string(all), "\n") != refusals+2 {
		t.Errorf("all: %s", all)
	}
}

// TestEventsOverTheWire waits, is flushed, and ends with the connection.
func TestEventsOverTheWire(t *testing.T) {
	p := newFixture(t, nil)
	c := p9ltest.Serve(t, &p9l.Server{Attacher: attachAs{p.FS, asking("root", "ctl")}, Log: p9ltest.Log(t)})()
	c.Start(0)
	c.Must(wire.Twalk, 1, p9ltest.Body(uint32(0), uint32(1), []string{"events"}))
	c.Must(wire.Tlopen, 1, p9ltest.Body(uint32(1), uint32(0)))
	c.Send(wire.Tread, 2, p9ltest.Body(uint32(1), uint64(0), uint32(8192)))
	c.Must(wire.Tgetattr, 3, p9ltest.Body(uint32(1), uint64(wire.BasicMask))) // the connection goes on
	p.control.events.add(api.Event{Event: api.EventCommand, Command: "hello"})
	if r := c.Recv(); r[4] != wire.Tread+1 || binary.LittleEndian.Uint16(r[5:]) != 2 || !strings.Contains(string(r), `"hello"`) {
		t.Errorf("got %s", wire.Text(r))
	}
}
