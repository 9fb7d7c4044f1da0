package e2e

import (
	"testing"

	"github.com/packagefs/packagefs/test/guest"
	"github.com/packagefs/packagefs/test/harness"
)

// kernelSuites are the Debian suites with kernels that are newer than that of User
// Mode Linux.
var kernelSuites = []string{"trixie", "trixie-backports", "sid"}

// newerSuite is the one whose kernel is tried each time, with a choice of tests.
const newerSuite = "sid"

// Kernels runs all tests in guests on newer kernels.
func Kernels(t *testing.T) {
	g := newGuest(t)
	for _, suite := range kernelSuites {
		t.Run(suite, func(t *testing.T) {
			g := g
			g.Kernel = harness.FetchKernel(t, suite)
			runGuests(t, runsOf(g, append(guest.Groups, guest.Control)...))
		})
	}
}
