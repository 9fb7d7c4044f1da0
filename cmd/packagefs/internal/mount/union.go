package mount

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

// A Union stacks directories of a context's tree over those of this machine, each
// by an overlay of the kernel. Options.ReadOnly has no meaning: without Upper the
// overlays are read-only.
type Union struct {
	Options

	Dirs   []string // existing directories at or below Root
	Root   string   // what the tree is stacked on: a path in it is that path in the tree; empty is /
	Kernel bool     // the tree comes through the kernel's 9P client, not FUSE

	// Upper is empty, or an existing directory in the form of a mutable layer:
	// upper in it takes what is changed, at its path in the tree.
	Upper string
}

// UnionSource begins what the mount table shows as the origin of our overlays.
const UnionSource = "packagefs:"

// Mount puts all overlays in place, or none, and keeps them for as long as the
// process runs: see keep. done is closed when the last of them is gone. It needs
// root.
//
// Everything is made in a mount namespace that ends with this call, so that
// nothing stays if a step fails or the process is killed; the overlays are moved
// out when all of them are there. They keep the tree's mount, which has no place
// of its own, alive.
func (u *Union) Mount(ctx context.Context) (done <-chan struct{}, err error) {
	if os.Geteuid() != 0 {
		return nil, errors.New("mount --union: only root can stack on the machine's own directories; packagefs run does it for one program, without privileges")
	}
	g, err := u.startGuard()
	if err != nil {
		return nil, err
	}
	s, err := u.stack(ctx)
	if err != nil {
		g.dismiss()
		return nil, err
	}
	gone := make(chan struct{})
	go func() {
		defer close(gone)
		defer g.dismiss()
		u.keep(ctx, s)
	}()
	return gone, nil
}

// stack puts all overlays in place, or none.
func (u *Union) stack(ctx context.Context) (*stacking, error) {
	s := &stacking{Union: u}
	defer s.closeAll()
	if err := s.resolve(); err != nil {
		return nil, err
	}
	if err := InNamespace(ownNamespace, func() error { return s.make(ctx) }); err != nil {
		return nil, err
	}
	for i := range s.over {
		if err := s.over[i].moveToDir(); err != nil {
			return nil, errors.Join(err, s.detach())
		}
	}
	return s, nil
}

// A stacking is a Union that is being made.
type stacking struct {
	*Union
	root string
	over []overlaid
	fds  []int // to be closed

	served <-chan struct{} // closed when nobody uses the FUSE mount any more; nil for the kernel's
}

// An overlaid is one directory of a stacking.
type overlaid struct {
	dir     string // absolute, without symlinks
	path    string // in the tree, relative
	was     int    // what is there
	mountFD int    // the overlay, which is on no directory yet

	below []submount // what is mounted there
}

// A submount is what is mounted somewhere below a directory, with all below it.
type submount struct {
	path  string
	clone int
}

// resolve finds the directories and where they are in the tree.
func (s *stacking) resolve() (err error) {
	if s.root, err = realDir(cmp.Or(s.Root, "/")); err != nil {
		return err
	}
	for _, d := range s.Dirs {
		o := overlaid{}
		if o.dir, err = realDir(d); err != nil {
			return err
		}
		if o.path, err = filepath.Rel(s.root, o.dir); err != nil || !filepath.IsLocal(o.path) || o.path == "." {
			return fmt.Errorf("mount --union: %s does not lie below %s", o.dir, s.root)
		}
		for _, other := range s.over {
			if Under(o.dir, other.dir) || Under(other.dir, o.dir) {
				return fmt.Errorf("mount --union: %s and %s overlap: name the upper one alone", other.dir, o.dir)
			}
		}
		s.over = append(s.over, o)
	}
	return nil
}

func realDir(path string) (string, error) {
	real, err := filepath.EvalSymlinks(path)
	if err == nil {
		real, err = filepath.Abs(real)
	}
	if err != nil {
		return "", fmt.Errorf("mount --union: %w", err)
	}
	return real, checkPoint(real)
}

// ownNamespace gives this thread a mount namespace of which nobody else hears.
func ownNamespace() error {
	err := unix.Unshare(unix.CLONE_NEWNS)
	if err == nil {
		err = unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, "")
	}
	if err != nil {
		return fmt.Errorf("mount: make a mount namespace: %w", err)
	}
	return nil
}

// make makes the overlays. It runs in the namespace, where the first directory
// serves as the place of what needs one.
func (s *stacking) make(ctx context.Context) error {
	table, err := Table()
	if err != nil {
		return fmt.Errorf("mount --union: %w", err)
	}
	for i := range s.over {
		o := &s.over[i]
		if o.was, err = s.open(unix.AT_FDCWD, o.dir); err != nil {
			return fmt.Errorf("mount --union: %s: %w", o.dir, err)
		}
		if err := s.cloneBelow(o, table); err != nil {
			return err
		}
	}
	at := s.over[0].dir
	if err := s.mountTree(ctx, at); err != nil {
		return err
	}
	tree, err := s.open(unix.AT_FDCWD, at)
	if err != nil {
		return fmt.Errorf("mount --union: the tree: %w", err)
	}
	for i := range s.over {
		if err := s.overlay(&s.over[i], tree); err != nil {
			return err
		}
	}
	return nil
}

// cloneBelow clones what is mounted below a directory: an overlay does not show it.
func (s *stacking) cloneBelow(o *overlaid, table []Line) error {
	for _, p := range Below(table, o.dir) {
		fd, err := unix.OpenTree(unix.AT_FDCWD, p, unix.OPEN_TREE_CLONE|unix.OPEN_TREE_CLOEXEC|unix.AT_RECURSIVE)
		if err != nil {
			return fmt.Errorf("mount --union %s: what is mounted on %s: %w", o.dir, p, err)
		}
		s.fds = append(s.fds, fd)
		o.below = append(o.below, submount{p, fd})
	}
	return nil
}

// mountTree mounts the context's tree.
func (s *stacking) mountTree(ctx context.Context, at string) error {
	o := s.Options
	o.ReadOnly = true
	if s.Kernel {
		return MountKernel(ctx, at, o)
	}
	m, err := MountFUSE(ctx, at, o)
	if err == nil {
		s.served = m.Done()
	}
	return err
}

// overlay stacks a directory of the tree over what is there.
func (s *stacking) overlay(o *overlaid, tree int) error {
	lower, err := unix.Openat2(tree, o.path, &unix.OpenHow{
		Flags: unix.O_PATH | unix.O_DIRECTORY | unix.O_CLOEXEC, Resolve: unix.RESOLVE_BENEATH | unix.RESOLVE_NO_SYMLINKS,
	})
	if err != nil {
		return fmt.Errorf("mount --union %s: %s has no directory /%s: %w", o.dir, s.source(), o.path, err)
	}
	s.fds = append(s.fds, lower)
	options := fmt.Sprintf("lowerdir=%s:%s,index=off,metacopy=off,redirect_dir=off", fdPath(lower), fdPath(o.was))
	if s.Upper != "" {
		upper, work, err := s.upper(o)
		if err != nil {
			return fmt.Errorf("mount --union %s: --upper: %w", o.dir, err)
		}
		options += ",upperdir=" + fdPath(upper) + ",workdir=" + fdPath(work)
	}
	if err := unix.Mount(UnionSource+s.source(), o.dir, "overlay", unix.MS_NODEV, options); err != nil {
		return fmt.Errorf("mount --union %s: overlay: %w%s", o.dir, err, explainOverlay(err, s.Upper))
	}
	for _, b := range o.below {
		if err := unix.MoveMount(b.clone, "", unix.AT_FDCWD, b.path, unix.MOVE_MOUNT_F_EMPTY_PATH); err != nil {
			return fmt.Errorf("mount --union %s: mount %s on it again: %w", o.dir, b.path, err)
		}
	}
	o.mountFD, err = unix.OpenTree(unix.AT_FDCWD, o.dir, unix.OPEN_TREE_CLONE|unix.OPEN_TREE_CLOEXEC|unix.AT_RECURSIVE)
	if err != nil {
		return fmt.Errorf("mount --union %s: open the overlay: %w", o.dir, err)
	}
	s.fds = append(s.fds, o.mountFD)
	return nil
}

func explainOverlay(err error, upper string) string {
	switch {
	case errors.Is(err, unix.ENODEV):
		return ": this kernel has no overlayfs; try: modprobe overlay"
	case errors.Is(err, unix.EBUSY):
		return ": another mount uses " + upper
	case errors.Is(err, unix.EINVAL) && upper != "":
		return ": see dmesg; the file system of " + upper + " must have extended attributes, and be no overlay itself"
	}
	return ": see dmesg"
}

// upper opens the directories in Upper for a directory: the one that takes
// changes, and the one that overlayfs works in. A new one looks as what it is
// laid over.
func (s *stacking) upper(o *overlaid) (upper, work int, err error) {
	at := filepath.Join(s.Upper, "upper", o.path)
	if _, err := os.Lstat(at); errors.Is(err, os.ErrNotExist) {
		if err := s.likeIn(filepath.Join(s.Upper, "upper"), o.path); err != nil {
			return 0, 0, err
		}
	}
	if upper, err = s.open(unix.AT_FDCWD, at); err != nil {
		return 0, 0, fmt.Errorf("%s: %w", at, err)
	}
	at = filepath.Join(s.Upper, "overlay-work", url.PathEscape(o.path))
	if err := os.MkdirAll(at, 0o700); err != nil {
		return 0, 0, err
	}
	if work, err = s.open(unix.AT_FDCWD, at); err != nil {
		return 0, 0, fmt.Errorf("%s: %w", at, err)
	}
	return upper, work, nil
}

// likeIn makes a path below top, its directories with owner and mode of those on
// which the tree is stacked.
func (s *stacking) likeIn(top, path string) error {
	if err := os.MkdirAll(top, 0o755); err != nil {
		return err
	}
	like := s.root
	for _, name := range strings.Split(path, "/") {
		top, like = filepath.Join(top, name), filepath.Join(like, name)
		var st unix.Stat_t
		if err := s.statBelow(like, &st); err != nil {
			return err
		}
		if err := os.Mkdir(top, 0o700); errors.Is(err, os.ErrExist) {
			continue
		} else if err != nil {
			return err
		}
		if err := errors.Join(os.Lchown(top, int(st.Uid), int(st.Gid)), unix.Chmod(top, st.Mode&07777)); err != nil {
			return err
		}
	}
	return nil
}

// statBelow is stat of what was there before anything was stacked on it.
func (s *stacking) statBelow(dir string, st *unix.Stat_t) error {
	for i := range s.over {
		if s.over[i].dir == dir {
			return unix.Fstat(s.over[i].was, st)
		}
	}
	return unix.Stat(dir, st)
}

// moveToDir puts the overlay on its directory in the namespace of the process.
func (o *overlaid) moveToDir() error {
	err := unix.MoveMount(o.mountFD, "", unix.AT_FDCWD, o.dir, unix.MOVE_MOUNT_F_EMPTY_PATH)
	if err != nil {
		return fmt.Errorf("mount --union %s: %w", o.dir, err)
	}
	return nil
}

// open opens a directory until the end of the stacking.
func (s *stacking) open(at int, dir string) (int, error) {
	fd, err := unix.Openat(at, dir, unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err == nil {
		s.fds = append(s.fds, fd)
	}
	return fd, err
}

func (s *stacking) closeAll() {
	for _, fd := range s.fds {
		unix.Close(fd)
	}
}

// fdPath is a path to an open file of this process.
func fdPath(fd int) string { return fmt.Sprint("/proc/self/fd/", fd) }
