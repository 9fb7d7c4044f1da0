package local

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/packagefs/packagefs/cmd/packagefs/internal/cli"
	"github.com/packagefs/packagefs/cmd/packagefs/internal/enter"
	"github.com/packagefs/packagefs/context/attachname"
)

// RunCmd runs a program in a context.
type RunCmd struct {
	Package []string `short:"p" placeholder:"PKG" sep:"none" help:"A package, NAME or NAME=VERSION. One alone: the context of that package. Several, or with --context: that context, else your own, with these packages added."`
	Command []string `arg:"" passthrough:"" name:"command" help:"The program and its arguments, after --."`
}

// Help is shown below the flags.
func (*RunCmd) Help() string {
	return `The program finds the context's tree at the usual paths: /usr, /etc, /opt and whatever else packages have, stacked on those of this machine. /home, /tmp, /var, /run, /proc, /dev and the like stay this machine's. What is stacked can be read, not written.

It becomes this process: process id, terminal, signals, descriptors, working directory and exit status are the program's. 126 says that it cannot be run, and 127 that it does not exist.

Root needs nothing else. Anybody else gets a user namespace, which has one user: files of others, root's too, show as nobody's, and programs that are setuid (su, sudo, ping) have no special rights. packagefs doctor tells whether this machine allows it.

A process in the background keeps what the kernel knows of the trees for the next entry, and ends five minutes after the last; PACKAGEFS_IDLE sets another time, as 30s or 1h.

Examples:
  packagefs run -p hello -- hello
  packagefs run -p python3.11 -p python3-numpy -- python3.11 -c 'import numpy'
  packagefs -c user:alice run -- bash`
}

func (c *RunCmd) Run(env *cli.Env) error {
	command := c.Command
	if len(command) > 0 && command[0] == "--" {
		command = command[1:]
	}
	if len(command) == 0 {
		return cli.Usagef("run: give the program to run, after --")
	}
	name, err := contextOf(env.Aname, c.Package, len(c.Package) == 1)
	if err != nil {
		return err
	}
	return enterContext(env, enter.Options{Context: name, Command: command, Notes: env.Stderr})
}

// contextOf is the attach name of a context with packages added, as an entry of
// the directory of contexts. alone says that a package without a base is its own
// context.
func contextOf(base string, packages []string, alone bool) (string, error) {
	base = strings.TrimPrefix(base, "/")
	if base == "" {
		base = fmt.Sprint("user:", os.Geteuid())
		if alone {
			base, packages = "package:"+packages[0], nil
		}
	}
	for _, p := range packages {
		base += "+" + strings.ReplaceAll(p, "+", "%2B") // of a name like g++
	}
	name, err := attachname.Parse(base)
	switch {
	case err != nil:
		return "", cli.Usage(err)
	case name.Kind == attachname.KindControl, name.Kind == attachname.KindContexts:
		return "", cli.Usagef("%s has no programs: want user:NAME, group:NAME, package:NAME[=VERSION] or all", base)
	}
	return name.String(), nil
}

// enterContext makes this process a program in a context. It returns only if that fails.
func enterContext(e *cli.Env, o enter.Options) (err error) {
	if o.Server, err = e.Addr(); err != nil {
		return err
	}
	if o.Server.Network == "unix" {
		if o.Server.Address, err = filepath.Abs(o.Server.Address); err != nil {
			return err
		}
	}
	if o.Idle, err = idleTime(); err != nil {
		return err
	}
	o.Env, o.DeathSignal = os.Environ(), e.DeathSignal
	return cli.WithStatus(explainEnter(e, o.Context, enter.Enter(e, o)), 126)
}

// idleTime is how long what is mounted for a user is kept, if the user says so.
func idleTime() (time.Duration, error) {
	value := os.Getenv("PACKAGEFS_IDLE")
	if value == "" {
		return 0, nil
	}
	idle, err := time.ParseDuration(value)
	if err == nil && idle <= 0 {
		err = errors.New("it must be more than zero")
	}
	if err != nil {
		return 0, cli.Usagef("PACKAGEFS_IDLE is %q; want a time like 10m: %v", value, err)
	}
	return idle, nil
}

// explainEnter says why a context cannot be entered: the server knows best.
func explainEnter(e *cli.Env, name string, err error) error {
	if root, aerr := e.Attach(name); aerr != nil {
		return aerr
	} else {
		root.Conn().Close()
	}
	return err
}

// LauncherName is what the program is called as the interpreter of launchers.
const LauncherName = "enter"

// EnterCmd is what a launcher runs.
type EnterCmd struct {
	Package string   `arg:"" help:"The package, NAME=VERSION."`
	Command []string `arg:"" passthrough:"" name:"command" help:"The program and its arguments."`
}

// Help is shown below the flags.
func (*EnterCmd) Help() string {
	return `In contexts that hide dependencies, programs are scripts that begin with #!/usr/libexec/packagefs/enter NAME=VERSION. That is this command by another name: it runs the real program in the context of its package.

Example:
  packagefs enter hello=2.10-3 /usr/bin/hello`
}

func (c *EnterCmd) Run(env *cli.Env) error {
	return Launch(env, c.Package, c.Command)
}

// Launch runs the program of a launcher. The launcher may be on a mount of a tree
// somewhere, which tells the server then.
func Launch(e *cli.Env, pkg string, command []string) error {
	name, err := attachname.Parse("package:" + pkg)
	if err != nil {
		return cli.Usage(err)
	}
	at := enter.Locate(command[0])
	if e.Server == "" && at.Server.Network != "" {
		e.Server = at.Server.String()
	}
	to := enter.Options{Context: name.String(), Path: at.Path, Command: command, Launched: true}
	if at.Path != "" {
		if to.Base, err = contextOf(at.Context, nil, false); err != nil {
			return err
		}
	}
	return enterContext(e, to)
}
