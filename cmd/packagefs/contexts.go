package main

import (
	"strings"

	"github.com/packagefs/packagefs/server"
)

// ContextsCmd lists contexts.
type ContextsCmd struct {
	JSON bool `help:"Print an array of objects."`
}

// Help is shown below the flags.
func (*ContextsCmd) Help() string {
	return `A context whose file has an error keeps its last good meaning, and shows the error.

Example:
  packagefs contexts`
}

func (c *ContextsCmd) Run(env *Env) error {
	var rows []server.ContextRow
	if err := env.query(server.Query{Op: server.OpContexts, Context: env.Aname}, &rows); err != nil {
		return err
	}
	if c.JSON {
		return printJSON(env.Stdout, rows)
	}
	t := newTable(env.Stdout, "CONTEXT", "STATE", "TOPLEVEL", "FILE", "REASON")
	for _, r := range rows {
		t.row(r.Context, r.State, dash(strings.Join(r.Toplevel, " ")), dash(r.File), r.Reason)
	}
	return t.end()
}
