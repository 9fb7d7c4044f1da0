package local

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/packagefs/packagefs/cmd/packagefs/internal/cli"
	"github.com/packagefs/packagefs/cmd/packagefs/internal/enter"
)

// ShellCmd runs a shell in a context.
type ShellCmd struct {
	Args []string `arg:"" optional:"" passthrough:"" name:"package" help:"Packages, NAME or NAME=VERSION, that the context has beside its own; after --, a command to run in place of the shell."`
}

// Help is shown below the flags.
func (*ShellCmd) Help() string {
	return `What a developer needs to build against packages, or to try them: your own context (or that of --context), and these packages.

The shell is $SHELL. PACKAGEFS_CONTEXT tells in which context it is, and the prompt of bash, fish and sh shows the packages. For zsh, add this to ~/.zshrc:

  [ -z "$PACKAGEFS_CONTEXT" ] || PROMPT="($PACKAGEFS_CONTEXT) $PROMPT"

What packagefs run --help says of what is stacked, and of user namespaces, is true here, too.

Examples:
  packagefs shell gcc python3.13
  packagefs shell gcc -- make -j8
  packagefs -c group:dev shell`
}

func (c *ShellCmd) Run(env *cli.Env) error {
	packages, command := c.Args, []string(nil)
	if i := slices.Index(c.Args, "--"); i >= 0 {
		packages, command = c.Args[:i], c.Args[i+1:]
	}
	for _, p := range packages {
		if strings.HasPrefix(p, "-") {
			return cli.Usagef("shell: %s stands after a package; flags go before, and the arguments of a command after --", p)
		}
	}
	name, err := contextOf(env.Aname, packages, false)
	if err != nil {
		return err
	}
	o := enter.Options{Context: name, Command: command, Notes: env.Stderr}
	if len(command) == 0 {
		mark := strings.Join(packages, " ")
		if mark == "" {
			mark = name
		}
		if o.Command, o.Prompt, err = shell(plainMark(mark)); err != nil {
			return err
		}
	}
	return enterContext(env, o)
}

// plainMark is a text that no shell finds anything special in.
func plainMark(s string) string {
	return strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune(" :=.+~_@-", r) {
			return r
		}
		return '?'
	}, s)
}

// shell is the command for the user's shell with a marked prompt, after all that
// the user's own files say of the prompt, or a prompt for its environment.
func shell(mark string) (command []string, prompt string, err error) {
	program := os.Getenv("SHELL")
	if program == "" {
		program = "/bin/sh"
	}
	switch filepath.Base(program) {
	case "bash":
		fd, err := inheritedFile(func(fd int) string {
			return fmt.Sprintf("[ ! -r ~/.bashrc ] || . ~/.bashrc\nPS1=\"(%s) $PS1\"\nexec %d<&-\n", mark, fd)
		})
		return []string{program, "--rcfile", fmt.Sprint("/dev/fd/", fd), "-i"}, "", err
	case "fish":
		return []string{program, "-C", fmt.Sprintf(
			"functions -q fish_prompt; and functions -c fish_prompt _packagefs_prompt; function fish_prompt; echo -n '(%s) '; _packagefs_prompt; end", mark)}, "", nil
	}
	sign := "$"
	if os.Geteuid() == 0 {
		sign = "#"
	}
	return []string{program, "-i"}, fmt.Sprintf("(%s) %s ", mark, sign), nil
}

// inheritedFile makes a file in memory that the program finds by its descriptor.
func inheritedFile(content func(fd int) string) (int, error) {
	fd, err := unix.MemfdCreate("packagefs", 0)
	if err != nil {
		return -1, err
	}
	text := []byte(content(fd))
	if n, err := unix.Pwrite(fd, text, 0); err != nil || n < len(text) {
		return -1, fmt.Errorf("make a file in memory: %w", err)
	}
	return fd, nil
}
