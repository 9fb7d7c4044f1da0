package p9l

import (
	"strings"
	"sync"
	"time"

	"github.com/rs/zerolog"
)

// How many lines of the log peers may cause in a second, and how long a text in one may
// be that comes from them.
const (
	noiseOfPeer = 10
	noiseOfAll  = 100
	noiseText   = 300
)

// noise limits what peers can write into the log.
type noise struct {
	mu      sync.Mutex // guards what follows
	second  time.Time
	lines   map[string]int // of this second, by peer
	sum     int            // of lines
	leftOut uint64         // since the last line that was written
}

// may says whether a peer may cause a line now, and how many were left out before it.
func (n *noise) may(peer string, now time.Time) (leftOut uint64, ok bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if second := now.Truncate(time.Second); !second.Equal(n.second) {
		n.second, n.lines, n.sum = second, map[string]int{}, 0
	}
	if n.sum >= noiseOfAll || n.lines[peer] >= noiseOfPeer {
		n.leftOut++
		return 0, false
	}
	n.lines[peer]++
	n.sum++
	leftOut, n.leftOut = n.leftOut, 0
	return leftOut, true
}

// complain begins a line about what the peer does, or is nil if there are too many.
func (c *conn) complain(level zerolog.Level) *zerolog.Event {
	if c.log.GetLevel() > level {
		return nil
	}
	leftOut, ok := c.srv.noise.may(c.peer.key(), time.Now())
	if !ok {
		return nil
	}
	e := c.log.WithLevel(level)
	if leftOut > 0 {
		e.Uint64("left out before", leftOut)
	}
	return e
}

// Brief is a text of a peer as logs and events have it: not too long.
func Brief(text string) string {
	if len(text) <= noiseText {
		return text
	}
	return strings.ToValidUTF8(text[:noiseText], "") + "…"
}
