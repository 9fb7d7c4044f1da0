package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"syscall"

	"github.com/packagefs/packagefs/server/api"
	"github.com/packagefs/packagefs/server/p9l/client"
)

// Env is what a command runs in.
type Env struct {
	context.Context // ends with SIGINT and SIGTERM
	*Globals

	Stdin          io.Reader
	Stdout, Stderr io.Writer

	DeathSignal int // as enter.DeathSignal has it
}

// Globals are the flags that mean the same in every command.
type Globals struct {
	Server string `short:"s" placeholder:"ADDR" env:"PACKAGEFS_SERVER" help:"The server: unix:PATH or tcp:HOST:PORT. Default: unix:/run/packagefs/9p.sock for root; for others unix:$XDG_RUNTIME_DIR/packagefs/9p.sock, or that of root where there is none."`
	Aname  string `name:"context" short:"c" placeholder:"NAME" help:"Whose tree: user:NAME, group:NAME, package:NAME[=VERSION], all, with +PACKAGE to add one; default: your own."`
}

// Addr is the server's address.
func (e *Env) Addr() (client.Addr, error) { return e.AddrOr(defaultAddr) }

// AddrOr is the address on the command line, else what standard gives.
func (e *Env) AddrOr(standard func() client.Addr) (client.Addr, error) {
	if e.Server == "" {
		return standard(), nil
	}
	a, err := client.ParseAddr(e.Server)
	if err != nil {
		return a, Usage(err)
	}
	return a, nil
}

// Attach connects to the server and attaches to a tree. The caller closes the
// fid's connection.
func (e *Env) Attach(aname string) (*client.Fid, error) {
	addr, err := e.Addr()
	if err != nil {
		return nil, err
	}
	conn, err := client.Dial(e, addr, client.Options{})
	if err != nil {
		return nil, explainDial(addr, err)
	}
	root, _, err := conn.Attach(e, uint32(os.Getuid()), aname)
	if err != nil {
		conn.Close()
		return nil, e.explainAttach(aname, err)
	}
	return root, nil
}

// explainDial says what to do about a server that does not answer.
func explainDial(addr client.Addr, err error) error {
	switch {
	case errors.Is(err, fs.ErrNotExist), errors.Is(err, syscall.ECONNREFUSED):
		return fmt.Errorf("no server at %s; start it with: packagefs serve --packages DIR, or name another one with --server", addr)
	case errors.Is(err, fs.ErrPermission):
		return fmt.Errorf("connect to %s: permission denied; is it the server of another user?", addr)
	}
	return fmt.Errorf("connect to %s: %w", addr, err)
}

// explainAttach says why a context cannot be attached.
func (e *Env) explainAttach(aname string, err error) error {
	name := ContextName(aname)
	switch {
	case errors.Is(err, syscall.ENOENT):
		return fmt.Errorf("%s: no such user, group or name: %w", name, err)
	case errors.Is(err, syscall.ENOPKG):
		var x api.Explain
		if e.Query(api.Query{Op: api.OpExplain, Context: aname}, &x) == nil && x.Reason != "" {
			return fmt.Errorf("%s: %s", name, x.Reason)
		}
		return fmt.Errorf("%s: package not installed, or something that it depends on is missing", name)
	case errors.Is(err, fs.ErrPermission):
		return fmt.Errorf("%s: you may not see it: %w", name, err)
	case errors.Is(err, syscall.EINVAL):
		return fmt.Errorf("%s: not the name of a context; want user:NAME, group:NAME, package:NAME[=VERSION] or all", name)
	}
	return fmt.Errorf("attach to %s: %w", name, err)
}

// ContextName names a context in messages.
func ContextName(aname string) string {
	if aname == "" {
		return "your context"
	}
	return "context " + aname
}

// FileError names operation, path and context of an error.
func (e *Env) FileError(op, path string, err error) error {
	return fmt.Errorf("%s %s: %w (%s)", op, path, err, ContextName(e.Aname))
}

// CopyFile writes an open file's content to w.
func CopyFile(ctx context.Context, w io.Writer, f *client.Fid) error {
	buf := make([]byte, client.MaxMessage)
	for off := int64(0); ; {
		n, err := f.ReadAt(ctx, buf, off)
		if _, werr := w.Write(buf[:n]); werr != nil {
			return werr
		}
		if off += int64(n); err != nil || n < len(buf) {
			return err
		}
	}
}
