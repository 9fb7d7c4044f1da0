package p9l

import (
	"bytes"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/hugelgupf/p9/linux"
	"github.com/hugelgupf/p9/p9"
	"github.com/rs/zerolog"

	"github.com/packagefs/packagefs/server/p9l/p9ltest"
	"github.com/packagefs/packagefs/server/p9l/wire"
)

type refuser struct{}

func (refuser) Attach(r AttachRequest) (p9.File, error) {
	return nil, fmt.Errorf("context %q: %w", r.Aname, linux.EACCES)
}

// A logBuffer is a log that can be looked at while it is written.
type logBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *logBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *logBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// TestLongNames: as mallory, attach to names as long as a message, and say other long
// things: the log has the beginning of them.
func TestLongNames(t *testing.T) {
	var log logBuffer
	c := p9ltest.Serve(t, &Server{Attacher: refuser{}, Log: zerolog.New(&log).Level(zerolog.InfoLevel)})()
	c.Must(wire.Tversion, wire.NoTag, p9ltest.Body(uint32(1<<20), wire.Dialect))
	long := strings.Repeat("ä", 7000)
	c.Fails(linux.EACCES, wire.Tattach, p9ltest.Body(uint32(0), wire.NoFid, long, long, uint32(0)))
	if n := len(log.String()); n == 0 || n > 2000 {
		t.Errorf("the log has %d bytes", n)
	}
	c.Send(wire.Tattach, 5, p9ltest.Body(uint32(0), wire.NoFid, long, long)) // a part is missing
	p9ltest.Eventually(t, "the end of the connection is in the log", func() bool { return strings.Count(log.String(), "\n") == 2 })
	if n := len(log.String()); n > 4000 || strings.Contains(log.String(), "\ufffd") {
		t.Errorf("the log has %d bytes: %s", n, log.String())
	}
}

// TestNoise: as mallory, be refused all day long: the log has ten lines a second of one
// peer, a hundred of all, and the count of those that are missing.
func TestNoise(t *testing.T) {
	var n noise
	now := time.Unix(1_700_000_000, 0)
	lines := func(peer string, tries int) (written int, leftOut uint64) {
		for range tries {
			if out, ok := n.may(peer, now); ok {
				written++
				leftOut += out
			}
		}
		return written, leftOut
	}
	if w, out := lines("mallory", 1000); w != noiseOfPeer || out != 0 {
		t.Errorf("mallory writes %d lines, %d left out before", w, out)
	}
	if w, out := lines("bob", 1); w != 1 || out != 1000-noiseOfPeer {
		t.Errorf("bob writes %d lines, %d left out before", w, out)
	}
	sum := noiseOfPeer + 1
	for peer := range 20 {
		w, _ := lines(fmt.Sprint(peer), 20)
		sum += w
	}
	if sum != noiseOfAll {
		t.Errorf("all write %d lines", sum)
	}
	now = now.Add(time.Second)
	if w, _ := lines("mallory", 1000); w != noiseOfPeer {
		t.Errorf("a second later mallory writes %d lines", w)
	}
	if len(n.lines) != 1 {
		t.Errorf("%d peers are remembered", len(n.lines))
	}
}
