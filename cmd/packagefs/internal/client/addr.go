package client

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
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

// machineSocket is where root's server listens when it is not told otherwise.
const machineSocket = "/run/packagefs/9p.sock"

// OwnAddr is the socket that serve listens on when it is not told otherwise: the
// machine's for root, the user's own for everyone else.
func OwnAddr() Addr {
	if os.Geteuid() == 0 {
		return Addr{"unix", machineSocket}
	}
	dir := os.Getenv("XDG_RUNTIME_DIR")
	if dir == "" {
		dir = fmt.Sprintf("/run/user/%d", os.Geteuid())
	}
	return Addr{"unix", filepath.Join(dir, "packagefs", "9p.sock")}
}

// DefaultAddr is the server that clients ask when they are not told otherwise: the
// user's own, or where there is none the machine's if it has one.
func DefaultAddr() Addr {
	own := OwnAddr()
	if _, err := os.Stat(own.Address); err != nil {
		if _, err := os.Stat(machineSocket); err == nil {
			return Addr{"unix", machineSocket}
		}
	}
	return own
}
