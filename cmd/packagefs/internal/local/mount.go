package local

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/packagefs/packagefs/cmd/packagefs/internal/cli"
	"github.com/packagefs/packagefs/cmd/packagefs/internal/mount"
)

// MountCmd mounts a tree.
type MountCmd struct {
	Mountpoints []string `arg:"" name:"mountpoint" type:"path" help:"An existing directory; several with --union."`

	Kernel     bool `xor:"kind" help:"Use the kernel's own 9P client, or fail."`
	FUSE       bool `name:"fuse" xor:"kind" help:"Use FUSE, or fail."`
	ReadOnly   bool `short:"r" help:"Change nothing through this mount. Without it changes go to the context's mutable layer, where it has one."`
	SetUID     bool `name:"setuid" help:"Programs that are setuid or setgid, or have file capabilities, get their rights on this mount. Root only."`
	Foreground bool `short:"f" help:"Stay in the foreground, and unmount when interrupted."`

	Union bool   `group:"union" help:"Stack the tree on what is there: at each DIR the tree's directory of that path lies over this machine's. Root only."`
	Upper string `group:"union" type:"existingdir" placeholder:"DIR" help:"Take changes, in DIR/upper, in the form of a mutable layer. Without it the union is read-only."`
	Root  string `group:"union" type:"existingdir" placeholder:"DIR" default:"/" help:"Stack on another root file system: the tree's /usr at DIR/usr."`

	Msize  cli.ByteSize `placeholder:"BYTES" help:"Largest 9P message: 128k with the kernel's client, 1M with FUSE."`
	Cache  string       `placeholder:"MODE" help:"Kernel's client only: none, mmap or loose (mmap). With loose, packages that come and go are not noticed."`
	Access string       `placeholder:"WHO" help:"Kernel's client only: user, any, client or a uid (user)."`

	ReadyFD int `hidden:"" help:"Where the process in the background reports to the one that started it."`
}

// Help is shown below the flags.
func (*MountCmd) Help() string {
	return `The kernel's own 9P client is used if this machine has one that takes the options and you are root; else FUSE, with a process in the background that ends when the tree is unmounted.

With --union packages appear in place on a running system: programs that start afterwards find them at /usr and /etc, before the machine's own files of the same names. All the directories are stacked, or none.

The kernel shares the names and pages of one mount among all its users. Where two users shall find different contents at one path, give each a mount of their own.

Examples:
  packagefs mount /mnt
  packagefs -c package:blender mount /opt/blender
  packagefs -s tcp:server:564 -c user:alice mount ~/tree
  packagefs -c group:lab mount --union /usr /etc
  packagefs umount /mnt`
}

func (c *MountCmd) Run(env *cli.Env) error {
	if err := c.check(); err != nil {
		return err
	}
	if c.ReadyFD > 0 {
		return c.background(env)
	}
	o, err := c.options(env)
	if err != nil {
		return err
	}
	// Reports better than the kernel why the server or the context is missing.
	root, err := env.Attach(env.Aname)
	if err != nil {
		return err
	}
	root.Conn().Close()

	kernel, err := c.kind(env, o)
	switch {
	case err != nil:
		return err
	case kernel && !c.Union:
		if err := mount.MountKernel(env, c.Mountpoints[0], o); err != nil {
			return err
		}
		c.say(env, kindName(kernel))
		if !c.Foreground {
			return nil
		}
		<-env.Done()
		return c.takeDown()
	case c.Foreground:
		return c.foreground(env, o, kernel, func() { c.say(env, kindName(kernel)) })
	}
	if err := c.start(env, o, kernel); err != nil {
		return err
	}
	c.say(env, kindName(kernel))
	return nil
}

func kindName(kernel bool) string {
	if kernel {
		return "the kernel's 9P client"
	}
	return "FUSE"
}

// check finds flags and arguments that do not go together.
func (c *MountCmd) check() error {
	switch {
	case !c.Union && len(c.Mountpoints) > 1:
		return cli.Usagef("one mount point; give --union to stack the tree on several directories")
	case !c.Union && (c.Upper != "" || c.Root != "/"):
		return cli.Usagef("--upper and --root go with --union")
	case c.Union && c.SetUID:
		return cli.Usagef("--setuid goes without --union: a union lets programs have the rights that the machine's have there")
	case c.Union && c.ReadOnly && c.Upper != "":
		return cli.Usagef("--read-only and --upper exclude each other")
	}
	return nil
}

func (c *MountCmd) say(env *cli.Env, with string) {
	did := "mounted"
	if c.Union {
		did = "stacked"
	}
	fmt.Fprintf(env.Stdout, "%s is %s on %s with %s\n", cli.ContextName(env.Aname), did, strings.Join(c.Mountpoints, " "), with)
}

func (c *MountCmd) union(o mount.Options, kernel bool) *mount.Union {
	return &mount.Union{Options: o, Dirs: c.Mountpoints, Root: c.Root, Upper: c.Upper, Kernel: kernel}
}

// options turns the flags into those of the mount. Paths become absolute.
func (c *MountCmd) options(env *cli.Env) (mount.Options, error) {
	addr, err := env.Addr()
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
		MessageSize: uint32(c.Msize), Cache: c.Cache, Access: c.Access, ReadOnly: c.ReadOnly, SetUID: c.SetUID,
	}
	return o, o.Check()
}

// kind tells whether to use the kernel's client.
func (c *MountCmd) kind(env *cli.Env, o mount.Options) (kernel bool, err error) {
	if c.FUSE {
		return false, mount.CanFUSE()
	}
	if c.Kernel {
		if err := mount.CanKernel(); err != nil {
			return false, fmt.Errorf("mount: %w; without --kernel, FUSE is used", err)
		}
		return true, nil
	}
	noKernel := mount.TryKernel(env, c.Mountpoints[0], o)
	if noKernel == nil {
		return true, nil
	}
	if err := mount.CanFUSE(); err != nil {
		return false, fmt.Errorf("mount: %w, and %w", noKernel, err)
	}
	if errors.Is(noKernel, mount.ErrRefused) {
		fmt.Fprintf(env.Stderr, "packagefs: %v; FUSE is used in its place\n", noKernel)
	}
	return false, nil
}

// foreground mounts what needs a process, calls ready, and serves until the tree is
// unmounted. When interrupted it unmounts the tree, lazily if it is in use.
func (c *MountCmd) foreground(env *cli.Env, o mount.Options, kernel bool, ready func()) error {
	var done <-chan struct{}
	if c.Union {
		var err error
		if done, err = c.union(o, kernel).Mount(env); err != nil {
			return err
		}
	} else {
		m, err := mount.MountFUSE(env, c.Mountpoints[0], o)
		if err != nil {
			return err
		}
		done = m.Done()
	}
	ready()
	select {
	case <-done:
		return nil
	case <-env.Done():
	}
	if err := c.takeDown(); err != nil {
		return err
	}
	<-done
	return nil
}

// takeDown unmounts all, lazily what is in use.
func (c *MountCmd) takeDown() error {
	var failed []error
	for _, p := range c.Mountpoints {
		if mount.Unmount(p, false) == nil {
			continue
		}
		err := mount.Unmount(p, true)
		if err == nil {
			err = fmt.Errorf("mount %s: it was in use; who uses it has lost it", p)
		}
		failed = append(failed, err)
	}
	return errors.Join(failed...)
}

// A mountReport is what the process in the background tells the one that started it.
type mountReport struct {
	Error string `json:"error,omitempty"` // empty: it is mounted
}

// start runs this program in the background for what needs a process, and waits
// until it reports.
func (c *MountCmd) start(env *cli.Env, o mount.Options, kernel bool) error {
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
		fmt.Sprintf("--read-only=%t", o.ReadOnly), fmt.Sprintf("--setuid=%t", o.SetUID), fmt.Sprintf("--kernel=%t", kernel), "--cache=" + o.Cache, "--access=" + o.Access}
	if c.Union {
		args = append(args, "--union", "--root="+c.Root)
		if c.Upper != "" {
			args = append(args, "--upper="+c.Upper)
		}
	}
	args = append(append(args, "--"), c.Mountpoints...)
	cmd := &exec.Cmd{
		Path: self, Args: args, Dir: "/", ExtraFiles: []*os.File{w},
		SysProcAttr: &syscall.SysProcAttr{Setsid: true},
	}
	err = cmd.Start()
	w.Close()
	if err != nil {
		return fmt.Errorf("mount: run in the background: %w", err)
	}
	var report mountReport
	switch err := json.NewDecoder(r).Decode(&report); {
	case err != nil:
		return fmt.Errorf("mount %s: the process in the background failed: %w", strings.Join(c.Mountpoints, " "), errors.Join(err, cmd.Wait()))
	case report.Error != "":
		return errors.New(report.Error)
	}
	return cmd.Process.Release()
}

// background serves a mount for the process that started it.
func (c *MountCmd) background(env *cli.Env) error {
	report := os.NewFile(uintptr(c.ReadyFD), "report")
	o, err := c.options(env)
	if err == nil {
		err = c.foreground(env, o, c.Kernel, func() {
			_ = json.NewEncoder(report).Encode(mountReport{}) // fails if nobody waits any more
			report.Close()
			report = nil
		})
	}
	if report != nil && err != nil {
		_ = json.NewEncoder(report).Encode(mountReport{Error: err.Error()})
	}
	return err
}
