package context

import (
	stdcontext "context"
	"errors"
	"os/exec"
	"strings"
	"time"
)

// getentTime bounds how long the system may take to find a user or group. A name service
// in the network asks its servers in turn, for some seconds each.
const getentTime = 20 * time.Second

// getent asks the system's name service for one entry, and returns its fields. A
// program does it, since the name service is for programs in C: without cgo, os/user
// finds only what is in /etc/passwd and /etc/group. It fails with ErrUnknown where
// there is no such entry, and where there is no getent.
func getent(database, key string) ([]string, error) {
	line, err := output("getent", database, "--", key)
	if err != nil {
		return nil, err
	}
	return strings.Split(line, ":"), nil
}

// output runs a command and returns the first line that it prints.
func output(name string, args ...string) (string, error) {
	ctx, cancel := stdcontext.WithTimeout(stdcontext.Background(), getentTime)
	defer cancel()
	out, err := exec.CommandContext(ctx, name, args...).Output()
	var exit *exec.ExitError
	switch {
	case errors.Is(err, exec.ErrNotFound), errors.As(err, &exit) && exit.Exited():
		return "", ErrUnknown
	case err != nil:
		return "", err
	}
	line, _, _ := strings.Cut(string(out), "\n")
	return line, nil
}

// getentUser finds a user by name or by number in decimal.
func getentUser(key string) (User, error) {
	fields, err := getent("passwd", key)
	if err != nil {
		return User{}, err
	}
	if len(fields) < 4 {
		return User{}, ErrUnknown
	}
	uid, ok := parseID(fields[2])
	if !ok {
		return User{}, ErrUnknown
	}
	return User{fields[0], uid}, nil
}

// getentGroup finds a group by name or by number in decimal.
func getentGroup(key string) (Group, error) {
	fields, err := getent("group", key)
	if err != nil {
		return Group{}, err
	}
	if len(fields) < 3 {
		return Group{}, ErrUnknown
	}
	gid, ok := parseID(fields[2])
	if !ok {
		return Group{}, ErrUnknown
	}
	return Group{fields[0], gid}, nil
}

// getentGroups returns the numbers of the groups of a user, the primary one
// first.
func getentGroups(name string) ([]string, error) {
	line, err := output("id", "-G", "--", name)
	if err != nil {
		return nil, err
	}
	return strings.Fields(line), nil
}
