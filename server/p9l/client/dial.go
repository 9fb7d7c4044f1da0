package client

import (
	"context"
	"errors"
	"math/rand/v2"
	"net"
	"os"
	"syscall"
	"time"
)

// Ports that only root can take, as servers that trust a network want them; those
// below 512 are for servers.
const (
	firstPrivileged = 512
	privilegedPorts = 512

	// portTries bounds how many are tried: those of connections that ended a moment
	// ago cannot be taken again for a while.
	portTries = 32
)

// dial connects, by TCP from a privileged port where this process may take one.
func dial(ctx context.Context, addr Addr) (net.Conn, error) {
	d := net.Dialer{KeepAliveConfig: net.KeepAliveConfig{
		Enable: true, Idle: 15 * time.Second, Interval: 5 * time.Second, Count: 3,
	}}
	if addr.Network == "tcp" && os.Geteuid() == 0 {
		at := rand.IntN(privilegedPorts)
		for i := range portTries {
			d.LocalAddr = &net.TCPAddr{Port: firstPrivileged + (at+i)%privilegedPorts}
			nc, err := d.DialContext(ctx, addr.Network, addr.Address)
			if err == nil {
				return nc, nil
			}
			if errors.Is(err, syscall.EACCES) || errors.Is(err, syscall.EPERM) {
				break // root of a user namespace
			}
			if !errors.Is(err, syscall.EADDRINUSE) && !errors.Is(err, syscall.EADDRNOTAVAIL) {
				return nil, err
			}
		}
		d.LocalAddr = nil
	}
	return d.DialContext(ctx, addr.Network, addr.Address)
}
