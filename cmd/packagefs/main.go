package main

import (
	"context"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"syscall"

	"github.com/alecthomas/kong"

	"github.com/packagefs/packagefs/cmd/packagefs/internal/cli"
	"github.com/packagefs/packagefs/cmd/packagefs/internal/enter"
	"github.com/packagefs/packagefs/cmd/packagefs/internal/local"
	"github.com/packagefs/packagefs/cmd/packagefs/internal/mount"
)

func main() {
	switch filepath.Base(os.Args[0]) { // as what the program is called
	case local.LauncherName:
		os.Exit(launcher(os.Args))
	case enter.KeeperName:
		os.Exit(enter.Keep(os.Args))
	case enter.TryName:
		os.Exit(enter.TryIt(os.Args))
	case mount.GuardName:
		os.Exit(mount.Guard(os.Args))
	case enter.FailedName:
		os.Exit(enter.Failed(os.Args, os.Stderr))
	}
	os.Exit(run(os.Args[1:], os.Stdin, os.Stdout, os.Stderr))
}

// exitNow carries the exit status from where kong wants to exit.
type exitNow int

// run is the whole program and returns its exit status.
func run(args []string, stdin io.Reader, stdout, stderr io.Writer) (code int) {
	deathSignal := enter.DeathSignal()
	// A second signal ends the program the hard way.
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	context.AfterFunc(ctx, stop)

	defer func() {
		switch e := recover().(type) {
		case nil:
		case exitNow:
			code = int(e)
		default:
			panic(e)
		}
	}()
	kctx, globals, err := parse(args, stdout, stderr)
	if err != nil {
		return cli.Fail(stderr, cli.Usage(err))
	}
	env := &cli.Env{Context: ctx, Stdin: stdin, Stdout: stdout, Stderr: stderr, Globals: globals, DeathSignal: deathSignal}
	return cli.Fail(stderr, kctx.Run(env))
}

// parse reads a command line. To make the parser for all commands takes longer than
// to enter a context, so what begins with the name of such a command is read by a
// parser for these alone, if it can be.
func parse(args []string, stdout, stderr io.Writer) (*kong.Context, *cli.Globals, error) {
	var entry EntryCLI
	if len(args) > 0 && slices.Contains(entryCommands, args[0]) {
		parser, err := newParser(&entry, stdout, stderr)
		if err != nil {
			panic(err)
		}
		if kctx, err := parser.Parse(args); err == nil {
			return kctx, &entry.Globals, nil
		}
	}
	var all CLI
	parser, err := newParser(&all, stdout, stderr)
	if err != nil {
		panic(err)
	}
	kctx, err := parser.Parse(args)
	return kctx, &all.Globals, err
}

// newParser makes the command line parser. It panics with exitNow where the
// program shall exit, as after --help.
func newParser(cli any, stdout, stderr io.Writer) (*kong.Kong, error) {
	return kong.New(cli,
		kong.Name("packagefs"),
		kong.Description(description),
		kong.Writers(stdout, stderr),
		kong.Exit(func(code int) { panic(exitNow(code)) }),
		kong.ConfigureHelp(kong.HelpOptions{Compact: true, NoExpandSubcommands: true, WrapUpperBound: 100}),
		kong.ExplicitGroups(groups),
	)
}

// launcher is the whole program where it is called as the interpreter of a
// launcher.
func launcher(args []string) int {
	if len(args) < 3 {
		return cli.Fail(os.Stderr, cli.Usagef("%s is what launchers begin with; it wants NAME=VERSION and a program", args[0]))
	}
	env := &cli.Env{Context: context.Background(), Stdin: os.Stdin, Stdout: os.Stdout, Stderr: os.Stderr,
		Globals: &cli.Globals{Server: os.Getenv("PACKAGEFS_SERVER")}, DeathSignal: enter.DeathSignal()}
	return cli.Fail(os.Stderr, local.Launch(env, args[1], args[2:]))
}
