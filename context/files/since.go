package files

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

func since(out []Changed, old, now map[string]*Entry) []Changed {
	keys := slices.Collect(maps.Keys(now))
	for key := range old {
		if now[key] == nil {
			keys = append(keys, key)
		}
	}
	slices.Sort(keys)
	for _, key := range keys {
		was, is := old[key], now[key]
		if was == is || was != nil && is != nil && was.Serial == is.Serial && fmt.Sprint(was.Err) == fmt.Sprint(is.Err) {
			continue
		}
		c := Changed{Context: strings.TrimSuffix(key, Suffix)}
		if is == nil {
			c.File, c.Gone = was.Base, true
		} else if c.File = is.Base; is.Err != nil {
			c.Reason = is.Err.Error()
		}
		out = append(out, c)
	}
	return out
}
