package ask

import (
	"path"
	"slices"
	"strings"

	"github.com/packagefs/packagefs/cmd/packagefs/internal/cli"
	"github.com/packagefs/packagefs/server/api"
)

// ContextsCmd lists contexts.
type ContextsCmd struct {
	Patterns []string `arg:"" optional:"" name:"pattern" help:"Contexts to list, with * and ?; default: all."`
	Broken   bool     `help:"List only contexts whose file has an error."`
	JSON     bool     `help:"Print an array of objects."`
}

// Help is shown below the flags.
func (*ContextsCmd) Help() string {
	return `The contexts that you may attach to and that have a file are listed, with what their own files say; packagefs explain CONTEXT tells what comes of all files together. A context whose file has an error keeps its last good meaning, and shows the error. Everyone may attach to contexts that are public.

Examples:
  packagefs contexts
  packagefs contexts 'group:*'
  packagefs contexts --broken`
}

// Validate is called by the command line parser.
func (c *ContextsCmd) Validate() error {
	for _, p := range c.Patterns {
		if _, err := path.Match(p, ""); err != nil {
			return cli.Usagef("%q is not a pattern: %v", p, err)
		}
	}
	return nil
}

func (c *ContextsCmd) Run(env *cli.Env) error {
	var rows []api.ContextRow
	if err := env.Query(api.Query{Op: api.OpContexts, Context: env.Aname}, &rows); err != nil {
		return err
	}
	rows = slices.DeleteFunc(rows, func(r api.ContextRow) bool { return !c.wants(&r) })
	if c.JSON {
		return cli.PrintJSON(env.Stdout, rows)
	}
	t := cli.NewTable(env.Stdout, "CONTEXT", "STATE", "PUBLIC", "TOPLEVEL", "MEMBERS", "REASON")
	for _, r := range rows {
		public := "-"
		if r.Public {
			public = "public"
		}
		t.Row(r.Context, r.State, public, dash(strings.Join(r.Toplevel, " ")), dash(strings.Join(r.Members, " ")), r.Reason)
	}
	return t.End()
}

// wants tells whether a row is to be listed.
func (c *ContextsCmd) wants(r *api.ContextRow) bool {
	if c.Broken && r.State == api.ContextOK {
		return false
	}
	return len(c.Patterns) == 0 || slices.ContainsFunc(c.Patterns, func(p string) bool {
		ok, _ := path.Match(p, r.Context)
		return ok
	})
}
