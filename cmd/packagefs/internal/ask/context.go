package ask

import (
	"strconv"

	"github.com/packagefs/packagefs/cmd/packagefs/internal/cli"
)

// ContextCmd shows and changes context files, through the server.
type ContextCmd struct {
	New      ContextNewCmd      `cmd:"" help:"Make a context file, with comments that say what it may have."`
	Show     ContextShowCmd     `cmd:"" help:"Print a context file."`
	Edit     ContextEditCmd     `cmd:"" help:"Change a context file with an editor."`
	Add      ContextAddCmd      `cmd:"" help:"Add values to a list of a context file."`
	Del      ContextDelCmd      `cmd:"" help:"Take values out of a list of a context file, or remove the file."`
	Set      ContextSetCmd      `cmd:"" help:"Set a key of a context file."`
	Unset    ContextUnsetCmd    `cmd:"" help:"Take a key out of a context file."`
	History  ContextHistoryCmd  `cmd:"" help:"List the revisions of a context file."`
	Diff     ContextDiffCmd     `cmd:"" help:"Show what changed in a context file."`
	Rollback ContextRollbackCmd `cmd:"" help:"Make a context file what it was."`
}

// Help is shown below the flags.
func (*ContextCmd) Help() string {
	return `A context file says what a user, a group, or everybody (system) sees. These commands are for administrators. A change is live at once, and comments in the file stay.

The lists are allow, deny, toplevel, prefer, members (of a group), and pin with its values NAME=VERSION. The single values are dependencies (hidden or visible), mutable (own or none) and public (true or false).

Examples:
  packagefs context add user:alice toplevel blender python3.11
  packagefs context set group:dev dependencies visible
  packagefs context edit system
  packagefs context diff user:alice`
}

// ContextNewCmd makes a context file.
type ContextNewCmd struct {
	Context string `arg:"" help:"system, user:NAME or group:NAME."`
}

func (c *ContextNewCmd) Run(env *cli.Env) error { return env.PrintCommand("context", "new", c.Context) }

// ContextShowCmd prints a context file.
type ContextShowCmd struct {
	Context string `arg:"" help:"system, user:NAME or group:NAME."`
}

// Help is shown below the flags.
func (*ContextShowCmd) Help() string {
	return `The file is what this context adds; what all files together come to is told by: packagefs explain CONTEXT`
}

func (c *ContextShowCmd) Run(env *cli.Env) error {
	return env.PrintCommand("context", "show", c.Context)
}

// ContextAddCmd adds to lists.
type ContextAddCmd struct {
	Context string   `arg:"" help:"system, user:NAME or group:NAME."`
	Key     string   `arg:"" help:"allow, deny, toplevel, prefer, members or pin."`
	Values  []string `arg:"" name:"value" help:"Packages as NAME or NAME=VERSION, with * and ?; for members, users; for pin, NAME=VERSION."`
}

// Help is shown below the flags.
func (*ContextAddCmd) Help() string {
	return `Where there is no file, it is made.

Examples:
  packagefs context add user:alice toplevel blender
  packagefs context add system deny nmap 'telnet*'
  packagefs context add system pin 'python3.11=3.11.2-*'`
}

func (c *ContextAddCmd) Run(env *cli.Env) error {
	return env.PrintCommand(append([]string{"add", c.Context, c.Key}, c.Values...)...)
}

// ContextDelCmd takes out of lists, or removes a file.
type ContextDelCmd struct {
	Context string   `arg:"" help:"system, user:NAME or group:NAME."`
	Key     string   `arg:"" optional:"" help:"allow, deny, toplevel, prefer, members or pin; without it, the whole file is removed."`
	Values  []string `arg:"" optional:"" name:"value" help:"What to take out; for pin, names of packages."`
}

// Help is shown below the flags.
func (*ContextDelCmd) Help() string {
	return `A file that was removed comes back with: packagefs context rollback

Examples:
  packagefs context del user:alice toplevel blender
  packagefs context del system pin python3.11
  packagefs context del group:render`
}

// Validate is called by the command line parser.
func (c *ContextDelCmd) Validate() error {
	if c.Key != "" && len(c.Values) == 0 {
		return cli.Usagef("want the values to take out of %s; to take all of it out: packagefs context unset %s %s", c.Key, c.Context, c.Key)
	}
	return nil
}

func (c *ContextDelCmd) Run(env *cli.Env) error {
	if c.Key == "" {
		return env.PrintCommand("context", "del", c.Context)
	}
	return env.PrintCommand(append([]string{"del", c.Context, c.Key}, c.Values...)...)
}

// ContextSetCmd sets keys.
type ContextSetCmd struct {
	Context string   `arg:"" help:"system, user:NAME or group:NAME."`
	Key     string   `arg:"" help:"dependencies, mutable or public; or a list, to replace it; or pin, to set some pins."`
	Values  []string `arg:"" name:"value" help:"What to set it to."`
}

// Help is shown below the flags.
func (*ContextSetCmd) Help() string {
	return `Examples:
  packagefs context set user:alice dependencies visible
  packagefs context set group:render toplevel blender ffmpeg
  packagefs context set system public true`
}

func (c *ContextSetCmd) Run(env *cli.Env) error {
	return env.PrintCommand(append([]string{"set", c.Context, c.Key}, c.Values...)...)
}

// ContextUnsetCmd takes keys out.
type ContextUnsetCmd struct {
	Context string   `arg:"" help:"system, user:NAME or group:NAME."`
	Key     string   `arg:"" help:"Any key."`
	Names   []string `arg:"" optional:"" name:"name" help:"For pin: the packages not to pin any more; default: all."`
}

func (c *ContextUnsetCmd) Run(env *cli.Env) error {
	return env.PrintCommand(append([]string{"unset", c.Context, c.Key}, c.Names...)...)
}

// ContextHistoryCmd lists revisions.
type ContextHistoryCmd struct {
	Context string `arg:"" help:"system, user:NAME or group:NAME."`
	JSON    bool   `help:"Print an array of objects."`
}

// Help is shown below the flags.
func (*ContextHistoryCmd) Help() string {
	return `The newest revision comes first. Changes that somebody made by hand are there, too, from when the server saw them; who made them is not known.`
}

func (c *ContextHistoryCmd) Run(env *cli.Env) error {
	result, err := env.Command("context", "history", c.Context)
	if err != nil {
		return err
	}
	if c.JSON {
		return cli.PrintJSON(env.Stdout, result.Revisions)
	}
	t := cli.NewTable(env.Stdout, "REVISION", "TIME", "BY", "WHAT")
	for _, r := range result.Revisions {
		t.Row(strconv.Itoa(r.Revision), cli.TimeText(r.Time.Unix()), dash(r.By), r.What)
	}
	return t.End()
}

// ContextDiffCmd compares revisions.
type ContextDiffCmd struct {
	Context string `arg:"" help:"system, user:NAME or group:NAME."`
	From    int    `arg:"" optional:"" help:"A revision; default: the one before TO."`
	To      int    `arg:"" optional:"" help:"A revision; default: the file as it is."`
}

// Help is shown below the flags.
func (*ContextDiffCmd) Help() string {
	return `Examples:
  packagefs context diff user:alice
  packagefs context diff user:alice 3
  packagefs context diff user:alice 3 5`
}

func (c *ContextDiffCmd) Run(env *cli.Env) error {
	words := []string{"context", "diff", c.Context}
	for _, n := range []int{c.From, c.To} {
		if n != 0 {
			words = append(words, strconv.Itoa(n))
		}
	}
	return env.PrintCommand(words...)
}

// ContextRollbackCmd brings a revision back.
type ContextRollbackCmd struct {
	Context  string `arg:"" help:"system, user:NAME or group:NAME."`
	Revision int    `arg:"" help:"A number that packagefs context history lists."`
}

// Help is shown below the flags.
func (*ContextRollbackCmd) Help() string {
	return `What there is now stays in the history.`
}

func (c *ContextRollbackCmd) Run(env *cli.Env) error {
	return env.PrintCommand("context", "rollback", c.Context, strconv.Itoa(c.Revision))
}
