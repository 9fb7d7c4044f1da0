package server

import (
	"syscall"
	"testing"

	"github.com/packagefs/packagefs/context"
	"github.com/packagefs/packagefs/server/p9l/client"
	"github.com/packagefs/packagefs/test/posix"
	"github.com/packagefs/packagefs/test/posix/direct"
)

// posixUsers are the users of the POSIX cases.
type posixUsers struct{ fakeUsers }

func (d posixUsers) UserByID(uid uint32) (context.User, error) {
	for _, u := range posix.Users() {
		if uint32(u.UID) == uid {
			return context.User{Name: "posix", UID: uid}, nil
		}
	}
	return d.fakeUsers.UserByID(uid)
}

func (posixUsers) Groups(u context.User) ([]context.Group, error) {
	groups := []context.Group{{Name: "posix", GID: 7200}}
	for _, p := range posix.Users() {
		if uint32(p.UID) == u.UID {
			for _, g := range append([]int{p.GID}, p.Groups...) {
				groups = append(groups, context.Group{Name: "posix", GID: uint32(g)})
			}
		}
	}
	return groups, nil
}

// TestPosixDirect runs the POSIX cases over 9P with no kernel in between, most of
// them as an ordinary user: the server is the only one that checks anything.
func TestPosixDirect(t *testing.T) {
	p := newFixtureOf(t, posixUsers{}, map[string]string{"group:posix": "mutable = \"own\"\n"})
	s := direct.New(posix.Users()[0])
	for _, mount := range []string{"one", "two"} {
		conn, err := client.Dial(t.Context(), client.Addr{Network: "unix", Address: p.listen[0].Addr().String()}, client.Options{MessageSize: 8 << 10})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { conn.Close() })
		s.Mount(mount, conn, "group:posix")
	}
	// Nobody has said whose the top is, so it is root's.
	if err := s.Me().Mkdir("/one/mine", 0o755); err != syscall.EACCES {
		t.Errorf("mkdir at the top: %v, want EACCES", err)
	}
	root := s.Root()
	if err := root.Mkdir("/one/cases", 0o777); err != nil {
		t.Fatal(err)
	}
	if err := root.Chmod("/one/cases", 0o777); err != nil {
		t.Fatal(err)
	}
	posix.Run(t, posix.Mount{Path: "/one/cases", Other: "/two/cases", System: s, Cannot: posix.CannotDirect})
}
