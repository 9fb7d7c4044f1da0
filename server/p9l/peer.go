package p9l

import (
	"bufio"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// A Peer is the other end of a connection, as far as the kernel vouches for
// it.
type Peer struct {
	Network string // "unix", "tcp" or "pipe"
	Address string // remote address, HOST:PORT; empty on unix sockets

	// HasCred says that UID is known: by SO_PEERCRED on a unix socket, and on
	// TCP by the socket's owner where the peer is on this machine.
	HasCred  bool
	UID, GID uint32
	PID      int32 // 0 where not known; GID and PID come from unix sockets only

	// Local says that a TCP peer has an address of this machine. It has no
	// credentials if its socket was closed before it was looked for.
	Local bool
}

func (p Peer) String() string {
	switch {
	case p.HasCred && p.PID != 0:
		return fmt.Sprintf("%s uid %d pid %d", p.Network, p.UID, p.PID)
	case p.HasCred:
		return fmt.Sprintf("%s %s uid %d", p.Network, p.Address, p.UID)
	case p.Address != "":
		return p.Network + " " + p.Address
	}
	return p.Network
}

// root says that the peer is who can always be asked to help: root, or who runs the
// server.
func (p Peer) root() bool { return p.HasCred && (p.UID == 0 || p.UID == uint32(os.Geteuid())) }

// key names whom the limit of connections per peer counts: a user, an address, or of
// IPv6 a network of 64 bits, which one host has all addresses of.
func (p Peer) key() string {
	if p.HasCred {
		return "uid " + strconv.FormatUint(uint64(p.UID), 10)
	}
	if at, err := netip.ParseAddrPort(p.Address); err == nil {
		addr := at.Addr().Unmap()
		if addr.Is6() {
			if network, err := addr.WithZone("").Prefix(64); err == nil {
				return network.String()
			}
		}
		return addr.String()
	}
	return p.Address
}

// PeerOf finds out who is at the other end of a connection.
func PeerOf(nc net.Conn) Peer {
	switch nc := nc.(type) {
	case *net.UnixConn:
		p := Peer{Network: "unix"}
		rc, err := nc.SyscallConn()
		if err != nil {
			return p
		}
		rc.Control(func(fd uintptr) {
			if cred, err := unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED); err == nil {
				p.HasCred, p.UID, p.GID, p.PID = true, cred.Uid, cred.Gid, cred.Pid
			}
		})
		return p
	case *net.TCPConn:
		p := Peer{Network: "tcp", Address: nc.RemoteAddr().String()}
		p.Local, p.UID, p.HasCred = tcpOwner(nc)
		p.GID = NoUID
		return p
	}
	p := Peer{Network: nc.LocalAddr().Network()}
	if a := nc.RemoteAddr(); a != nil && p.Network != "pipe" {
		p.Address = a.String()
	}
	return p
}

// tcpOwner finds the user who owns the peer's end of a connection that stays
// on this machine.
func tcpOwner(nc *net.TCPConn) (local bool, uid uint32, ok bool) {
	remote, rok := nc.RemoteAddr().(*net.TCPAddr)
	here, hok := nc.LocalAddr().(*net.TCPAddr)
	if !rok || !hok || !isOwnAddress(remote.IP) {
		return false, 0, false
	}
	from, to := plain(remote.AddrPort()), plain(here.AddrPort())
	for _, name := range []string{"/proc/net/tcp", "/proc/net/tcp6"} {
		f, err := os.Open(name)
		if err != nil {
			continue
		}
		uid, ok = socketOwner(f, from, to)
		f.Close()
		if ok {
			return true, uid, true
		}
	}
	return true, 0, false
}

func isOwnAddress(ip net.IP) bool {
	if ip.IsLoopback() {
		return true
	}
	addrs, err := net.InterfaceAddrs()
	if err != nil {
		return false
	}
	for _, a := range addrs {
		if n, ok := a.(*net.IPNet); ok && n.IP.Equal(ip) {
			return true
		}
	}
	return false
}

// plain is an address without zone, IPv4 in its short form.
func plain(a netip.AddrPort) netip.AddrPort {
	return netip.AddrPortFrom(a.Addr().Unmap().WithZone(""), a.Port())
}

// socketOwner reads a table in the form of /proc/net/tcp and returns the owner
// of the established socket that is bound to from and connected to to.
//
// Sockets in other states, and those without an inode, do not count: the
// kernel shows user 0 for sockets that their process has closed.
func socketOwner(table io.Reader, from, to netip.AddrPort) (uid uint32, ok bool) {
	const established = "01"
	lines := bufio.NewScanner(table)
	for lines.Scan() {
		f := strings.Fields(lines.Text())
		if len(f) < 10 || f[3] != established || f[9] == "0" {
			continue
		}
		if local, ok := parseHexAddr(f[1]); !ok || local != from {
			continue
		}
		if remote, ok := parseHexAddr(f[2]); !ok || remote != to {
			continue
		}
		if n, err := strconv.ParseUint(f[7], 10, 32); err == nil {
			return uint32(n), true
		}
	}
	return 0, false
}

// parseHexAddr reads ADDRESS:PORT as in /proc/net/tcp: the address is in words
// of four bytes, each printed as a number of this machine's byte order.
func parseHexAddr(s string) (netip.AddrPort, bool) {
	a, p, _ := strings.Cut(s, ":")
	raw, err := hex.DecodeString(a)
	port, perr := strconv.ParseUint(p, 16, 16)
	if err != nil || perr != nil || len(raw)%4 != 0 {
		return netip.AddrPort{}, false
	}
	for i := 0; i < len(raw); i += 4 {
		binary.NativeEndian.PutUint32(raw[i:], binary.BigEndian.Uint32(raw[i:]))
	}
	addr, ok := netip.AddrFromSlice(raw)
	return plain(netip.AddrPortFrom(addr, uint16(port))), ok
}
