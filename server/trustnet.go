package server

import (
	"fmt"
	"net/netip"
	"strings"

	"github.com/packagefs/packagefs/server/p9l"
)

// A TrustNetwork says which TCP peers of other machines are believed who their
// users are. As with NFS, a peer must come from a port that only root can take, and
// speaks for ordinary users alone.
type TrustNetwork struct {
	netip.Prefix
	Insecure bool // from any port: every process of those machines is believed
	Root     bool // root there speaks for everybody here, though it commands nothing
}

// firstFree is the first port that everybody can take.
const firstFree = 1024

// UnmarshalText reads CIDR[,insecure][,root].
func (n *TrustNetwork) UnmarshalText(text []byte) (err error) {
	cidr, options, _ := strings.Cut(string(text), ",")
	*n = TrustNetwork{}
	if n.Prefix, err = netip.ParsePrefix(cidr); err != nil {
		return fmt.Errorf("%q is not a network; want one such as 10.0.0.0/24 or fd00::/8", cidr)
	}
	for option := range strings.SplitSeq(options, ",") {
		switch option {
		case "":
		case "insecure":
			n.Insecure = true
		case "root":
			n.Root = true
		default:
			return fmt.Errorf("%q is no option of a trusted network; there are insecure and root", option)
		}
	}
	return nil
}

// believes returns the trusted network that a peer of another machine is in, nil
// for none.
func believes(networks []TrustNetwork, p p9l.Peer) *TrustNetwork {
	if p.HasCred || p.Local {
		return nil // the kernel knows who it is, or ought to
	}
	addr, err := netip.ParseAddrPort(p.Address)
	if err != nil {
		return nil
	}
	for i, n := range networks {
		if n.Contains(addr.Addr().Unmap().WithZone("")) && (n.Insecure || addr.Port() < firstFree) {
			return &networks[i]
		}
	}
	return nil
}
