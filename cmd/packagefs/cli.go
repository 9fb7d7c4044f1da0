package main

import (
	"github.com/alecthomas/kong"

	"github.com/packagefs/packagefs/cmd/packagefs/internal/ask"
	"github.com/packagefs/packagefs/cmd/packagefs/internal/check"
	"github.com/packagefs/packagefs/cmd/packagefs/internal/cli"
	"github.com/packagefs/packagefs/cmd/packagefs/internal/demo"
	"github.com/packagefs/packagefs/cmd/packagefs/internal/local"
	"github.com/packagefs/packagefs/cmd/packagefs/internal/pack"
	"github.com/packagefs/packagefs/cmd/packagefs/internal/serve"
)

const description = `Packages as a file system: drop package files into a directory, and see the tree that they make together, each user, group and package its own.`

// entering are the commands that enter contexts.
type entering struct {
	Run   local.RunCmd   `cmd:"" group:"enter" help:"Run a program in a context."`
	Shell local.ShellCmd `cmd:"" group:"enter" help:"Run a shell in a context with more packages."`
	Enter local.EnterCmd `cmd:"" group:"enter" help:"Run a program in the context of its package, as launchers do."`
}

// entryCommands are their names.
var entryCommands = []string{"run", "shell", "enter"}

// EntryCLI is the command line without all other commands.
type EntryCLI struct {
	cli.Globals
	entering
}

// CLI is the command line.
type CLI struct {
	cli.Globals

	Serve serve.Cmd `cmd:"" group:"server" help:"Serve a directory of package files."`
	Demo  demo.Cmd  `cmd:"" group:"server" help:"Show what packagefs does, with packages made on the spot."`

	Ls   ask.LsCmd   `cmd:"" group:"look" help:"List directories of a context's tree."`
	Cat  ask.CatCmd  `cmd:"" group:"look" help:"Print files."`
	Stat ask.StatCmd `cmd:"" group:"look" help:"Show what kind of files they are."`
	Tree ask.TreeCmd `cmd:"" group:"look" help:"List a directory and all below it."`

	Packages ask.PackagesCmd `cmd:"" group:"ask" help:"List the installed packages, and the files that were rejected."`
	Info     ask.InfoCmd     `cmd:"" group:"ask" help:"Show all that is known of packages."`
	Files    ask.FilesCmd    `cmd:"" group:"ask" help:"List the files of packages."`
	Owns     ask.OwnsCmd     `cmd:"" group:"ask" help:"Find the packages that carry a path."`
	Explain  ask.ExplainCmd  `cmd:"" group:"ask" help:"Tell what a context sees, and why."`
	Contexts ask.ContextsCmd `cmd:"" group:"ask" help:"List the contexts."`
	Context  ask.ContextCmd  `cmd:"" group:"ask" help:"Show and change the files of contexts, and see their history."`
	Check    check.Cmd       `cmd:"" group:"ask" help:"Find the packages whose contexts do not resolve."`

	Build   pack.BuildCmd   `cmd:"" group:"files" help:"Make a native package of a directory."`
	Convert pack.ConvertCmd `cmd:"" group:"files" help:"Make native packages of package files of other formats."`
	Install ask.InstallCmd  `cmd:"" group:"files" help:"Install package files, all or none."`
	Remove  ask.RemoveCmd   `cmd:"" group:"files" help:"Remove packages, all or none."`
	Gc      ask.GcCmd       `cmd:"" group:"files" help:"Remove what the server does not need any more."`
	Verify  ask.VerifyCmd   `cmd:"" group:"files" help:"Check signatures of package files, or what the server has unpacked."`
	Sign    pack.SignCmd    `cmd:"" group:"files" help:"Sign package files."`
	Keygen  pack.KeygenCmd  `cmd:"" group:"files" help:"Make a key to sign package files with."`

	Config ask.ConfigCmd `cmd:"" group:"admin" help:"Deal with edited configuration files under upgrades."`
	Ctl    ask.CtlCmd    `cmd:"" group:"admin" help:"Give commands to the server."`
	Events ask.EventsCmd `cmd:"" group:"admin" help:"Show what happens at the server."`

	Mount  local.MountCmd  `cmd:"" group:"mount" help:"Mount a context's tree."`
	Umount local.UmountCmd `cmd:"" group:"mount" help:"Take a mounted tree away."`

	entering
	Doctor local.DoctorCmd `cmd:"" group:"enter" help:"Tell what this machine can do, and what to change."`

	Login local.LoginCmd `cmd:"" group:"enter" help:"Let the sessions of users begin in their contexts."`

	Completion CompletionCmd `cmd:"" group:"self" help:"Print a script that completes command lines in a shell."`
	Version    VersionCmd    `cmd:"" group:"self" help:"Print the version."`
}

var groups = []kong.Group{
	{Key: "server", Title: "Serve:"},
	{Key: "look", Title: "Look into a tree without mounting it:"},
	{Key: "ask", Title: "Ask about packages and contexts:"},
	{Key: "files", Title: "Package files:"},
	{Key: "admin", Title: "Administer the server:"},
	{Key: "mount", Title: "Mount:"},
	{Key: "enter", Title: "Enter contexts:"},
	{Key: "union", Title: "Stack on what is there:"},
	{Key: "limits", Title: "Limits, with their defaults:"},
	{Key: "log", Title: "Log:"},
	{Key: "self", Title: "About packagefs itself:"},
}
