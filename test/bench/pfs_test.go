package bench

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/packagefs/packagefs/pkgindex/pfs"
	"github.com/packagefs/packagefs/test/harness"
	"github.com/packagefs/packagefs/test/load"
)

// pfsTurns is how often each figure of native packages is measured.
const pfsTurns = 7

// BenchmarkPfsDrop renames native packages of 20,000 files into a server's
// directory: how long until a client that is attached sees them, and how much
// memory the server takes for it.
func BenchmarkPfsDrop(b *testing.B) {
	for b.Loop() {
		fmt.Printf("\n| contents | package file | seen after | memory |\n|---|---:|---:|---:|\n")
		for _, size := range []int{500, 50_000} {
			benchPfsDrop(b, size)
		}
		fmt.Printf("\nNative packages of 20,000 files; medians of %d turns. Memory is what the server's peak grows by.\n", pfsTurns)
	}
}

func benchPfsDrop(b *testing.B, size int) {
	const files = 20_000
	file := filepath.Join(b.TempDir(), "big.pfs")
	writePfs(b, file, func(w *pfs.Writer) error {
		body := make([]byte, size)
		for i := range files {
			for at := 0; at < len(body); at += 100 {
				binary.BigEndian.PutUint32(body[at:], uint32(i*at))
			}
			if err := addPfs(w, fmt.Sprintf("usr/share/big/%03d/file-%05d", i/100, i), body); err != nil {
				return err
			}
		}
		return nil
	})
	info, err := os.Stat(file)
	if err != nil {
		b.Fatal(err)
	}
	var seen, memory []float64
	for turn := range pfsTurns {
		s := benchServer(b)
		root := attachAll(b, s)
		temporary := filepath.Join(s.Packages, ".big.pfs")
		if err := copyFile(file, temporary); err != nil {
			b.Fatal(err)
		}
		time.Sleep(200 * time.Millisecond)
		before := resident(b, s)
		if err := os.WriteFile(fmt.Sprintf("/proc/%d/clear_refs", s.PID()), []byte("5"), 0); err != nil {
			b.Fatal(err)
		}
		start := time.Now()
		if err := os.Rename(temporary, filepath.Join(s.Packages, "big.pfs")); err != nil {
			b.Fatal(err)
		}
		for walkTo(root, "usr/share/big/000/file-00000") != nil {
			time.Sleep(3 * time.Millisecond)
		}
		seen = append(seen, float64(time.Since(start).Microseconds())/1000)
		peak, err := harness.ProcessStatus(s.PID(), "VmHWM")
		if err != nil {
			b.Fatal(err)
		}
		memory = append(memory, float64(peak-before))
		if err := s.Stop(); err != nil {
			b.Fatalf("turn %d: %v", turn, err)
		}
	}
	fmt.Printf("| %d MB | %s KiB | %.0f ms | %s KiB |\n", files*size/1_000_000, thousands(float64(info.Size()>>10)),
		harness.Median(seen), thousands(harness.Median(memory)/1024))
}

func copyFile(from, to string) error {
	data, err := os.ReadFile(from)
	if err != nil {
		return err
	}
	return os.WriteFile(to, data, 0o644)
}

// writePfs writes a native package of that name with what fill adds.
func writePfs(b *testing.B, file string, fill func(*pfs.Writer) error) {
	b.Helper()
	f, err := os.Create(file)
	if err != nil {
		b.Fatal(err)
	}
	defer f.Close()
	name := strings.TrimSuffix(filepath.Base(file), ".pfs")
	w, err := pfs.NewWriter(f, []byte(fmt.Sprintf("name = %q\nversion = \"1\"\narchitecture = \"all\"\n", name)), pfs.Options{Level: 3})
	if err == nil {
		err = fill(w)
	}
	if err == nil {
		err = w.Close()
	}
	if err != nil {
		b.Fatal(err)
	}
}

func addPfs(w *pfs.Writer, path string, body []byte) error {
	return w.Add(pfs.Entry{Path: path, Type: pfs.Regular, Mode: 0o644, Size: int64(len(body)), Time: 1700000000}, bytes.NewReader(body))
}

const (
	streamBytes = 256 << 20
	streamMsize = 1 << 20
)

// BenchmarkPfsRead reads a native package: from one end to the other, all of it
// unpacked on the way, beside zstd -dc of the package file; and at random where
// it is in memory, beside the same file in a payload.
func BenchmarkPfsRead(b *testing.B) {
	for b.Loop() {
		fmt.Printf("\n| reads | beside | theirs | packagefs | ratio |\n|---|---|---:|---:|---:|\n")
		benchPfsStream(b)
		for _, inFlight := range []int{1, 16} {
			benchPfsRandom(b, inFlight)
		}
		fmt.Printf("\nMedians of %d turns.\n", pfsTurns)
	}
}

// text is compressible content.
func text(size int) []byte {
	random := rand.New(rand.NewPCG(3, 4))
	out := make([]byte, 0, size+100)
	for len(out) < size {
		out = fmt.Appendf(out, "%d: the %d words of line %d are %x\n", random.IntN(100), random.IntN(1000), random.IntN(30), random.Uint32()>>20)
	}
	return out[:size]
}

func benchPfsStream(b *testing.B) {
	file := filepath.Join(b.TempDir(), "stream.pfs")
	tree := &load.Tree{Big: "usr/share/stream", Bytes: streamBytes}
	body := text(streamBytes)
	writePfs(b, file, func(w *pfs.Writer) error { return addPfs(w, tree.Big, body) })
	bin := harness.Program(b)
	s := harness.ServerDir(b, bin, b.TempDir())
	s.Args = []string{"--chunk-cache", "16M"}
	if err := harness.CopyFiles(s.Packages, file); err != nil {
		b.Fatal(err)
	}
	s.StartIndexed(b)
	if err := harness.WaitDial(s.Listen[0]); err != nil {
		b.Fatal(err)
	}
	c, err := load.Dial("unix", s.Socket(), "all", streamMsize)
	if err != nil {
		b.Fatal(err)
	}
	defer c.Close()
	var theirs, ours, ratios []float64
	for range pfsTurns {
		start := time.Now()
		if err := exec.Command("zstd", "-q", "-dc", file).Run(); err != nil {
			b.Fatal(err)
		}
		theirs = append(theirs, streamBytes/1e6/time.Since(start).Seconds())
		r, err := load.Workloads()[4].Run(c, tree, 1, benchTime)
		if err != nil {
			b.Fatal(err)
		}
		ours = append(ours, float64(r.Bytes)/1e6/r.Elapsed.Seconds())
		ratios = append(ratios, ours[len(ours)-1]/theirs[len(theirs)-1])
	}
	fmt.Printf("| from end to end, MB/s | zstd -dc | %s | %s | %.2f |\n", thousands(harness.Median(theirs)), thousands(harness.Median(ours)), harness.Median(ratios))
}

// benchPfsRandom compares a native package with a Debian one of the same file.
func benchPfsRandom(b *testing.B, inFlight int) {
	dir := b.TempDir()
	tree := &load.Tree{Big: "usr/share/random", Bytes: 64 << 20}
	body := text(int(tree.Bytes))
	native := filepath.Join(dir, "random.pfs")
	writePfs(b, native, func(w *pfs.Writer) error { return addPfs(w, tree.Big, body) })
	deb := harness.MakeDeb(b, dir, harness.DebSpec{Name: "random", Fill: func(at string) {
		harness.WriteFiles(b, at, map[string]string{tree.Big: string(body)})
	}})
	conns := []*load.Conn{dialLoad(b, benchServer(b, deb).Socket(), "all"), dialLoad(b, benchServer(b, native).Socket(), "all")}
	rates := make([][]float64, len(conns))
	var ratios []float64
	for turn := range pfsTurns + 1 {
		for i, c := range conns {
			r, err := load.Workloads()[5].Run(c, tree, inFlight, benchTime)
			if err != nil {
				b.Fatal(err)
			}
			if turn > 0 { // the first fills caches
				rates[i] = append(rates[i], r.Rate())
			}
		}
		if turn > 0 {
			ratios = append(ratios, rates[1][turn-1]/rates[0][turn-1])
		}
	}
	fmt.Printf("| random 4 KiB in memory, %d in flight, 1/s | payload | %s | %s | %.2f |\n", inFlight,
		thousands(harness.Median(rates[0])), thousands(harness.Median(rates[1])), harness.Median(ratios))
}
