package p9l

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
)

// Listen opens a listening socket at unix:PATH or tcp:HOST:PORT. The socket of
// a server that is gone is replaced, and everybody may connect to it: who they
// are decides what they see.
func Listen(addr string) (net.Listener, error) {
	if hostPort, ok := strings.CutPrefix(addr, "tcp:"); ok {
		l, err := net.Listen("tcp", hostPort)
		if err != nil {
			return nil, fmt.Errorf("listen on %s: %w", addr, err)
		}
		return l, nil
	}
	path, ok := strings.CutPrefix(addr, "unix:")
	if !ok {
		return nil, fmt.Errorf("listen on %q: want unix:PATH or tcp:HOST:PORT", addr)
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return nil, fmt.Errorf("listen on %s: %w", addr, err)
	}
	if info, err := os.Lstat(path); err == nil {
		if info.Mode()&os.ModeSocket == 0 {
			return nil, fmt.Errorf("listen on %s: there is something that is no socket; remove it or name another path", addr)
		}
		if c, err := net.Dial("unix", path); err == nil {
			c.Close()
			return nil, fmt.Errorf("listen on %s: a server is running there; stop it or name another path", addr)
		}
		if err := os.Remove(path); err != nil {
			return nil, fmt.Errorf("listen on %s: %w", addr, err)
		}
	}
	l, err := net.Listen("unix", path)
	if err != nil {
		return nil, fmt.Errorf("listen on %s: %w", addr, err)
	}
	if err := os.Chmod(path, 0o666); err != nil {
		l.Close()
		return nil, fmt.Errorf("listen on %s: %w", addr, err)
	}
	return l, nil
}
