package direct

import (
	"context"
	"fmt"
	"sync"

	"github.com/packagefs/packagefs/server/p9l/client"
	"github.com/packagefs/packagefs/test/posix"
)

// A System shows trees of servers as directories of "/".
type System struct {
	me     posix.User
	mounts map[string]*mount

	mu    sync.Mutex // guards what follows
	umask uint32
	fds   map[int]*open
	next  int
}

// A mount is a tree over a connection of its own, which speaks for all users.
type mount struct {
	name  string
	conn  *client.Conn
	aname string

	mu    sync.Mutex // guards roots
	roots map[int]*client.Fid
}

// New returns a system in which me makes the calls. The server must believe that the
// connections speak for whomever they name.
func New(me posix.User) *System {
	return &System{me: me, mounts: map[string]*mount{}, fds: map[int]*open{}, next: 3}
}

// Mount shows what an attach name stands for as /name.
func (s *System) Mount(name string, conn *client.Conn, aname string) {
	s.mounts[name] = &mount{name: name, conn: conn, aname: aname, roots: map[int]*client.Fid{}}
}

// Root implements posix.System.
func (s *System) Root() posix.Calls { return &calls{s, posix.User{}} }

// Me implements posix.System.
func (s *System) Me() posix.Calls { return &calls{s, s.me} }

// As implements posix.System.
func (s *System) As(u posix.User, fn func(posix.Calls) error) error { return fn(&calls{s, u}) }

// root returns the top of a mount as a user finds it. It is the mount's.
func (m *mount) root(u posix.User) (*client.Fid, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.roots[u.UID] == nil {
		fid, _, err := m.conn.Attach(context.Background(), uint32(u.UID), m.aname)
		if err != nil {
			return nil, fmt.Errorf("attach as %d: %w", u.UID, err)
		}
		m.roots[u.UID] = fid
	}
	return m.roots[u.UID], nil
}

// calls are those of one user.
type calls struct {
	s    *System
	user posix.User
}

var never = context.Background()
