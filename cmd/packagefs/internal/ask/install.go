package ask

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/packagefs/packagefs/cmd/packagefs/internal/cli"
	"github.com/packagefs/packagefs/pkgindex/signature"
	"github.com/packagefs/packagefs/pkgindex/staging"
	"github.com/packagefs/packagefs/server/api"
)

// InstallCmd installs package files.
type InstallCmd struct {
	Files     []string `arg:"" name:"file|url" help:"Package files, or where they are: https://…, with #sha256=HEX behind it if their digest is known."`
	Into      string   `placeholder:"DIR" help:"The package directory, where the server has several. Default: its first."`
	Trust     string   `placeholder:"DIR" help:"Install only what a public key in this directory has signed, whatever the server demands."`
	PublicKey string   `placeholder:"KEY" help:"The same with one key: a file, or the key itself."`
	JSON      bool     `help:"Print an array of objects, one for each package."`
}

// Help is shown below the flags.
func (*InstallCmd) Help() string {
	return `The files are copied beside the others in the server's package directory, with their signatures (FILE.minisig, or the same at the URL) if there are any. When the server has read all of them they appear in one step; if one is bad, none does, and the reason is told. This works on the machine of the server only, for its administrators.

Examples:
  packagefs install hello_2.10-3_amd64.deb
  packagefs install app-2.rpm app-data-2.rpm --trust /etc/packagefs/trust
  packagefs install https://example.com/hello.deb#sha256=9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08`
}

// Validate is called by the command line parser.
func (c *InstallCmd) Validate() error {
	if c.Trust != "" && c.PublicKey != "" {
		return cli.Usagef("--trust and --public-key: one of the two is enough")
	}
	for _, s := range c.Files {
		if _, err := parseOrigin(s); err != nil {
			return cli.Usagef("%v", err)
		}
	}
	return nil
}

func (c *InstallCmd) Run(env *cli.Env) error {
	var keys *signature.Keys
	if c.Trust != "" || c.PublicKey != "" {
		var err error
		if keys, err = trustedKeys(c.Trust, c.PublicKey); err != nil {
			return fmt.Errorf("install: %w", err)
		}
	}
	dir, err := c.packageDir(env)
	if err != nil {
		return fmt.Errorf("install: %w", err)
	}
	s, err := stageFiles(dir)
	if err != nil {
		return fmt.Errorf("install: %w", err)
	}
	defer s.close()
	bar := cli.NewProgressLine(env.Stderr)
	defer bar.Clear()
	for _, text := range c.Files {
		from, err := parseOrigin(text)
		if err == nil {
			err = s.fetch(env, from, bar, keys)
		}
		if err != nil {
			return fmt.Errorf("install %s: %w", text, err)
		}
	}
	status, err := s.install(env, bar)
	bar.Clear()
	if err != nil {
		return fmt.Errorf("install: %w", err)
	}
	return c.print(env, s, status)
}

// print tells what was installed, and what was there.
func (c *InstallCmd) print(env *cli.Env, s *stagedFiles, status api.InstallStatus) error {
	type row struct {
		Package string `json:"package,omitempty"`
		File    string `json:"file,omitempty"`
		State   string `json:"state"`
	}
	var rows []row
	for _, p := range status.Packages {
		rows = append(rows, row{Package: p, State: "installed"})
	}
	for _, f := range s.there {
		rows = append(rows, row{File: f, State: "there already"})
	}
	if c.JSON {
		return cli.PrintJSON(env.Stdout, rows)
	}
	for _, r := range rows {
		fmt.Fprintf(env.Stdout, "%s%s: %s\n", cli.Printable(r.Package), cli.Printable(r.File), r.State)
	}
	return nil
}

// packageDir returns the package directory of the server, which must be one of
// this machine.
func (c *InstallCmd) packageDir(env *cli.Env) (string, error) {
	var status api.Status
	if err := env.Query(api.Query{Op: api.OpStatus}, &status); err != nil {
		return "", err
	}
	if len(status.PackageDirs) == 0 {
		return "", errors.New(api.ForAdmins)
	}
	chosen := status.PackageDirs[0]
	if c.Into != "" {
		into, err := filepath.Abs(c.Into)
		if err != nil {
			return "", err
		}
		at := slices.IndexFunc(status.PackageDirs, func(d api.PackageDir) bool { return d.Path == into })
		if at < 0 {
			var paths []string
			for _, d := range status.PackageDirs {
				paths = append(paths, d.Path)
			}
			return "", cli.Usagef("--into: %s is no package directory of the server; it has: %s", c.Into, strings.Join(paths, ", "))
		}
		chosen = status.PackageDirs[at]
	}
	var st unix.Stat_t
	if err := unix.Stat(chosen.Path, &st); err != nil || uint64(st.Dev) != chosen.Dev || st.Ino != chosen.Inode {
		return "", fmt.Errorf("the server's package directory %s is not on this machine, and package files are not sent over 9P; copy them there, or run this on the server's machine", chosen.Path)
	}
	return chosen.Path, nil
}

// stagedFiles are in a directory in a package directory, where package files are put
// together until they are installed in one step.
type stagedFiles struct {
	dir, name string
	lock      *os.File
	files     []string // names of package files
	there     []string // of those that the package directory has already, the same
}

// stageFiles makes the directory. While it is locked, no server takes it for a leftover.
func stageFiles(dir string) (*stagedFiles, error) {
	path, err := os.MkdirTemp(dir, staging.Prefix)
	if err != nil {
		return nil, err
	}
	s := &stagedFiles{dir: dir, name: filepath.Base(path)}
	if s.lock, err = os.Open(path); err == nil {
		if err = unix.Flock(int(s.lock.Fd()), unix.LOCK_EX); err == nil {
			err = os.Chmod(path, 0o755)
		}
	}
	if err != nil {
		s.close()
		return nil, err
	}
	return s, nil
}

func (s *stagedFiles) path(name string) string { return filepath.Join(s.dir, s.name, name) }

// close removes what was not installed, and says whether that was still there. A
// server that would decide to install it at this moment cannot any more, as it has
// another name then.
func (s *stagedFiles) close() (gaveUp bool) {
	gone := s.path("") + ".given-up"
	if os.Rename(s.path(""), gone) == nil {
		gaveUp = true
		os.RemoveAll(gone)
	}
	if s.lock != nil {
		s.lock.Close()
	}
	return gaveUp
}

// sync makes what is in the directory durable.
func (s *stagedFiles) sync() error {
	dir, err := os.Open(s.path(""))
	if err != nil {
		return err
	}
	defer dir.Close()
	return dir.Sync()
}

// drop takes a file that the package directory has already, the same, out again.
func (s *stagedFiles) drop(name string) error {
	same, err := sameContent(s.path(name), filepath.Join(s.dir, name))
	if err != nil || !same {
		return err
	}
	s.there = append(s.there, name)
	s.files = slices.DeleteFunc(s.files, func(f string) bool { return f == name })
	if err := os.Remove(s.path(name + signature.Suffix)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return os.Remove(s.path(name))
}

// sameContent compares two files; one that is not there differs.
func sameContent(a, b string) (bool, error) {
	one, err := os.Open(a)
	if err != nil {
		return false, err
	}
	defer one.Close()
	two, err := os.Open(b)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	defer two.Close()
	x, y := make([]byte, 256<<10), make([]byte, 256<<10)
	for {
		n, errA := io.ReadFull(one, x)
		m, errB := io.ReadFull(two, y)
		switch {
		case n != m || string(x[:n]) != string(y[:m]):
			return false, nil
		case errA == io.EOF || errA == io.ErrUnexpectedEOF:
			return errB == io.EOF || errB == io.ErrUnexpectedEOF, nil
		case errA != nil || errB != nil:
			return false, errors.Join(errA, errB)
		}
	}
}

// install lets the server install the directory, and waits until it has.
func (s *stagedFiles) install(env *cli.Env, bar *cli.ProgressLine) (status api.InstallStatus, err error) {
	if len(s.files) == 0 {
		return status, nil
	}
	if err := s.sync(); err != nil {
		return status, err
	}
	if _, err := env.Command("install", s.name); err != nil {
		return status, s.unsure(err)
	}
	err = cli.Poll(env, func() (bool, error) {
		if err := env.Query(api.Query{Op: api.OpInstall, Path: s.name}, &status); err != nil {
			return false, err
		}
		bar.Show("read %d of %s", status.Done, cli.Plural(len(s.files), "package file"))
		return status.State != api.InstallRunning, nil
	})
	switch {
	case err != nil:
		return status, s.unsure(err)
	case status.State == api.InstallFailed:
		return status, fmt.Errorf("nothing was installed: %s", status.Reason)
	}
	return status, nil
}

// unsure says what became of the files when the server did not.
func (s *stagedFiles) unsure(err error) error {
	if s.close() {
		return fmt.Errorf("nothing was installed: %w", err)
	}
	decided := staging.DecidedPrefix + strings.TrimPrefix(s.name, staging.Prefix)
	for _, path := range []string{filepath.Join(s.dir, decided), filepath.Join(s.dir, s.files[0])} {
		if _, statErr := os.Lstat(path); statErr == nil {
			return fmt.Errorf("all are installed, or will be when the server is started again, but it ended before it said so: %w", err)
		}
	}
	return fmt.Errorf("nothing was installed: %w", err)
}
