package ask

import (
	"fmt"
	"io"
	"path"

	"github.com/packagefs/packagefs/cmd/packagefs/internal/cli"
	"github.com/packagefs/packagefs/server/p9l/client"
)

// TreeCmd lists directories recursively.
type TreeCmd struct {
	Path  string `arg:"" optional:"" default:"/" help:"Where to begin."`
	Depth int    `short:"L" placeholder:"N" help:"Go down N levels only."`
	JSON  bool   `help:"Print an array of objects."`
}

// Help is shown below the flags.
func (*TreeCmd) Help() string {
	return `Examples:
  packagefs -c package:hello tree
  packagefs tree -L 2 /usr/share`
}

// Validate is called by the command line parser.
func (c *TreeCmd) Validate() error {
	if c.Depth < 0 {
		return fmt.Errorf("--depth: %d is not a number of levels", c.Depth)
	}
	return nil
}

func (c *TreeCmd) Run(env *cli.Env) error {
	root, err := env.Attach(env.Aname)
	if err != nil {
		return err
	}
	defer root.Conn().Close()
	w := &treeWalk{env: env, depth: c.Depth, print: !c.JSON}
	if err := w.begin(root, c.Path); err != nil {
		return err
	}
	if c.JSON {
		return cli.PrintJSON(env.Stdout, w.rows)
	}
	_, err = fmt.Fprintf(env.Stdout, "\n%s, %s\n", cli.Plural(w.dirs, "directory"), cli.Plural(w.files, "file"))
	return err
}

// treeAhead is how many directories beside the one being printed are read
// already.
const treeAhead = 16

// A treeWalk goes through a tree in the order in which it prints it.
type treeWalk struct {
	env   *cli.Env
	depth int // levels, or 0 for all
	print bool

	rows        []fileRow // unless print is set
	dirs, files int
}

// A dirRead is a directory that is being read.
type dirRead struct {
	done chan struct{}
	fid  *client.Fid
	rows []fileRow
	err  error
}

func (w *treeWalk) begin(root *client.Fid, p string) error {
	f, err := Find(w.env, root, p, true)
	if err != nil {
		return w.env.FileError("tree", p, err)
	}
	row, err := readRow(w.env, f, path.Join("/", p))
	if err != nil {
		return w.env.FileError("tree", p, err)
	}
	if w.print {
		fmt.Fprintln(w.env.Stdout, cli.Printable(p))
	}
	if !row.mode.IsDir() {
		f.Clunk()
		w.files++
		w.rows = append(w.rows, row)
		return nil
	}
	return w.dir(w.read(f, row.Path), row.Path, "", 1)
}

// read begins to read a directory, and takes its fid over.
func (w *treeWalk) read(f *client.Fid, at string) *dirRead {
	r := &dirRead{done: make(chan struct{}), fid: f}
	go func() {
		defer close(r.done)
		r.rows, r.err = listRows(w.env, f, at)
	}()
	return r
}

// dir shows a directory whose reading has begun. indent stands before each
// line, and level counts from 1.
func (w *treeWalk) dir(r *dirRead, at, indent string, level int) error {
	<-r.done
	defer r.fid.Clunk()
	if r.err != nil {
		return w.env.FileError("tree", at, r.err)
	}
	ahead := map[int]*dirRead{}
	next := 0 // entries before it have been looked at for reading ahead
	for i := range r.rows {
		for w.depth == 0 || level < w.depth {
			if next == len(r.rows) || len(ahead) == treeAhead {
				break
			}
			if row := &r.rows[next]; row.mode.IsDir() {
				f, _, err := r.fid.Walk(w.env, row.Name)
				if err != nil {
					return w.env.FileError("tree", row.Path, err)
				}
				ahead[next] = w.read(f, row.Path)
			}
			next++
		}
		branch, below := "├── ", "│   "
		if i == len(r.rows)-1 {
			branch, below = "└── ", "    "
		}
		if err := w.show(&r.rows[i], indent+branch); err != nil {
			return err
		}
		if sub := ahead[i]; sub != nil {
			delete(ahead, i)
			if err := w.dir(sub, r.rows[i].Path, indent+below, level+1); err != nil {
				return err
			}
		}
	}
	return nil
}

// show prints or collects one entry.
func (w *treeWalk) show(row *fileRow, before string) error {
	if row.mode.IsDir() {
		w.dirs++
	} else {
		w.files++
	}
	if !w.print {
		w.rows = append(w.rows, *row)
		return nil
	}
	line := before + cli.Printable(row.Name)
	if row.Target != "" {
		line += " -> " + cli.Printable(row.Target)
	}
	_, err := io.WriteString(w.env.Stdout, line+"\n")
	return err
}
