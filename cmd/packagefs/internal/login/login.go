// Package login makes the sessions of a machine's users begin in their contexts,
// and undoes that.
//
// pam_namespace gives a session a mount namespace of its own and runs a script in
// it, as root. The script has packagefs put the namespace into the user's context,
// and never fails: without a server the session begins on the plain root, with a
// line that says so, which shells print.
//
// What is installed is a file each for pam_namespace and for shells, the script,
// and a marked block in each PAM service. Everything else in those stays as it is.
package login

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// Services are the PAM services of sessions that begin in a context: those of
// logins at a console, by ssh, by su -l, by a display manager, and the user's own
// service manager of systemd.
var Services = []string{"login", "sshd", "su-l", "systemd-user", "gdm-password", "sddm", "lightdm"}

// SessionDir is private to each session. Its file note has what went wrong. What is
// above it is there on every machine: pam_namespace makes one directory only.
const SessionDir = "/run/packagefs-session"

// A Recipe is what is installed.
type Recipe struct {
	Program  string   // absolute path of packagefs
	Server   string   // its address
	Services []string // PAM services that there are; empty for those of Services
	Except   []string // users whose sessions stay on the plain root
}

const (
	begin = "# packagefs login: begin\n"
	end   = "# packagefs login: end\n"

	pamDir  = "/etc/pam.d"
	polydir = "/etc/security/namespace.d/packagefs.conf"
	script  = "/etc/security/namespace.d/packagefs.init"
	profile = "/etc/profile.d/packagefs.sh"
)

// pamBlock comes last of a service's session lines. It is optional: nobody is locked
// out.
const pamBlock = begin + "session optional pam_namespace.so\n" + end

// A Change is a step of installing or removing.
type Change struct {
	File    string
	Content []byte // nil removes the file
	Mode    os.FileMode
	What    string // in words
}

// Install plans what is to be done; what is so already is left out.
func (r *Recipe) Install() ([]Change, error) {
	if strings.ContainsAny(r.Program+r.Server, "'\n") {
		return nil, fmt.Errorf("login install: %s or %s has characters that a script cannot have", r.Program, r.Server)
	}
	services, err := r.services()
	if err != nil {
		return nil, err
	}
	changes := []Change{
		{script, r.script(), 0o755, "runs packagefs at the start of a session"},
		{polydir, r.polydir(), 0o644, "gives each session a mount namespace"},
		{profile, r.profile(), 0o644, "tells shells in a context which server it is from"},
	}
	for _, s := range services {
		file := filepath.Join(pamDir, s)
		text, err := os.ReadFile(file)
		if err != nil {
			return nil, err
		}
		changes = append(changes, Change{file, with(text), 0o644, "sessions of " + s + " begin in the user's context"})
	}
	return slices.DeleteFunc(changes, Change.done), nil
}

// Remove plans how to undo Install.
func Remove() ([]Change, error) {
	all, err := os.ReadDir(pamDir)
	if err != nil {
		return nil, err
	}
	var changes []Change
	for _, e := range all {
		file := filepath.Join(pamDir, e.Name())
		if text, err := os.ReadFile(file); err == nil && bytes.Contains(text, []byte(begin)) {
			changes = append(changes, Change{file, without(text), 0o644, "sessions of " + e.Name() + " begin on the plain root"})
		}
	}
	for _, file := range []string{profile, polydir, script} {
		if _, err := os.Lstat(file); err == nil {
			changes = append(changes, Change{File: file, What: "removed"})
		}
	}
	return changes, nil
}

// services are those of the recipe that this machine has.
func (r *Recipe) services() (have []string, err error) {
	names := r.Services
	if len(names) == 0 {
		names = Services
	}
	for _, s := range names {
		_, err := os.Stat(filepath.Join(pamDir, s))
		switch {
		case err == nil:
			have = append(have, s)
		case !errors.Is(err, os.ErrNotExist):
			return nil, err
		case len(r.Services) > 0:
			return nil, fmt.Errorf("login install: there is no PAM service %s in %s", s, pamDir)
		}
	}
	if len(have) == 0 {
		return nil, fmt.Errorf("login install: %s has none of %s; name one with --service", pamDir, strings.Join(names, ", "))
	}
	return have, nil
}

func (r *Recipe) polydir() []byte {
	return fmt.Appendf(nil, "# Made by packagefs login install; packagefs login remove takes it away.\n"+
		"%s packagefs tmpfs:create=0755,root,root:iscript=%s:mntopts=size=64k,mode=0755,nosuid,nodev,noexec %s\n",
		SessionDir, filepath.Base(script), strings.Join(r.Except, ","))
}

func (r *Recipe) script() []byte {
	return fmt.Appendf(nil, `#!/bin/sh
# Made by packagefs login install; packagefs login remove takes it away.
# pam_namespace runs it as root in the mount namespace of a new session, with the
# directory, where it is from, whether it is new, and the user.
[ "$1" = %s ] || exit 0
if ! why=$(timeout 10 '%s' --server '%s' login session -- "$4" 2>&1); then
	printf 'packagefs: this session has the plain root, not your context: %%s\n' \
		"$(printf '%%s\n' "${why:-the server does not answer}" | sed -n '1s/^packagefs: //p')" >"$1/note"
fi
exit 0
`, SessionDir, r.Program, r.Server)
}

func (r *Recipe) profile() []byte {
	return fmt.Appendf(nil, `# Made by packagefs login install; packagefs login remove takes it away.
if [ -e %s/note ]; then
	cat %s/note >&2
elif [ -d %s ]; then
	export PACKAGEFS_SERVER='%s'
fi
`, SessionDir, SessionDir, SessionDir, r.Server)
}

// with returns the text of a PAM service with our block, as the last.
func with(text []byte) []byte {
	text = without(text)
	if len(text) > 0 && text[len(text)-1] != '\n' {
		text = append(text, '\n')
	}
	return append(text, pamBlock...)
}

// without returns the text of a PAM service without our block.
func without(text []byte) []byte {
	before, rest, found := bytes.Cut(text, []byte(begin))
	_, after, ended := bytes.Cut(rest, []byte(end))
	if !found || !ended {
		return bytes.Clone(text)
	}
	return slices.Concat(before, after)
}

// done says whether the file is so already.
func (c Change) done() bool {
	have, err := os.ReadFile(c.File)
	fi, serr := os.Stat(c.File)
	return err == nil && serr == nil && bytes.Equal(have, c.Content) && fi.Mode().Perm() == c.Mode
}

// Print says what the change is.
func (c Change) Print(w io.Writer) {
	did := "write "
	if c.Content == nil {
		did = "remove"
	}
	fmt.Fprintf(w, "%s %s: %s\n", did, c.File, c.What)
}

// Make makes the change, in one step.
func (c Change) Make() error {
	if c.Content == nil {
		return os.Remove(c.File)
	}
	if err := os.MkdirAll(filepath.Dir(c.File), 0o755); err != nil {
		return err
	}
	f, err := os.CreateTemp(filepath.Dir(c.File), ".packagefs-*")
	if err != nil {
		return err
	}
	defer os.Remove(f.Name()) // fails once it has its name
	_, err = f.Write(c.Content)
	if err = errors.Join(err, f.Chmod(c.Mode), f.Sync(), f.Close()); err != nil {
		return fmt.Errorf("write %s: %w", c.File, err)
	}
	return os.Rename(f.Name(), c.File)
}
