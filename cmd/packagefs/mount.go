package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"

	"github.com/packagefs/packagefs/cmd/packagefs/internal/mount"
)

// MountCmd mounts a tree.
type MountCmd struct {
	Mountpoint string `arg:"" type:"path" help:"An existing directory."`

	Kernel     bool `xor:"kind" help:"Use the kernel's own 9P client, or fail."`
	FUSE       bool `name:"fuse" xor:"kind" help:"Use FUSE, or fail."`
	ReadOnly   bool `short:"r" help:"Change nothing through this mount. Without it changes go to the context's mutable layer, where it has one."`
	Foreground bool `short:"f" help:"Stay in the foreground, and unmount when interrupted."`

	Msize  byteSize `placeholder:"BYTES" help:"Largest 9P message: 128k with the kernel's client, 1M with FUSE."`
	Cache  string   `placeholder:"MODE" help:"Kernel's client only: none, mmap or loose (mmap). With loose, packages that come and go are not noticed."`
	Access string   `placeholder:"WHO" help:"Kernel's client only: user, any, client or a uid (user)."`

	ReadyFD int `hidden:"" help:"Where the process in the background reports to the one that started it."`
}

// Help is shown below the flags.
func (*MountCmd) Help() string {
	return `The kernel's own 9P client is used if this machine has one and you are root; else FUSE, with a process in the background that ends when the tree is unmounted.

The kernel shares the names and pages of one mount among all its users. Where two users shall find different contents at one path, give each a mount of their own.

Examples:
  packagefs mount /mnt
  packagefs -c package:blender mount /opt/blender
  packagefs -s tcp:server:564 -c user:alice mount ~/tree
  packagefs umount /mnt`
}

func (c *MountCmd) Run(env *Env) error {
	if c.ReadyFD > 0 {
		return c.background(env)
	}
	o, err := c.options(env)
	if err != nil {
		return err
	}
	// Reports better than the kernel why the server or the context is missing.
	root, err := env.attach(env.Aname)
	if err != nil {
		return err
	}
	root.Conn().Close()

	kernel, err := c.kind()
	switch {
	case err != nil:
		return err
	case kernel:
		if err := mount.MountKernel(env, c.Mountpoint, o); err != nil {
			return err
		}
		c.say(env, "the kernel's 9P client")
		if !c.Foreground {
			return nil
		}
		<-env.Done()
		return mount.Unmount(c.Mountpoint, false)
	case c.Foreground:
		return c.foreground(env, o, func() { c.say(env, "FUSE") })
	}
	if err := c.start(env, o); err != nil {
		return err
	}
	c.say(env, "FUSE")
	return nil
}

func (c *MountCmd) say(env *Env, with string) {
	fmt.Fprintf(env.Stdout, "%s is mounted on %s with %s\n", contextName(env.Aname), c.Mountpoint, with)
}

// options turns the flags into those of the mount. Paths become absolute.
func (c *MountCmd) options(env *Env) (mount.Options, error) {
	addr, err := env.addr()
	if err != nil {
		return mount.Options{}, err
	}
	if addr.Network == "unix" {
		if addr.Address, err = filepath.Abs(addr.Address); err != nil {
			return mount.Options{}, err
		}
	}
	o := mount.Options{
		Server: addr, Context: env.Aname, UID: uint32(os.Getuid()),
		MessageSize: uint32(c.Msize), Cache: c.Cache, Access: c.Access, ReadOnly: c.ReadOnly,
	}
	return o, o.Check()
}

// kind tells whether to use the kernel's client.
func (c *MountCmd) kind() (kernel bool, err error) {
	if c.FUSE {
		return false, mount.CanFUSE()
	}
	noKernel := mount.CanKernel()
	if noKernel == nil {
		return true, nil
	}
	if c.Kernel {
		return false, fmt.Errorf("mount: %w; without --kernel, FUSE is used", noKernel)
	}
	if err := mount.CanFUSE(); err != nil {
		return false, fmt.Errorf("mount: %w, and %w", noKernel, err)
	}
	return false, nil
}

// foreground mounts with FUSE, calls ready, and serves until the tree is
// unmounted. When interrupted it unmounts the tree, lazily if it is in use.
func (c *MountCmd) foreground(env *Env, o mount.Options, ready func()) error {
	m, err := mount.MountFUSE(env, c.Mountpoint, o)
	if err != nil {
		return err
	}
	ready()
	select {
	case <-m.Done():
		return nil
	case <-env.Done():
	}
	if m.Unmount() == nil {
		return nil
	}
	if err := mount.Unmount(c.Mountpoint, true); err != nil {
		return err
	}
	return fmt.Errorf("mount %s: it was in use; who uses it has lost it", c.Mountpoint)
}

// mounted is what the process in the background reports when all is well.
const mounted = "mounted"

// start runs this program in the background to serve a FUSE mount, and waits
// until it reports.
func (c *MountCmd) start(env *Env, o mount.Options) error {
	self, err := os.Executable()
	if err != nil {
		return fmt.Errorf("mount: find this program to run it in the background: %w", err)
	}
	r, w, err := os.Pipe()
	if err != nil {
		return err
	}
	defer r.Close()
	args := []string{os.Args[0], "mount", "--ready-fd=3", "--server=" + o.Server.String(),
		"--context=" + o.Context, fmt.Sprintf("--msize=%d", o.MessageSize),
		fmt.Sprintf("--read-only=%t", o.ReadOnly), "--", c.Mountpoint}
	cmd := &exec.Cmd{
		Path: self, Args: args, Dir: "/", ExtraFiles: []*os.File{w},
		SysProcAttr: &syscall.SysProcAttr{Setsid: true},
	}
	err = cmd.Start()
	w.Close()
	if err != nil {
		return fmt.Errorf("mount: run in the background: %w", err)
	}
	report, err := io.ReadAll(r)
	if err == nil && string(report) == mounted {
		return cmd.Process.Release()
	}
	if len(report) == 0 {
		return fmt.Errorf("mount %s: the process in the background failed: %w", c.Mountpoint, errors.Join(err, cmd.Wait()))
	}
	return errors.New(string(report))
}

// background serves a FUSE mount for the process that started it.
func (c *MountCmd) background(env *Env) error {
	report := os.NewFile(uintptr(c.ReadyFD), "report")
	o, err := c.options(env)
	if err == nil {
		err = c.foreground(env, o, func() {
			_, _ = io.WriteString(report, mounted) // fails if nobody waits any more
			report.Close()
			report = nil
		})
	}
	if report != nil && err != nil {
		_, _ = io.WriteString(report, err.Error())
	}
	return err
}
