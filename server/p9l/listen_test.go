package p9l

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestListen(t *testing.T) {
	path := filepath.Join(t.TempDir(), "deep", "socket")
	l, err := Listen("unix:" + path)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Listen("unix:" + path); err == nil || !strings.Contains(err.Error(), "a server is running there") {
		t.Errorf("two servers on one socket: %v", err)
	}
	info, err := os.Stat(path)
	if err != nil || info.Mode().Perm() != 0o666 {
		t.Errorf("got %v %v", info, err)
	}
	l.(interface{ SetUnlinkOnClose(bool) }).SetUnlinkOnClose(false)
	l.Close()
	if l, err = Listen("unix:" + path); err != nil {
		t.Errorf("a dead server's socket: %v", err)
	} else {
		l.Close()
	}
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, addr := range []string{"unix:" + path, "udp:1", "", "tcp:nowhere", "unix:"} {
		if l, err := Listen(addr); err == nil {
			l.Close()
			t.Errorf("listening on %q works", addr)
		}
	}
	if l, err = Listen("tcp:127.0.0.1:0"); err != nil {
		t.Fatal(err)
	}
	l.Close()
}
