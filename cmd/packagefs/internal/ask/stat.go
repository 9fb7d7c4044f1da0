package ask

import (
	"errors"
	"fmt"
	"path"
	"time"

	"github.com/packagefs/packagefs/cmd/packagefs/internal/cli"
	"github.com/packagefs/packagefs/server/api"
	"github.com/packagefs/packagefs/server/p9l/client"
)

// StatCmd shows attributes.
type StatCmd struct {
	Paths  []string `arg:"" name:"path" help:"Files to look at."`
	Follow bool     `short:"L" help:"Look at what a symlink leads to."`
	JSON   bool     `help:"Print an array of objects."`
}

// Help is shown below the flags.
func (*StatCmd) Help() string {
	return `Examples:
  packagefs stat /usr/bin/env
  packagefs -c package:python3.11 stat -L /usr/bin/python3`
}

func (c *StatCmd) Run(env *cli.Env) error {
	root, err := env.Attach(env.Aname)
	if err != nil {
		return err
	}
	defer root.Conn().Close()
	var rows []fileRow
	var errs []error
	for _, p := range c.Paths {
		row, err := stat(env, root, p, c.Follow)
		if err != nil {
			errs = append(errs, env.FileError("stat", p, err))
			continue
		}
		if rows = append(rows, row); !c.JSON {
			printStat(env, &row)
		}
	}
	if c.JSON {
		errs = append(errs, cli.PrintJSON(env.Stdout, rows))
	}
	return errors.Join(errs...)
}

// stat gives the attributes of the file at a path.
func stat(env *cli.Env, root *client.Fid, p string, follow bool) (fileRow, error) {
	f, err := Find(env, root, p, follow)
	if err != nil {
		return fileRow{}, err
	}
	defer f.Clunk()
	r, err := readRow(env, f, path.Join("/", p))
	if err == nil && r.Type == api.TypeFile {
		if of, err := f.Xattr(env, "user.packagefs.launcher"); err == nil {
			r.Launcher = string(of)
		}
	}
	return r, err
}

func printStat(env *cli.Env, r *fileRow) {
	name := cli.Printable(r.Path)
	if r.Target != "" {
		name += " -> " + cli.Printable(r.Target)
	}
	kept := "no: its content can change"
	switch {
	case r.mode.IsDir():
		kept = "no: its entries can change"
	case r.qid.Version != 0:
		kept = fmt.Sprintf("yes: version %d", r.qid.Version)
	}
	typ := r.Type
	if r.Launcher != "" {
		typ += ": a launcher of " + cli.Printable(r.Launcher)
	}
	mtime := time.Unix(r.MTime, int64(r.attr.MTimeNanoSeconds)).Format("2006-01-02 15:04:05.999999999 -0700")
	fmt.Fprintf(env.Stdout, "%s\n  type       %s\n  mode       %04o (%s)\n  owner      %d:%d\n  size       %d\n  links      %d\n  changed    %s\n  inode      %d\n  immutable  %s\n",
		name, typ, r.Mode, r.modeText(), r.UID, r.GID, r.Size, r.NLink, mtime, r.Inode, kept)
}
