package client

import (
	"fmt"
	"net"
	"strings"
)

// An Addr is where a server listens.
type Addr struct {
	Network string // "unix" or "tcp"
	Address string // a socket's path, or HOST:PORT
}

// ParseAddr reads unix:PATH or tcp:HOST:PORT.
func ParseAddr(s string) (Addr, error) {
	network, address, _ := strings.Cut(s, ":")
	switch {
	case network == "unix" && address != "":
		return Addr{network, address}, nil
	case network == "tcp":
		if _, port, err := net.SplitHostPort(address); err == nil && port != "" {
			return Addr{network, address}, nil
		}
	}
	return Addr{}, fmt.Errorf("%q is not the address of a server: want unix:PATH or tcp:HOST:PORT", s)
}

func (a Addr) String() string { return a.Network + ":" + a.Address }
