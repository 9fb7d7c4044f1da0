package ask

import (
	"errors"
	"fmt"

	"github.com/packagefs/packagefs/cmd/packagefs/internal/cli"
	"github.com/packagefs/packagefs/server/api"
)

// FilesCmd lists what packages carry.
type FilesCmd struct {
	Packages []string `arg:"" name:"package" help:"NAME or NAME=VERSION; NAME alone is the newest version."`
	Long     bool     `short:"l" help:"With mode, owner, size, time, SHA-256 and the target of links; m marks mutable files, l programs that the context has a launcher for."`
	JSON     bool     `help:"Print an array of objects."`
}

// Help is shown below the flags.
func (*FilesCmd) Help() string {
	return `Examples:
  packagefs files hello
  packagefs files -l bash
  packagefs files --json coreutils`
}

func (c *FilesCmd) Run(env *cli.Env) error {
	var all []api.FileRow
	var errs []error
	for _, p := range c.Packages {
		var rows []api.FileRow
		errs = append(errs, env.Query(api.Query{Op: api.OpFiles, Context: env.Aname, Package: p}, &rows))
		all = append(all, rows...)
	}
	if c.JSON {
		return errors.Join(append(errs, cli.PrintJSON(env.Stdout, all))...)
	}
	t := cli.NewTable(env.Stdout)
	for i := range all {
		c.row(t, &all[i])
	}
	return errors.Join(append(errs, t.End())...)
}

func (c *FilesCmd) row(t cli.Table, f *api.FileRow) {
	if !c.Long {
		t.Row(f.Path)
		return
	}
	name := cli.Printable(f.Path)
	if f.Target != "" {
		name += " -> " + cli.Printable(f.Target)
	}
	if f.HardLink != "" {
		name += " = " + cli.Printable(f.HardLink)
	}
	mark := "-"
	switch {
	case f.Mutable:
		mark = "m"
	case f.Launcher != "":
		mark = "l"
	}
	r := fileRow{Type: f.Type, Mode: f.Mode}
	t.Row(r.modeText(), mark, fmt.Sprint(f.UID), fmt.Sprint(f.GID), fmt.Sprintf("%11d", f.Size),
		cli.TimeText(f.MTime), dash(f.SHA256), name)
}
