//go:build e2e || guest

package test

import "slices"

// median sorts a copy.
func median(values []float64) float64 {
	sorted := slices.Sorted(slices.Values(values))
	return sorted[len(sorted)/2]
}
