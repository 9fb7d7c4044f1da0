package ask

import (
	"errors"

	"github.com/packagefs/packagefs/cmd/packagefs/internal/cli"
	"github.com/packagefs/packagefs/server/api"
)

// OwnsCmd finds packages by path.
type OwnsCmd struct {
	Paths []string `arg:"" name:"path" help:"Paths in the tree."`
	JSON  bool     `help:"Print an array of objects."`
}

// Help is shown below the flags.
func (*OwnsCmd) Help() string {
	return `Every package that carries the path is listed; the one whose file the context sees comes first.

Examples:
  packagefs owns /usr/sbin/sendmail
  packagefs -c user:alice owns --json /usr/bin/python3`
}

func (c *OwnsCmd) Run(env *cli.Env) error {
	var all []api.Owner
	var errs []error
	for _, p := range c.Paths {
		var rows []api.Owner
		err := env.Query(api.Query{Op: api.OpOwns, Context: env.Aname, Path: p}, &rows)
		if err == nil && len(rows) == 0 {
			err = env.FileError("owns", p, errors.New("no package has it"))
		}
		errs = append(errs, err)
		all = append(all, rows...)
	}
	if c.JSON {
		return errors.Join(append(errs, cli.PrintJSON(env.Stdout, all))...)
	}
	t := cli.NewTable(env.Stdout)
	for _, o := range all {
		seen := "hidden"
		if o.Visible {
			seen = "visible"
		}
		t.Row(o.Path, o.Package, o.Type, seen, o.Reason)
	}
	return errors.Join(append(errs, t.End())...)
}
