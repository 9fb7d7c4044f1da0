package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"syscall"

	"github.com/packagefs/packagefs/server/api"
	"github.com/packagefs/packagefs/server/p9l/client"
)

// A control is the query file of the server's control directory, open. It takes one
// question or command after the other.
type control struct {
	env *Env
	f   *client.Fid
}

// openControl opens the query file. The caller closes it.
func (e *Env) openControl() (*control, error) {
	root, err := e.attach("ctl")
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
	return &control{e, f}, nil
}

func (c *control) close() { c.f.Conn().Close() }

// query asks the server one question and decodes the result.
func (e *Env) query(q api.Query, result any) error {
	c, err := e.openControl()
	if err != nil {
		return err
	}
	defer c.close()
	a, err := c.ask(q)
	if err != nil {
		return err
	}
	if a.Error != "" {
		return &answerError{Text: fmt.Sprintf("%s: %s", q.Op, a.Error), Errno: syscall.Errno(a.Errno)}
	}
	return decode(q.Op, a.Result, result)
}

// command gives the server one command.
func (e *Env) command(words ...string) (api.CommandResult, error) {
	c, err := e.openControl()
	if err != nil {
		return api.CommandResult{}, err
	}
	defer c.close()
	return c.command(words...)
}

// commandPrint gives the server a command and prints the results in words.
func (e *Env) commandPrint(words ...string) error {
	result, err := e.command(words...)
	if err == nil {
		_, err = io.WriteString(e.Stdout, result.Text)
	}
	return err
}

// command gives the server one command. What came of one that fails is there with
// the error, which is the server's.
func (c *control) command(words ...string) (result api.CommandResult, err error) {
	a, err := c.ask(api.Query{Op: api.OpCommand, Words: words})
	if err == nil && a.Result != nil {
		err = decode(api.OpCommand, a.Result, &result)
	}
	if err == nil && a.Error != "" {
		err = &answerError{Text: a.Error, Errno: syscall.Errno(a.Errno)}
	}
	return result, err
}

// An answerError is what the server said in words, with the errno it goes with.
type answerError struct {
	Text  string
	Errno syscall.Errno
}

func (e *answerError) Error() string { return e.Text }
func (e *answerError) Unwrap() error { return e.Errno }

// ask writes a question and reads the answer.
func (c *control) ask(q api.Query) (a api.Answer, err error) {
	question, err := json.Marshal(q)
	if err != nil {
		return a, err
	}
	var answer bytes.Buffer
	if err = c.f.Write(c.env, append(question, '\n'), 0); err == nil {
		err = copyFile(c.env, &answer, c.f)
	}
	if err != nil {
		return a, fmt.Errorf("%s: %w", q.Op, err)
	}
	return a, decode(q.Op, answer.Bytes(), &a)
}

func decode(op string, data []byte, to any) error {
	if err := json.Unmarshal(data, to); err != nil {
		return fmt.Errorf("%s: the server's answer is not understood: %w", op, err)
	}
	return nil
}
