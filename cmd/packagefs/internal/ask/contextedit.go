package ask

import (
	"bufio"
	"cmp"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/packagefs/packagefs/cmd/packagefs/internal/cli"
	"github.com/packagefs/packagefs/server/api"
)

// ContextEditCmd changes a context file with an editor.
type ContextEditCmd struct {
	Context string `arg:"" help:"system, user:NAME or group:NAME."`
}

// Help is shown below the flags.
func (*ContextEditCmd) Help() string {
	return `The editor is that of $VISUAL or $EDITOR, else vi. It gets a copy, which is checked and sent to the server when the editor ends; if the copy has an error you can edit it again. Where there is no file, a new one is begun.`
}

func (c *ContextEditCmd) Run(env *cli.Env) error {
	old, err := contextFile(env, c.Context)
	if err != nil {
		return err
	}
	text := old.Text
	dir, err := os.MkdirTemp("", "packagefs-")
	if err != nil {
		return err
	}
	copied := filepath.Join(dir, strings.ReplaceAll(c.Context, "/", "%2F")+".toml")
	if err := os.WriteFile(copied, []byte(text), 0o600); err != nil {
		return errors.Join(err, os.RemoveAll(dir))
	}
	s := &editing{env: env, context: c.Context, old: old, copied: copied, stdin: bufio.NewReader(env.Stdin)}
	err = s.run(text)
	if data, rerr := os.ReadFile(copied); err != nil && rerr == nil && string(data) != text {
		return fmt.Errorf("%w\nwhat you wrote is in %s", err, copied)
	}
	return errors.Join(err, os.RemoveAll(dir))
}

// contextFile gets a context file as the server has it.
func contextFile(env *cli.Env, context string) (file api.ContextFile, err error) {
	err = env.Query(api.Query{Op: api.OpContextFile, Context: context}, &file)
	return file, err
}

// An editing is one run of the command, from the first start of the editor on.
type editing struct {
	env     *cli.Env
	context string
	old     api.ContextFile // the server's, which was edited
	copied  string          // path of the copy
	stdin   *bufio.Reader
}

// run has the copy, which has this text, edited until the server takes it.
func (s *editing) run(text string) error {
	for {
		if err := s.edit(); err != nil {
			return err
		}
		data, err := os.ReadFile(s.copied)
		if err != nil {
			return err
		}
		if string(data) == text {
			_, err := fmt.Fprintf(s.env.Stdout, "%s: not changed\n", s.context)
			return err
		}
		retry, err := s.send(string(data))
		if !retry {
			return err
		}
	}
}

// edit runs the editor on the copy.
func (s *editing) edit() error {
	editor := cmp.Or(os.Getenv("VISUAL"), os.Getenv("EDITOR"), "vi")
	cmd := exec.CommandContext(s.env, "sh", "-c", editor+` "$1"`, "sh", s.copied)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = s.env.Stdin, s.env.Stdout, s.env.Stderr
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("editor %s: %w; name another one in $EDITOR", editor, err)
	}
	return nil
}

// send sends a text to the server. Where that fails the person decides whether to
// edit again.
func (s *editing) send(text string) (retry bool, err error) {
	now, err := contextFile(s.env, s.context)
	if err != nil {
		return false, err
	}
	if now != s.old {
		fmt.Fprintf(s.env.Stderr, "packagefs: %s was changed by somebody else meanwhile; see: packagefs context diff %s\n", s.context, s.context)
		s.old = now
		switch s.ask("e: edit again, o: overwrite what they did, q: quit", "eoq") {
		case 'e':
			return true, nil
		case 'o':
		default:
			return false, fmt.Errorf("%s: not changed", s.context)
		}
	}
	err = s.env.PrintCommand("context", "put", s.context, text)
	if err == nil || !errors.Is(err, syscall.EINVAL) {
		return false, err
	}
	fmt.Fprintf(s.env.Stderr, "packagefs: %v\n", err)
	if s.ask("e: edit again, q: quit", "eq") == 'e' {
		return true, nil
	}
	return false, fmt.Errorf("%s: not changed", s.context)
}

// ask asks until the answer begins with one of these letters. Where nobody answers
// it is q.
func (s *editing) ask(question, letters string) byte {
	for {
		fmt.Fprintf(s.env.Stderr, "%s? ", question)
		line, err := s.stdin.ReadString('\n')
		if line = strings.ToLower(strings.TrimSpace(line)); line != "" && strings.IndexByte(letters, line[0]) >= 0 {
			return line[0]
		}
		if err != nil {
			fmt.Fprintln(s.env.Stderr)
			return 'q'
		}
	}
}
