package harness

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
)

// scratch is a directory of the test process, whose programs everybody can run.
var scratch string

// Main runs the tests of a package that drives the program, and returns the exit
// status.
func Main(m *testing.M) int {
	dir, err := os.MkdirTemp("", "packagefs-test-")
	if err == nil {
		defer os.RemoveAll(dir)
		err = os.Chmod(dir, 0o755)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	scratch = dir
	return m.Run()
}

// Scratch is a directory that goes when all tests have ended.
func Scratch() string { return scratch }

// Program is the packagefs program, built static so that it runs everywhere.
func Program(t testing.TB) string {
	t.Helper()
	return get(t, buildProgram)
}

var buildProgram = sync.OnceValues(func() (string, error) {
	if os.Getuid() != 0 {
		return "", errors.New("the tests of the program mount, and compare files of many owners: run them as root")
	}
	return build("packagefs", "build", "github.com/packagefs/packagefs/cmd/packagefs")
})

// GuestProgram is the guest's tests as a program.
func GuestProgram(t testing.TB) string {
	t.Helper()
	return get(t, buildGuest)
}

var buildGuest = sync.OnceValues(func() (string, error) {
	return build("guest", "test", "-c", "-tags", "e2e", "github.com/packagefs/packagefs/test/guest")
})

// build runs go with what to build as the last argument.
func build(name string, args ...string) (string, error) {
	file := filepath.Join(scratch, name)
	last := len(args) - 1
	cmd := exec.Command("go", append(append(append([]string{}, args[:last]...), "-o", file), args[last])...)
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("build %s: %w\n%s", name, err, out)
	}
	return file, nil
}

// get calls f and ends the test on its error.
func get[T any](t testing.TB, f func() (T, error)) T {
	t.Helper()
	v, err := f()
	if err != nil {
		t.Fatal(err)
	}
	return v
}
