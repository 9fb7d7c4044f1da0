package ask

import (
	"context"
	"errors"
	"io"
	"syscall"

	"github.com/packagefs/packagefs/cmd/packagefs/internal/cli"
	"github.com/packagefs/packagefs/server/p9l/client"
)

// CatCmd prints files.
type CatCmd struct {
	Paths []string `arg:"" name:"path" help:"Files to print, one after the other."`
}

// Help is shown below the flags.
func (*CatCmd) Help() string {
	return `Symlinks are followed within the tree.

Examples:
  packagefs cat /etc/bash.bashrc
  packagefs -c package:hello cat /usr/bin/hello > hello`
}

func (c *CatCmd) Run(env *cli.Env) error {
	root, err := env.Attach(env.Aname)
	if err != nil {
		return err
	}
	defer root.Conn().Close()
	var errs []error
	for _, p := range c.Paths {
		if err := Cat(env, env.Stdout, root, p); err != nil {
			errs = append(errs, env.FileError("cat", p, err))
		}
	}
	return errors.Join(errs...)
}

// Cat writes the regular file at a path to w.
func Cat(ctx context.Context, w io.Writer, root *client.Fid, p string) error {
	f, err := Find(ctx, root, p, true)
	if err != nil {
		return err
	}
	defer f.Clunk()
	_, attr, err := f.GetAttr(ctx)
	switch {
	case err != nil:
		return err
	case attr.Mode.IsDir():
		return syscall.EISDIR
	case !attr.Mode.IsRegular():
		return errors.New("not a regular file")
	}
	if _, err := f.Open(ctx, syscall.O_RDONLY); err != nil {
		return err
	}
	return cli.CopyFile(ctx, w, f)
}
