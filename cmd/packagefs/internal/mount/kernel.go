package mount

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"strings"

	"golang.org/x/sys/unix"
)

// kernelMessage is the message size of a kernel mount that does not choose
// one. The kernel allocates requests of this size in one piece.
const kernelMessage = 128 << 10

// negativeMS is how long, in milliseconds, the kernel may believe that a name does
// not exist. Kernels from 7.2 on keep that for a day with cache=loose if they are
// not told, and others do not know the option and ignore it.
const negativeMS = 1000

// CanKernel tells whether this process can mount with the kernel's own 9P
// client, and why not. It loads the kernel's module if there is one.
func CanKernel() error {
	if os.Geteuid() != 0 {
		return errors.New("only root can mount with the kernel's 9P client")
	}
	if has, err := kernelHas9P(); has || err != nil {
		return err
	}
	if modprobe, err := exec.LookPath("modprobe"); err == nil {
		// What it says does not matter: the list of file systems decides.
		_ = exec.Command(modprobe, "-q", "9p").Run()
	}
	has, err := kernelHas9P()
	if err == nil && !has {
		err = errors.New("this kernel has no 9P client (CONFIG_9P_FS)")
	}
	return err
}

func kernelHas9P() (bool, error) {
	list, err := os.ReadFile("/proc/filesystems")
	if err != nil {
		return false, err
	}
	for line := range strings.Lines(string(list)) {
		if f := strings.Fields(line); len(f) > 0 && f[len(f)-1] == "9p" {
			return true, nil
		}
	}
	return false, nil
}

// TryKernel tells whether the kernel's own 9P client can mount such a tree at
// point, and why not: CanKernel, and a mount that nobody else sees. What else fails
// it does not tell, as a server that does not answer: the mount itself will.
func TryKernel(ctx context.Context, point string, o Options) error {
	if err := CanKernel(); err != nil {
		return err
	}
	err := InNamespace(ownNamespace, func() error { return MountKernel(ctx, point, o) })
	if errors.Is(err, ErrRefused) {
		return err
	}
	return nil
}

// MountKernel puts the tree on the directory at point with the kernel's 9P
// client. It needs CanKernel. It fails with ErrRefused where FUSE can do better.
func MountKernel(ctx context.Context, point string, o Options) error {
	if err := checkPoint(point); err != nil {
		return err
	}
	source, options, err := o.kernel(ctx)
	if err != nil {
		return err
	}
	flags := uintptr(unix.MS_NODEV)
	if !o.SetUID {
		flags |= unix.MS_NOSUID
	}
	if o.ReadOnly {
		flags |= unix.MS_RDONLY
	}
	if err := unix.Mount(source, point, "9p", flags, options); err != nil {
		return fmt.Errorf("mount %s -t 9p -o %s: %w", point, options, explainKernel(source, options, err))
	}
	return nil
}

// kernel gives the source and the options of a kernel mount.
func (o *Options) kernel(ctx context.Context) (source, options string, err error) {
	// The kernel attaches first as uname, and later as each user by number.
	opts := []string{"version=9p2000.L", "uname=root"}
	switch o.Server.Network {
	case "unix":
		source = o.Server.Address
		opts = append(opts, "trans=unix")
	case "tcp":
		ip, port, err := resolve(ctx, o.Server.Address)
		if err != nil {
			return "", "", err
		}
		source = ip
		// A server that trusts this network wants a port that only root can take.
		opts = append(opts, "trans=tcp", "port="+port, "privport")
	default:
		return "", "", fmt.Errorf("the kernel's 9P client cannot reach %s", o.Server)
	}
	if len(source) >= 108 && o.Server.Network == "unix" {
		return "", "", fmt.Errorf("the socket's path %s is longer than 107 bytes", source)
	}
	size := o.MessageSize
	if size == 0 {
		size = kernelMessage
	}
	access, cache := cmp.Or(o.Access, "user"), cmp.Or(o.Cache, "mmap")
	if o.Context != "" { // an empty option is an error from Linux 6.19 on
		opts = append(opts, "aname="+o.Context)
	}
	opts = append(opts, "access="+access, "cache="+cache, fmt.Sprint("msize=", size),
		fmt.Sprint("negtimeout=", negativeMS))
	return source, strings.Join(opts, ","), nil
}

// resolve gives an address and port in numbers, as the kernel wants them; it
// prefers IPv4, which is all that older kernels take.
func resolve(ctx context.Context, hostport string) (ip, port string, err error) {
	host, port, err := net.SplitHostPort(hostport)
	if err != nil {
		return "", "", err
	}
	n, err := net.DefaultResolver.LookupPort(ctx, "tcp", port)
	if err != nil {
		return "", "", err
	}
	ips, err := net.DefaultResolver.LookupIP(ctx, "ip", cmp.Or(host, "127.0.0.1"))
	if err != nil {
		return "", "", err
	}
	best := ips[0]
	for _, i := range ips {
		if i.To4() != nil {
			best = i
			break
		}
	}
	return best.String(), fmt.Sprint(n), nil
}
