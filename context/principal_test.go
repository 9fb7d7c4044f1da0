package context

import (
	"errors"
	"fmt"
	"testing"
	"time"
)

// counting counts what reaches the Directory behind a Cached.
type counting struct {
	people
	asked int
	fails error
}

func (c *counting) User(s string) (User, error) {
	c.asked++
	if c.fails != nil {
		return User{}, c.fails
	}
	return c.people.User(s)
}

func (c *counting) Groups(u User) ([]Group, error) {
	c.asked++
	return c.people.Groups(u)
}

func TestCached(t *testing.T) {
	now := time.Unix(1000, 0)
	d := &counting{people: someone}
	c := &Cached{Directory: d, Life: 10 * time.Second, Now: func() time.Time { return now }}
	expect := func(about string, asked int) {
		t.Helper()
		if d.asked != asked {
			t.Errorf("%s: asked %d times, want %d", about, d.asked, asked)
		}
	}
	for range 3 {
		if u, err := c.User("alice"); err != nil || u != (User{"alice", 1000}) {
			t.Fatal(u, err)
		}
	}
	expect("one answer serves for its life", 1)
	for range 2 {
		if g, err := c.Groups(User{"alice", 1000}); err != nil || fmt.Sprint(g) != "[{staff 105} {dev 103}]" {
			t.Fatal(g, err)
		}
	}
	expect("so do groups", 2)
	for range 2 {
		if _, err := c.User("mallory"); !errors.Is(err, ErrUnknown) {
			t.Fatal(err)
		}
	}
	expect("that a user is unknown is an answer too", 3)
	now = now.Add(11 * time.Second)
	c.User("alice")
	expect("an old answer is asked for again", 4)
	now = now.Add(11 * time.Second)
	d.fails = errors.New("no answer from the network")
	for range 2 {
		if _, err := c.User("alice"); !errors.Is(err, d.fails) {
			t.Fatal(err)
		}
	}
	expect("a failure is no answer", 6)
	d.fails = nil
	for i := range maxAnswers + 10 {
		c.User(fmt.Sprint("user", i))
	}
	if len(c.answers) > maxAnswers {
		t.Errorf("%d answers are kept", len(c.answers))
	}
}

func TestSystem(t *testing.T) {
	var s System
	root, err := s.User("root")
	if err != nil || root.UID != 0 {
		t.Fatal(root, err)
	}
	for _, ask := range []func() (User, error){
		func() (User, error) { return s.User("0") },
		func() (User, error) { return s.UserByID(0) },
	} {
		if u, err := ask(); err != nil || u != root {
			t.Errorf("%v, %v; want %v", u, err, root)
		}
	}
	groups, err := s.Groups(root)
	if err != nil || len(groups) == 0 || groups[0].GID != 0 {
		t.Errorf("groups of root: %v, %v; the primary one comes first", groups, err)
	}
	for _, name := range []string{groups[0].Name, "0"} {
		if g, err := s.Group(name); err != nil || g != groups[0] {
			t.Errorf("group %s: %v, %v", name, g, err)
		}
	}
	for _, name := range []string{"no-such-user-here", "4294967295", "99999999999", "-1", "", "4123456789"} {
		if u, err := s.User(name); !errors.Is(err, ErrUnknown) {
			t.Errorf("user %q: %v, %v", name, u, err)
		}
		if g, err := s.Group(name); !errors.Is(err, ErrUnknown) {
			t.Errorf("group %q: %v, %v", name, g, err)
		}
	}
	if u, err := s.UserByID(4123456789); !errors.Is(err, ErrUnknown) {
		t.Error(u, err)
	}
}
