package enter

import (
	"path/filepath"
	"strings"

	"github.com/packagefs/packagefs/cmd/packagefs/internal/client"
	"github.com/packagefs/packagefs/cmd/packagefs/internal/mount"
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
	mounts, err := readMounts()
	if err != nil {
		return l
	}
	abs, err := filepath.Abs(path)
	if err != nil {
		return l
	}
	var on *mountLine
	for i, m := range mounts {
		if under(abs, m.point) && (on == nil || len(m.point) >= len(on.point)) {
			on = &mounts[i]
		}
	}
	if on == nil || !isOurs(on) {
		return l
	}
	rel, err := filepath.Rel(on.point, abs)
	if err != nil {
		return l
	}
	rel = strings.TrimPrefix(filepath.Join(on.root, rel), "/")
	l.Server, l.Context = on.server()
	if l.Context == contextsName {
		l.Context, rel, _ = strings.Cut(rel, "/")
	}
	l.Path = "/" + rel
	return l
}

// server is what a mount is of, as far as the mount table tells, and the name of
// the context.
func (m *mountLine) server() (a client.Addr, context string) {
	if m.kind == "fuse."+mount.FUSEType {
		i := strings.LastIndexAny(m.source, "@")
		a, _ = client.ParseAddr(m.source[i+1:])
		return a, m.source[:max(i, 0)]
	}
	port := ""
	for option := range strings.SplitSeq(m.options, ",") {
		name, value, _ := strings.Cut(option, "=")
		switch name {
		case "aname":
			context = value
		case "port":
			port = value
		}
	}
	if m.hasOption("trans=tcp") {
		return client.Addr{Network: "tcp", Address: m.source + ":" + orDefault(port, "564")}, context
	}
	return client.Addr{Network: "unix", Address: m.source}, context
}

func orDefault(s, other string) string {
	if s == "" {
		return other
	}
	return s
}
