package p9l

import "sync/atomic"

// Stats are what a server counted since it started. Bytes are those of whole
// messages.
type Stats struct {
	Conns    uint64 // connections accepted
	Open     int    // connections open now
	Refused  uint64 // connections and fids refused because of a limit
	Requests uint64
	Errors   uint64 // requests answered with an errno
	Received uint64 // bytes of requests
	Sent     uint64 // bytes of replies
}

type counters struct {
	conns, refused, requests, errors, received, sent atomic.Uint64
}

// Stats returns the present counts. A connection that is busy adds to them
// each time that it has answered all requests that came in.
func (s *Server) Stats() Stats {
	s.mu.Lock()
	open := len(s.conns)
	s.mu.Unlock()
	return Stats{
		Conns:    s.stats.conns.Load(),
		Open:     open,
		Refused:  s.stats.refused.Load(),
		Requests: s.stats.requests.Load(),
		Errors:   s.stats.errors.Load(),
		Received: s.stats.received.Load(),
		Sent:     s.stats.sent.Load(),
	}
}

// count adds the reader's counts to the server's.
func (c *conn) count() {
	if c.requests != 0 {
		c.srv.stats.requests.Add(c.requests)
		c.srv.stats.received.Add(c.received)
		c.requests, c.received = 0, 0
	}
}
