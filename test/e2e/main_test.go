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

func TestEndToEnd(t *testing.T) { EndToEnd.Run(t) }
func TestFUSE(t *testing.T)     { FUSE.Run(t) }
func TestKernel(t *testing.T)   { Kernel.Run(t) }
func TestKernels(t *testing.T)  { Kernels(t) }
