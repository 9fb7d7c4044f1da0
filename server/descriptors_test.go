package server

import "testing"

// TestSharesOfDescriptors: connections and open files together leave some descriptors,
// however few there are.
func TestSharesOfDescriptors(t *testing.T) {
	for _, n := range []int{64, 256, 1024, 4096, 20_000, 1 << 20} {
		conns := connections(n)
		files := openFiles(n - conns)
		if left := n - conns - files.All; left < n/8 || files.Users >= files.All || files.PerUser*4 > files.Users {
			t.Errorf("of %d descriptors %d connections and files %+v leave %d", n, conns, files, left)
		}
	}
	if n := connections(20_000); n != usualConns {
		t.Errorf("%d connections where there is room for all", n)
	}
}
