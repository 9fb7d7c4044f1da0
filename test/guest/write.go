package guest

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"syscall"
	"testing"
	"time"

	"github.com/packagefs/packagefs/test/harness"
)

const (
	writeTurns = 31
	writeBytes = 8 << 20  // of the large file
	writeChunk = 64 << 10 // of one write to it
	writeFew   = 40       // small files
	writeSmall = 4 << 10  // size of each
	writeMsize = 64 << 10 // the most that diod offers
)

// A writeLoad is work on a directory, after those that stand before it.
type writeLoad struct {
	name string
	unit string
	per  float64 // units of work
	run  func(dir string) error
}

var writeLoads = []writeLoad{
	{"sequential write", "MiB/s", writeBytes >> 20, func(dir string) error { return writeLarge(dir, false) }},
	{"sequential write, fsync", "MiB/s", writeBytes >> 20, func(dir string) error { return writeLarge(dir, true) }},
	{"create, write 4 KiB, close", "files/s", writeFew, func(dir string) error {
		return eachSmall(dir, func(name string) error { return os.WriteFile(name, smallContent, 0o644) })
	}},
	{"open, overwrite 4 KiB, close", "files/s", writeFew, func(dir string) error {
		return eachSmall(dir, func(name string) error { return os.WriteFile(name, smallContent, 0o644) })
	}},
	{"unlink", "files/s", writeFew, func(dir string) error { return eachSmall(dir, os.Remove) }},
}

var smallContent = slices.Repeat([]byte{'x'}, writeSmall)

// writeLarge makes the file "large".
func writeLarge(dir string, sync bool) error {
	f, err := os.Create(filepath.Join(dir, "large"))
	if err != nil {
		return err
	}
	defer f.Close()
	chunk := slices.Repeat([]byte{'x'}, writeChunk)
	for range writeBytes / writeChunk {
		if _, err := f.Write(chunk); err != nil {
			return err
		}
	}
	if sync {
		if err := f.Sync(); err != nil {
			return err
		}
	}
	return f.Close()
}

func eachSmall(dir string, do func(name string) error) error {
	for i := range writeFew {
		if err := do(filepath.Join(dir, fmt.Sprint("small-", i))); err != nil {
			return err
		}
	}
	return nil
}

// testWriteSpeed writes through the kernel's client to packagefs and to
// diod, in turns, both with their files on one disk. It measures, and fails only
// where that does not work; the table goes to the machine outside.
func testWriteSpeed(t *testing.T) {
	disk := diskDir(t)
	data := guestData(t)
	s := harness.ServerDir(t, data.Program, filepath.Join(disk, "packagefs"))
	s.Listen = []string{"unix:" + filepath.Join(runDir(t), "9p.sock")}
	s.Start(t)
	diod := startDiod(t, filepath.Join(disk, "diod"))
	// As packagefs mount does, but for msize.
	options := fmt.Sprintf("trans=unix,uname=root,access=user,cache=mmap,msize=%d", writeMsize)
	table := "| work | diod | packagefs | | ratio |\n|---|---:|---:|---|---:|\n" + measureWrites(t, []string{
		mount9P(t, diod, options+",aname="+filepath.Join(disk, "diod")),
		mount9P(t, s.Socket(), options+",aname=user:root"),
	})
	if err := os.WriteFile(os.Getenv("GUEST_STATUS")+".table", []byte(table), 0o644); err != nil {
		t.Fatal(err)
	}
}

// measureWrites does all work in each directory, in turns, and returns the rows
// of a table.
func measureWrites(t *testing.T, dirs []string) (rows string) {
	t.Helper()
	seconds := make([][][]float64, len(writeLoads))
	for i := range seconds {
		seconds[i] = make([][]float64, len(dirs))
	}
	for turn := range writeTurns + 1 {
		for i, l := range writeLoads {
			for d, dir := range dirs {
				start := time.Now()
				if err := l.run(dir); err != nil {
					t.Fatalf("%s: %v", l.name, err)
				}
				if turn > 0 { // the first fills caches
					seconds[i][d] = append(seconds[i][d], time.Since(start).Seconds())
				}
				if err := os.RemoveAll(filepath.Join(dir, "large")); err != nil { // not measured
					t.Fatal(err)
				}
			}
		}
	}
	for i, l := range writeLoads {
		var ratios []float64
		for turn := range writeTurns {
			ratios = append(ratios, seconds[i][0][turn]/seconds[i][1][turn])
		}
		rows += fmt.Sprintf("| %s | %.0f | %.0f | %s | %.2f |\n", l.name,
			l.per/harness.Median(seconds[i][0]), l.per/harness.Median(seconds[i][1]), l.unit, harness.Median(ratios))
	}
	return rows
}

// startDiod has diod serve a new directory until the test ends, and returns its
// socket.
func startDiod(t *testing.T, dir string) string {
	t.Helper()
	if err := os.Mkdir(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	socket := filepath.Join(runDir(t), "diod.sock")
	cmd := exec.Command("diod", "-f", "-n", "-N", "-U", "root", "-l", socket, "-e", dir)
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	if err := harness.WaitDial("unix:" + socket); err != nil {
		t.Fatal(err)
	}
	return socket
}
