package enter

import (
	"cmp"
	"net"
	"path/filepath"
	"strings"

	"github.com/packagefs/packagefs/cmd/packagefs/internal/mount"
	"github.com/packagefs/packagefs/server/p9l/client"
)

// A Location is where a launcher is that is found on a mount of a tree somewhere.
// The zero Location is that of any other.
type Location struct {
	Server  client.Addr
	Context string // as an entry of the directory of contexts; empty for who looks
	Path    string // in the tree
}

// Locate finds out where a launcher is.
func Locate(path string) (l Location) {
	mounts, err := mount.Table()
	if err != nil {
		return l
	}
	abs, err := filepath.Abs(path)
	if err != nil {
		return l
	}
	var on *mount.Line
	for i, m := range mounts {
		if mount.Under(abs, m.Point) && (on == nil || len(m.Point) >= len(on.Point)) {
			on = &mounts[i]
		}
	}
	if on == nil || !isOurs(on) && !isUnion(on) {
		return l
	}
	if isUnion(on) {
		l.Server, l.Context = serverOf(on)
		l.Path = abs
		return l
	}
	rel, err := filepath.Rel(on.Point, abs)
	if err != nil {
		return l
	}
	rel = strings.TrimPrefix(filepath.Join(on.Root, rel), "/")
	l.Server, l.Context = serverOf(on)
	if l.Context == contextsName {
		l.Context, rel, _ = strings.Cut(rel, "/")
	}
	l.Path = "/" + rel
	return l
}

// isUnion tells whether a mount is what packagefs mount --union has stacked.
func isUnion(m *mount.Line) bool {
	return m.Type == "overlay" && strings.HasPrefix(m.Source, mount.UnionSource)
}

// serverOf is what a mount is of, as far as the mount table tells, and the name of
// the context.
func serverOf(m *mount.Line) (a client.Addr, context string) {
	if m.Type == "fuse."+mount.FUSEType || isUnion(m) {
		source := strings.TrimPrefix(m.Source, mount.UnionSource)
		i := strings.LastIndexAny(source, "@")
		a, _ = client.ParseAddr(source[i+1:])
		return a, source[:max(i, 0)]
	}
	port := ""
	for option := range strings.SplitSeq(m.Options, ",") {
		name, value, _ := strings.Cut(option, "=")
		switch name {
		case "aname":
			context = value
		case "port":
			port = value
		}
	}
	if m.HasOption("trans=tcp") {
		return client.Addr{Network: "tcp", Address: net.JoinHostPort(m.Source, cmp.Or(port, "564"))}, context
	}
	return client.Addr{Network: "unix", Address: m.Source}, context
}
