package server

import (
	stdcontext "context"
	"runtime"
	"runtime/debug"
	"strconv"
	"sync"
	"syscall"
	"time"
)

const (
	// maxHeld is how many bytes of questions and answers are held for one user at
	// once. One answer more may be, however long it is.
	maxHeld = 32 << 20

	// muchHeld is after how many bytes that were held and are not any more the memory
	// goes back to the system, once nobody has asked for a while.
	muchHeld = 8 << 20
	restTime = 10 * time.Second

	// minAnswering is how many queries run at once where there are few processors.
	minAnswering = 2
)

// inquirers see to it that those who ask pay for what they ask: of one user a query
// runs at a time, and the others wait, as long as somebody waits for their answers.
// Administrators are free of this.
type inquirers struct {
	all chan struct{} // has an element for each query that runs

	mu   sync.Mutex // guards by, and the fields of each inquirer
	by   map[string]*inquirer
	most int // maxHeld, but in tests
	gone int // bytes that are not held any more
	rest *time.Timer
}

// An inquirer is a user, or all of whom nothing is known.
type inquirer struct {
	turn  chan struct{} // has an element while a query runs
	held  int           // bytes
	users int           // queries that run or wait
}

func newInquirers() *inquirers {
	return &inquirers{all: make(chan struct{}, max(minAnswering, runtime.NumCPU()/2)), by: make(map[string]*inquirer), most: maxHeld}
}

// payer names who pays for what the visitor asks.
func (v *visitor) payer() string {
	if v.User == nil {
		return "anonymous"
	}
	return strconv.FormatUint(uint64(v.User.UID), 10)
}

// of runs with mu locked.
func (iq *inquirers) of(payer string) *inquirer {
	i := iq.by[payer]
	if i == nil {
		i = &inquirer{turn: make(chan struct{}, 1)}
		iq.by[payer] = i
	}
	return i
}

// tidy runs with mu locked.
func (iq *inquirers) tidy(payer string, i *inquirer) {
	if i.users == 0 && i.held == 0 {
		delete(iq.by, payer)
	}
}

// begin waits until a query of the visitor may run; the caller calls end then. It
// fails if nobody waits any more, and with ENOMEM if too much is held already.
func (iq *inquirers) begin(ctx stdcontext.Context, v *visitor) (end func(), err error) {
	if v.admin {
		return func() {}, nil
	}
	payer := v.payer()
	iq.mu.Lock()
	i := iq.of(payer)
	i.users++
	iq.mu.Unlock()
	leave := func() {
		iq.mu.Lock()
		defer iq.mu.Unlock()
		i.users--
		iq.tidy(payer, i)
	}
	for n, slot := range []chan struct{}{i.turn, iq.all} {
		select {
		case slot <- struct{}{}:
		case <-ctx.Done():
			if n > 0 {
				<-i.turn
			}
			leave()
			return nil, ctx.Err()
		}
	}
	end = func() {
		<-iq.all
		<-i.turn
		leave()
	}
	iq.mu.Lock()
	over := i.held > iq.most
	iq.mu.Unlock()
	if over {
		end()
		return nil, syscall.ENOMEM
	}
	return end, nil
}

// hold counts n bytes more for the visitor, or fewer. It fails with ENOMEM where they
// are too many, unless they are there already.
func (iq *inquirers) hold(v *visitor, n int, there bool) error {
	if v.admin || n == 0 {
		return nil
	}
	payer := v.payer()
	iq.mu.Lock()
	defer iq.mu.Unlock()
	i := iq.of(payer)
	defer iq.tidy(payer, i)
	if n > 0 && !there && i.held+n > iq.most {
		return syscall.ENOMEM
	}
	i.held += n
	if iq.gone -= min(n, 0); iq.gone > muchHeld {
		iq.gone = 0
		if iq.rest == nil {
			iq.rest = time.AfterFunc(restTime, debug.FreeOSMemory)
		}
		iq.rest.Reset(restTime)
	}
	return nil
}
