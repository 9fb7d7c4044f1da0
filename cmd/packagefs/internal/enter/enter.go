package enter

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/packagefs/packagefs/cmd/packagefs/internal/mount"
	"github.com/packagefs/packagefs/server/p9l/client"
)

// ErrNoContext is the error of a context that the server does not have for this
// user.
var ErrNoContext = errors.New("no such context")

// Options of an entry. A launcher enters the context of its package, and finds below
// that what was seen where it was started: what programs of other packages are
// called by. Server, Context and Command must be set.
type Options struct {
	Server   client.Addr
	Context  string        // as an attach name, with a base
	Command  []string      // the program, to be looked for in PATH as the shell does, and its arguments
	Path     string        // of the program, if it is not what the command begins with
	Env      []string      // of the program; what tells of the context is added
	Idle     time.Duration // of a keeper that is started; 0 is DefaultIdle
	Prompt   string        // for a shell that takes it from its environment
	Base     string        // the context below it; of a launcher in a context: that where it was started
	Launched bool          // a launcher is what was started
	Notes    io.Writer     // takes what is not as one may expect; nil where nobody wants to know

	DeathSignal int // what DeathSignal returned when this process began

	// Session is a directory on which something is mounted in a mount namespace that
	// is a session's own. Not the process but that namespace is put into the context
	// then, and the process ends: Command, Path and Env have no meaning. It needs
	// root; User is who the contexts are for.
	Session string
	User    uint32
}

// DeathSignal is the signal that this process gets when its parent dies, or 0. Only
// the process's first thread knows: the one that the main function begins on.
func DeathSignal() int {
	if unix.Gettid() != os.Getpid() {
		return 0
	}
	var sig int32
	if unix.Prctl(unix.PR_GET_PDEATHSIG, uintptr(unsafe.Pointer(&sig)), 0, 0, 0) != nil {
		return 0
	}
	return int(sig)
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
	mounts, err := mount.Table()
	if err != nil {
		return fmt.Errorf("enter a context: %w", err)
	}
	if o.Session != "" {
		if err := checkSession(o.Session, mounts); err != nil {
			return err
		}
	}
	s, err := findContexts(ctx, &o, mounts)
	if err != nil {
		return err
	}
	defer s.close()
	here := currentlyStacked(mounts)
	if o.Launched && s.within() {
		if o.Base == "" {
			o.Base = here.base
		}
		if o.Path == "" && here.top == o.Context {
			return fmt.Errorf("%s is the launcher of a program that is not there: it leads to itself in %s", o.Command[0], o.Context)
		}
	}
	layers, err := s.layers(&o)
	if err != nil {
		return err
	}
	if len(layers.missing) > 0 {
		fmt.Fprintf(o.Notes, "packagefs: this machine has no directory /%s, so what packages have there cannot be seen; an empty one is enough\n",
			strings.Join(layers.missing, ", /"))
	}
	layers.dropUnstackable(mounts, s.within(), o.Notes)
	p := &plan{contexts: s, options: &o, mounts: mounts, layers: layers}
	return p.run()
}

// checkSession fails unless this process is root and in a session's own mount
// namespace: what is mounted in the machine's would be seen by everybody.
func checkSession(dir string, mounts []mount.Line) error {
	if os.Geteuid() != 0 {
		return errors.New("only root can put a session into a context")
	}
	if !slices.ContainsFunc(mounts, func(m mount.Line) bool { return m.Point == dir }) {
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

// pristine is where the root is without a context.
func pristine(within bool) string {
	if within {
		return rootPoint
	}
	return "/"
}
