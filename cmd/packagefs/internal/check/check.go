// Package check has the command that finds the packages whose contexts do not resolve:
// those of a server, which is asked, or those in Packages files of Debian, for which
// it solves here.
package check

import (
	stdcontext "context"
	"fmt"
	"io"
	"os"

	"github.com/packagefs/packagefs/cmd/packagefs/internal/cli"
	"github.com/packagefs/packagefs/context"
	"github.com/packagefs/packagefs/pkgindex/format"
	"github.com/packagefs/packagefs/pkgindex/pkgmeta"
	"github.com/packagefs/packagefs/server/api"
)

// Cmd finds packages whose own contexts do not resolve.
type Cmd struct {
	PackagesFile []string `placeholder:"FILE" sep:"none" help:"Check the packages in a Debian Packages file (plain, .gz, .xz or .zst; - is standard input) instead of the server's; several files are one archive."`
	JSON         bool     `help:"Print an array of objects, one for each package."`
}

// Help is shown below the flags.
func (*Cmd) Help() string {
	return `For each package it is found out whether all that it needs can be there together with it, as in the context package:NAME=VERSION. Those for which it cannot are listed with the reason, and the exit status is 1 if there are any.

Examples:
  packagefs check
  packagefs check --packages-file main/Packages.xz --packages-file contrib/Packages.xz
  packagefs check --json`
}

func (c *Cmd) Run(env *cli.Env) error {
	var rows []api.CheckRow
	var err error
	if len(c.PackagesFile) > 0 {
		rows, err = c.checkFiles(env)
	} else {
		err = env.Query(api.Query{Op: api.OpCheck}, &rows)
	}
	if err != nil {
		return err
	}
	failed := 0
	for _, r := range rows {
		if !r.OK {
			failed++
		}
	}
	if c.JSON {
		err = cli.PrintJSON(env.Stdout, rows)
	} else if failed > 0 {
		t := cli.NewTable(env.Stdout, "NAME", "VERSION", "ARCH", "REASON")
		for _, r := range rows {
			if !r.OK {
				t.Row(r.Name, r.Version, r.Architecture, r.Reason)
			}
		}
		err = t.End()
	} else {
		_, err = fmt.Fprintf(env.Stdout, "%s: every context resolves\n", cli.Plural(len(rows), "package"))
	}
	if err == nil && failed > 0 {
		err = fmt.Errorf("check: of %s, the contexts of %d do not resolve", cli.Plural(len(rows), "package"), failed)
	}
	return err
}

// checkFiles checks the packages of Packages files.
func (c *Cmd) checkFiles(env *cli.Env) ([]api.CheckRow, error) {
	packages, err := c.readFiles(env)
	if err != nil {
		return nil, err
	}
	bar := cli.NewProgressLine(env.Stderr)
	verdicts, err := context.CheckArchive(env, packages, func(done, total int) {
		bar.Show("checked %d of %s", done, cli.Plural(total, "package"))
	})
	bar.Clear()
	if err != nil {
		return nil, err
	}
	rows := make([]api.CheckRow, len(verdicts))
	for i, v := range verdicts {
		rows[i] = api.CheckRow{Name: v.Package.Name, Version: v.Package.Version, Architecture: v.Package.Architecture, OK: v.OK, Reason: v.Reason}
	}
	return rows, nil
}

// readFiles reads all files. What several of them have counts once.
func (c *Cmd) readFiles(env *cli.Env) ([]pkgmeta.Meta, error) {
	type key struct{ name, version, architecture string }
	known := make(map[key]bool)
	var all []pkgmeta.Meta
	bar := cli.NewProgressLine(env.Stderr)
	defer bar.Clear()
	for _, name := range c.PackagesFile {
		err := readPackagesFile(env, name, func(m pkgmeta.Meta) {
			if k := (key{m.Name, m.Version, m.Architecture}); !known[k] {
				known[k] = true
				all = append(all, m)
				bar.Show("read %s", cli.Plural(len(all), "package"))
			}
		})
		if err != nil {
			return nil, fmt.Errorf("check %s: %w", name, err)
		}
	}
	if len(all) == 0 {
		return nil, fmt.Errorf("check: no packages in %s; is it a Debian Packages file?", c.PackagesFile[0])
	}
	return all, nil
}

func readPackagesFile(env *cli.Env, name string, each func(pkgmeta.Meta)) error {
	in := env.Stdin
	if name != "-" {
		f, err := os.Open(name)
		if err != nil {
			return err
		}
		defer f.Close()
		in = f
	}
	for m, err := range format.ReadPackagesFile(contextReader{env, in}) {
		if err != nil {
			return err
		}
		each(m)
	}
	return nil
}

// contextReader fails once its context has ended.
type contextReader struct {
	ctx stdcontext.Context
	r   io.Reader
}

func (c contextReader) Read(p []byte) (int, error) {
	if err := c.ctx.Err(); err != nil {
		return 0, err
	}
	return c.r.Read(p)
}
