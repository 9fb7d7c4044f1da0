package bench

import (
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/hugelgupf/p9/p9"
	"github.com/packagefs/packagefs/test/harness"
)

const (
	importFiles = 1000
	importTurns = 15
)

// BenchmarkImport drops packages of 1,000 files into a server's directory: how
// long until a client that is attached sees them, and how much processor time
// the server spends beside dpkg-deb -x of the same package file.
func BenchmarkImport(b *testing.B) {
	for b.Loop() {
		fmt.Printf("\n| compression | size | dpkg-deb -x | packagefs | ratio | seen after |\n|---|---:|---:|---:|---:|---:|\n")
		for _, compression := range []string{"none", "gzip", "xz", "zstd"} {
			benchImport(b, compression)
		}
		fmt.Printf("\nProcessor time, user and system, for a package of %d files; medians of %d turns, time until seen too.\n", importFiles, importTurns)
	}
}

func benchImport(b *testing.B, compression string) {
	deb := importDeb(b, compression)
	data, err := os.ReadFile(deb)
	if err != nil {
		b.Fatal(err)
	}
	s := benchServer(b)
	root := attachAll(b, s)
	var theirs, ours, ratios, seen []float64
	for turn := range importTurns {
		theirs = append(theirs, dpkgTime(b, deb))
		before := processTime(b, s.PID())
		name := filepath.Join(s.Packages, fmt.Sprint(turn, ".deb"))
		if err := os.WriteFile(name, data, 0o644); err != nil {
			b.Fatal(err)
		}
		start := time.Now()
		harness.WaitFor(b, "the package to show", func() error { return walkTo(root, "usr/share/imported") })
		seen = append(seen, float64(time.Since(start).Milliseconds()))
		time.Sleep(200 * time.Millisecond) // what the server still does after publishing counts
		ours = append(ours, processTime(b, s.PID())-before)
		ratios = append(ratios, ours[turn]/theirs[turn])
		if err := os.Remove(name); err != nil {
			b.Fatal(err)
		}
		harness.WaitFor(b, "the package to go", func() error {
			if walkTo(root, "usr/share/imported") == nil {
				return fmt.Errorf("it is there")
			}
			return nil
		})
		forget(b, s)
	}
	fmt.Printf("| %s | %s KiB | %.0f ms | %.0f ms | %.2f | %.0f ms |\n", compression, thousands(float64(len(data)>>10)),
		1000*harness.Median(theirs), 1000*harness.Median(ours), harness.Median(ratios), harness.Median(seen))
}

// forget takes away what the server keeps of packages that are gone, so that
// the next turn does all of the work again.
func forget(b *testing.B, s *harness.Server) {
	b.Helper()
	for _, sub := range []string{"index", "payload"} {
		files, err := filepath.Glob(filepath.Join(s.State, sub, "*"))
		if err != nil {
			b.Fatal(err)
		}
		for _, file := range files {
			if err := os.RemoveAll(file); err != nil {
				b.Fatal(err)
			}
		}
	}
}

// importDeb is a package of 1,000 files of text, from 1 to 20 KiB each.
func importDeb(b *testing.B, compression string) string {
	return harness.MakeDeb(b, b.TempDir(), harness.DebSpec{Name: "imported", Deflate: compression, Fill: func(tree string) {
		random := rand.New(rand.NewPCG(1, 2))
		files := map[string]string{}
		for i := range importFiles {
			var text strings.Builder
			for size := 1024 + random.IntN(19*1024); text.Len() < size; {
				text.WriteString(strconv.FormatInt(random.Int64N(1<<20), 36))
				text.WriteByte(" \n"[random.IntN(2)])
			}
			files[fmt.Sprintf("usr/share/imported/%02d/file-%03d", i/100, i)] = text.String()
		}
		harness.WriteFiles(b, tree, files)
	}})
}

// dpkgTime is the processor time of dpkg-deb -x and the programs that it runs,
// in seconds.
func dpkgTime(b *testing.B, deb string) float64 {
	b.Helper()
	cmd := exec.Command("dpkg-deb", "-x", deb, b.TempDir())
	if err := cmd.Run(); err != nil {
		b.Fatal(err)
	}
	return (cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()).Seconds()
}

// processTime is the processor time of all threads of a process, in seconds.
func processTime(b *testing.B, pid int) float64 {
	b.Helper()
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		b.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(stat), ") ")
	fields := strings.Fields(rest)
	const userAt, systemAt, ticks = 11, 12, 100
	user, userErr := strconv.Atoi(fields[userAt])
	system, systemErr := strconv.Atoi(fields[systemAt])
	if userErr != nil || systemErr != nil {
		b.Fatalf("/proc/%d/stat: %s", pid, stat)
	}
	return float64(user+system) / ticks
}

// attachAll attaches to all packages over a connection that lasts as long as
// the benchmark.
func attachAll(b *testing.B, s *harness.Server) p9.File {
	b.Helper()
	root, closeAll, err := harness.DialWire(s.Listen[0], "all", harness.BigMsize)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(closeAll)
	return root
}

func walkTo(root p9.File, path string) error {
	_, f, err := root.Walk(strings.Split(path, "/"))
	if err != nil {
		return err
	}
	return f.Close()
}
