package main

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"strings"
	"syscall"

	"github.com/packagefs/packagefs/server/api"
	"github.com/packagefs/packagefs/server/p9l/client"
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

func (c *CtlCmd) Run(env *Env) error {
	ctl, err := env.openControl()
	if err != nil {
		return err
	}
	defer ctl.close()
	switch len(c.Words) {
	case 0:
		return ctl.lines(isTerminal(env.Stdin))
	case 1:
		return ctl.print(c.Words[0])
	}
	return ctl.print(api.JoinCommand(c.Words...))
}

// A control is the server's control file, open.
type control struct {
	env *Env
	f   *client.Fid
}

// openControl opens the control file. The caller closes it.
func (e *Env) openControl() (*control, error) {
	f, err := e.controlDir("ctl", syscall.O_RDWR)
	if err != nil {
		return nil, err
	}
	return &control{e, f}, nil
}

// controlDir opens a file of the control directory that is for administrators.
// The caller closes the fid's connection.
func (e *Env) controlDir(name string, flags uint32) (*client.Fid, error) {
	root, err := e.attach("ctl")
	if err != nil {
		return nil, err
	}
	f, _, err := root.Walk(e, name)
	if err == nil {
		_, err = f.Open(e, flags)
	}
	if err == nil {
		return f, nil
	}
	root.Conn().Close()
	if errors.Is(err, fs.ErrNotExist) {
		return nil, errors.New("this is for administrators: root, who runs the server, and whom it was started with --admin for")
	}
	return nil, fmt.Errorf("control directory: %s: %w", name, err)
}

func (c *control) close() { c.f.Conn().Close() }

// run gives the server one line and returns the results in words. Its error is
// the server's, with its reason.
func (c *control) run(line string) (string, error) {
	if strings.Contains(line, "\n") {
		return "", usagef("a command is one line; write the end of a line within a word as \"\\n\", in quotes")
	}
	failed := c.f.Write(c.env, []byte(line+"\n"), 0)
	results, err := c.results()
	if err != nil && failed == nil {
		return "", fmt.Errorf("control file: %w", err)
	}
	if failed == nil {
		return results, nil
	}
	var errno syscall.Errno
	text := strings.TrimSuffix(results, "\n")
	last := strings.LastIndexByte(text, '\n') + 1
	reason, ok := strings.CutPrefix(text[last:], "error: ")
	if !ok || !errors.As(failed, &errno) {
		return "", fmt.Errorf("control file: %w", failed)
	}
	return text[:last], answerError{reason, errno}
}

// results reads the results from their beginning. Each read is small enough to
// be one request: they must arrive in order.
func (c *control) results() (string, error) {
	var text bytes.Buffer
	for buf := make([]byte, 4096); ; {
		n, err := c.f.ReadAt(c.env, buf, int64(text.Len()))
		text.Write(buf[:n])
		if err != nil || n == 0 {
			return text.String(), err
		}
	}
}

// print runs a line and prints the results.
func (c *control) print(line string) error {
	text, err := c.run(line)
	_, werr := io.WriteString(c.env.Stdout, text)
	return errors.Join(err, werr)
}

// lines runs the lines of standard input. Where they are typed, one that fails
// does not end them.
func (c *control) lines(typed bool) error {
	in := bufio.NewReader(c.env.Stdin)
	for number := 1; ; number++ {
		line, err := in.ReadString('\n')
		if line == "" && err == io.EOF {
			return nil
		}
		if err != nil && err != io.EOF {
			return fmt.Errorf("standard input: %w", err)
		}
		err = c.print(strings.TrimRight(line, "\r\n"))
		var answer answerError
		switch {
		case err == nil:
		case typed && errors.As(err, &answer):
			fmt.Fprintf(c.env.Stderr, "packagefs: %v\n", err)
		default:
			return fmt.Errorf("line %d: %w", number, err)
		}
	}
}
