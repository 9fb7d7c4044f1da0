package p9l

import (
	"net"
	"net/netip"
	"os"
	"strings"
	"testing"

	"github.com/packagefs/packagefs/server/p9l/p9ltest"
)

// attachedPeer connects by dial and returns whom the server took the client
// for.
func attachedPeer(t *testing.T, g *heldTree, c *p9ltest.Client) Peer {
	c.Start(0)
	return g.request.Load().Peer
}

func TestPeerOfUnix(t *testing.T) {
	g := newHeldTree()
	p := attachedPeer(t, g, p9ltest.Serve(t, &Server{Attacher: g})())
	want := Peer{Network: "unix", HasCred: true, UID: uint32(os.Getuid()), GID: uint32(os.Getgid()), PID: int32(os.Getpid())}
	if p != want {
		t.Errorf("%+v, want %+v", p, want)
	}
}

func TestPeerOfTCP(t *testing.T) {
	for _, address := range []string{"127.0.0.1:0", "[::1]:0", ":0"} {
		l, err := net.Listen("tcp", address)
		if err != nil {
			t.Fatalf("this test needs the loopback interface with IPv4 and IPv6: %v", err)
		}
		g := newHeldTree()
		s := &Server{Attacher: g}
		go s.Serve(t.Context(), l)
		to := l.Addr().String()
		if address == ":0" { // a socket for both, reached by IPv4
			to = strings.Replace(to, "[::]", "127.0.0.1", 1)
		}
		nc, err := net.Dial("tcp", to)
		if err != nil {
			t.Fatal(err)
		}
		p := attachedPeer(t, g, p9ltest.NewClient(t, nc))
		if !p.HasCred || p.UID != uint32(os.Getuid()) || p.Network != "tcp" || p.Address != nc.LocalAddr().String() {
			t.Errorf("%s: %+v, want the owner of %v", address, p, nc.LocalAddr())
		}
		nc.Close()
		if err := s.Shutdown(t.Context()); err != nil {
			t.Error(err)
		}
	}
}

const tcpTable = `  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 0100007F:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 100 1 0000000000000000 100 0 0 10 0
   1: 0100007F:0050 0200007F:1F90 01 00000000:00000000 00:00000000 00000000  1001        0 101 1 0000000000000000 20 4 30 10 -1
   2: 0100007F:0051 0200007F:1F90 06 00000000:00000000 00:00000000 00000000     0        0 0 3 0000000000000000
   3: 0100007F:0052 0200007F:1F90 01 00000000:00000000 00:00000000 00000000     0        0 0 1 0000000000000000 20 4 30 10 -1
   4: 0100007F:0053 0200007F:1F90 04 00000000:00000000 00:00000000 00000000     0        0 104 1 0000000000000000 20 4 30 10 -1
   5: 0000000000000000FFFF00000100007F:0054 0000000000000000FFFF00000200007F:1F90 01 00000000:00000000 00:00000000 00000000  1005        0 105 1 0000000000000000 20 4 30 10 -1
   6: zz:0055 0200007F:1F90 01 00000000:00000000 00:00000000 00000000  1006        0 106 1
   7: short
`

func TestSocketOwner(t *testing.T) {
	to := netip.MustParseAddrPort("127.0.0.2:8080")
	for port, want := range map[uint16]int64{
		0x50: 1001,
		0x51: -1, // in TIME_WAIT, shown as user 0
		0x52: -1, // nobody's any more, likewise
		0x53: -1, // being closed
		0x54: 1005,
		0x55: -1,
		0x60: -1,
	} {
		from := netip.AddrPortFrom(netip.MustParseAddr("127.0.0.1"), port)
		uid, ok := socketOwner(strings.NewReader(tcpTable), from, to)
		if ok != (want >= 0) || ok && int64(uid) != want {
			t.Errorf("port %#x: user %d, %v; want %d", port, uid, ok, want)
		}
	}
	if _, ok := socketOwner(strings.NewReader(tcpTable), to, to); ok {
		t.Error("found a connection that is not there")
	}
}

// TestSocketOwnerOther has rows that are nearly those of the connection: with another
// end, or with what is no address.
func TestSocketOwnerOther(t *testing.T) {
	const rest = " 01 00000000:00000000 00:00000000 00000000  1001        0 4242 1\n"
	from, to := netip.MustParseAddrPort("127.0.0.1:4660"), netip.MustParseAddrPort("127.0.0.1:80")
	for ends, want := range map[string]bool{
		"0100007F:1234 0100007F:0050":   true,
		"0100007F:1234 0100007F:0051":   false,
		"0100007F:1234 0200007F:0050":   false,
		"0100007F:1235 0100007F:0050":   false,
		"0100007F:1234 0100007F0:0050":  false,
		"0100007F:1234 0100007F00:0050": false,
		"0100007F:1234 0100007F:XX":     false,
	} {
		uid, ok := socketOwner(strings.NewReader("   0: "+ends+rest), from, to)
		if ok != want || want && uid != 1001 {
			t.Errorf("%s: user %d, %v", ends, uid, ok)
		}
	}
}

func TestOwnAddress(t *testing.T) {
	for text, want := range map[string]bool{"127.0.0.1": true, "127.5.5.5": true, "::1": true, "192.0.2.1": false, "2001:db8::1": false} {
		if got := isOwnAddress(net.ParseIP(text)); got != want {
			t.Errorf("%s is this machine's: %v, want %v", text, got, want)
		}
	}
	addrs, err := net.InterfaceAddrs()
	if err != nil {
		t.Fatal(err)
	}
	for _, a := range addrs {
		if n, ok := a.(*net.IPNet); ok && !isOwnAddress(n.IP) {
			t.Errorf("%s is not this machine's", n.IP)
		}
	}
}

func TestPeerKey(t *testing.T) {
	for _, c := range []struct {
		a, b Peer
		same bool
	}{
		{Peer{Network: "tcp", Address: "10.0.0.1:1000"}, Peer{Network: "tcp", Address: "10.0.0.1:2000"}, true},
		{Peer{Network: "tcp", Address: "10.0.0.1:1000"}, Peer{Network: "tcp", Address: "10.0.0.2:1000"}, false},
		{Peer{Network: "tcp", Address: "[fe80::1]:1"}, Peer{Network: "tcp", Address: "[fe80::1]:2"}, true},
		{Peer{Network: "unix", HasCred: true, UID: 5}, Peer{Network: "tcp", Address: "127.0.0.1:4", HasCred: true, UID: 5}, true},
		{Peer{Network: "unix", HasCred: true, UID: 5}, Peer{Network: "unix", HasCred: true, UID: 6}, false},
	} {
		if (c.a.key() == c.b.key()) != c.same {
			t.Errorf("%v and %v: keys %q and %q", c.a, c.b, c.a.key(), c.b.key())
		}
	}
}
