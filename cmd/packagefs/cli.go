package main

import "github.com/alecthomas/kong"

const description = `Packages as a file system: drop package files into a directory, and see the tree that they make together, each user, group and package its own.`

// entering are the commands that enter contexts.
type entering struct {
	Run   RunCmd   `cmd:"" group:"enter" help:"Run a program in a context."`
	Shell ShellCmd `cmd:"" group:"enter" help:"Run a shell in a context with more packages."`
	Enter EnterCmd `cmd:"" group:"enter" help:"Run a program in the context of its package, as launchers do."`
}

// entryCommands are their names.
var entryCommands = []string{"run", "shell", "enter"}

// EntryCLI is the command line without all other commands.
type EntryCLI struct {
	globals
	entering
}

// CLI is the command line.
type CLI struct {
	globals

	Serve ServeCmd `cmd:"" group:"server" help:"Serve a directory of package files."`
	Demo  DemoCmd  `cmd:"" group:"server" help:"Show what packagefs does, with packages made on the spot."`

	Ls   LsCmd   `cmd:"" group:"look" help:"List directories of a context's tree."`
	Cat  CatCmd  `cmd:"" group:"look" help:"Print files."`
	Stat StatCmd `cmd:"" group:"look" help:"Show what kind of files they are."`
	Tree TreeCmd `cmd:"" group:"look" help:"List a directory and all below it."`

	Packages PackagesCmd `cmd:"" group:"ask" help:"List the installed packages, and the files that were rejected."`
	Info     InfoCmd     `cmd:"" group:"ask" help:"Show all that is known of packages."`
	Files    FilesCmd    `cmd:"" group:"ask" help:"List the files of packages."`
	Owns     OwnsCmd     `cmd:"" group:"ask" help:"Find the packages that carry a path."`
	Explain  ExplainCmd  `cmd:"" group:"ask" help:"Tell what a context sees, and why."`
	Contexts ContextsCmd `cmd:"" group:"ask" help:"List the contexts."`
	Context  ContextCmd  `cmd:"" group:"ask" help:"Show and change the files of contexts, and see their history."`
	Check    CheckCmd    `cmd:"" group:"ask" help:"Find the packages whose contexts do not resolve."`

	Build   BuildCmd   `cmd:"" group:"files" help:"Make a native package of a directory."`
	Convert ConvertCmd `cmd:"" group:"files" help:"Make native packages of package files of other formats."`
	Install InstallCmd `cmd:"" group:"files" help:"Install package files, all or none."`
	Remove  RemoveCmd  `cmd:"" group:"files" help:"Remove packages, all or none."`
	Gc      GcCmd      `cmd:"" group:"files" help:"Remove what the server does not need any more."`
	Verify  VerifyCmd  `cmd:"" group:"files" help:"Check signatures of package files, or what the server has unpacked."`
	Sign    SignCmd    `cmd:"" group:"files" help:"Sign package files."`
	Keygen  KeygenCmd  `cmd:"" group:"files" help:"Make a key to sign package files with."`

	Config ConfigCmd `cmd:"" group:"admin" help:"Deal with edited configuration files under upgrades."`
	Ctl    CtlCmd    `cmd:"" group:"admin" help:"Give commands to the server."`
	Events EventsCmd `cmd:"" group:"admin" help:"Show what happens at the server."`

	Mount  MountCmd  `cmd:"" group:"mount" help:"Mount a context's tree."`
	Umount UmountCmd `cmd:"" group:"mount" help:"Take a mounted tree away."`

	entering
	Doctor DoctorCmd `cmd:"" group:"enter" help:"Tell what this machine can do, and what to change."`

	Login LoginCmd `cmd:"" group:"enter" help:"Let the sessions of users begin in their contexts."`

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
