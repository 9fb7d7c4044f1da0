package pfs

// A relay hands members to a function that runs beside the one that finds them:
// decoding a table and indexing what it says are about the same work.
type relay struct {
	full  chan []Member // for add
	empty chan []Member // done with
	batch []Member      // being filled
	err   error         // of add; to be read once ended is closed
	ended chan struct{}
}

// relayBatch members at a time, of at most relayBatches batches, are on their
// way.
const (
	relayBatch   = 64
	relayBatches = 4
)

func newRelay(add func(*Member) error) *relay {
	r := &relay{full: make(chan []Member, relayBatches), empty: make(chan []Member, relayBatches), ended: make(chan struct{})}
	for range relayBatches {
		r.empty <- make([]Member, 0, relayBatch)
	}
	go r.run(add)
	return r
}

func (r *relay) run(add func(*Member) error) {
	defer close(r.ended)
	for batch := range r.full {
		for i := range batch {
			if r.err = add(&batch[i]); r.err != nil {
				return
			}
		}
		clear(batch)
		r.empty <- batch[:0]
	}
}

// put hands m on, and says whether more are wanted.
func (r *relay) put(m *Member) bool {
	if cap(r.batch) == 0 {
		select {
		case r.batch = <-r.empty:
		case <-r.ended:
			return false
		}
	}
	if r.batch = append(r.batch, *m); len(r.batch) < relayBatch {
		return true
	}
	return r.flush()
}

func (r *relay) flush() bool {
	select {
	case r.full <- r.batch:
		r.batch = nil
		return true
	case <-r.ended:
		return false
	}
}

// end waits until all members have been handed on, and returns the error of
// add.
func (r *relay) end() error {
	if len(r.batch) > 0 {
		r.flush()
	}
	close(r.full)
	<-r.ended
	return r.err
}
