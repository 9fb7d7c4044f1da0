package enter

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"os/signal"
	"strconv"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/packagefs/packagefs/cmd/packagefs/internal/mount"
	"github.com/packagefs/packagefs/server/p9l/client"
)

// A keeper is a process in the background that has the directory of contexts of
// one server mounted with FUSE, for one user, in a mount namespace of its own. It
// gives clones of the mount to those who enter contexts; what the kernel knows of
// the tree is common to all of them and stays from one entry to the next. The
// mount is nowhere else, so it ends with its last user, whatever happens to the
// processes.

// KeeperName is what the program is called as, to be a keeper.
const KeeperName = "packagefs-keeper"

// stage is a directory that is there on every machine, has no server's socket
// below it, and is looked at by nobody, so that it can be hidden for a moment, and in
// a keeper's namespace for good. A keeper itself must never look: a process that
// is killed while it waits for its own mount stays.
const stage = "/proc/driver"

// What a keeper answers begins with one of these. With keeperGives comes the
// descriptor of a mount; keeperTaken means that there is another keeper, and
// anything else is an error in words.
const (
	keeperGives  = "mount"
	keeperTaken  = "taken"
	keeperFailed = "error "

	keeperMost = 4096 // bytes of an answer
)

// A keeperOrder is what a keeper is told by its command line.
type keeperOrder struct {
	stage  string // "start", and then "serve" in the namespace
	server client.Addr
	user   uint32        // whose contexts they are
	socket string        // abstract name; empty to serve only who starts the keeper
	idle   time.Duration // without an entry until it ends
}

func (o *keeperOrder) args() []string {
	return []string{KeeperName, o.stage, o.server.String(), strconv.FormatUint(uint64(o.user), 10), o.socket, o.idle.String()}
}

func readOrder(args []string) (o keeperOrder, err error) {
	if len(args) != 6 {
		return o, errors.New("packagefs starts keepers by itself, by run, shell and enter")
	}
	o.stage, o.socket = args[1], args[4]
	if o.server, err = client.ParseAddr(args[2]); err != nil {
		return o, err
	}
	user, err := strconv.ParseUint(args[3], 10, 32)
	if err != nil {
		return o, err
	}
	o.user = uint32(user)
	o.idle, err = time.ParseDuration(args[5])
	return o, err
}

// Keep is the whole program of a keeper, and returns its exit status. Descriptor 3
// is a socket to who starts it.
func Keep(args []string) int {
	o, err := readOrder(args)
	if err != nil {
		fmt.Fprintf(os.Stderr, "packagefs: %v\n", err)
		return 2
	}
	starter, err := packetConn(3)
	if err != nil {
		fmt.Fprintf(os.Stderr, "packagefs: %v\n", err)
		return 2
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, os.Interrupt)
	defer stop()
	if o.stage == "start" {
		err = startServing(o, starter)
	} else {
		err = serve(ctx, stop, o, starter)
	}
	if err != nil {
		reply(starter, keeperFailed+err.Error(), nil)
		return 1
	}
	return 0
}

// startServing runs the keeper proper in namespaces of its own, and not as a child
// of who enters a context: that will be another program.
func startServing(o keeperOrder, starter *net.UnixConn) error {
	o.stage = "serve"
	file, err := starter.File()
	if err != nil {
		return err
	}
	defer file.Close()
	cmd := keeperCommand(&o, file)
	isolate(cmd.SysProcAttr)
	if err := cmd.Start(); err != nil {
		return explainUserNamespace(err)
	}
	return nil
}

// keeperCommand runs this program as a keeper with a socket to who starts it.
func keeperCommand(o *keeperOrder, socket *os.File) *exec.Cmd {
	return &exec.Cmd{
		Path: "/proc/self/exe", Args: o.args(), Dir: "/", ExtraFiles: []*os.File{socket},
		SysProcAttr: &syscall.SysProcAttr{Setsid: true},
	}
}

// serve is the keeper proper: it mounts, gives the mount to its starter and to
// whoever asks, and ends when nobody has asked for a while and the last user of
// the mount is gone.
func serve(ctx context.Context, stop func(), o keeperOrder, starter *net.UnixConn) error {
	var l *net.UnixListener
	if o.socket != "" {
		var err error
		l, err = net.ListenUnix("unixpacket", &net.UnixAddr{Name: "@" + o.socket, Net: "unixpacket"})
		if errors.Is(err, unix.EADDRINUSE) {
			reply(starter, keeperTaken, nil)
			return nil
		}
		if err != nil {
			return err
		}
		defer l.Close()
	}
	m, err := mountStage(ctx, &o)
	if err != nil {
		return err
	}
	if o.user != uint32(os.Geteuid()) {
		go followUser(&o, m.Done())
	}
	sendClone(starter)
	starter.Close()
	if l != nil {
		context.AfterFunc(ctx, func() { l.Close() })
		serveClones(l, o.idle)
		l.Close()
	}
	stop() // a second signal ends the keeper with its mount in use
	if err := unix.Unmount(stage, unix.MNT_DETACH); err != nil {
		return err
	}
	<-m.Done()
	return nil
}

// mountStage puts the directory of contexts on stage.
func mountStage(ctx context.Context, o *keeperOrder) (*mount.FUSE, error) {
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_SLAVE, ""); err != nil {
		return nil, fmt.Errorf("a mount namespace: %w", err)
	}
	if err := unix.Access("/dev/fuse", unix.R_OK|unix.W_OK); err != nil {
		return nil, fmt.Errorf("/dev/fuse: %w", err)
	}
	mo := mount.Options{Server: o.server, Context: contextsName, UID: o.user, ReadOnly: true, Direct: true}
	return mount.MountFUSE(ctx, stage, mo)
}

// serveClones gives the mount to whoever asks, until nobody has asked for idle.
func serveClones(l *net.UnixListener, idle time.Duration) {
	for {
		_ = l.SetDeadline(time.Now().Add(idle))
		c, err := l.AcceptUnix()
		if err != nil {
			return
		}
		if uid, err := peerUID(c); err == nil && uid == uint32(os.Geteuid()) {
			sendClone(c)
		}
		c.Close()
	}
}

// sendClone sends a clone of the mount.
func sendClone(c *net.UnixConn) {
	fd, err := unix.OpenTree(unix.AT_FDCWD, stage, unix.OPEN_TREE_CLONE|unix.OPEN_TREE_CLOEXEC)
	if err != nil {
		reply(c, keeperFailed+"clone the mount: "+err.Error(), nil)
		return
	}
	reply(c, keeperGives, unix.UnixRights(fd))
	unix.Close(fd)
}

// reply sends an answer; who asked may be gone.
func reply(c *net.UnixConn, text string, rights []byte) {
	_, _, _ = c.WriteMsgUnix([]byte(text[:min(len(text), keeperMost)]), rights, nil)
}

// packetConn makes a connection of a descriptor that this process was given.
func packetConn(fd int) (*net.UnixConn, error) {
	f := os.NewFile(uintptr(fd), "socket")
	defer f.Close()
	c, err := net.FileConn(f)
	if err != nil {
		return nil, err
	}
	u, ok := c.(*net.UnixConn)
	if !ok {
		c.Close()
		return nil, fmt.Errorf("descriptor %d is no unix socket", fd)
	}
	return u, nil
}

// peerUID is the user at the other end.
func peerUID(c *net.UnixConn) (uint32, error) {
	raw, err := c.SyscallConn()
	if err != nil {
		return 0, err
	}
	var cred *unix.Ucred
	var credErr error
	if err := raw.Control(func(fd uintptr) {
		cred, credErr = unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED)
	}); err != nil {
		return 0, err
	}
	if credErr != nil {
		return 0, credErr
	}
	return cred.Uid, nil
}

// fileOf is the file in a control message.
func fileOf(rights []byte) (*os.File, error) {
	messages, err := unix.ParseSocketControlMessage(rights)
	if err != nil {
		return nil, err
	}
	if len(messages) == 0 {
		return nil, errors.New("it gave no mount")
	}
	fds, err := unix.ParseUnixRights(&messages[0])
	if err != nil {
		return nil, err
	}
	return os.NewFile(uintptr(fds[0]), contextsName), nil
}
