package files

import (
	"errors"
	"maps"
	"os"
	"slices"
	"time"

	"github.com/packagefs/packagefs/pkgindex/dirwatch"
)

const (
	// gathering is how long changes are gathered, so that a file that an editor
	// removes and writes anew is never seen missing.
	gathering = 30 * time.Millisecond

	// retry is how often a contexts directory that went away is looked for.
	retry = time.Second
)

// follow reads what changes until Close. It is the Store's one goroutine, beside
// the one that waits for events on its behalf.
func (s *Store) follow() {
	batches := make(chan []dirwatch.Event)
	s.wg.Go(func() { s.wait(batches) })
	dirty := make(map[string]bool)
	var rescan, lost bool
	var timer <-chan time.Time
	for {
		select {
		case <-s.done:
			return
		case events := <-batches:
			for _, e := range events {
				switch e.Op {
				case dirwatch.Complete, dirwatch.Gone:
					dirty[e.Name] = true
				case dirwatch.Begun:
					delete(dirty, e.Name) // until it is complete
				case dirwatch.Rescan:
					rescan = true
				case dirwatch.Lost:
					s.log.Warn().Str("dir", s.dir).Msg("contexts directory is gone; its last meaning stays until it is back")
					rescan, lost = true, true
				}
			}
			if timer == nil && (len(dirty) > 0 || rescan) {
				timer = time.After(gathering)
			}
		case <-timer:
			timer = nil
			if lost && !s.regain() {
				timer = time.After(retry)
				continue
			}
			lost = false
			s.apply(slices.Sorted(maps.Keys(dirty)), rescan)
			clear(dirty)
			rescan = false
		}
	}
}

func (s *Store) apply(names []string, rescan bool) {
	if !rescan {
		s.files.Lock()
		defer s.files.Unlock()
		s.update(names)
		return
	}
	if _, err := s.rescan(); err != nil {
		s.log.Error().Err(err).Msg("contexts directory cannot be read")
	}
}

// regain watches the directory again after it was removed or renamed away, if it
// is back. Until then what its files said stays. It is not made here: whoever
// moved it away may be about to move another one in.
func (s *Store) regain() bool {
	switch err := s.watcher.Add(s.dir); {
	case err == nil:
		s.log.Warn().Str("dir", s.dir).Msg("contexts directory was replaced; reading it anew")
		return true
	case !errors.Is(err, os.ErrNotExist):
		s.log.Error().Err(err).Msg("contexts directory cannot be followed; its last meaning stays")
	}
	return false
}

// wait hands on events until Close.
func (s *Store) wait(batches chan<- []dirwatch.Event) {
	for {
		events, err := s.watcher.Next()
		if errors.Is(err, os.ErrClosed) {
			return
		}
		if err != nil {
			s.log.Error().Err(err).Msg("contexts directory is not followed any more; restart to see changes")
			return
		}
		select {
		case batches <- events:
		case <-s.done:
			return
		}
	}
}
