// Package demo shows what packagefs does: it makes package files, serves them in this
// process, and uses them as a client does.
package demo

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strings"
	"time"

	"github.com/rs/zerolog"

	"github.com/packagefs/packagefs/cmd/packagefs/internal/ask"
	"github.com/packagefs/packagefs/cmd/packagefs/internal/cli"
	"github.com/packagefs/packagefs/server"
	"github.com/packagefs/packagefs/server/api"
)

// Cmd shows the main job.
type Cmd struct {
	Keep  bool `help:"Leave everything running at the end, to look around, until interrupted."`
	Plain bool `help:"Do not mount anything."`
}

// Help is shown below the flags.
func (*Cmd) Help() string {
	return `Makes small package files of three formats, serves them, mounts them with what this machine has, and shows one path with different content in different contexts. Everything happens in a temporary directory and is taken away at the end.

Examples:
  packagefs demo
  packagefs demo --keep`
}

func (c *Cmd) Run(env *cli.Env) (err error) {
	dir, err := os.MkdirTemp("", "packagefs-demo-")
	if err != nil {
		return err
	}
	d := &demo{env: env, dir: dir, plain: c.Plain}
	defer func() {
		err = errors.Join(err, d.cleanUp())
		if errors.Is(err, context.Canceled) {
			err = errors.New("demo: interrupted; everything is cleaned up")
		}
	}()
	for _, step := range []func() error{
		d.makePackages, d.serve, d.mountAll, d.samePath, d.ownContext, d.enter, d.dropIn, d.explain,
	} {
		if err := errors.Join(env.Context.Err(), step()); err != nil {
			return err
		}
	}
	if c.Keep {
		d.lookAround()
	}
	return nil
}

// A demo is a demonstration in the making.
type demo struct {
	env   *cli.Env
	dir   string // temporary; holds everything
	plain bool
	steps int

	views []view
	who   string // attach name of the user who runs it
	undo  []func() error
}

// step prints the heading of the next step.
func (d *demo) step(format string, args ...any) {
	d.steps++
	fmt.Fprintf(d.env.Stdout, "\n%d. %s\n", d.steps, fmt.Sprintf(format, args...))
}

// say prints an indented line.
func (d *demo) say(format string, args ...any) {
	fmt.Fprintf(d.env.Stdout, "   %s\n", fmt.Sprintf(format, args...))
}

func (d *demo) path(name string) string { return filepath.Join(d.dir, name) }

// cleanUp undoes what was done, last things first.
func (d *demo) cleanUp() error {
	var errs []error
	for i := len(d.undo) - 1; i >= 0; i-- {
		errs = append(errs, d.undo[i]())
	}
	return errors.Join(append(errs, os.RemoveAll(d.dir))...)
}

func (d *demo) makePackages() error {
	d.step("A package directory, with package files of three formats made on the spot")
	packages := d.path("packages")
	if err := os.Mkdir(packages, 0o755); err != nil {
		return err
	}
	for i := range Packages {
		p := &Packages[i]
		size, err := p.Write(packages)
		if err != nil {
			return err
		}
		d.say("%-42s %6s   %s", p.File, cli.SizeText(size), p.spec.Summary)
	}
	d.say("The two tools need different versions of Python, and both are installed.")
	return nil
}

// serve starts a server in this process.
func (d *demo) serve() error {
	u, err := user.Current()
	if err != nil {
		return fmt.Errorf("demo: %w", err)
	}
	d.who = "user:" + u.Username
	contexts := d.path("contexts")
	if err := os.Mkdir(contexts, 0o755); err != nil {
		return err
	}
	rules := "toplevel = [\"report-tool\", \"legacy-tool\", \"hello\"]\n"
	if err := os.WriteFile(filepath.Join(contexts, d.who+".toml"), []byte(rules), 0o644); err != nil {
		return err
	}
	d.env.Server = "unix:" + d.path("9p.sock")
	srv, err := server.New(server.Config{
		Packages: []string{d.path("packages")}, State: d.path("state"), Contexts: contexts,
		Listen: []string{d.env.Server}, Log: zerolog.Nop(),
	})
	if err != nil {
		return err
	}
	ctx, stop := context.WithCancel(context.Background()) // outlives an interrupt until the mounts are gone
	ended := make(chan error, 1)
	go func() { ended <- srv.Serve(ctx) }()
	d.undo = append(d.undo, func() error { stop(); return <-ended })
	if err := srv.Settle(d.env); err != nil {
		return err
	}
	d.step("The server indexes them once, and serves their trees over 9P2000.L")
	d.say("at %s", d.env.Server)
	var rows []api.PackageRow
	if err := d.env.Query(api.Query{Op: api.OpPackages, Context: "all"}, &rows); err != nil {
		return err
	}
	for _, r := range rows {
		if r.State == api.StateRejected {
			return fmt.Errorf("demo: %s was rejected: %s", r.File, r.Reason)
		}
	}
	d.say("%s installed, each by having its file in the directory", cli.Plural(len(rows), "package"))
	return nil
}

func (d *demo) mountAll() error {
	attach := []string{"package:report-tool", "package:legacy-tool", d.who}
	with, how, err := chooseView(d)
	if err != nil {
		return err
	}
	d.step("%s", with)
	for _, a := range attach {
		v, err := how(a)
		if err != nil {
			return err
		}
		d.undo = append(d.undo, v.close)
		d.views = append(d.views, v)
		d.say("%-20s at %s", a, v.where())
	}
	return nil
}

func (d *demo) samePath() error {
	const at = "/usr/bin/python"
	d.step("The same path, with different content: %s", at)
	for _, v := range d.views[:2] {
		out, err := v.run(d.env, at)
		if err != nil {
			return fmt.Errorf("demo: run %s of %s: %w", at, v.context(), err)
		}
		d.say("%-20s says: %s", v.context(), strings.TrimSpace(out))
	}
	d.say("Each tool finds the Python that it depends on where it looks for it.")
	return nil
}

func (d *demo) ownContext() error {
	d.step("The context of a user: %s.toml says what is toplevel", d.who)
	v := d.views[2]
	names, err := v.list(d.env, "/usr/bin")
	if err != nil {
		return fmt.Errorf("demo: %w", err)
	}
	d.say("ls /usr/bin: %s", strings.Join(names, "  "))
	d.say("The tools are there; the Pythons that they need are not in the user's way.")
	return nil
}

// enter runs the tools from the user's context.
func (d *demo) enter() error {
	d.step("Run them from there: packagefs run -- sh -c 'report-tool; legacy-tool'")
	self, err := os.Executable()
	if err != nil {
		return err
	}
	var out, why strings.Builder
	cmd := exec.CommandContext(d.env, self, "--server="+d.env.Server, "--context="+d.who, "run", "--", "sh", "-c", "report-tool && legacy-tool")
	cmd.Args[0] = "packagefs"
	cmd.Env = append(os.Environ(), "PACKAGEFS_IDLE=100ms")
	cmd.Stdout, cmd.Stderr = &out, &why
	if err := cmd.Run(); err != nil {
		d.say("not here: %s", strings.TrimPrefix(strings.TrimSpace(why.String()), "packagefs: "))
		d.say("packagefs doctor says what to change.")
		return nil
	}
	fmt.Fprint(d.env.Stdout, indent(out.String()))
	d.say("Each tool was run where its own Python is, with nobody asking for it.")
	return nil
}

func (d *demo) dropIn() error {
	d.step("Install: drop one more package file in, while everything is mounted")
	v := d.views[2]
	const at = "/usr/bin/hello"
	if _, err := v.read(d.env, at); !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("demo: %s is there too early: %w", at, err)
	}
	d.say("before: %s does not exist", at)
	start := time.Now()
	if _, err := Hello.Write(d.path("packages")); err != nil {
		return err
	}
	if err := d.await(v, at); err != nil {
		return err
	}
	d.say("after:  it does, %d ms later", time.Since(start).Milliseconds())
	out, err := v.run(d.env, at)
	if err != nil {
		return fmt.Errorf("demo: run %s: %w", at, err)
	}
	d.say("        and says: %s", strings.TrimSpace(out))
	if err := os.Remove(filepath.Join(d.path("packages"), Hello.File)); err != nil {
		return err
	}
	d.say("Uninstall is removing the file.")
	return nil
}

// patience is how long the demo waits for a package to appear.
const patience = 20 * time.Second

// await waits until a file is there.
func (d *demo) await(v view, at string) error {
	ctx, cancel := context.WithTimeout(d.env, patience)
	defer cancel()
	for {
		if _, err := v.read(d.env, at); !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("demo: %s does not appear in %s: %w", at, v.context(), ctx.Err())
		case <-time.After(10 * time.Millisecond):
		}
	}
}

func (d *demo) explain() error {
	d.step("Why: packagefs explain package:legacy-tool /usr/bin/python")
	var x api.PathExplain
	q := api.Query{Op: api.OpExplain, Context: "package:legacy-tool", Path: "/usr/bin/python"}
	if err := d.env.Query(q, &x); err != nil {
		return err
	}
	var text strings.Builder
	if err := ask.PrintPathExplain(&cli.Env{Stdout: &text}, &x); err != nil {
		return err
	}
	_, err := io.WriteString(d.env.Stdout, indent(text.String()))
	return err
}

func indent(s string) string {
	var b strings.Builder
	for line := range strings.Lines(s) {
		b.WriteString("   " + line)
	}
	return b.String()
}

func (d *demo) lookAround() {
	d.step("Look around; Ctrl-C ends it")
	d.say("export PACKAGEFS_SERVER=%s", d.env.Server)
	d.say("packagefs packages")
	d.say("packagefs -c package:report-tool tree")
	d.say("cp SOME.deb %s", d.path("packages"))
	<-d.env.Done()
	fmt.Fprintln(d.env.Stdout)
}
