package ask

import (
	"errors"
	"fmt"
	"os"

	"github.com/packagefs/packagefs/cmd/packagefs/internal/cli"
	"github.com/packagefs/packagefs/server/api"
)

// RemoveCmd removes packages.
type RemoveCmd struct {
	Packages []string `arg:"" name:"package" help:"NAME, or NAME=VERSION where there are several versions."`
	Force    bool     `help:"Remove them even if other packages then lack something."`
	DryRun   bool     `help:"Only tell what would be removed, and what would then lack something."`
	JSON     bool     `help:"Print an object: the packages, and those that then lack something."`
}

// Help is shown below the flags.
func (*RemoveCmd) Help() string {
	return `The package files and their signatures are removed from the package directory, all in one step or none. Files that are open stay readable. Where that would leave other packages without something that they need, nothing is removed and they are listed, unless --force is given. This is for the server's administrators.

Examples:
  packagefs remove hello
  packagefs remove app=1.0-1 app-data=1.0-1
  packagefs remove --dry-run libssl3`
}

func (c *RemoveCmd) Run(env *cli.Env) error {
	var removal api.Removal
	if err := env.Query(api.Query{Op: api.OpRemoval, Packages: c.Packages}, &removal); err != nil {
		return fmt.Errorf("remove: %w", err)
	}
	refused := len(removal.Breaks) > 0 && !c.Force
	var err error
	if !refused && !c.DryRun {
		err = c.remove(env)
	}
	if err != nil {
		return fmt.Errorf("remove: %w", err)
	}
	if c.JSON {
		err = cli.PrintObject(env.Stdout, removal)
	} else {
		err = c.print(env, removal, refused)
	}
	if err == nil && refused && !c.DryRun {
		err = fmt.Errorf("remove: nothing was removed: %s would lack something; --force removes all the same", cli.Plural(len(removal.Breaks), "package"))
	}
	return err
}

func (c *RemoveCmd) print(env *cli.Env, removal api.Removal, refused bool) error {
	for _, p := range removal.Packages {
		switch {
		case c.DryRun:
			fmt.Fprintf(env.Stdout, "%s: would be removed\n", cli.Printable(p))
		case !refused:
			fmt.Fprintf(env.Stdout, "%s: removed\n", cli.Printable(p))
		}
	}
	t := cli.NewTable(env.Stdout)
	for _, b := range removal.Breaks {
		t.Row("broken:", b.Name+"="+b.Version, b.Reason)
	}
	return t.End()
}

// remove lets the server remove the packages, which it has done when it answers.
func (c *RemoveCmd) remove(env *cli.Env) error {
	result, err := env.Command(append([]string{"remove"}, c.Packages...)...)
	for _, p := range result.Remaining {
		fmt.Fprintf(env.Stderr, "note: %s is there from another package file: %s\n", p.Package, cli.Printable(p.File))
	}
	if errors.Is(err, os.ErrPermission) {
		err = fmt.Errorf("%w; may the server write to its package directory?", err)
	}
	return err
}
