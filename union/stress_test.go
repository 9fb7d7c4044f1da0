package union

import (
	"fmt"
	"math/rand"
	"sync"
	"testing"

	"github.com/hugelgupf/p9/p9"
	"golang.org/x/sys/unix"
)

// TestStress has many change one layer at once, while others look. What is there
// at the end is what a server that starts anew finds, and no node is left over.
func TestStress(t *testing.T) {
	l := newLayered(t, app)
	var wg sync.WaitGroup
	for g := range 6 {
		wg.Go(func() {
			rng := rand.New(rand.NewSource(int64(g)))
			root := attach(t, l.stacker)
			defer root.Close()
			for range 300 {
				stressStep(root, rng)
			}
		})
	}
	wg.Wait()
	before := paths(t, l.root, "")
	l.root.Close()
	l.layer.nodes.Lock()
	for name, k := range l.layer.top.kids {
		if k.up.Load() == nil {
			t.Errorf("the node of %s is left, with %d references", name, k.refs)
		}
	}
	l.layer.nodes.Unlock()
	l.reopen()
	if after := paths(t, l.root, ""); fmt.Sprint(after) != fmt.Sprint(before) {
		t.Errorf("a new server finds\n%v\nwant\n%v", after, before)
	}
}

// stressStep does one thing; that it fails since others were faster is fine.
func stressStep(root p9.File, rng *rand.Rand) {
	name := func() string { return string(rune('a' + rng.Intn(4))) }
	dir := root
	if _, f, err := root.Walk([]string{"etc", name()}); err == nil {
		dir = f
	} else if _, f, err := root.Walk([]string{"etc"}); err == nil {
		dir = f
	}
	defer dir.Close()
	switch rng.Intn(8) {
	case 0:
		dir.Mkdir(name(), 0o755, p9.NoUID, p9.NoGID)
	case 1, 2:
		if _, c, err := dir.Walk(nil); err == nil {
			if f, _, _, err := c.Create(name()+".f", p9.ReadWrite, 0o644, p9.NoUID, p9.NoGID); err == nil {
				f.WriteAt([]byte("content"), int64(rng.Intn(100)))
				f.Close()
			}
			c.Close()
		}
	case 3:
		if _, to, err := root.Walk([]string{"etc", name()}); err == nil {
			dir.RenameAt(name(), to, name())
			dir.RenameAt(name()+".f", to, name()+".f")
			to.Close()
		}
	case 4:
		dir.UnlinkAt(name()+".f", 0)
	case 5:
		dir.UnlinkAt(name(), unix.AT_REMOVEDIR)
	case 6:
		if _, d, err := dir.Walk(nil); err == nil {
			if _, _, err := d.Open(p9.ReadOnly); err == nil {
				d.Readdir(0, 100)
			}
			d.Close()
		}
	default:
		if _, f, err := root.Walk([]string{"etc", "app", "app.conf"}); err == nil {
			if _, _, err := f.Open(p9.WriteOnly); err == nil {
				f.WriteAt([]byte("x"), 0)
			}
			f.Close()
		}
	}
}

// paths lists all below a directory.
func paths(t *testing.T, f p9.File, at string) (all []string) {
	t.Helper()
	for _, e := range list(t, f) {
		all = append(all, fmt.Sprint(at, "/", e.Name, " ", e.Type))
		if e.Type == p9.TypeDir {
			d := walk(t, f, e.Name)
			all = append(all, paths(t, d, at+"/"+e.Name)...)
			d.Close()
		}
	}
	return all
}
