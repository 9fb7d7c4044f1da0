//go:build e2e

package e2e

import (
	"os"
	"testing"

	"github.com/packagefs/packagefs/test/harness"
)

// The build tag of this file keeps "go test ./..." from running the suites, which
// need root and Debian's tools. It is the only one: all else is always compiled.

func TestMain(m *testing.M) { os.Exit(harness.Main(m)) }

func TestQuiet(t *testing.T) { Quiet.Run(t) }

// The suites run side by side, and the one that takes longest begins.
func TestKernel(t *testing.T)   { Kernel.RunParallel(t) }
func TestFUSE(t *testing.T)     { FUSE.RunParallel(t) }
func TestEndToEnd(t *testing.T) { EndToEnd.RunParallel(t) }

func TestKernels(t *testing.T) { Kernels(t) }
