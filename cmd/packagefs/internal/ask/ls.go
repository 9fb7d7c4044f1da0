package ask

import (
	"errors"
	"fmt"
	"path"

	"github.com/packagefs/packagefs/cmd/packagefs/internal/cli"
	"github.com/packagefs/packagefs/server/p9l/client"
)

// LsCmd lists directories.
type LsCmd struct {
	Paths []string `arg:"" optional:"" name:"path" help:"What to list; default: /."`
	Long  bool     `short:"l" help:"With mode, owner, size, time and the target of symlinks."`
	JSON  bool     `help:"Print an array of objects."`
}

// Help is shown below the flags.
func (*LsCmd) Help() string {
	return `Names that begin with a dot are listed like all others.

Examples:
  packagefs ls /usr/bin
  packagefs -c package:python3.11 ls -l /usr/bin
  packagefs -c all ls --json /etc`
}

func (c *LsCmd) Run(env *cli.Env) error {
	root, err := env.Attach(env.Aname)
	if err != nil {
		return err
	}
	defer root.Conn().Close()
	if len(c.Paths) == 0 {
		c.Paths = []string{"/"}
	}
	var all []fileRow
	var errs []error
	for i, p := range c.Paths {
		rows, dir, err := list(env, root, p, c.Long || c.JSON)
		switch {
		case err != nil:
			errs = append(errs, env.FileError("ls", p, err))
		case c.JSON:
			all = append(all, rows...)
		default:
			if len(c.Paths) > 1 && dir {
				fmt.Fprintf(env.Stdout, "%s%s:\n", blank(i), cli.Printable(p))
			}
			err = c.print(env, rows)
		}
		if err != nil && len(errs) == 0 {
			return err
		}
	}
	if c.JSON {
		errs = append(errs, cli.PrintJSON(env.Stdout, all))
	}
	return errors.Join(errs...)
}

func blank(i int) string {
	if i > 0 {
		return "\n"
	}
	return ""
}

// list gives the entries of the directory at p, or the file at p itself. Unless
// full is set they have names only.
func list(env *cli.Env, root *client.Fid, p string, full bool) (rows []fileRow, dir bool, err error) {
	f, err := Find(env, root, p, true)
	if err != nil {
		if f, err = Find(env, root, p, false); err != nil { // a symlink to nowhere
			return nil, false, err
		}
	}
	defer f.Clunk()
	at := path.Join("/", p)
	row, err := readRow(env, f, at)
	switch {
	case err != nil:
		return nil, false, err
	case !row.mode.IsDir():
		row.Name = p
		return []fileRow{row}, false, nil
	case full:
		rows, err = listRows(env, f, at)
		return rows, true, err
	}
	entries, err := ListDir(env, f)
	for _, e := range entries {
		rows = append(rows, fileRow{Name: e.Name})
	}
	return rows, true, err
}

func (c *LsCmd) print(env *cli.Env, rows []fileRow) error {
	t := cli.NewTable(env.Stdout)
	for _, r := range rows {
		if !c.Long {
			t.Row(r.Name)
			continue
		}
		name := cli.Printable(r.Name)
		if r.Target != "" {
			name += " -> " + cli.Printable(r.Target)
		}
		t.Row(r.modeText(), fmt.Sprint(r.UID), fmt.Sprint(r.GID), fmt.Sprintf("%11d", r.Size), cli.TimeText(r.MTime), name)
	}
	return t.End()
}
