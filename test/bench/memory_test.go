package bench

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/packagefs/packagefs/test/harness"
	"github.com/packagefs/packagefs/test/load"
)

const (
	indexPackages = 20
	indexFiles    = 50_000 // of each package
	growthWalks   = 10_000_000
)

// BenchmarkMemory measures a server with a million files in its index: at rest
// after a start, when nothing was looked at, and through ten million walks to
// a million names, of one connection.
func BenchmarkMemory(b *testing.B) {
	for b.Loop() {
		benchMemory(b)
	}
}

func benchMemory(b *testing.B) {
	empty := resident(b, benchServer(b))
	bin := harness.Program(b)
	s := harness.ServerDir(b, bin, b.TempDir())
	tree := manyPackages(b, s.Packages)
	s.StartIndexed(b) // makes the indexes
	if err := s.Stop(); err != nil {
		b.Fatal(err)
	}
	s.StartIndexed(b)
	files := len(tree.Files)
	rest := resident(b, s)
	fmt.Printf("\n| server | resident |\n|---|---:|\n| without packages | %s KiB |\n", thousands(float64(empty>>10)))
	fmt.Printf("| %s files in the index, none looked at | %s KiB: %.1f bytes a file |\n",
		thousands(float64(files)), thousands(float64(rest>>10)), float64(rest-empty)/float64(files))

	c := dialLoad(b, s.Socket(), "all")
	stat, miss := load.Workloads()[0], load.Workloads()[1]
	const steps = 5
	for step := range steps {
		for _, w := range []load.Workload{stat, miss} {
			if _, err := w.RunCount(c, tree, 16, growthWalks/steps/2); err != nil {
				b.Fatal(err)
			}
		}
		fmt.Printf("| after %s walks | %s KiB |\n", thousands(float64(growthWalks/steps*(step+1))), thousands(float64(resident(b, s)>>10)))
	}
	fmt.Printf("\nHalf of the walks are to %s files, half to %s names that do not exist.\n",
		thousands(float64(files)), thousands(load.MissingNames))
}

func resident(b *testing.B, s *harness.Server) int {
	b.Helper()
	n, err := harness.ProcessStatus(s.PID(), "VmRSS")
	if err != nil {
		b.Fatal(err)
	}
	return n
}

// manyPackages drops packages with a million small files.
func manyPackages(b *testing.B, dir string) *load.Tree {
	b.Helper()
	tree := &load.Tree{Size: 1}
	for p := range indexPackages {
		name := fmt.Sprintf("many-%02d", p)
		members := make([]harness.TarFile, 0, indexFiles)
		for f := range indexFiles {
			file := fmt.Sprintf("usr/share/%s/%03d/file-%05d", name, f/200, f)
			tree.Files = append(tree.Files, file)
			members = append(members, harness.TarFile{Name: "./" + file, Body: "x"})
		}
		data := harness.RawDeb(b, name, harness.TarOf(b, members...), "data.tar", "")
		if err := os.WriteFile(filepath.Join(dir, name+".deb"), data, 0o644); err != nil {
			b.Fatal(err)
		}
	}
	return tree
}
