package local

import (
	"errors"
	"fmt"
	"os"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/packagefs/packagefs/cmd/packagefs/internal/cli"
	"github.com/packagefs/packagefs/cmd/packagefs/internal/enter"
	"github.com/packagefs/packagefs/cmd/packagefs/internal/login"
)

// LoginCmd makes sessions of users begin in their contexts.
type LoginCmd struct {
	Install LoginInstallCmd `cmd:"" help:"Let the sessions of users begin in their contexts."`
	Remove  LoginRemoveCmd  `cmd:"" help:"Undo that."`
	Session LoginSessionCmd `cmd:"" hidden:"" help:"Put a new session into a user's context: what pam_namespace runs."`
}

// LoginInstallCmd installs the recipe.
type LoginInstallCmd struct {
	Service []string `placeholder:"NAME" help:"A PAM service. Default: those of login, sshd, su-l, systemd-user and display managers that there are."`
	Except  []string `placeholder:"USER" default:"root" help:"A user whose sessions stay on the plain root."`
	DryRun  bool     `short:"n" help:"Only print what would be done."`
}

// Help is shown below the flags.
func (*LoginInstallCmd) Help() string {
	return `A session that begins with login, ssh or su -l, and systemd's manager of a user's services, gets a mount namespace of its own in which the user's context is stacked on the root. PAM's pam_namespace does it, and a script that it runs. What is done is printed first. A login never fails for it: where the server is down, the session begins on the plain root, with a line that says so.

The server has to run as root, at a socket that users may connect to; name another than unix:/run/packagefs/9p.sock with --server.

Examples:
  packagefs login install --dry-run
  packagefs login install --service sshd --service su-l --except root --except backup`
}

func (c *LoginInstallCmd) Run(env *cli.Env) error {
	addr, err := env.Addr()
	if err != nil {
		return err
	}
	if addr.Network == "unix" {
		if addr.Address, err = filepath.Abs(addr.Address); err != nil {
			return err
		}
	}
	program, err := os.Executable()
	if err != nil {
		return err
	}
	if strings.HasPrefix(program, os.TempDir()+"/") {
		return fmt.Errorf("login install: %s will not be there for long; install packagefs first, to /usr/local/bin for one", program)
	}
	r := login.Recipe{Program: program, Server: addr.String(), Services: c.Service, Except: c.Except}
	changes, err := r.Install()
	if err != nil {
		return err
	}
	return makeChanges(env, changes, c.DryRun)
}

// LoginRemoveCmd takes the recipe away.
type LoginRemoveCmd struct {
	DryRun bool `short:"n" help:"Only print what would be done."`
}

func (c *LoginRemoveCmd) Run(env *cli.Env) error {
	changes, err := login.Remove()
	if err != nil {
		return err
	}
	return makeChanges(env, changes, c.DryRun)
}

// makeChanges prints all changes, and then makes them.
func makeChanges(env *cli.Env, changes []login.Change, dry bool) error {
	if len(changes) == 0 {
		fmt.Fprintln(env.Stdout, "nothing to do")
		return nil
	}
	for _, c := range changes {
		c.Print(env.Stdout)
	}
	if dry {
		return nil
	}
	if os.Geteuid() != 0 {
		return errors.New("login: only root can change how sessions begin")
	}
	for _, c := range changes {
		if err := c.Make(); err != nil {
			return fmt.Errorf("login: %w; the changes before it are made, and packagefs login remove undoes them", err)
		}
	}
	return nil
}

// LoginSessionCmd puts the session that it is run in into a context.
type LoginSessionCmd struct {
	User string `arg:"" help:"Whose session it is."`
}

func (c *LoginSessionCmd) Run(env *cli.Env) error {
	u, err := user.Lookup(c.User)
	if err != nil {
		return err
	}
	uid, err := strconv.ParseUint(u.Uid, 10, 32)
	if err != nil {
		return err
	}
	addr, err := env.Addr()
	if err != nil {
		return err
	}
	name := "user:" + u.Uid
	err = enter.Enter(env, enter.Options{Server: addr, Context: name, Session: login.SessionDir, User: uint32(uid)})
	return explainEnter(env, name, err)
}
