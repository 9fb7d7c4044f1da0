package ask

import (
	"fmt"

	"github.com/packagefs/packagefs/cmd/packagefs/internal/cli"
	"github.com/packagefs/packagefs/server/api"
)

// GcCmd removes what nobody needs.
type GcCmd struct {
	DryRun bool `help:"Only tell what would be removed."`
	JSON   bool `help:"Print an array of objects."`
}

// Help is shown below the flags.
func (*GcCmd) Help() string {
	return `A server takes away what it made of packages that are gone. What is left for this are the remains of servers and installs that were killed, indexes and unpacked contents without a package file, and what was kept to compare edited configuration files with that are not edited any more. No package is removed; packages --unused lists those that no context needs. This is for the server's administrators.

Examples:
  packagefs gc --dry-run
  packagefs gc`
}

func (c *GcCmd) Run(env *cli.Env) error {
	var rows []api.GarbageRow
	if c.DryRun {
		if err := env.Query(api.Query{Op: api.OpGarbage}, &rows); err != nil {
			return fmt.Errorf("gc: %w", err)
		}
	} else {
		result, err := env.Command("gc")
		if err != nil {
			return err
		}
		rows = result.Garbage
	}
	if c.JSON {
		return cli.PrintJSON(env.Stdout, rows)
	}
	var bytes int64
	t := cli.NewTable(env.Stdout)
	for _, r := range rows {
		t.Row(r.Path, cli.SizeText(r.Bytes), r.What)
		bytes += r.Bytes
	}
	if err := t.End(); err != nil {
		return err
	}
	done := "removed"
	if c.DryRun {
		done = "would be removed"
	}
	_, err := fmt.Fprintf(env.Stdout, "%s, %s, %s\n", cli.Plural(len(rows), "thing"), cli.SizeText(bytes), done)
	return err
}
