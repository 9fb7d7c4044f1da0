package pack

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"

	"github.com/packagefs/packagefs/cmd/packagefs/internal/cli"
	"github.com/packagefs/packagefs/pkgindex/signature"
)

// packing are the flags of commands that write native packages.
type packing struct {
	Level int    `placeholder:"N" default:"19" help:"How hard to compress, from 1 to 22 (19)."`
	Sign  string `placeholder:"KEY" help:"Sign with this secret key: FILE.minisig is written beside."`
	secret
}

func (p *packing) check() error {
	if p.Level < 1 || p.Level > 22 {
		return fmt.Errorf("--level: %d is not a number from 1 to 22", p.Level)
	}
	return nil
}

// key is what to sign with, or nil.
func (p *packing) key(env *cli.Env) (*signature.PrivateKey, error) {
	if p.Sign == "" {
		return nil, nil
	}
	key, err := signature.ReadPrivateKey(p.Sign, func() (string, error) { return p.password(env, "Password of "+p.Sign) })
	return &key, err
}

// A newFile is a package file to be written.
type newFile struct {
	path  string
	key   *signature.PrivateKey // to sign it with, or nil
	force bool                  // in the place of what is there
}

var errThere = errors.New("it is there already; --force replaces it")

// write writes the file beside its place, and moves it there once write has
// returned nil and all is on the disk: its signature first, so that it is never
// there without. It returns the file's size.
func (n newFile) write(write func(*os.File) error) (int64, error) {
	if _, err := os.Lstat(n.path); err == nil && !n.force {
		return 0, errThere
	}
	f, err := os.CreateTemp(filepath.Dir(n.path), "."+filepath.Base(n.path)+".*")
	if err != nil {
		return 0, err
	}
	defer os.Remove(f.Name())
	defer f.Close()
	if err := write(f); err != nil {
		return 0, err
	}
	if err := errors.Join(f.Chmod(0o644), f.Sync()); err != nil {
		return 0, err
	}
	info, err := f.Stat()
	if err != nil {
		return 0, err
	}
	if n.key != nil {
		if err := n.key.SignAs(f.Name(), n.path, ""); err != nil {
			return 0, fmt.Errorf("sign: %w", err)
		}
	}
	return info.Size(), n.publish(f.Name())
}

// publish gives the file at from its name.
func (n newFile) publish(from string) error {
	flags := uint(unix.RENAME_NOREPLACE)
	if n.force {
		flags = 0
	}
	err := unix.Renameat2(unix.AT_FDCWD, from, unix.AT_FDCWD, n.path, flags)
	if errors.Is(err, unix.EINVAL) && !n.force { // the file system cannot do it in one step
		if _, there := os.Lstat(n.path); errors.Is(there, fs.ErrNotExist) {
			err = os.Rename(from, n.path)
		} else {
			err = unix.EEXIST
		}
	}
	if errors.Is(err, unix.EEXIST) {
		return errThere
	} else if err != nil {
		return &os.PathError{Op: "rename", Path: from, Err: err}
	}
	dir, err := os.Open(filepath.Dir(n.path))
	if err != nil {
		return err
	}
	defer dir.Close()
	return dir.Sync()
}
