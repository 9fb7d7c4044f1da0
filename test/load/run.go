package load

import (
	"fmt"
	"time"
)

// A Result is what a server did in one run.
type Result struct {
	Operations int
	Bytes      int64 // of file content
	Elapsed    time.Duration
}

// Rate is in operations a second.
func (r Result) Rate() float64 { return float64(r.Operations) / r.Elapsed.Seconds() }

// Run keeps inFlight operations of a workload going for a time.
func (w Workload) Run(c *Conn, t *Tree, inFlight int, d time.Duration) (Result, error) {
	return w.run(c, t, inFlight, func(r Result) bool { return r.Elapsed >= d })
}

// RunCount is Run until a number of operations is done.
func (w Workload) RunCount(c *Conn, t *Tree, inFlight, count int) (Result, error) {
	return w.run(c, t, inFlight, func(r Result) bool { return r.Operations > count-inFlight })
}

func (w Workload) run(c *Conn, t *Tree, inFlight int, enough func(Result) bool) (Result, error) {
	slots := make([]struct {
		op   operation
		step int
		kind byte
		more bool
	}, inFlight)
	for i := range slots {
		slots[i].op = w.make(c, t)
		if err := slots[i].op.open(c, i); err != nil {
			return Result{}, fmt.Errorf("%s: %w", w.Name, err)
		}
	}
	var result Result
	start := time.Now()
	for i := range slots {
		slots[i].kind, slots[i].more = slots[i].op.send(0)
	}
	for active := inFlight; active > 0; {
		if c.in.Buffered() == 0 {
			if err := c.flush(); err != nil {
				return result, err
			}
		}
		kind, tag, body, err := c.read()
		if err != nil {
			return result, err
		}
		if int(tag) >= inFlight {
			return result, fmt.Errorf("%s: a reply for tag %d, which is not in flight", w.Name, tag)
		}
		p := &slots[tag]
		n, again, err := p.op.check(p.step, body, checkType(p.kind, kind, body))
		if err != nil {
			return result, fmt.Errorf("%s, step %d: %w", w.Name, p.step, err)
		}
		result.Bytes += int64(n)
		switch {
		case again:
		case p.more:
			p.step++
		default:
			p.step = 0
			result.Operations++
			if result.Elapsed = time.Since(start); enough(result) {
				active--
				continue
			}
		}
		p.kind, p.more = p.op.send(p.step)
	}
	for i := range slots {
		if err := slots[i].op.close(); err != nil {
			return result, fmt.Errorf("%s: %w", w.Name, err)
		}
	}
	return result, nil
}
