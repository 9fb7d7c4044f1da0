package cli

import (
	"fmt"
	"os"
	"path/filepath"

	"github.com/packagefs/packagefs/server/p9l/client"
)

// machineSocket is where root's server listens when it is not told otherwise.
const machineSocket = "/run/packagefs/9p.sock"

// OwnAddr is the socket that serve listens on when it is not told otherwise: the
// machine's for root, the user's own for everyone else.
func OwnAddr() client.Addr {
	if os.Geteuid() == 0 {
		return client.Addr{Network: "unix", Address: machineSocket}
	}
	dir := os.Getenv("XDG_RUNTIME_DIR")
	if dir == "" {
		dir = fmt.Sprintf("/run/user/%d", os.Geteuid())
	}
	return client.Addr{Network: "unix", Address: filepath.Join(dir, "packagefs", "9p.sock")}
}

// defaultAddr is the server that clients ask when they are not told otherwise: the
// user's own, or where there is none the machine's if it has one.
func defaultAddr() client.Addr {
	own := OwnAddr()
	if _, err := os.Stat(own.Address); err != nil {
		if _, err := os.Stat(machineSocket); err == nil {
			return client.Addr{Network: "unix", Address: machineSocket}
		}
	}
	return own
}
