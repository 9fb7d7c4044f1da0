package enter

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/packagefs/packagefs/cmd/packagefs/internal/client"
)

// ErrNoContext is the error of a context that the server does not have for this
// user.
var ErrNoContext = errors.New("no such context")

// Options of an entry. Server, Context and Command must be set.
type Options struct {
	Server  client.Addr
	Context string        // as an attach name, with a base
	Command []string      // the program, to be looked for in PATH as the shell does, and its arguments
	Path    string        // of the program, if it is not what the command begins with
	Env     []string      // of the program
	Idle    time.Duration // of a keeper that is started; 0 is DefaultIdle
	Notes   io.Writer     // takes what is not as one may expect; nil where nobody wants to know
}

// Enter makes this process the program in the context. It returns only if that
// fails before the process has changed; what fails later is reported by Failed in
// this process's place.
func Enter(ctx context.Context, o Options) error {
	if o.Idle == 0 {
		o.Idle = DefaultIdle
	}
	if o.Notes == nil {
		o.Notes = io.Discard
	}
	mounts, err := readMounts()
	if err != nil {
		return fmt.Errorf("enter a context: %w", err)
	}
	s, err := findSource(ctx, &o, mounts)
	if err != nil {
		return err
	}
	defer s.close()
	top, err := s.open(o.Context)
	if err != nil {
		return err
	}
	defer top.Close()
	dirs, missing, err := stackable(top, s.within())
	if err != nil {
		return fmt.Errorf("read the context %s: %w", o.Context, err)
	}
	if len(missing) > 0 {
		fmt.Fprintf(o.Notes, "packagefs: this machine has no directory /%s, so what packages have there cannot be seen; an empty one is enough\n",
			strings.Join(missing, ", /"))
	}
	p := &plan{source: s, options: &o, mounts: mounts, dirs: dirs}
	return p.run()
}

// own are the top directories that are the machine's, whatever packages have there:
// what users and running programs write, and where other file systems are.
var own = []string{"boot", "dev", "home", "lost+found", "media", "mnt", "proc", "root", "run", "sys", "tmp", "var"}

// stackable gives the top directories of a tree that can be stacked on the root's,
// and those that the root has not.
func stackable(top *os.File, within bool) (dirs, missing []string, err error) {
	entries, err := top.ReadDir(-1)
	if err != nil {
		return nil, nil, err
	}
	root := "/"
	if within {
		root = rootPoint
	}
	for _, e := range entries {
		name := e.Name()
		if !e.IsDir() || slices.Contains(own, name) {
			continue
		}
		fi, err := os.Lstat(filepath.Join(root, name))
		switch {
		case errors.Is(err, os.ErrNotExist):
			missing = append(missing, name)
		case err == nil && fi.IsDir() && !strings.ContainsAny(name, `,:\`):
			dirs = append(dirs, name)
		}
	}
	// What finds the root is below usr: it goes last.
	slices.SortFunc(dirs, func(a, b string) int {
		return strings.Compare(order(a), order(b))
	})
	slices.Sort(missing)
	return dirs, missing, nil
}

func order(dir string) string {
	if dir == "usr" {
		return "\xff"
	}
	return dir
}
