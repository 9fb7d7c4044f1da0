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

	// Session is a directory on which something is mounted in a mount namespace that
	// is a session's own. Not the process but that namespace is put into the context
	// then, and the process ends: Command, Path and Env have no meaning. It needs
	// root; User is who the contexts are for.
	Session string
	User    uint32
}

// user is who the server's contexts are looked at for.
func (o *Options) user() uint32 {
	if o.Session != "" {
		return o.User
	}
	return uint32(os.Geteuid())
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
	if o.Session != "" {
		if err := checkSession(o.Session, mounts); err != nil {
			return err
		}
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
	dirs = clear(dirs, mounts, s.within(), o.Notes)
	p := &plan{source: s, options: &o, mounts: mounts, dirs: dirs}
	return p.run()
}

// checkSession fails unless this process is root and in a session's own mount
// namespace: what is mounted in the machine's would be seen by everybody.
func checkSession(dir string, mounts []mountLine) error {
	if os.Geteuid() != 0 {
		return errors.New("only root can put a session into a context")
	}
	if !slices.ContainsFunc(mounts, func(m mountLine) bool { return m.point == dir }) {
		return fmt.Errorf("%s is not a mount, so this session has no mount namespace of its own: pam_namespace makes it; see packagefs login install", dir)
	}
	return nil
}

// isOwn tells whether a top directory is the machine's, whatever packages have
// there: what users and running programs write, and where other file systems are.
func isOwn(dir string) bool {
	switch dir {
	case "boot", "dev", "home", "lost+found", "media", "mnt", "proc", "root", "run", "sys", "tmp", "var":
		return true
	}
	return false
}

// clear gives the directories that this user can stack on. In a user namespace
// what is mounted below a directory hides for good what is there, so the kernel
// does not take that directory for an overlay. Without /usr an entry makes no sense;
// what the kernel says of it is told.
func clear(dirs []string, mounts []mountLine, within bool, notes io.Writer) (can []string) {
	for _, dir := range dirs {
		in := below(mounts, filepath.Join(pristine(within), dir))
		if os.Geteuid() != 0 && len(in) > 0 && dir != "usr" {
			fmt.Fprintf(notes, "packagefs: what packages have in /%s cannot be seen: %s is a mount, and the kernel lets only root stack on that\n", dir, in[0])
			continue
		}
		can = append(can, dir)
	}
	return can
}

// pristine is where the root is without a context.
func pristine(within bool) string {
	if within {
		return rootPoint
	}
	return "/"
}

// stackable gives the top directories of a tree that can be stacked on the root's,
// and those that the root has not.
func stackable(top *os.File, within bool) (dirs, missing []string, err error) {
	entries, err := top.ReadDir(-1)
	if err != nil {
		return nil, nil, err
	}
	root := pristine(within)
	for _, e := range entries {
		name := e.Name()
		if !e.IsDir() || isOwn(name) {
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
