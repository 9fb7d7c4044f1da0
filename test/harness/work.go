package harness

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/packagefs/packagefs/test/fsx"
)

// CheckDbench runs dbench's load of a file server, which ends at the first call
// that fails or does not do what it must.
func CheckDbench(t *testing.T, at string) {
	dir := filepath.Join(at, "dbench")
	Must(t, os.Mkdir(dir, 0o755))
	out, err := Command("dbench", "--directory="+dir, "--timelimit=3", "--loadfile=/usr/share/dbench/client.txt", "3")
	if err != nil {
		t.Fatal(err)
	}
	_, sum, ok := strings.Cut(out, "Throughput ")
	if !ok {
		t.Fatalf("dbench did not come to its end:\n%s", LastBytes(out, 2000))
	}
	t.Logf("dbench: %s", strings.TrimSpace(sum))
	Must(t, os.RemoveAll(dir))
}

// CheckRandom does random operations on files.
func CheckRandom(t *testing.T, runs ...fsx.Run) {
	seed, err := fsx.Seed()
	Must(t, err)
	t.Logf("seed %d; FSX_SEED=%d does the same again", seed, seed)
	for _, r := range runs {
		r.Seed = seed
		if err := r.Do(); err != nil {
			t.Error(err)
		}
	}
}

// CheckBuild copies the source of GNU hello into a mount, does what its manual
// says there, and runs what came of it, through another mount as well.
func CheckBuild(t *testing.T, source, at, other string, steps ...[]string) {
	dir := filepath.Join(at, "hello")
	if _, err := Command("cp", "-a", source, dir); err != nil {
		t.Fatal(err)
	}
	for _, step := range steps {
		start := time.Now()
		Must(t, RunIn(dir, step...))
		t.Logf("%s: %v", strings.Join(step, " "), time.Since(start).Round(time.Second/10))
	}
	for _, mount := range []string{at, other} {
		program := filepath.Join(mount, "hello/hello")
		if out, err := Command(program); err != nil || out != "Hello, world!\n" {
			t.Errorf("%s says %q, %v", program, out, err)
		}
	}
}

// ConfigureHello is the first step of building hello, the longest by far.
var ConfigureHello = []string{"./configure", "--disable-nls", "--disable-dependency-tracking"}

// RunIn runs a program in a directory and fails with what it printed last.
func RunIn(dir string, args ...string) error {
	cmd := exec.Command(args[0], args[1:]...)
	cmd.Dir = dir
	out, err := cmd.CombinedOutput()
	if err != nil {
		return fmt.Errorf("%s in %s: %w:\n%s", strings.Join(args, " "), dir, err, LastBytes(string(out), 3000))
	}
	return nil
}

func Must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
