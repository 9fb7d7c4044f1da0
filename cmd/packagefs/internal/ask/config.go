package ask

import (
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"github.com/packagefs/packagefs/cmd/packagefs/internal/cli"
	"github.com/packagefs/packagefs/server/api"
)

// ConfigCmd deals with edited files of packages.
type ConfigCmd struct {
	Status ConfigStatusCmd `cmd:"" help:"List the edited files, and how they stand to the packages of now."`
	Diff   ConfigDiffCmd   `cmd:"" help:"Show what was edited, and what the package changed since."`
	Keep   ConfigKeepCmd   `cmd:"" help:"Keep edited files as they are; they are up to date then."`
	Take   ConfigTakeCmd   `cmd:"" help:"Take the packages' files in the place of edited ones."`
	Merge  ConfigMergeCmd  `cmd:"" help:"Bring what the packages changed into edited files."`
	Reset  ConfigResetCmd  `cmd:"" help:"Go back to the packages' files, deleted ones as well."`
}

// Help is shown below the flags.
func (*ConfigCmd) Help() string {
	return `Who edits a configuration file gets a copy of it, which stays when a newer version of the package comes. These commands tell where that version has another file, and bring the two together. Files that nobody edited follow their packages, and an edit that the new version has as well is none any more.

The context whose files are meant is that of --context: your own without it, and all for those that everybody sees.

Examples:
  packagefs -c user:alice config status
  packagefs -c user:alice config diff /etc/app.conf
  packagefs -c user:alice config merge /etc/app.conf`
}

// ConfigStatusCmd lists edited files.
type ConfigStatusCmd struct {
	Paths []string `arg:"" optional:"" name:"path" help:"Only these, and what is below them."`
	JSON  bool     `help:"Print an array of objects."`
}

func (c *ConfigStatusCmd) Run(env *cli.Env) error {
	var rows []api.EditRow
	if err := env.Query(api.Query{Op: api.OpEdits, Context: env.Aname}, &rows); err != nil {
		return err
	}
	wanted := rows[:0]
	for _, r := range rows {
		if c.wants(r.Path) {
			wanted = append(wanted, r)
		}
	}
	if c.JSON {
		return cli.PrintJSON(env.Stdout, wanted)
	}
	t := cli.NewTable(env.Stdout)
	for _, r := range wanted {
		t.Row(r.State, r.Path, r.From, r.Package)
	}
	return t.End()
}

func (c *ConfigStatusCmd) wants(path string) bool {
	for _, p := range c.Paths {
		if p = strings.TrimSuffix(p, "/"); path == p || strings.HasPrefix(path, p+"/") {
			return true
		}
	}
	return len(c.Paths) == 0
}

// ConfigDiffCmd compares the versions of an edited file.
type ConfigDiffCmd struct {
	Path string `arg:"" help:"An edited file."`
}

func (c *ConfigDiffCmd) Run(env *cli.Env) error {
	var d api.EditDiff
	if err := env.Query(api.Query{Op: api.OpEditDiff, Context: env.Aname, Path: c.Path}, &d); err != nil {
		return err
	}
	_, err := io.WriteString(env.Stdout, d.Mine+d.Theirs)
	return err
}

// configPaths are the edited files that a command changes.
type configPaths struct {
	Paths []string `arg:"" name:"path" help:"Edited files."`
}

// run gives the server the command for the files.
func (c *configPaths) run(env *cli.Env, verb string) ([]api.EditResult, error) {
	name := env.Aname
	if name == "" {
		name = fmt.Sprint("user:", os.Getuid())
	}
	result, err := env.Command(append([]string{"config", verb, name}, c.Paths...)...)
	if err == nil {
		_, err = io.WriteString(env.Stdout, result.Text)
	}
	return result.Edits, err
}

// ConfigKeepCmd keeps edits.
type ConfigKeepCmd struct{ configPaths }

func (c *ConfigKeepCmd) Run(env *cli.Env) error { _, err := c.run(env, "keep"); return err }

// ConfigTakeCmd drops edits.
type ConfigTakeCmd struct{ configPaths }

func (c *ConfigTakeCmd) Run(env *cli.Env) error { _, err := c.run(env, "take"); return err }

// ConfigResetCmd drops edits and deletions.
type ConfigResetCmd struct{ configPaths }

func (c *ConfigResetCmd) Run(env *cli.Env) error { _, err := c.run(env, "reset"); return err }

// ConfigMergeCmd merges.
type ConfigMergeCmd struct{ configPaths }

func (c *ConfigMergeCmd) Run(env *cli.Env) error {
	edits, err := c.run(env, "merge")
	conflicts := func(e api.EditResult) bool { return e.Conflicts > 0 }
	if err == nil && slices.ContainsFunc(edits, conflicts) {
		err = errors.New("config merge: edit the marked places, then: packagefs config keep PATH")
	}
	return err
}
