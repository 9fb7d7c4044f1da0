package enter

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"net"
	"os"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

const (
	// DefaultIdle is how long a keeper waits for another entry.
	DefaultIdle = 5 * time.Minute

	keeperPatience = 30 * time.Second // for a keeper's answer
	keeperTries    = 5
)

// askKeeper gets the directory of contexts from the user's keeper for a server,
// and starts one if there is none.
func askKeeper(ctx context.Context, o *Options) (*os.File, error) {
	order := keeperOrder{stage: "start", server: o.Server, user: o.user(), idle: o.Idle}
	var err error
	if order.socket, err = keeperSocket(o); err != nil {
		return nil, err
	}
	for range keeperTries {
		c, err := net.DialUnix("unixpacket", nil, &net.UnixAddr{Name: "@" + order.socket, Net: "unixpacket"})
		if err == nil {
			if !isMine(c) {
				c.Close()
				order.socket = "" // not ours: have one that only this process uses
				return startKeeper(ctx, order)
			}
			f, err := receiveMount(c)
			c.Close()
			if err == nil || !errors.Is(err, errGone) {
				return f, err
			}
			continue // it has just ended
		}
		f, err := startKeeper(ctx, order)
		if !errors.Is(err, errGone) {
			return f, err
		}
	}
	return nil, errors.New("processes that keep the server's mount end as soon as they start; see packagefs doctor")
}

const (
	// overflowUID is what the kernel calls users that a user namespace does not have.
	overflowUID = 65534

	// firstUserNS is the user namespace that has all users.
	firstUserNS = "user:[4026531837]"
)

// isMine tells whether a keeper is this user's: others could give us any tree.
func isMine(c *net.UnixConn) bool {
	uid, err := peerUID(c)
	if err != nil || uid != uint32(os.Geteuid()) {
		return false
	}
	ns, err := os.Readlink("/proc/self/ns/user")
	return uid != overflowUID || err == nil && ns == firstUserNS
}

// keeperSocket is the abstract name of the socket of the keeper for this user in
// these namespaces. Every session has a mount namespace of its own, and all of a
// user's have one keeper.
func keeperSocket(o *Options) (string, error) {
	id := fmt.Sprint(os.Geteuid(), " ", os.Getegid(), " ", o.user(), " ", o.Server, " ", o.Idle)
	namespaces := []string{"user", "mnt"}
	if o.Session != "" {
		namespaces = namespaces[:1]
	}
	for _, ns := range namespaces {
		link, err := os.Readlink("/proc/self/ns/" + ns)
		if err != nil {
			return "", err
		}
		id += " " + link
	}
	return fmt.Sprintf("packagefs-%d-%x", os.Geteuid(), sha256.Sum256([]byte(id)))[:60], nil
}

// errGone is the error of a keeper that ends, or that another one came before.
var errGone = errors.New("the process that keeps the mount has ended")

// receiveMount gets a keeper's answer.
func receiveMount(c *net.UnixConn) (*os.File, error) {
	_ = c.SetReadDeadline(time.Now().Add(keeperPatience))
	buf, rights := make([]byte, keeperMost), make([]byte, unix.CmsgSpace(4))
	n, rn, _, _, err := c.ReadMsgUnix(buf, rights)
	text := string(buf[:max(n, 0)]) // n is -1 if the keeper was killed
	switch {
	case errors.Is(err, os.ErrDeadlineExceeded):
		return nil, fmt.Errorf("the process that keeps the mount does not answer for %v", keeperPatience)
	case err != nil || n == 0 || text == keeperTaken:
		return nil, errGone
	case strings.HasPrefix(text, keeperFailed):
		return nil, errors.New(text[len(keeperFailed):] + "; see packagefs doctor")
	}
	f, err := fileOf(rights[:rn])
	if err == nil {
		unix.CloseOnExec(int(f.Fd()))
	}
	return f, err
}

// startKeeper starts a keeper and gets the directory of contexts from it.
func startKeeper(ctx context.Context, o keeperOrder) (*os.File, error) {
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_SEQPACKET|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, err
	}
	theirs := os.NewFile(uintptr(fds[1]), "keeper")
	defer theirs.Close()
	c, err := packetConn(fds[0])
	if err != nil {
		return nil, err
	}
	defer c.Close()
	cmd := keeperCommand(&o, theirs)
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	theirs.Close()
	f, err := receiveMount(c)
	if werr := cmd.Wait(); err == nil && werr != nil {
		f.Close()
		return nil, werr
	}
	return f, err
}
