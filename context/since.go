package context

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// A Changed is a context file that is not the same in two Snapshots.
type Changed struct {
	Context string // as in Listed
	File    string // base name
	Reason  string // what is wrong with the file now; empty for nothing
	Gone    bool   // it was removed
}

// Since lists the files that changed since an earlier Snapshot, contexts first,
// each by name.
func (n *Snapshot) Since(old *Snapshot) []Changed {
	out := since(nil, old.files, n.files)
	return since(out, old.stray, n.stray)
}

func since(out []Changed, old, now map[string]*entry) []Changed {
	keys := slices.Collect(maps.Keys(now))
	for key := range old {
		if now[key] == nil {
			keys = append(keys, key)
		}
	}
	slices.Sort(keys)
	for _, key := range keys {
		was, is := old[key], now[key]
		if was == is || was != nil && is != nil && was.serial == is.serial && fmt.Sprint(was.err) == fmt.Sprint(is.err) {
			continue
		}
		c := Changed{Context: strings.TrimSuffix(key, fileSuffix)}
		if is == nil {
			c.File, c.Gone = was.base, true
		} else if c.File = is.base; is.err != nil {
			c.Reason = is.err.Error()
		}
		out = append(out, c)
	}
	return out
}

// Len is how many context files there are, broken ones among them.
func (n *Snapshot) Len() int { return len(n.files) + len(n.stray) }

// Reload reads all context files again, as is otherwise done when the system
// says that one has changed: on some network file systems it does not. When it
// returns the Snapshot has what they say.
func (s *Store) Reload() error {
	if s == nil || s.dir == "" {
		return nil
	}
	if _, err := s.rescan(); err != nil {
		return fmt.Errorf("contexts directory: %w", err)
	}
	return nil
}
