package ask

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"strings"
	"syscall"

	"github.com/packagefs/packagefs/cmd/packagefs/internal/cli"
	"github.com/packagefs/packagefs/server/api"
)

// CtlCmd gives commands to the server.
type CtlCmd struct {
	Words []string `arg:"" optional:"" name:"command" help:"A command and its arguments, or all of it as one word; default: read commands from standard input, one a line."`
}

// Help is shown below the flags.
func (*CtlCmd) Help() string {
	return `These commands are for administrators. They are what the file ctl takes where the control directory is mounted; packagefs ctl help lists them. Commands from standard input end with the first that fails, unless they are typed. Lines that begin with # are left out.

Examples:
  packagefs ctl help
  packagefs ctl toplevel add user:alice blender
  packagefs ctl log debug
  packagefs ctl <commands`
}

func (c *CtlCmd) Run(env *cli.Env) error {
	ctl, err := env.OpenControl()
	if err != nil {
		return err
	}
	defer ctl.Close()
	r := commandRunner{env, ctl}
	switch len(c.Words) {
	case 0:
		return r.lines(cli.IsTerminal(env.Stdin))
	case 1:
		return r.line(c.Words[0])
	}
	return r.run(c.Words)
}

// A commandRunner gives commands to the server and prints the results in words.
type commandRunner struct {
	env *cli.Env
	ctl *cli.Control
}

func (r commandRunner) run(words []string) error {
	result, err := r.ctl.Command(words...)
	_, werr := io.WriteString(r.env.Stdout, result.Text)
	return errors.Join(err, werr)
}

// line runs a command that is one line.
func (r commandRunner) line(line string) error {
	if strings.Contains(line, "\n") {
		return cli.Usagef("a command is one line; write the end of a line within a word as \"\\n\", in quotes")
	}
	words, err := api.SplitCommand(line)
	if err != nil {
		return &cli.AnswerError{Text: err.Error(), Errno: syscall.EINVAL}
	}
	return r.run(words)
}

// lines runs the lines of standard input. Where they are typed, one that fails
// does not end them.
func (r commandRunner) lines(typed bool) error {
	in := bufio.NewReader(r.env.Stdin)
	for number := 1; ; number++ {
		line, err := in.ReadString('\n')
		if line == "" && err == io.EOF {
			return nil
		}
		if err != nil && err != io.EOF {
			return fmt.Errorf("standard input: %w", err)
		}
		err = r.line(strings.TrimRight(line, "\r\n"))
		var answer *cli.AnswerError
		switch {
		case err == nil:
		case typed && errors.As(err, &answer):
			fmt.Fprintf(r.env.Stderr, "packagefs: %v\n", err)
		default:
			return fmt.Errorf("line %d: %w", number, err)
		}
	}
}
