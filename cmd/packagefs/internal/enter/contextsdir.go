package enter

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"

	"golang.org/x/sys/unix"

	"github.com/packagefs/packagefs/cmd/packagefs/internal/mount"
	"github.com/packagefs/packagefs/server/p9l/client"
)

// Within a context everything that is needed to enter another one is at hand:
// the root without any context stacked on it, and the server's directory of
// contexts.
const (
	libexec       = "/usr/libexec/packagefs"
	rootPoint     = libexec + "/root"
	contextsPoint = libexec + "/contexts"
)

// contextsName is the attach name of the directory of contexts.
const contextsName = "contexts"

// A contextsDir is the server's directory of contexts, mounted somewhere.
type contextsDir struct {
	dir   *os.File // mounted nowhere if point is empty
	point string
}

func (d *contextsDir) close() { d.dir.Close() }

// within tells whether this process is in a context.
func (d *contextsDir) within() bool { return d.point == contextsPoint }

// findContexts finds the directory of contexts, or mounts it.
func findContexts(ctx context.Context, o *Options, mounts []mount.Line) (*contextsDir, error) {
	// What is mounted already may be what somebody else's session sees.
	if point := mountedContexts(mounts, o.Server); point != "" && o.Session == "" {
		dir, err := os.Open(point)
		if err == nil {
			return &contextsDir{dir: dir, point: point}, nil
		}
	}
	mo := mount.Options{Server: o.Server, Context: contextsName, UID: o.user(), ReadOnly: true}
	if err := mo.Check(); err != nil {
		return nil, err
	}
	// A session lasts: FUSE outlives a restart of the server, and follows changes.
	if mount.CanKernel() == nil && (o.Session == "" || mount.CanFUSE() != nil) {
		fd, err := mount.OpenKernel(ctx, mo)
		if err == nil {
			return &contextsDir{dir: os.NewFile(uintptr(fd), contextsName)}, nil
		}
		if !errors.Is(err, mount.ErrRefused) || mount.CanFUSE() != nil {
			return nil, err
		}
		fmt.Fprintf(o.Notes, "packagefs: %v; FUSE is used in its place\n", err)
	}
	dir, err := askKeeper(ctx, o)
	if err != nil {
		return nil, err
	}
	return &contextsDir{dir: dir}, nil
}

// mountedContexts finds where the directory of contexts is mounted already, so that
// this user gets from it what the server has for them: in a context, or by
// somebody who has mounted it.
func mountedContexts(mounts []mount.Line, server client.Addr) (point string) {
	for _, m := range mounts {
		switch {
		case m.Point == contextsPoint && isOurs(&m) && m.Root == "/":
			return m.Point
		case m.Root != "/" || !serves(&m, server):
		case unix.Access(m.Point, unix.R_OK|unix.X_OK) == nil:
			point = m.Point
		}
	}
	return point
}

// isOurs tells whether a mount can be one of a packagefs server.
func isOurs(m *mount.Line) bool { return m.Type == "9p" || m.Type == "fuse."+mount.FUSEType }

// serves tells whether a mount is the directory of contexts of a server, in which
// every user looks as themselves.
func serves(m *mount.Line, server client.Addr) bool {
	switch {
	case m.Type == "9p" && m.HasOption("aname="+contextsName) && m.HasOption("access=user"):
		if server.Network == "unix" {
			return m.HasOption("trans=unix") && m.Source == server.Address
		}
		host, port, err := net.SplitHostPort(server.Address)
		return err == nil && server.Network == "tcp" && m.Source == host && m.HasOption("port="+port)
	case m.Type == "fuse."+mount.FUSEType:
		return m.Source == contextsName+"@"+server.String() && m.HasOption(fmt.Sprint("user_id=", os.Geteuid()))
	}
	return false
}

// open opens the top of a context's tree.
func (d *contextsDir) open(name string) (*os.File, error) {
	fd, err := unix.Openat(int(d.dir.Fd()), name, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	switch {
	case errors.Is(err, unix.ENOENT):
		return nil, fmt.Errorf("%w: %s", ErrNoContext, name)
	case errors.Is(err, unix.ENAMETOOLONG):
		return nil, fmt.Errorf("the name of the context has more than 255 bytes: make a context file that lists the packages")
	case err != nil:
		return nil, fmt.Errorf("open the context %s: %w", name, err)
	}
	return os.NewFile(uintptr(fd), name), nil
}
