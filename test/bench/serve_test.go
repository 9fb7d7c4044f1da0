package bench

import (
	"fmt"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/packagefs/packagefs/test/harness"
	"github.com/packagefs/packagefs/test/load"
)

const (
	benchRounds = 5
	benchTime   = time.Second // of one workload in one round
	benchMsize  = 64 << 10    // the most that diod offers
)

// BenchmarkServe asks packagefs and diod for the same files.
func BenchmarkServe(b *testing.B) {
	for b.Loop() {
		benchServe(b)
	}
}

func benchServe(b *testing.B) {
	dir := b.TempDir()
	tree := &load.Tree{Size: 4096, Names: 100, Big: "usr/share/load/big", Bytes: 64 << 20}
	deb := loadDeb(b, dir, tree)
	servers := []struct {
		name string
		conn *load.Conn
	}{{"diod", dialDiod(b, deb)}, {"packagefs", dialPackagefs(b, deb)}}
	fmt.Printf("\n| workload | in flight | diod | packagefs | ratio |\n|---|---:|---:|---:|---:|\n")
	for _, inFlight := range []int{1, 16} {
		for _, w := range load.Workloads() {
			rates := make([][]float64, len(servers))
			var ratios []float64
			for round := range benchRounds + 1 {
				for i, s := range servers {
					r, err := w.Run(s.conn, tree, inFlight, benchTime)
					if err != nil {
						b.Fatalf("%s: %v", s.name, err)
					}
					if round > 0 { // the first fills caches
						rates[i] = append(rates[i], r.Rate())
					}
				}
				if round > 0 {
					ratios = append(ratios, rates[1][round-1]/rates[0][round-1])
				}
			}
			fmt.Printf("| %s | %d | %s | %s | %.1f |\n", w.Name, inFlight,
				thousands(harness.Median(rates[0])), thousands(harness.Median(rates[1])), harness.Median(ratios))
		}
	}
	fmt.Printf("\nOperations a second, medians of %d rounds; big reads have %d bytes at most.\n", benchRounds, benchMsize)
}

// loadDeb makes a package of 2,000 files of 4 KiB and a big one, and fills in
// what the workloads ask for.
func loadDeb(b *testing.B, dir string, tree *load.Tree) string {
	return harness.MakeDeb(b, dir, harness.DebSpec{Name: "load", Fill: func(at string) {
		files := map[string]string{tree.Big: strings.Repeat("0123456789abcde\n", int(tree.Bytes/16))}
		for d := range 20 {
			sub := fmt.Sprintf("usr/share/load/%02d", d)
			tree.Dirs = append(tree.Dirs, sub)
			for f := range tree.Names {
				name := fmt.Sprintf("%s/file-%03d", sub, f)
				tree.Files = append(tree.Files, name)
				files[name] = strings.Repeat(fmt.Sprintf("%15d\n", d*1000+f), tree.Size/16)
			}
		}
		harness.WriteFiles(b, at, files)
	}})
}

// dialDiod extracts the package and has diod serve the directory.
func dialDiod(b *testing.B, deb string) *load.Conn {
	b.Helper()
	dir := b.TempDir()
	if _, err := harness.Command("dpkg-deb", "-x", deb, dir); err != nil {
		b.Fatal(err)
	}
	socket := filepath.Join(b.TempDir(), "diod.sock")
	cmd := exec.Command("diod", "-f", "-n", "-N", "-U", "root", "-l", socket, "-e", dir)
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := cmd.Start(); err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	return dialLoad(b, socket, dir)
}

func dialPackagefs(b *testing.B, deb string) *load.Conn {
	b.Helper()
	s := benchServer(b, deb)
	return dialLoad(b, s.Socket(), "package:load")
}

// benchServer serves package files until the benchmark ends.
func benchServer(b *testing.B, files ...string) *harness.Server {
	b.Helper()
	bin := harness.Program(b)
	s := harness.ServerDir(b, bin, b.TempDir())
	if err := harness.CopyFiles(s.Packages, files...); err != nil {
		b.Fatal(err)
	}
	s.StartIndexed(b)
	return s
}

func dialLoad(b *testing.B, socket, aname string) *load.Conn {
	b.Helper()
	if err := harness.WaitDial("unix:" + socket); err != nil {
		b.Fatal(err)
	}
	c, err := load.Dial("unix", socket, aname, benchMsize)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { c.Close() })
	return c
}

// thousands writes a rate for people: 12,345.
func thousands(v float64) string {
	s := fmt.Sprintf("%.0f", v)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}
