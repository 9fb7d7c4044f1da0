package mount

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"syscall"
	"time"

	"github.com/hugelgupf/p9/p9"

	"github.com/packagefs/packagefs/server/p9l/client"
)

const (
	// lostGrace is how long requests wait for a server that went away.
	lostGrace = 5 * time.Second

	// patience is how long a system call that a signal interrupts still waits for
	// the server. Programs do not expect that calls on files are interrupted.
	patience = 2 * time.Second

	retryFirst = 50 * time.Millisecond
	retryMost  = time.Second

	// attempts is how often one request is sent, each time on a new connection:
	// enough for a server that is restarted again and again, few enough for a
	// request that the server cannot stand.
	attempts = 8
)

// An attachment is one connection with the tree attached.
type attachment struct {
	conn *client.Conn
	root *client.Fid
	qid  p9.QID // of the root
	dirs *dirFids

	// Mostly the kernel opens, reads or asks about what it has just looked up, and
	// opens again what a program that is started again has just closed.
	recent spareFids // not open
	opened spareFids // open for reading

	users userRoots
	fixed fixed
}

const (
	recentMax  = 64
	recentLife = time.Second
	openedMax  = 256
	openedLife = time.Minute // also of the content of a package that was removed
)

// A connection keeps the tree attached, making a new one when it breaks.
type connection struct {
	connect func(ctx context.Context) (*attachment, error)
	grace   time.Duration
	ctx     context.Context // ends when the connection is closed
	close   context.CancelFunc

	mu     sync.Mutex  // guards the fields below
	cur    *attachment // nil while there is none
	lost   time.Time   // when the last attachment ended
	next   chan struct{}
	reason error // of the last attempt to connect
}

// newConnection connects for the first time, and fails if that does.
func newConnection(ctx context.Context, connect func(context.Context) (*attachment, error)) (*connection, error) {
	s, err := connect(ctx)
	if err != nil {
		return nil, err
	}
	l := &connection{connect: connect, grace: lostGrace, cur: s}
	l.ctx, l.close = context.WithCancel(context.Background())
	return l, nil
}

// shut ends the connection and its attachment.
func (l *connection) shut() {
	l.close()
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.cur != nil {
		l.cur.conn.Close()
	}
}

// get gives an attachment that works as far as is known. Without one it waits
// until the grace is over, and then fails with EHOSTDOWN, or with ESTALE if
// the server is there but does not let this context attach any more.
func (l *connection) get(ctx context.Context) (*attachment, error) {
	for {
		l.mu.Lock()
		if l.cur != nil && l.cur.conn.Err() == nil {
			defer l.mu.Unlock()
			return l.cur, nil
		}
		if l.next == nil {
			l.cur, l.lost, l.next = nil, time.Now(), make(chan struct{})
			go l.reconnect()
		}
		next, left := l.next, time.Until(l.lost.Add(l.grace))
		l.mu.Unlock()

		t := time.NewTimer(max(left, 0))
		select {
		case <-next:
			t.Stop()
		case <-ctx.Done():
			t.Stop()
			return nil, syscall.EINTR
		case <-l.ctx.Done():
			t.Stop()
			return nil, syscall.EHOSTDOWN
		case <-t.C:
			return nil, l.why()
		}
	}
}

func (l *connection) why() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if errors.Is(l.reason, errRefused) {
		return syscall.ESTALE
	}
	return syscall.EHOSTDOWN
}

// attachment gives the attachment there is, or nil.
func (l *connection) attachment() *attachment {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.cur
}

// reconnect tries until there is an attachment or the connection is closed.
func (l *connection) reconnect() {
	for wait := retryFirst; ; wait = min(2*wait, retryMost) {
		s, err := l.connect(l.ctx)
		l.mu.Lock()
		l.reason = err
		if err == nil && l.ctx.Err() == nil {
			l.cur = s
			close(l.next)
			l.next = nil
			l.mu.Unlock()
			return
		}
		l.mu.Unlock()
		if err == nil {
			s.conn.Close()
		}
		select {
		case <-time.After(wait):
		case <-l.ctx.Done():
			return
		}
	}
}

// do runs fn on an attachment, and again on a new one if the connection breaks
// under it. fn must be such that it may run twice: an operation that changes
// something must not come here.
func (l *connection) do(ctx context.Context, fn func(*attachment) error) error {
	for try := 1; ; try++ {
		s, err := l.get(ctx)
		if err != nil {
			return err
		}
		err = fn(s)
		switch {
		case !errors.Is(err, client.ErrLost):
			return err
		case try == attempts:
			return syscall.EHOSTDOWN
		case try == 1:
			continue
		}
		select {
		case <-time.After(time.Duration(try) * retryFirst):
		case <-ctx.Done():
			return syscall.EINTR
		case <-l.ctx.Done():
			return syscall.EHOSTDOWN
		}
	}
}

// errRefused is in the error of an attach that the server answered with an
// errno.
var errRefused = errors.New("the server refuses the context")

// connector makes attachments for one context of one server.
func connector(o Options, dirs int) func(context.Context) (*attachment, error) {
	return func(ctx context.Context) (*attachment, error) {
		conn, err := client.Dial(ctx, o.Server, client.Options{MessageSize: o.MessageSize, Patience: patience})
		if err != nil {
			return nil, err
		}
		root, qid, err := conn.Attach(ctx, o.UID, o.Context)
		if err != nil {
			conn.Close()
			if errno := syscall.Errno(0); errors.As(err, &errno) {
				err = fmt.Errorf("%w: %w", errRefused, err)
			}
			return nil, err
		}
		return &attachment{
			conn: conn, root: root, qid: qid, dirs: newDirFids(root, dirs),
			recent: spareFids{max: recentMax, life: recentLife},
			opened: spareFids{max: openedMax, life: openedLife},
		}, nil
	}
}
