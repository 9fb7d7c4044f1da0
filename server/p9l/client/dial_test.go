package client

import (
	"context"
	"net"
	"os"
	"testing"
)

// Root comes from a port that nobody else can take, so that servers which trust
// its network know that it is root.
func TestDialPrivilegedPort(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	go func() {
		for {
			nc, err := l.Accept()
			if err != nil {
				return
			}
			defer nc.Close()
		}
	}()
	for range 3 {
		nc, err := dial(context.Background(), Addr{Network: "tcp", Address: l.Addr().String()})
		if err != nil {
			t.Fatal(err)
		}
		defer nc.Close()
		port := nc.LocalAddr().(*net.TCPAddr).Port
		if privileged := port >= firstPrivileged && port < 1024; privileged != (os.Geteuid() == 0) {
			t.Errorf("uid %d comes from port %d", os.Geteuid(), port)
		}
	}
}
