package ask

import (
	"path"
	"slices"

	"github.com/packagefs/packagefs/cmd/packagefs/internal/cli"
	"github.com/packagefs/packagefs/server/api"
)

// PackagesCmd lists what is installed.
type PackagesCmd struct {
	Patterns []string `arg:"" optional:"" name:"pattern" help:"Names to list, with * and ?; default: all."`
	Rejected bool     `help:"List only the package files that were rejected."`
	Unused   bool     `help:"List only the packages that no context file needs: in no closure of what one has as its toplevel."`
	JSON     bool     `help:"Print an array of objects."`
}

// Help is shown below the flags.
func (*PackagesCmd) Help() string {
	return `A package file that cannot be used is listed as rejected, with the reason. With --context, the packages of that context's view are listed, and those it has but does not show.

Examples:
  packagefs packages
  packagefs packages 'python3*'
  packagefs packages --rejected
  packagefs packages --unused
  packagefs -c package:hello packages --json`
}

// Validate is called by the command line parser.
func (c *PackagesCmd) Validate() error {
	if c.Unused && c.Rejected {
		return cli.Usagef("--unused and --rejected: a package file that was rejected is no package")
	}
	for _, p := range c.Patterns {
		if _, err := path.Match(p, ""); err != nil {
			return cli.Usagef("%q is not a pattern: %v", p, err)
		}
	}
	return nil
}

func (c *PackagesCmd) Run(env *cli.Env) error {
	var rows []api.PackageRow
	q := api.Query{Op: api.OpPackages, Context: env.Aname}
	if c.Unused {
		q = api.Query{Op: api.OpUnused}
	}
	if err := env.Query(q, &rows); err != nil {
		return err
	}
	rows = slices.DeleteFunc(rows, func(r api.PackageRow) bool { return !c.wants(&r) })
	if c.JSON {
		return cli.PrintJSON(env.Stdout, rows)
	}
	t := cli.NewTable(env.Stdout, "NAME", "VERSION", "ARCH", "FORMAT", "STATE", "ABOUT")
	for _, r := range rows {
		name, about := r.Name, cli.FirstLine(r.Summary)
		if name == "" {
			name = r.File
		}
		if r.Reason != "" {
			about = r.Reason
		}
		t.Row(dash(name), dash(r.Version), dash(r.Architecture), dash(r.Format), r.State, about)
	}
	return t.End()
}

// wants tells whether a row is to be listed.
func (c *PackagesCmd) wants(r *api.PackageRow) bool {
	if c.Rejected && r.State != api.StateRejected {
		return false
	}
	return len(c.Patterns) == 0 || slices.ContainsFunc(c.Patterns, func(p string) bool {
		name, _ := path.Match(p, r.Name)
		file, _ := path.Match(p, r.File)
		return name || file
	})
}

// dash fills an empty cell.
func dash(s string) string {
	if s == "" {
		return "-"
	}
	return s
}
