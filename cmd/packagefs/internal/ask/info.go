package ask

import (
	"errors"
	"fmt"
	"strings"

	"github.com/packagefs/packagefs/cmd/packagefs/internal/cli"
	"github.com/packagefs/packagefs/server/api"
)

// InfoCmd shows metadata.
type InfoCmd struct {
	Packages []string `arg:"" name:"package" help:"NAME or NAME=VERSION; NAME alone is every version."`
	JSON     bool     `help:"Print an array of objects."`
}

// Help is shown below the flags.
func (*InfoCmd) Help() string {
	return `Examples:
  packagefs info hello
  packagefs info --json python3.11-minimal=3.11.2-6`
}

func (c *InfoCmd) Run(env *cli.Env) error {
	var all []api.Info
	var errs []error
	for _, p := range c.Packages {
		var found []api.Info
		errs = append(errs, env.Query(api.Query{Op: api.OpInfo, Context: env.Aname, Package: p}, &found))
		all = append(all, found...)
	}
	if c.JSON {
		return errors.Join(append(errs, cli.PrintJSON(env.Stdout, all))...)
	}
	for i := range all {
		fmt.Fprint(env.Stdout, blank(i))
		errs = append(errs, printInfo(env, &all[i]))
	}
	return errors.Join(errs...)
}

func printInfo(env *cli.Env, p *api.Info) error {
	t := cli.NewTable(env.Stdout)
	field := func(name string, values ...string) {
		for _, v := range values {
			if v != "" {
				t.Row(name, v)
				name = ""
			}
		}
	}
	field("package", p.Name+"="+p.Version)
	field("architecture", p.Architecture)
	field("format", p.Format)
	field("file", p.File)
	field("state", strings.TrimSpace(p.State+" "+p.Reason))
	if p.Signature != nil {
		field("signature", strings.TrimSpace("key "+p.Signature.KeyID+" ("+p.Signature.Key+") "+p.Signature.Comment))
	}
	field("summary", p.Summary)
	field("homepage", p.Homepage)
	field("maintainer", p.Maintainer)
	field("license", p.License)
	field("source", p.Source)
	field("multi-arch", p.MultiArch)
	if p.Essential {
		field("essential", "yes")
	}
	field("depends", p.Depends...)
	field("provides", p.Provides...)
	field("conflicts", p.Conflicts...)
	field("replaces", p.Replaces...)
	field("services", p.Services...)
	field("content", fmt.Sprintf("%s, %s, %s", cli.Plural(p.Files, "file"), cli.Plural(p.Directories, "directory"), cli.SizeText(p.Size)))
	if p.Launchers > 0 {
		field("launchers", cli.Plural(p.Launchers, "program")+" of it")
	}
	if err := t.End(); err != nil || p.Description == "" {
		return err
	}
	for line := range strings.Lines(strings.TrimRight(p.Description, "\n")) {
		fmt.Fprintln(env.Stdout, "  "+cli.Printable(strings.TrimRight(line, "\n")))
	}
	return nil
}
