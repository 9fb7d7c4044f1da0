package union

import (
	"sync"
	"syscall"
)

// OpenFiles counts the open files of layers, each of which takes a descriptor of the
// server, by the user who opened them. A nil one has no limits.
type OpenFiles struct {
	PerUser int // of one user; those whom nobody knows count as one. None for root
	Users   int // of all users but root
	All     int // with those of root, and of who speaks for everybody

	mu   sync.Mutex
	open map[uint32]int // by user
	sum  int            // of open
	root int
}

// take makes room for one more. It fails with EMFILE where the user has too many, and
// with ENFILE where all together do.
func (o *OpenFiles) take(who *Cred) error {
	if o == nil {
		return nil
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	switch {
	case o.sum+o.root >= o.All:
		return syscall.ENFILE
	case who.root():
		o.root++
		return nil
	case o.open[who.UID] >= o.PerUser:
		return syscall.EMFILE
	case o.sum >= o.Users:
		return syscall.ENFILE
	}
	if o.open == nil {
		o.open = make(map[uint32]int)
	}
	o.open[who.UID]++
	o.sum++
	return nil
}

// give gives back what take took.
func (o *OpenFiles) give(who *Cred) {
	if o == nil {
		return
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	if who.root() {
		o.root--
		return
	}
	o.sum--
	if o.open[who.UID]--; o.open[who.UID] == 0 {
		delete(o.open, who.UID)
	}
}
