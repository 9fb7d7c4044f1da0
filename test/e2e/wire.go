package e2e

import (
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/packagefs/packagefs/test/harness"
)

// corpus is the package files that most tests use, and the package kinds.
var corpus = harness.Shared[harness.Stock]{Make: func(t testing.TB) harness.Stock {
	files := []string{harness.KindsDeb(t, t.TempDir())}
	for _, d := range harness.FetchCorpus(t).Debs {
		files = append(files, d.File)
	}
	return harness.NewStock(t, "corpus", files...)
}}

// corpusServer serves the corpus until the test ends, on a unix socket and on TCP.
func corpusServer(t *testing.T) *harness.Server {
	t.Helper()
	s := harness.ServerDir(t, harness.Program(t), t.TempDir())
	s.Listen = append(s.Listen, freeTCP(t))
	files, err := corpus.Get(t).Files()
	harness.Must(t, err)
	harness.Must(t, corpus.Get(t).Lend(s, files...))
	s.StartIndexed(t)
	return s
}

// freeTCP is an address where nobody listens now.
func freeTCP(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return "tcp:" + l.Addr().String()
}

// wantTree is the tree that a context of a server must have.
func wantTree(t *testing.T, s *harness.Server, context string) harness.Manifest {
	t.Helper()
	base := context
	named := func(d harness.Deb) bool { return "package:"+d.Name == context }
	if !slices.ContainsFunc(harness.FetchCorpus(t).Debs, named) { // libstdc++6 is one
		base, _, _ = strings.Cut(context, "+")
	}
	want, err := oracle.Tree(viewFiles(t, s, context), viewFiles(t, s, base))
	if err != nil {
		t.Fatal(err)
	}
	return served(t, s, want)
}

// viewFiles are the package files of a view, where the oracle keeps what it extracted.
func viewFiles(t *testing.T, s *harness.Server, context string) []string {
	t.Helper()
	files, err := harness.ViewFiles(s, context)
	if err != nil {
		t.Fatal(err)
	}
	debs := harness.FetchCorpus(t).Dir
	for i, file := range files {
		if cached := filepath.Join(debs, filepath.Base(file)); exists(cached) {
			files[i] = cached
		}
	}
	return files
}

func served(t *testing.T, s *harness.Server, tree harness.Manifest) harness.Manifest {
	t.Helper()
	tree, err := s.Served(tree)
	if err != nil {
		t.Fatal(err)
	}
	return tree
}

func exists(file string) bool {
	_, err := os.Stat(file)
	return err == nil
}

// The tree served as package:NAME is what dpkg-deb makes of NAME's closure,
// for every package of the corpus.
func testWireTrees(t *testing.T) {
	s := corpusServer(t)
	for _, deb := range harness.FetchCorpus(t).Debs {
		t.Run(deb.Name, func(t *testing.T) {
			checkWire(t, s, "package:"+deb.Name, harness.BigMsize)
		})
	}
	for _, context := range []string{"all", "package:hello+python3.11-minimal"} {
		t.Run(context, func(t *testing.T) { checkWire(t, s, context, harness.BigMsize) })
	}
	t.Run("msize 8 KiB", func(t *testing.T) { checkWire(t, s, "package:bash", 8<<10) })
}

func checkWire(t *testing.T, s *harness.Server, context string, msize uint32) {
	t.Helper()
	want := wantTree(t, s, context)
	got, err := harness.WalkWire(s.Listen[0], context, msize)
	if err != nil {
		t.Fatal(err)
	}
	harness.CheckSame(t, context, want, got)
}

// The closure that we choose is the one that apt would install from the same
// package files.
func testClosureIsApts(t *testing.T) {
	s := corpusServer(t)
	repository := t.TempDir()
	for _, set := range harness.CorpusSets {
		for _, name := range set {
			t.Run(name, func(t *testing.T) {
				want, err := harness.AptClosure(repository, harness.FetchCorpus(t), name)
				if err != nil {
					t.Fatal(err)
				}
				files, err := harness.ViewFiles(s, "package:"+name)
				if err != nil {
					t.Fatal(err)
				}
				got := map[string]bool{}
				for _, file := range files {
					deb, err := harness.ReadDeb(file)
					if err != nil {
						t.Fatal(err)
					}
					got[deb.Name] = true
				}
				checkNames(t, want, got)
			})
		}
	}
}

func checkNames(t *testing.T, want, got map[string]bool) {
	t.Helper()
	var missing, extra []string
	for name := range want {
		if !got[name] {
			missing = append(missing, name)
		}
	}
	for name := range got {
		if !want[name] {
			extra = append(extra, name)
		}
	}
	if len(want) == 0 || len(missing)+len(extra) > 0 {
		t.Errorf("of %d: missing %s; too many %s", len(want), strings.Join(missing, " "), strings.Join(extra, " "))
	}
}
