package server

import (
	"fmt"
	"math"

	"golang.org/x/sys/unix"
)

// usualConns is how many connections there may be where descriptors are plenty.
const usualConns = 1024

// connections is how many of n descriptors connections may have: a quarter at most.
func connections(n int) int { return min(usualConns, max(n/4, 1)) }

// descriptors raises the limit of open files to what the system allows, and returns it.
func descriptors() (int, error) {
	var l unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &l); err != nil {
		return 0, fmt.Errorf("limit of open files: %w", err)
	}
	if l.Cur < l.Max && unix.Setrlimit(unix.RLIMIT_NOFILE, &unix.Rlimit{Cur: l.Max, Max: l.Max}) == nil {
		l.Cur = l.Max
	}
	return int(min(l.Cur, math.MaxInt32)), nil
}
