package ask

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/packagefs/packagefs/cmd/packagefs/internal/cli"
	"github.com/packagefs/packagefs/server/api"
)

// ExplainCmd tells why a context is as it is.
type ExplainCmd struct {
	Args []string `arg:"" optional:"" name:"context-or-path" help:"A context, by default that of --context; and a path that begins with a slash, to explain only that."`
	JSON bool     `help:"Print one object."`
}

// Help is shown below the flags.
func (*ExplainCmd) Help() string {
	return `Examples:
  packagefs explain
  packagefs explain user:alice
  packagefs explain package:report-tool /usr/bin/python
  packagefs explain /usr/sbin/sendmail`
}

// split tells context and path apart.
func (c *ExplainCmd) split(aname string) (context, path string, err error) {
	args := c.Args
	if len(args) > 0 && !strings.HasPrefix(args[0], "/") {
		if aname != "" && aname != args[0] {
			return "", "", cli.Usagef("explain: --context says %s, and the argument %s", aname, args[0])
		}
		aname, args = args[0], args[1:]
	}
	switch {
	case len(args) == 0:
		return aname, "", nil
	case len(args) == 1 && strings.HasPrefix(args[0], "/"):
		return aname, args[0], nil
	}
	return "", "", cli.Usagef("explain: want [CONTEXT] [PATH], and the path with a slash at its beginning")
}

func (c *ExplainCmd) Run(env *cli.Env) error {
	context, path, err := c.split(env.Aname)
	if err != nil {
		return err
	}
	q := api.Query{Op: api.OpExplain, Context: context, Path: path}
	if path != "" {
		var x api.PathExplain
		if err := env.Query(q, &x); err != nil {
			return err
		}
		if c.JSON {
			return cli.PrintObject(env.Stdout, x)
		}
		return PrintPathExplain(env, &x)
	}
	var x api.Explain
	if err := env.Query(q, &x); err != nil {
		return err
	}
	if c.JSON {
		return cli.PrintObject(env.Stdout, x)
	}
	return printExplain(env, &x)
}

func PrintPathExplain(env *cli.Env, x *api.PathExplain) error {
	name := cli.Printable(x.Path)
	if x.Target != "" {
		name += " -> " + cli.Printable(x.Target)
	}
	mutable := ""
	if x.Mutable {
		mutable = ", mutable"
	}
	fmt.Fprintf(env.Stdout, "%s\n", name)
	t := cli.NewTable(env.Stdout)
	t.Row("  context", dash(x.Context))
	t.Row("  type", x.Type+mutable)
	t.Row("  package", x.Package)
	t.Row("  because", x.Why)
	if x.Launcher != "" {
		t.Row("  served as", "a launcher, which runs it in "+x.Launcher)
	}
	if x.Attributes != "" {
		t.Row("  attributes", x.Attributes)
	}
	for i, o := range x.Otherwise {
		t.Row([]string{"  but", ""}[min(i, 1)], o)
	}
	if len(x.Also) > 0 {
		t.Row("  also in", strings.Join(x.Also, ", "))
	}
	for i, h := range x.Hides {
		t.Row([]string{"  hides", ""}[min(i, 1)], h.Package+", which "+h.Why)
	}
	return t.End()
}

// section prints one part of an explanation, if there is something in it.
func section[T any](w io.Writer, title string, items []T, cells func(T) []string) error {
	if len(items) == 0 {
		return nil
	}
	fmt.Fprintf(w, "\n%s\n", title)
	t := cli.NewTable(w)
	for _, item := range items {
		row := cells(item)
		row[0] = "  " + row[0]
		t.Row(row...)
	}
	return t.End()
}

func printExplain(env *cli.Env, x *api.Explain) error {
	w := env.Stdout
	if x.Reason != "" {
		fmt.Fprintf(w, "context %s: nobody can attach to it: %s\n", dash(x.Context), cli.Printable(x.Reason))
	} else {
		fmt.Fprintf(w, "context %s: %s, %d toplevel, dependencies %s, mutable layer %s\n",
			dash(x.Context), cli.Plural(len(x.Packages), "package"), len(x.Roots), x.Dependencies, x.Mutable)
	}
	return errors.Join(
		section(w, "errors in context files, which keep their last good meaning", x.Errors, func(e api.ExplainError) []string {
			return []string{e.File, e.Reason}
		}),
		section(w, "rules, nearest last", x.Rules, func(r api.ExplainRule) []string {
			note := ""
			if !r.Effective {
				note = "(a nearer file says otherwise)"
			}
			return []string{r.Key, r.Value, cmp.Or(r.File, "(default)"), note}
		}),
		section(w, "packages, first wins", x.Packages, func(p api.ExplainPackage) []string {
			kind := "dependency"
			if p.Toplevel {
				kind = "toplevel"
			}
			return []string{p.Package, kind, p.Why}
		}),
		section(w, "missing", x.Missing, func(m api.ExplainMissing) []string {
			return []string{m.Package, m.Reason}
		}),
		section(w, "conflicts", x.Conflicts, func(c api.Conflict) []string {
			return []string{c.Path, c.Winner, "hides " + strings.Join(c.Losers, ", ")}
		}),
	)
}
