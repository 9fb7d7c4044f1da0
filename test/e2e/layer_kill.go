package e2e

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/packagefs/packagefs/test/harness"
	"golang.org/x/sys/unix"
)

// kills is how often the server is killed, and killers how many write meanwhile.
const (
	kills   = 200
	killers = 3
)

// The server is killed at any moment while clients write. What fsync or a call
// that changes names acknowledged is there when it runs again, nothing is half
// copied, and no package has changed.
func testFUSELayerKill(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	rng := rand.New(rand.NewPCG(seed, 0))
	s := harness.ServerDir(t, harness.Program(t), t.TempDir())
	configs := map[string]string{}
	harness.MakeDeb(t, s.Packages, harness.DebSpec{
		Name: "configs", Scripts: map[string]string{"conffiles": confNames(configs)},
		Fill: func(tree string) { harness.WriteFiles(t, tree, configs) },
	})
	s.StartIndexed(t)
	before := digests(t, s.State)
	at := fuseMount(t, s, layerContext)
	writers := make([]*killWriter, killers)
	for i := range writers {
		writers[i] = &killWriter{dir: filepath.Join(at, fmt.Sprint("w", i)), rng: rand.New(rand.NewPCG(seed, uint64(i+1))), want: map[string]string{}}
		harness.Must(t, os.Mkdir(writers[i].dir, 0o755))
	}
	for round := range kills {
		stop := make(chan struct{})
		var wg sync.WaitGroup
		for _, w := range writers {
			wg.Go(func() { w.run(stop) })
		}
		wg.Go(func() { editConfigs(at, configs, round, stop) })
		time.Sleep(time.Duration(1+rng.IntN(40)) * time.Millisecond)
		s.Kill(t)
		close(stop)
		s.Start(t)
		wg.Wait()
		for i, w := range writers {
			// The kernel may take a name to be missing for a moment that a call
			// made whose answer was lost.
			harness.WaitFor(t, fmt.Sprintf("round %d, writer %d", round, i), w.check)
		}
		for name, was := range configs {
			got, err := os.ReadFile(filepath.Join(at, name))
			if err != nil || string(got) != was && !strings.HasPrefix(string(got), "edited ") {
				t.Fatalf("round %d: %s has %d bytes %.20q, %v: neither the package's %d nor an edit's", round, name, len(got), got, err, len(was))
			}
		}
	}
	if after := digests(t, s.State); fmt.Sprint(after) != fmt.Sprint(before) {
		t.Errorf("what the server has of the packages changed:\n%v\n%v", before, after)
	}
}

// confNames fills all with files of several sizes and lists them as conffiles.
func confNames(all map[string]string) string {
	var list strings.Builder
	for i := range 40 {
		name := fmt.Sprintf("etc/configs/%d.conf", i)
		all[name] = strings.Repeat(fmt.Sprintf("line of %d\n", i), 1+i*i*200)
		fmt.Fprintf(&list, "/%s\n", name)
	}
	return list.String()
}

// editConfigs replaces the content of configuration files by rename, and by
// opening them for writing, which copies them.
func editConfigs(at string, configs map[string]string, round int, stop chan struct{}) {
	for name := range configs {
		select {
		case <-stop:
			return
		default:
		}
		path := filepath.Join(at, name)
		if f, err := os.OpenFile(path, os.O_WRONLY, 0); err == nil { // copied, not changed
			f.Close()
		}
		temp := path + ".new"
		if os.WriteFile(temp, []byte(fmt.Sprint("edited ", round)), 0o644) == nil {
			_ = os.Rename(temp, path)
		}
		_ = os.Remove(path + ".new")
	}
}

// digests are those of all indexes and payloads.
func digests(t *testing.T, state string) map[string]string {
	t.Helper()
	all := map[string]string{}
	for _, dir := range []string{"index", "payload"} {
		err := filepath.WalkDir(filepath.Join(state, dir), func(p string, e fs.DirEntry, err error) error {
			if err != nil || e.IsDir() {
				return err
			}
			b, err := os.ReadFile(p)
			all[p] = fmt.Sprintf("%x", sha256.Sum256(b))
			return err
		})
		harness.Must(t, err)
	}
	return all
}

// A killWriter makes, syncs, renames and removes files of its own directory.
type killWriter struct {
	dir string
	rng *rand.Rand

	want  map[string]string // synced and not touched since, by name
	doubt map[string]bool   // names of which a call did not return well
	next  int
}

// run works until stop is closed or a call fails.
func (w *killWriter) run(stop chan struct{}) {
	w.doubt = map[string]bool{}
	for {
		select {
		case <-stop:
			return
		default:
		}
		if !w.step() {
			return
		}
	}
}

// step does one thing. It says whether that went well.
func (w *killWriter) step() bool {
	switch n := w.rng.IntN(10); {
	case n < 6 || len(w.want) == 0:
		w.next++
		name := fmt.Sprint("f", w.next)
		content := strings.Repeat(name+" ", 1+w.rng.IntN(5000))
		w.doubt[name] = true
		if err := writeSynced(filepath.Join(w.dir, name), content); err != nil {
			return false
		}
		delete(w.doubt, name)
		w.want[name] = content
		return true
	case n < 8:
		old := w.any()
		w.next++
		name := fmt.Sprint("r", w.next)
		w.doubt[old], w.doubt[name] = true, true
		if os.Rename(filepath.Join(w.dir, old), filepath.Join(w.dir, name)) != nil {
			return false
		}
		w.want[name] = w.want[old]
		delete(w.want, old)
		delete(w.doubt, old)
		delete(w.doubt, name)
		return true
	default:
		name := w.any()
		w.doubt[name] = true
		if os.Remove(filepath.Join(w.dir, name)) != nil {
			return false
		}
		delete(w.want, name)
		delete(w.doubt, name)
		return true
	}
}

func (w *killWriter) any() string {
	for name := range w.want {
		return name
	}
	panic("no file")
}

func writeSynced(path, content string) error {
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	_, err = f.WriteString(content)
	return errors.Join(err, f.Sync(), f.Close())
}

// check compares the directory with what must be in it. What is in doubt may be
// there or not, and is forgotten.
func (w *killWriter) check() error {
	for name := range w.doubt {
		delete(w.want, name)
		if err := os.Remove(filepath.Join(w.dir, name)); err != nil && !errors.Is(err, unix.ENOENT) {
			return err
		}
	}
	list, err := os.ReadDir(w.dir)
	if err != nil {
		return err
	}
	if len(list) != len(w.want) {
		return fmt.Errorf("%d names, want %d", len(list), len(w.want))
	}
	for name, content := range w.want {
		if err := harness.Holds(filepath.Join(w.dir, name), content); err != nil {
			return err
		}
	}
	return nil
}
