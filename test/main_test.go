//go:build e2e

package test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
)

// programs is where the tests build what they drive.
var programs string

func TestMain(m *testing.M) {
	os.Exit(run(m))
}

func run(m *testing.M) int {
	if os.Getuid() != 0 {
		fmt.Fprintln(os.Stderr, "the end-to-end tests mount, and compare files of many owners: run them as root")
		return 1
	}
	dir, err := os.MkdirTemp("", "packagefs-test-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	if err := os.Chmod(dir, 0o755); err != nil { // users run what is in it
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	programs = dir
	return m.Run()
}

// program is the packagefs program, built static so that it runs everywhere.
var program = sync.OnceValues(func() (string, error) {
	return build("packagefs", "build", "../cmd/packagefs")
})

// guestProgram is this package's tests as the guest runs them.
var guestProgram = sync.OnceValues(func() (string, error) {
	return build("guest", "test", "-c", "-tags", "guest", ".")
})

// build runs go with what to build as the last argument.
func build(name string, args ...string) (string, error) {
	file := filepath.Join(programs, name)
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
