package load

import (
	"errors"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"syscall"
	"testing"
	"time"

	"github.com/hugelgupf/p9/fsimpl/localfs"
	"github.com/hugelgupf/p9/p9"
)

// serve serves a directory with a server that is not ours.
func serve(t *testing.T, dir string) string {
	t.Helper()
	socket := filepath.Join(t.TempDir(), "9p.sock")
	l, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() { _ = p9.NewServer(localfs.Attacher(dir)).Serve(l) }()
	return socket
}

func makeTree(t *testing.T) (string, *Tree) {
	t.Helper()
	dir := t.TempDir()
	tree := &Tree{Size: 5000, Dirs: []string{"a"}, Names: 10, Big: "big", Bytes: 1 << 20}
	if err := os.Mkdir(filepath.Join(dir, "a"), 0o755); err != nil {
		t.Fatal(err)
	}
	for i := range tree.Names {
		tree.Files = append(tree.Files, "a/"+strconv.Itoa(i))
		if err := os.WriteFile(filepath.Join(dir, tree.Files[i]), make([]byte, tree.Size), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(filepath.Join(dir, tree.Big), make([]byte, tree.Bytes), 0o644); err != nil {
		t.Fatal(err)
	}
	return dir, tree
}

func TestWorkloads(t *testing.T) {
	dir, tree := makeTree(t)
	c, err := Dial("unix", serve(t, dir), "", 64<<10)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	for _, w := range Workloads() {
		for _, inFlight := range []int{1, 16} {
			r, err := w.Run(c, tree, inFlight, 10*time.Millisecond)
			if err != nil {
				t.Fatal(err)
			}
			if r.Operations < inFlight || r.Rate() <= 0 {
				t.Errorf("%s, %d in flight: %+v", w.Name, inFlight, r)
			}
		}
	}
}

// A server that answers wrong must not pass.
func TestWrongAnswers(t *testing.T) {
	dir, tree := makeTree(t)
	socket := serve(t, dir)
	wrong := map[string]Tree{
		"stat":                    {Files: tree.Files, Size: 1},
		"open, read 4 KiB, close": {Files: tree.Files, Size: 100},
		"readdir":                 {Dirs: tree.Dirs, Names: 11},
		"big reads":               {Big: "big", Bytes: 2 << 20},
		"random 4 KiB reads":      {Big: "none", Bytes: 2 << 20},
	}
	for _, w := range Workloads() {
		against, ok := wrong[w.Name]
		if !ok {
			continue // TestWrongMiss
		}
		c, err := Dial("unix", socket, "", 64<<10)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		if _, err := w.Run(c, &against, 4, 200*time.Millisecond); err == nil {
			t.Errorf("%s: a wrong answer passed", w.Name)
		}
	}
}

// A missed lookup that finds something, or fails for another reason, must not
// pass.
func TestWrongMiss(t *testing.T) {
	m := &miss{}
	for _, answered := range []error{nil, syscall.EIO} {
		if _, _, err := m.check(0, nil, answered); err == nil {
			t.Errorf("%v passed", answered)
		}
	}
	if _, _, err := m.check(0, nil, syscall.ENOENT); err != nil {
		t.Error(err)
	}
}

func TestRunCount(t *testing.T) {
	dir, tree := makeTree(t)
	c, err := Dial("unix", serve(t, dir), "", 64<<10)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	for _, inFlight := range []int{1, 16} {
		r, err := Workloads()[0].RunCount(c, tree, inFlight, 100)
		if err != nil || r.Operations != 100 {
			t.Errorf("%d in flight: %d operations, %v, want 100", inFlight, r.Operations, err)
		}
	}
}

func TestDialErrors(t *testing.T) {
	dir, _ := makeTree(t)
	if _, err := Dial("unix", serve(t, dir), "no/such/name", 64<<10); !errors.Is(err, syscall.ENOENT) {
		t.Errorf("attach to a name that does not exist: %v", err)
	}
	if _, err := Dial("unix", filepath.Join(t.TempDir(), "none"), "", 64<<10); err == nil {
		t.Error("dialled a socket that is not there")
	}
}
