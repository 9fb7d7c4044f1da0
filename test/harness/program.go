package harness

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
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
	status := m.Run()
	for _, f := range atEnd.all {
		if err := f(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			status = 1
		}
	}
	return status
}

// Scratch is a directory that goes when all tests have ended.
func Scratch() string { return scratch }

// AtEnd has f run when all tests have ended.
func AtEnd(f func() error) {
	atEnd.mu.Lock()
	defer atEnd.mu.Unlock()
	atEnd.all = append(atEnd.all, f)
}

var atEnd struct {
	mu  sync.Mutex // guards all
	all []func() error
}

// Program is the packagefs program, built static so that it runs everywhere.
func Program(t testing.TB) string {
	t.Helper()
	return program.Get(t)
}

var program = Shared[string]{Make: func(t testing.TB) string {
	if os.Getuid() != 0 {
		t.Fatal("the tests of the program mount, and compare files of many owners: run them as root")
	}
	return build(t, "packagefs", "build", "github.com/packagefs/packagefs/cmd/packagefs")
}}

// GuestProgram is the guest's tests as a program.
func GuestProgram(t testing.TB) string {
	t.Helper()
	return guestProgram.Get(t)
}

var guestProgram = Shared[string]{Make: func(t testing.TB) string {
	return build(t, "guest", "test", "-c", "-tags", "e2e", "github.com/packagefs/packagefs/test/guest")
}}

// build runs go with what to build as the last argument.
func build(t testing.TB, name string, args ...string) string {
	t.Helper()
	file := filepath.Join(scratch, name)
	last := len(args) - 1
	cmd := exec.Command("go", slices.Concat(args[:last], []string{"-o", file}, args[last:])...)
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("build %s: %v\n%s", name, err, out)
	}
	return file
}
