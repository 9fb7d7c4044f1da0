package enter

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/hanwen/go-fuse/v2/fuse"
	"golang.org/x/sys/unix"

	"github.com/packagefs/packagefs/cmd/packagefs/internal/mount"
)

// TryName is what the program is called as, to try what this machine lets it do.
const TryName = "packagefs-try"

// Tried tells what an entry needs and this machine allows: nil, or the reason why
// not. What was not tried because something before it failed has that reason.
type Tried struct {
	Namespace   error // a mount namespace, and for who is not root a user namespace
	Mount       error // mounts in it
	Overlay     error // an overlay
	FUSE        error // a FUSE mount
	OverlayFUSE error // an overlay on that
	Program     error // a program in memory
}

// triedText is Tried as it comes from the process that tries.
type triedText struct{ Mount, Overlay, FUSE, OverlayFUSE string }

// Try tries what an entry needs, in other processes that leave nothing behind.
func Try() (t Tried) {
	t.Program = runTry("program").Run()
	cmd := runTry("mounts")
	isolate(cmd.SysProcAttr)
	out, err := cmd.Output()
	if cmd.Process == nil {
		t.Namespace = explainUserNamespace(err)
		t.Mount, t.Overlay, t.FUSE, t.OverlayFUSE = t.Namespace, t.Namespace, t.Namespace, t.Namespace
		return t
	}
	var text triedText
	if err == nil {
		err = json.Unmarshal(out, &text)
	}
	if err != nil {
		t.Mount, t.Overlay, t.FUSE, t.OverlayFUSE = err, err, err, err
		return t
	}
	for _, r := range []struct {
		to   *error
		text string
	}{{&t.Mount, text.Mount}, {&t.Overlay, text.Overlay}, {&t.FUSE, text.FUSE}, {&t.OverlayFUSE, text.OverlayFUSE}} {
		if r.text != "" {
			*r.to = errors.New(r.text)
		}
	}
	return t
}

func runTry(what string) *exec.Cmd {
	return &exec.Cmd{Path: "/proc/self/exe", Args: []string{TryName, what}, SysProcAttr: &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}}
}

// isolate makes a process start in a mount namespace of its own, in which it may
// mount: for who is not root, in a user namespace that has no other user.
func isolate(attr *syscall.SysProcAttr) {
	attr.Cloneflags |= unix.CLONE_NEWNS
	if uid, gid := os.Geteuid(), os.Getegid(); uid != 0 {
		attr.Cloneflags |= unix.CLONE_NEWUSER
		attr.UidMappings = []syscall.SysProcIDMap{{ContainerID: uid, HostID: uid, Size: 1}}
		attr.GidMappings = []syscall.SysProcIDMap{{ContainerID: gid, HostID: gid, Size: 1}}
		attr.AmbientCaps = []uintptr{unix.CAP_SYS_ADMIN}
	}
}

// TryIt is the whole program that tries, and returns its exit status.
func TryIt(args []string) int {
	if len(args) == 2 && args[1] == "program" {
		var p program
		exit := p.add("", unix.SYS_EXIT_GROUP, 0)
		fmt.Fprintf(os.Stderr, "packagefs: %v\n", p.become(exit))
		return 1
	}
	say := func(err error) string {
		if err == nil {
			return ""
		}
		return err.Error()
	}
	var text triedText
	err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_SLAVE, "")
	if err == nil {
		err = unix.Mount("packagefs", stage, "tmpfs", unix.MS_NODEV, "")
	}
	if err != nil {
		err = explainUserNamespace(err)
		text = triedText{say(err), say(err), say(err), say(err)}
	} else {
		text.Overlay = say(tryOverlay(filepath.Join(stage, "a")))
		var onFUSE error
		text.FUSE = say(tryFUSE(filepath.Join(stage, "fuse"), func(at string) { onFUSE = tryOverlay(at) }))
		if text.OverlayFUSE = say(onFUSE); text.FUSE != "" {
			text.OverlayFUSE = text.FUSE
		}
	}
	_ = json.NewEncoder(os.Stdout).Encode(text)
	return 0
}

// tryOverlay stacks a directory, which it makes if it is not there, on another one.
func tryOverlay(upper string) error {
	lower, point := filepath.Join(stage, "lower"), filepath.Join(stage, "point")
	for _, dir := range []string{upper, lower, point} {
		if err := os.Mkdir(dir, 0o755); err != nil && !errors.Is(err, os.ErrExist) {
			return err
		}
	}
	options := "lowerdir=" + upper + ":" + lower + overlayOptions
	if err := unix.Mount(overlaySource, point, "overlay", unix.MS_RDONLY|unix.MS_NODEV, options); err != nil {
		if errors.Is(err, unix.ENODEV) {
			return fmt.Errorf("%w: this kernel has no overlay file system; try: modprobe overlay", err)
		}
		return err
	}
	defer unix.Unmount(point, unix.MNT_DETACH)
	_, err := os.ReadDir(point)
	return err
}

// tryFUSE mounts an empty directory with FUSE and calls fn.
func tryFUSE(point string, fn func(at string)) error {
	if err := os.Mkdir(point, 0o755); err != nil {
		return err
	}
	s, err := fuse.NewServer(emptyDir{fuse.NewDefaultRawFileSystem()}, point, &fuse.MountOptions{
		FsName: "packagefs", Name: mount.FUSEType, DirectMountStrict: true,
		Options: []string{"default_permissions"}, DisableReadDirPlus: true,
	})
	if err != nil {
		return err
	}
	go s.Serve()
	defer s.Unmount()
	if err := s.WaitMount(); err != nil {
		return err
	}
	fn(point)
	return nil
}

// emptyDir is a file system of one directory.
type emptyDir struct{ fuse.RawFileSystem }

func (emptyDir) GetAttr(_ <-chan struct{}, _ *fuse.GetAttrIn, out *fuse.AttrOut) fuse.Status {
	out.Attr = fuse.Attr{Ino: 1, Mode: syscall.S_IFDIR | 0o755, Nlink: 2}
	return fuse.OK
}

func (emptyDir) StatFs(<-chan struct{}, *fuse.InHeader, *fuse.StatfsOut) fuse.Status { return fuse.OK }

func (emptyDir) OpenDir(<-chan struct{}, *fuse.OpenIn, *fuse.OpenOut) fuse.Status { return fuse.OK }

func (emptyDir) ReadDir(<-chan struct{}, *fuse.ReadIn, *fuse.DirEntryList) fuse.Status {
	return fuse.OK
}

// Hindrance is a place where something is mounted below a top directory that
// packages may have, which only root can stack on; empty if there is none.
func Hindrance() (string, error) {
	mounts, err := mount.Table()
	if err != nil {
		return "", err
	}
	for _, m := range mounts {
		if dir, _, inner := strings.Cut(strings.TrimPrefix(m.Point, "/"), "/"); inner && !isOwn(dir) && !mount.Under(m.Point, libexec) {
			return m.Point, nil
		}
	}
	return "", nil
}
