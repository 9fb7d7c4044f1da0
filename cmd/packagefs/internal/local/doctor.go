package local

import (
	"errors"
	"fmt"
	"os"
	"os/exec"

	"golang.org/x/sys/unix"

	"github.com/packagefs/packagefs/cmd/packagefs/internal/cli"
	"github.com/packagefs/packagefs/cmd/packagefs/internal/enter"
	"github.com/packagefs/packagefs/cmd/packagefs/internal/mount"
)

// DoctorCmd tells what this machine can do.
type DoctorCmd struct {
	JSON bool `help:"Print an array of objects."`
}

// Help is shown below the flags.
func (*DoctorCmd) Help() string {
	return `What contexts need is tried, in processes of their own: for root, and for any other user as that user. "want" is good to have; a "no" says what to change. The exit status is 0 if packagefs run can work, and 1 if not.

Examples:
  packagefs doctor
  su alice -c 'packagefs doctor --json'`
}

// A check is one line of what doctor finds.
type check struct {
	Name   string `json:"name"`
	OK     bool   `json:"ok"`
	Needed bool   `json:"needed"` // for packagefs run
	Means  string `json:"means"`
	Reason string `json:"reason,omitempty"`
	Change string `json:"change,omitempty"`
}

func (c *DoctorCmd) Run(env *cli.Env) error {
	checks := examine(env)
	failed := 0
	for _, c := range checks {
		if c.Needed && !c.OK {
			failed++
		}
	}
	if c.JSON {
		if err := cli.PrintJSON(env.Stdout, checks); err != nil {
			return err
		}
	} else {
		t := cli.NewTable(env.Stdout, "CHECK", "STATE", "WHAT FOR")
		for _, c := range checks {
			state := "ok"
			switch {
			case !c.OK && c.Needed:
				state = "no"
			case !c.OK:
				state = "want"
			}
			t.Row(c.Name, state, c.Means)
		}
		if err := t.End(); err != nil {
			return err
		}
		for _, c := range checks {
			if !c.OK {
				fmt.Fprintf(env.Stdout, "\n%s: %s\n", c.Name, c.Reason)
				if c.Change != "" {
					fmt.Fprintf(env.Stdout, "  %s\n", c.Change)
				}
			}
		}
	}
	if failed > 0 {
		return fmt.Errorf("doctor: packagefs run cannot work here: %s missing", cli.Plural(failed, "thing"))
	}
	return nil
}

// examine makes all checks.
func examine(env *cli.Env) []check {
	root := os.Geteuid() == 0
	tried := enter.Try()
	kernel := tryKernel(env)
	device := unix.Access("/dev/fuse", unix.R_OK|unix.W_OK)
	byFUSE := kernel != nil // what run needs then

	var checks []check
	add := func(name string, needed bool, err error, means, change string) {
		c := check{Name: name, OK: err == nil, Needed: needed, Means: means}
		if err != nil {
			c.Reason, c.Change = err.Error(), change
		}
		checks = append(checks, c)
	}
	add("server", true, reach(env), "answers, and lets this user look at contexts", "")
	if root {
		add("mount namespace", true, tried.Namespace, "the context's tree is in one", "in a container, allow it CAP_SYS_ADMIN")
	} else {
		add("user namespace", true, tried.Namespace, "lets you mount without being root", "")
	}
	add("mounts", true, tried.Mount, "in the namespace", "")
	add("overlay", true, tried.Overlay, "stacks the tree on the root; for users since Linux 5.11", "load the module as root: modprobe overlay")
	add("program in memory", true, tried.Program, "takes this process's place", "allow it as root: sysctl vm.memfd_noexec=0")
	add("kernel 9p", false, kernel, "mounts without a process in the background, for root only", "FUSE is used in its place")
	add("/dev/fuse", byFUSE, device, "mounts the server's trees", deviceChange(device))
	add("FUSE mount", byFUSE, tried.FUSE, "in the namespace", deviceChange(tried.FUSE))
	add("overlay on FUSE", byFUSE, tried.OverlayFUSE, "stacks the tree on the root", "")
	if !root {
		_, err := exec.LookPath("fusermount3")
		add("fusermount3", false, err, "for packagefs mount by users; run does not need it", "install the package fuse3")
		add("nothing mounted below /usr, /etc, …", false, hindered(), "the kernel lets only root stack on what has mounts below it", "packages' files in that directory cannot be seen by users; have what is there without a mount")
	}
	return checks
}

// tryKernel tells whether the kernel's client mounts as run does it.
func tryKernel(env *cli.Env) error {
	addr, err := env.Addr()
	if err != nil {
		return err
	}
	return mount.TryKernel(env, "/", mount.Options{Server: addr, Context: "contexts", ReadOnly: true})
}

// reach tells whether the server can be used.
func reach(env *cli.Env) error {
	root, err := env.Attach("contexts")
	if err != nil {
		return err
	}
	root.Conn().Close()
	return nil
}

func deviceChange(err error) string {
	switch {
	case errors.Is(err, os.ErrNotExist):
		return "load the module as root: modprobe fuse; in a container, give it the device"
	case errors.Is(err, os.ErrPermission):
		return "let everybody use it, as root: chmod 666 /dev/fuse"
	}
	return ""
}

func hindered() error {
	at, err := enter.Hindrance()
	if err == nil && at != "" {
		err = fmt.Errorf("%s is a mount", at)
	}
	return err
}
