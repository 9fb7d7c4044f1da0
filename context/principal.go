package context

import (
	"errors"
	"fmt"
	"os/user"
	"strconv"
	"strings"
	"sync"
	"time"
)

// NoID is the number of a user or group that only context files know.
const NoID = ^uint32(0)

// A User is someone who may attach.
type User struct {
	Name string
	UID  uint32
}

// A Group is a set of users.
type Group struct {
	Name string // the number, in decimal, where the group has no name
	GID  uint32
}

// A Directory knows users and groups. Whom it does not know it answers with
// ErrUnknown; any other error says that it could not tell. A string is looked up
// as a name first, and as a number if there is no such name.
type Directory interface {
	User(nameOrUID string) (User, error)
	UserByID(uid uint32) (User, error)
	Group(nameOrGID string) (Group, error)

	// Groups returns the groups that u is in, the primary one first.
	Groups(u User) ([]Group, error)
}

// System is the Directory of this machine.
type System struct{}

// User looks u up in the system's user database.
func (System) User(nameOrUID string) (User, error) {
	u, err := user.Lookup(nameOrUID)
	if uid, ok := parseID(nameOrUID); ok && isUnknown(err) {
		return System{}.UserByID(uid)
	}
	if isUnknown(err) {
		u, err := getentUser(nameOrUID)
		return u, lookupError("user", nameOrUID, err)
	}
	return convertUser(u, nameOrUID, err)
}

// UserByID looks uid up in the system's user database.
func (System) UserByID(uid uint32) (User, error) {
	text := strconv.FormatUint(uint64(uid), 10)
	u, err := user.LookupId(text)
	if isUnknown(err) {
		u, err := getentUser(text)
		return u, lookupError("user", text, err)
	}
	return convertUser(u, text, err)
}

// Group looks the group up in the system's group database.
func (System) Group(nameOrGID string) (Group, error) {
	g, err := user.LookupGroup(nameOrGID)
	if _, ok := parseID(nameOrGID); ok && isUnknown(err) {
		g, err = user.LookupGroupId(nameOrGID)
	}
	if isUnknown(err) {
		g, err := getentGroup(nameOrGID)
		return g, lookupError("group", nameOrGID, err)
	}
	if err != nil {
		return Group{}, lookupError("group", nameOrGID, err)
	}
	gid, ok := parseID(g.Gid)
	if !ok {
		return Group{}, fmt.Errorf("look up group %s: its number is %q", nameOrGID, g.Gid)
	}
	return Group{g.Name, gid}, nil
}

// Groups asks the system for the groups of u.
func (s System) Groups(u User) ([]Group, error) {
	ids, err := groupIDs(u.Name)
	if err != nil {
		return nil, lookupError("groups of user", u.Name, err)
	}
	groups := make([]Group, 0, len(ids))
	seen := make(map[uint32]bool)
	for _, id := range ids {
		gid, ok := parseID(id)
		if !ok || seen[gid] {
			continue
		}
		seen[gid] = true
		g, err := s.Group(id)
		if errors.Is(err, ErrUnknown) {
			g, err = Group{id, gid}, nil
		}
		if err != nil {
			return nil, err
		}
		groups = append(groups, g)
	}
	return groups, nil
}

// groupIDs returns the numbers of a user's groups, the primary one first. The name
// service is asked for local users as well, since these may be in groups that only a
// directory in the network has. Where it does not answer for want of the program,
// the local files do.
func groupIDs(name string) ([]string, error) {
	ids, err := getentGroups(name)
	if !errors.Is(err, ErrUnknown) {
		return ids, err
	}
	entry, err := user.Lookup(name)
	if err != nil {
		return nil, err
	}
	ids, err = entry.GroupIds()
	return append([]string{entry.Gid}, ids...), err
}

func convertUser(u *user.User, asked string, err error) (User, error) {
	if err != nil {
		return User{}, lookupError("user", asked, err)
	}
	uid, ok := parseID(u.Uid)
	if !ok {
		return User{}, fmt.Errorf("look up user %s: its number is %q", asked, u.Uid)
	}
	return User{u.Username, uid}, nil
}

// parseID reads a user's or group's number in decimal; NoID is none.
func parseID(s string) (uint32, bool) {
	if s == "" || strings.Trim(s, "0123456789") != "" {
		return 0, false
	}
	id, err := strconv.ParseUint(s, 10, 32)
	return uint32(id), err == nil && uint32(id) != NoID
}

func isUnknown(err error) bool {
	var (
		name  user.UnknownUserError
		uid   user.UnknownUserIdError
		group user.UnknownGroupError
		gid   user.UnknownGroupIdError
	)
	return errors.As(err, &name) || errors.As(err, &uid) || errors.As(err, &group) || errors.As(err, &gid)
}

func lookupError(what, name string, err error) error {
	if err == nil {
		return nil
	}
	if isUnknown(err) {
		err = ErrUnknown
	}
	return fmt.Errorf("look up %s %s: %w", what, name, err)
}

// Cached keeps the answers of a Directory for a short while. Set its fields
// before first use.
type Cached struct {
	Directory Directory
	Life      time.Duration    // of an answer; 0 means DefaultLife
	Now       func() time.Time // nil means time.Now

	mu      sync.Mutex // guards answers
	answers map[question]answer
}

// DefaultLife is how long a Cached keeps an answer.
const DefaultLife = 5 * time.Second

const maxAnswers = 4096

type question struct {
	method byte
	text   string
	id     uint32
}

type answer struct {
	value any
	err   error
	until time.Time
}

// User is that of the Directory.
func (c *Cached) User(nameOrUID string) (User, error) {
	return cached(c, question{'u', nameOrUID, 0}, func() (User, error) { return c.Directory.User(nameOrUID) })
}

// UserByID is that of the Directory.
func (c *Cached) UserByID(uid uint32) (User, error) {
	return cached(c, question{'i', "", uid}, func() (User, error) { return c.Directory.UserByID(uid) })
}

// Group is that of the Directory.
func (c *Cached) Group(nameOrGID string) (Group, error) {
	return cached(c, question{'g', nameOrGID, 0}, func() (Group, error) { return c.Directory.Group(nameOrGID) })
}

// Groups is that of the Directory. The caller must not change the slice.
func (c *Cached) Groups(u User) ([]Group, error) {
	return cached(c, question{'m', u.Name, u.UID}, func() ([]Group, error) { return c.Directory.Groups(u) })
}

// cached asks without the lock held, since the system may take its time; two who
// ask at once both ask it. Failures to tell are not kept.
func cached[T any](c *Cached, q question, ask func() (T, error)) (T, error) {
	now := time.Now
	if c.Now != nil {
		now = c.Now
	}
	c.mu.Lock()
	a, ok := c.answers[q]
	c.mu.Unlock()
	if ok && now().Before(a.until) {
		return a.value.(T), a.err
	}
	value, err := ask()
	if err != nil && !errors.Is(err, ErrUnknown) {
		return value, err
	}
	life := c.Life
	if life == 0 {
		life = DefaultLife
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.answers == nil || len(c.answers) >= maxAnswers {
		c.answers = make(map[question]answer)
	}
	c.answers[q] = answer{value, err, now().Add(life)}
	return value, err
}
