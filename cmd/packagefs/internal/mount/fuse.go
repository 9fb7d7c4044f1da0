package mount

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"syscall"

	"github.com/hanwen/go-fuse/v2/fuse"
	"golang.org/x/sys/unix"

	"github.com/packagefs/packagefs/server/p9l/client"
)

// FUSEType is the type of our FUSE mounts in the mount table.
const FUSEType = "packagefs"

const (
	maxRead    = 1 << 20
	background = 64 // asynchronous requests that the kernel has in flight
)

// Options of a mount. Server must be set.
type Options struct {
	Server      client.Addr
	Context     string // attach name
	UID         uint32 // the user that the FUSE bridge attaches as
	MessageSize uint32 // in bytes; 0 leaves it to the kind of mount

	ReadOnly bool
	SetUID   bool // programs get the rights that their setuid and setgid bits say
	Direct   bool // FUSE without fusermount3: this process may mount in its namespace

	Cache  string // of the kernel's client: none, mmap, loose, …; empty is mmap
	Access string // of the kernel's client: user, any, client or a uid; empty is user
}

// A FUSE is a mounted bridge.
type FUSE struct {
	server *fuse.Server
	done   chan struct{}
}

// MountFUSE attaches and puts the tree on the directory at point, which others
// than the caller can see if the caller is root. It needs /dev/fuse and, but
// for root, the program fusermount3.
func MountFUSE(ctx context.Context, point string, o Options) (*FUSE, error) {
	if err := checkPoint(point); err != nil {
		return nil, err
	}
	l, err := newConnection(ctx, connector(o, keptDirs))
	if err != nil {
		return nil, err
	}
	return newBridge(l, &o).mount(point, &o)
}

// mount puts b on a directory. The connection is shut when that is over.
func (b *bridge) mount(point string, o *Options) (*FUSE, error) {
	srv, err := fuse.NewServer(b, point, o.fuse())
	if err != nil {
		b.shut()
		return nil, fmt.Errorf("mount %s with FUSE: %w", point, explainFUSE(err))
	}
	m := &FUSE{server: srv, done: make(chan struct{})}
	go func() {
		defer close(m.done)
		srv.Serve()
		b.shut()
	}()
	if err := srv.WaitMount(); err != nil {
		srv.Unmount()
		return nil, fmt.Errorf("mount %s with FUSE: %w", point, err)
	}
	return m, nil
}

// Done is closed when the tree has been unmounted, by whomever.
func (m *FUSE) Done() <-chan struct{} { return m.done }

// Unmount takes the tree away, and waits until the last user of a lazily
// unmounted one is gone only if it could be unmounted at once.
func (m *FUSE) Unmount() error {
	if err := m.server.Unmount(); err != nil {
		return err
	}
	<-m.done
	return nil
}

// source is what the mount table shows as the origin.
func (o *Options) source() string {
	s := o.Server.String()
	if o.Context != "" {
		s = o.Context + "@" + s
	}
	return s
}

func (o *Options) fuse() *fuse.MountOptions {
	root := os.Geteuid() == 0
	f := &fuse.MountOptions{
		FsName: o.source(), Name: FUSEType,
		Options:           []string{"default_permissions"},
		AllowOther:        root,
		DirectMountStrict: root || o.Direct,
		DirectMountFlags:  syscall.MS_NODEV,
		MaxWrite:          maxRead,
		EnableLocks:       true,
		ExtraCapabilities: fuse.CAP_DIRECT_IO_ALLOW_MMAP,
		// With it the mount would count as one that is stacked on another, and the
		// kernel allows two.
		DisabledCapabilities: fuse.CAP_PASSTHROUGH,
		MaxReadAhead:         maxRead,
		MaxBackground:        background,
		EnableSymlinkCaching: true,
		DisableSplice:        true,
	}
	if !o.SetUID {
		f.DirectMountFlags |= syscall.MS_NOSUID // fusermount3 always does
	}
	if o.ReadOnly {
		f.DirectMountFlags |= syscall.MS_RDONLY
		if !f.DirectMountStrict {
			f.Options = append(f.Options, "ro")
		}
	}
	return f
}

// explainFUSE says what to do about a FUSE mount that failed.
func explainFUSE(err error) error {
	switch {
	case errors.Is(err, os.ErrNotExist):
		return fmt.Errorf("%w: this kernel has no FUSE; try: modprobe fuse", err)
	case errors.Is(err, exec.ErrNotFound):
		return fmt.Errorf("%w: install the package fuse3", err)
	}
	return err
}

// checkPoint fails unless point is a directory.
func checkPoint(point string) error {
	fi, err := os.Stat(point)
	if err != nil {
		return fmt.Errorf("mount: %w", err)
	}
	if !fi.IsDir() {
		return fmt.Errorf("mount %s: %w", point, syscall.ENOTDIR)
	}
	return nil
}

// CanFUSE tells whether this process can mount with FUSE, and why not.
func CanFUSE() error {
	if err := unix.Access("/dev/fuse", unix.R_OK|unix.W_OK); err != nil {
		return fmt.Errorf("/dev/fuse: %w", err)
	}
	if os.Geteuid() == 0 {
		return nil
	}
	for _, name := range []string{"fusermount3", "fusermount"} {
		if _, err := exec.LookPath(name); err == nil {
			return nil
		}
	}
	return errors.New("fusermount3 is missing: install the package fuse3")
}

// Check fails if an option has a comma, at which the kernel would cut it.
func (o *Options) Check() error {
	for name, value := range map[string]string{
		"server's address": o.Server.Address, "context": o.Context, "--access": o.Access, "--cache": o.Cache,
	} {
		if strings.Contains(value, ",") {
			return fmt.Errorf("mount: the %s %q has a comma, and mount options are cut at commas; use another one", name, value)
		}
	}
	return nil
}
