package p9l

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"syscall"
	"time"

	"github.com/hugelgupf/p9/linux"
	"github.com/hugelgupf/p9/p9"
	"github.com/rs/zerolog"

	"github.com/packagefs/packagefs/server/p9l/wire"
)

// An Attacher turns an attach into the root of a tree. It may be called from
// several goroutines at once, and may block.
type Attacher interface {
	// Attach returns a file that the server owns and closes. An error's errno
	// (see ErrnoOf) becomes the errno of the client's system call.
	Attach(AttachRequest) (p9.File, error)
}

// NoUID is the n_uname of an attach that names no user by number.
const NoUID = ^uint32(0)

// An AttachRequest is what a client says in a Tattach, and who that client is.
type AttachRequest struct {
	Peer  Peer
	Uname string // user name; the Linux client's default is "nobody"
	Aname string // attach name, verbatim
	UID   uint32 // n_uname, or NoUID
}

// A Server serves 9P2000.L. Its fields are set before the first Serve or
// ServeConn and not changed after.
type Server struct {
	Attacher Attacher       // nil: every attach fails with ENOENT
	Log      zerolog.Logger // level trace logs each message
	Limits   Limits

	// Errno gives the numbers of errors, of the Attacher's and its files', that
	// carry none. It says false of those that it does not know, and may be nil.
	Errno func(error) (linux.Errno, bool)

	once  sync.Once
	limit Limits // Limits with the defaults filled in
	locks lockTable
	stats counters
	noise noise

	mu        sync.Mutex // guards what follows
	closing   bool
	listeners map[net.Listener]struct{}
	conns     map[*conn]struct{}
	perPeer   map[string]int
	served    int           // connections in conns that are not refused
	anonymous int           // those of them whose user is not known
	idle      chan struct{} // closed when closing and conns is empty
}

// Limits bound what clients can make the server hold. A zero field means its
// default.
type Limits struct {
	Conns        int           // connections at once; default 1024
	ConnsPerPeer int           // of one user, or of one address where the user is not known; default 256
	Fids         int           // of one connection; default 262144
	Running      int           // requests of one connection that run at once; default 64
	Waiting      int           // reads of one connection that wait for events; default 256
	QueueBytes   int           // request bytes of one connection that run or wait to run; default 32 MiB
	ReplyBytes   int           // replies that a client has not read, before its requests are no longer read; default 8 MiB
	XattrBytes   int           // extended attribute values held for one connection; default 8 MiB
	Locks        int           // advisory locks of one connection; default 4096
	MaxMsize     uint32        // largest message; default 1 MiB, never under 4096
	FirstMessage time.Duration // from accept to the first attach that succeeds; default 10 s
}

func orDefault[T int | uint32 | time.Duration](v *T, d T) {
	if *v <= 0 {
		*v = d
	}
}

func (l Limits) withDefaults() Limits {
	orDefault(&l.Conns, 1024)
	orDefault(&l.ConnsPerPeer, 256)
	orDefault(&l.Fids, 262144)
	orDefault(&l.Running, 64)
	orDefault(&l.Waiting, 256)
	orDefault(&l.QueueBytes, 32<<20)
	orDefault(&l.ReplyBytes, 8<<20)
	orDefault(&l.XattrBytes, 8<<20)
	orDefault(&l.Locks, 4096)
	orDefault(&l.MaxMsize, 1<<20)
	orDefault(&l.FirstMessage, 10*time.Second)
	l.MaxMsize = max(l.MaxMsize, wire.MinMsize)
	return l
}

func (s *Server) init() {
	s.once.Do(func() {
		s.limit = s.Limits.withDefaults()
		s.listeners = map[net.Listener]struct{}{}
		s.conns = map[*conn]struct{}{}
		s.perPeer = map[string]int{}
		s.idle = make(chan struct{})
	})
}

// ErrClosed is what Serve returns after Shutdown was called before it.
var ErrClosed = errors.New("9P server is shut down")

// Serve accepts connections on a unix or tcp listener and serves each until
// ctx is done or Shutdown is called; then it returns nil. It closes l.
// Connections that were accepted are served on until Shutdown.
func (s *Server) Serve(ctx context.Context, l net.Listener) error {
	s.init()
	s.mu.Lock()
	if s.closing {
		s.mu.Unlock()
		l.Close()
		return ErrClosed
	}
	s.listeners[l] = struct{}{}
	s.mu.Unlock()
	stop := context.AfterFunc(ctx, func() { l.Close() })
	defer func() {
		stop()
		l.Close()
		s.mu.Lock()
		delete(s.listeners, l)
		s.mu.Unlock()
	}()
	for pause := time.Duration(0); ; {
		nc, err := l.Accept()
		switch {
		case err == nil:
			pause = 0
			go func() { s.ServeConn(nc, PeerOf(nc)) }()
		case ctx.Err() != nil || s.isClosing() || errors.Is(err, net.ErrClosed):
			return nil
		case passes(err):
			pause = min(max(5*time.Millisecond, 2*pause), time.Second)
			s.Log.Error().Err(err).Stringer("listener", l.Addr()).Dur("pause", pause).Msg("accept failed, trying again")
			select {
			case <-ctx.Done():
			case <-time.After(pause):
			}
		default:
			return fmt.Errorf("accept on %v: %w", l.Addr(), err)
		}
	}
}

// passes tells whether an error of accept concerns one connection, or a
// shortage that may end.
func passes(err error) bool {
	for _, e := range []syscall.Errno{syscall.EMFILE, syscall.ENFILE, syscall.ENOBUFS, syscall.ENOMEM,
		syscall.ECONNABORTED, syscall.EPROTO, syscall.EPERM, syscall.EINTR, syscall.EAGAIN} {
		if errors.Is(err, e) {
			return true
		}
	}
	return false
}

func (s *Server) isClosing() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.closing
}

// ServeConn serves one connection until it ends, and closes it. When it
// returns, every file that was handed out for the connection is closed.
func (s *Server) ServeConn(nc net.Conn, peer Peer) {
	s.init()
	c := newConn(s, nc, peer)
	entered := s.enter(c)
	if c.refuse != 0 {
		c.complain(zerolog.WarnLevel).Err(c.refuse).Msg("connection refused: over the limit of connections")
	}
	if !entered {
		nc.Close()
		return
	}
	defer s.leave(c)
	c.serve()
}

// refusing is how many connections over the limits are kept long enough to be
// told so; further ones are closed at once.
const refusing = 64

// places is how many connections there may be before one more of a peer who has some: a
// sixteenth is for root, and another for users and addresses who have none, so that
// those who take all that they may lock nobody out.
func (s *Server) places(p Peer, has int) int {
	reserve := s.limit.Conns / 16
	switch {
	case p.root():
		return s.limit.Conns
	case has == 0:
		return s.limit.Conns - reserve
	}
	return s.limit.Conns - 2*reserve
}

// enter registers c, and decides whether it is served, refused with an errno
// at its attach, or not talked to at all.
func (s *Server) enter(c *conn) bool {
	key := c.peer.key()
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.closing:
		return false
	case s.served >= s.places(c.peer, s.perPeer[key]):
		c.refuse = errTooManyConns
	case !c.peer.HasCred && s.anonymous >= s.limit.Conns-s.limit.Conns/4:
		c.refuse = errTooManyConns
	case s.perPeer[key] >= s.limit.ConnsPerPeer:
		c.refuse = errTooManyOfPeer
	default:
		s.perPeer[key]++
		s.served++
		if !c.peer.HasCred {
			s.anonymous++
		}
	}
	if c.refuse != 0 {
		s.stats.refused.Add(1)
		if len(s.conns)-s.served >= refusing {
			return false
		}
	}
	s.conns[c] = struct{}{}
	s.stats.conns.Add(1)
	return true
}

func (s *Server) leave(c *conn) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.conns, c)
	if c.refuse == 0 {
		s.served--
		if !c.peer.HasCred {
			s.anonymous--
		}
		key := c.peer.key()
		if s.perPeer[key]--; s.perPeer[key] == 0 {
			delete(s.perPeer, key)
		}
	}
	if s.closing && len(s.conns) == 0 {
		close(s.idle)
	}
}

// Shutdown ends all listeners, lets requests that are being worked on end,
// sends their replies and closes the connections. Reads that wait for events
// are cancelled. When ctx ends first, connections are cut and its error is
// returned; calls of files that do not return are left behind.
func (s *Server) Shutdown(ctx context.Context) error {
	s.init()
	s.mu.Lock()
	if !s.closing {
		s.closing = true
		if len(s.conns) == 0 {
			close(s.idle)
		}
	}
	for l := range s.listeners {
		l.Close()
	}
	for c := range s.conns {
		c.drainSoon()
	}
	s.mu.Unlock()
	select {
	case <-s.idle:
		return nil
	case <-ctx.Done():
	}
	s.mu.Lock()
	for c := range s.conns {
		c.nc.Close()
	}
	s.mu.Unlock()
	select {
	case <-s.idle:
	case <-time.After(100 * time.Millisecond):
	}
	return ctx.Err()
}
