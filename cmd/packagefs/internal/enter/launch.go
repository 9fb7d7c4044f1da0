package enter

import (
	"path/filepath"
	"strings"

	"github.com/packagefs/packagefs/cmd/packagefs/internal/client"
	"github.com/packagefs/packagefs/cmd/packagefs/internal/mount"
)

// Locate tells of a launcher that is found on a mount of a tree somewhere which
// server it is from, and where the program is in the tree. Of any other path it
// gives that path, and no server.
func Locate(path string) (server client.Addr, inner string) {
	mounts, err := readMounts()
	if err != nil {
		return client.Addr{}, path
	}
	abs, err := filepath.Abs(path)
	if err != nil {
		return client.Addr{}, path
	}
	var on *mountLine
	for i, m := range mounts {
		if under(abs, m.point) && (on == nil || len(m.point) >= len(on.point)) {
			on = &mounts[i]
		}
	}
	if on == nil || !isOurs(on) || under(on.point, libexec) {
		return client.Addr{}, path
	}
	rel, err := filepath.Rel(on.point, abs)
	if err != nil {
		return client.Addr{}, path
	}
	rel = strings.TrimPrefix(filepath.Join(on.root, rel), "/")
	server, name := on.server()
	if name == contextsName {
		_, rel, _ = strings.Cut(rel, "/")
	}
	return server, "/" + rel
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
