package ask

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"strconv"
	"strings"
	"syscall"

	"github.com/packagefs/packagefs/cmd/packagefs/internal/cli"
	"github.com/packagefs/packagefs/server/api"
	"github.com/packagefs/packagefs/server/p9l/client"
)

// EventsCmd shows what happens at the server.
type EventsCmd struct {
	Follow bool `short:"f" help:"Print events as they happen, until interrupted."`
	Lines  *int `short:"n" placeholder:"N" help:"How many of the last events to print; default: all that the server has kept, with --follow none."`
	JSON   bool `help:"Print one object a line."`
}

// Help is shown below the flags.
func (*EventsCmd) Help() string {
	return `Packages that come and go, package files that are rejected, changes of context files, attaches that are refused, and commands of administrators are events. The server keeps the last thousand. This command is for administrators.

Examples:
  packagefs events -n 20
  packagefs events -f
  packagefs events -f --json | jq 'select(.event == "package-live")'`
}

// Validate is called by the command line parser.
func (c *EventsCmd) Validate() error {
	if c.Lines != nil && *c.Lines < 0 {
		return cli.Usagef("--lines: %d is not a number of events", *c.Lines)
	}
	return nil
}

func (c *EventsCmd) Run(env *cli.Env) error {
	p := eventPrinter{w: env.Stdout, json: c.JSON}
	if !c.Follow {
		return c.recent(env, &p)
	}
	// What happens meanwhile is in both, and printed once.
	f, err := openEvents(env)
	if err != nil {
		return err
	}
	defer f.Conn().Close()
	if c.Lines != nil {
		if err := c.recent(env, &p); err != nil {
			return err
		}
	}
	off, buf := int64(0), make([]byte, 16<<10)
	for {
		n, err := f.ReadAt(env, buf, off)
		off += int64(n)
		if perr := p.print(buf[:n]); perr != nil {
			return perr
		}
		switch {
		case env.Err() != nil:
			return nil
		case errors.Is(err, syscall.EINTR):
			return errors.New("events: the server ends")
		case err != nil:
			return fmt.Errorf("events: %w", err)
		}
	}
}

// recent prints the last events.
func (c *EventsCmd) recent(env *cli.Env, p *eventPrinter) error {
	words := []string{"events"}
	if c.Lines != nil {
		words = append(words, strconv.Itoa(*c.Lines))
	}
	result, err := env.Command(words...)
	if err != nil {
		return err
	}
	for _, e := range result.Events {
		if err := p.event(e); err != nil {
			return err
		}
	}
	return nil
}

// openEvents opens the file of the events. The caller closes the fid's connection.
func openEvents(env *cli.Env) (*client.Fid, error) {
	root, err := env.Attach("ctl")
	if err != nil {
		return nil, err
	}
	f, _, err := root.Walk(env, "events")
	if err == nil {
		_, err = f.Open(env, syscall.O_RDONLY)
	}
	if err == nil {
		return f, nil
	}
	root.Conn().Close()
	if errors.Is(err, fs.ErrNotExist) {
		return nil, errors.New(api.ForAdmins)
	}
	return nil, fmt.Errorf("control directory: events: %w", err)
}

// An eventPrinter prints a stream of events, in pieces of any size.
type eventPrinter struct {
	w    io.Writer
	json bool
	rest []byte // a line that is not complete
	last uint64 // number of the event printed last
}

func (p *eventPrinter) print(data []byte) error {
	p.rest = append(p.rest, data...)
	for {
		line, rest, whole := bytes.Cut(p.rest, []byte{'\n'})
		if !whole {
			return nil
		}
		if err := p.event(line); err != nil {
			return err
		}
		p.rest = rest
	}
}

// event prints one event, unless it was printed before.
func (p *eventPrinter) event(line []byte) error {
	var e api.Event
	if err := cli.Decode("events", line, &e); err != nil {
		return err
	}
	if e.Number != 0 && e.Number <= p.last {
		return nil
	}
	p.last = max(p.last, e.Number)
	text := string(line)
	if !p.json {
		text = eventText(&e)
	}
	_, err := fmt.Fprintln(p.w, text)
	return err
}

// eventText writes an event for people.
func eventText(e *api.Event) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s  %-16s ", e.Time.Local().Format("2006-01-02 15:04:05"), cli.Printable(e.Event))
	word := func(format, value string) {
		if value != "" {
			fmt.Fprintf(&b, format, cli.Printable(value))
		}
	}
	word(" %s", e.Package)
	word(" %s", e.Context)
	word(" %s", e.Command)
	if e.Generation != 0 {
		fmt.Fprintf(&b, " %d", e.Generation)
	}
	switch {
	case e.Package == "" && e.Context == "":
		word(" %s", e.File)
	case e.Package != "":
		word(" (%s)", e.File)
	}
	word(", by %s", e.By)
	word(": %s", e.Reason)
	if e.Missed != 0 {
		fmt.Fprintf(&b, " (%d before it left out)", e.Missed)
	}
	return b.String()
}
