package harness

import (
	"os"
	"path/filepath"
	"testing"
)

// PosixContext is a context with a mutable layer that the users of the POSIX
// cases may attach to: they are in the group.
const PosixContext = "group:posix"

// posixUsers has the users of the POSIX cases; the numbers are those of
// package posix.
var posixUsers = map[string]string{
	"passwd": "root:x:0:0::/root:/bin/sh\nann:x:7001:7001::/:/bin/sh\nben:x:7002:7002::/:/bin/sh\ncid:x:7003:7003::/:/bin/sh\n",
	"group":  "root:x:0:\nann:x:7001:\nben:x:7002:\ncid:x:7003:\nboth:x:7100:ann,ben\nposix:x:7200:ann,ben,cid\n",
}

// PosixServer serves a context for the POSIX cases, from the package file or
// without any.
func PosixServer(t *testing.T, binary, dir string) *Server {
	t.Helper()
	s := ServerDir(t, binary, dir)
	s.Users = filepath.Join(dir, "users")
	WriteFiles(t, s.Users, posixUsers)
	WriteFiles(t, s.Contexts, map[string]string{PosixContext + ".toml": "mutable = \"own\"\n"})
	s.Start(t)
	return s
}

// PosixDir makes the directory of the cases in a mount, to which every user can
// come.
func PosixDir(t *testing.T, mount string) string {
	t.Helper()
	if err := os.Chmod(filepath.Dir(mount), 0o755); err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(mount, "cases")
	if err := os.Mkdir(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	return dir
}
