package server

import (
	"testing"

	"github.com/packagefs/packagefs/server/p9l"
)

// as mallory: the network of this machine is trusted, and mallory, a user of it,
// attaches as root over loopback. The kernel knows better.
func TestTrustedLoopback(t *testing.T) {
	p := newFixture(t, map[string]string{"user:alice": `toplevel = ["other"]`})
	p.config.TrustNetworks = trusted(t, "127.0.0.0/8,root,insecure")
	for _, c := range []struct {
		peer p9l.Peer
		uid  uint32
		want string
	}{
		{p9l.Peer{Network: "tcp", Address: "127.0.0.1:999", Local: true, HasCred: true, UID: 1002}, 0, "EACCES"},
		{p9l.Peer{Network: "tcp", Address: "127.0.0.1:999", Local: true, HasCred: true, UID: 1002}, 1001, "EACCES"},
		{p9l.Peer{Network: "tcp", Address: "127.0.0.1:999", Local: true}, 0, "EACCES"},
		{p9l.Peer{Network: "tcp", Address: "127.0.0.1:40000", Local: true, HasCred: true, UID: 0}, 1001, "other=1"},
	} {
		if got := p.attachText(p9l.AttachRequest{Peer: c.peer, UID: c.uid, Aname: "user:alice"}); got != c.want {
			t.Errorf("%s as %d: %s, want %s", c.peer, c.uid, got, c.want)
		}
	}
}

func TestTrustNetworkText(t *testing.T) {
	var n TrustNetwork
	if err := n.UnmarshalText([]byte("fd00::/8,root,insecure")); err != nil || n.Bits() != 8 || !n.Root || !n.Insecure {
		t.Errorf("%+v, %v", n, err)
	}
	for _, bad := range []string{"", "home", "10.0.0.0", "10.0.0.0/24,admin", "10.0.0.0/33"} {
		if err := n.UnmarshalText([]byte(bad)); err == nil {
			t.Errorf("%q is taken", bad)
		}
	}
}
