package cli

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"syscall"

	"github.com/packagefs/packagefs/server/api"
	"github.com/packagefs/packagefs/server/p9l/client"
)

// A Control is the query file of the server's control directory, open. It takes one
// question or command after the other.
type Control struct {
	env *Env
	f   *client.Fid
}

// OpenControl opens the query file. The caller closes it.
func (e *Env) OpenControl() (*Control, error) {
	root, err := e.Attach("ctl")
	if err != nil {
		return nil, err
	}
	f, _, err := root.Walk(e, "query")
	if err == nil {
		_, err = f.Open(e, syscall.O_RDWR)
	}
	if err != nil {
		root.Conn().Close()
		return nil, fmt.Errorf("control directory: query: %w", err)
	}
	return &Control{e, f}, nil
}

// Close ends the connection.
func (c *Control) Close() { c.f.Conn().Close() }

// Query asks the server one question and decodes the result.
func (e *Env) Query(q api.Query, result any) error {
	c, err := e.OpenControl()
	if err != nil {
		return err
	}
	defer c.Close()
	a, err := c.ask(q)
	if err != nil {
		return err
	}
	if a.Error != "" {
		return &AnswerError{Text: fmt.Sprintf("%s: %s", q.Op, a.Error), Errno: syscall.Errno(a.Errno)}
	}
	return Decode(q.Op, a.Result, result)
}

// Command gives the server one command.
func (e *Env) Command(words ...string) (api.CommandResult, error) {
	c, err := e.OpenControl()
	if err != nil {
		return api.CommandResult{}, err
	}
	defer c.Close()
	return c.Command(words...)
}

// PrintCommand gives the server a command and prints the results in words.
func (e *Env) PrintCommand(words ...string) error {
	result, err := e.Command(words...)
	if err == nil {
		_, err = io.WriteString(e.Stdout, result.Text)
	}
	return err
}

// Command gives the server one command. What came of one that fails is there with
// the error, which is the server's.
func (c *Control) Command(words ...string) (result api.CommandResult, err error) {
	a, err := c.ask(api.Query{Op: api.OpCommand, Words: words})
	if err == nil && a.Result != nil {
		err = Decode(api.OpCommand, a.Result, &result)
	}
	if err == nil && a.Error != "" {
		err = &AnswerError{Text: a.Error, Errno: syscall.Errno(a.Errno)}
	}
	return result, err
}

// An AnswerError is what the server said in words, with the errno it goes with.
type AnswerError struct {
	Text  string
	Errno syscall.Errno
}

func (e *AnswerError) Error() string { return e.Text }
func (e *AnswerError) Unwrap() error { return e.Errno }

// ask writes a question and reads the answer.
func (c *Control) ask(q api.Query) (a api.Answer, err error) {
	question, err := json.Marshal(q)
	if err != nil {
		return a, err
	}
	var answer bytes.Buffer
	if err = c.f.Write(c.env, append(question, '\n'), 0); err == nil {
		err = CopyFile(c.env, &answer, c.f)
	}
	if err != nil {
		return a, fmt.Errorf("%s: %w", q.Op, err)
	}
	return a, Decode(q.Op, answer.Bytes(), &a)
}

// Decode reads what the server answers to an operation.
func Decode(op string, data []byte, to any) error {
	if err := json.Unmarshal(data, to); err != nil {
		return fmt.Errorf("%s: the server's answer is not understood: %w", op, err)
	}
	return nil
}
