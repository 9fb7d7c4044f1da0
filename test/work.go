//go:build e2e || guest

package test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/packagefs/packagefs/test/fsx"
)

// checkDbench runs dbench's load of a file server, which ends at the first call
// that fails or does not do what it must.
func checkDbench(t *testing.T, at string) {
	dir := filepath.Join(at, "dbench")
	must(t, os.Mkdir(dir, 0o755))
	out, err := command("dbench", "--directory="+dir, "--timelimit=3", "--loadfile=/usr/share/dbench/client.txt", "3")
	if err != nil {
		t.Fatal(err)
	}
	_, sum, ok := strings.Cut(out, "Throughput ")
	if !ok {
		t.Fatalf("dbench did not come to its end:\n%s", lastBytes(out, 2000))
	}
	t.Logf("dbench: %s", strings.TrimSpace(sum))
	must(t, os.RemoveAll(dir))
}

// checkRandom does random operations on files.
func checkRandom(t *testing.T, runs ...fsx.Run) {
	seed, err := fsx.Seed()
	must(t, err)
	t.Logf("seed %d; FSX_SEED=%d does the same again", seed, seed)
	for _, r := range runs {
		r.Seed = seed
		if err := r.Do(); err != nil {
			t.Error(err)
		}
	}
}

// checkBuild copies the source of GNU hello into a mount, builds it there as its
// manual says, and runs it through another mount.
func checkBuild(t *testing.T, source, at, other string) {
	dir := filepath.Join(at, "hello")
	if _, err := command("cp", "-a", source, dir); err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{{"./configure", "--disable-nls"}, {"make"}, {"make", "install", "DESTDIR=" + at, "prefix=/opt/hello"}} {
		cmd := exec.Command(args[0], args[1:]...)
		cmd.Dir = dir
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%s: %v:\n%s", strings.Join(args, " "), err, lastBytes(string(out), 3000))
		}
	}
	for _, program := range []string{filepath.Join(dir, "hello"), filepath.Join(other, "opt/hello/bin/hello")} {
		if out, err := command(program); err != nil || out != "Hello, world!\n" {
			t.Errorf("%s says %q, %v", program, out, err)
		}
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
