//go:build e2e

package guest

import "testing"

// The build tag of this file keeps "go test ./..." from running on this machine what
// is for a guest.

func TestMain(m *testing.M) { Main(m) }

func TestGuest(t *testing.T) { Run(t) }
