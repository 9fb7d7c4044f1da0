package demo

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/packagefs/packagefs/cmd/packagefs/internal/ask"
	"github.com/packagefs/packagefs/cmd/packagefs/internal/mount"
	"github.com/packagefs/packagefs/server/p9l/client"
)

// A view is a context's tree, through a mount or without one.
type view interface {
	context() string // attach name
	where() string   // for people
	read(ctx context.Context, path string) (string, error)
	list(ctx context.Context, path string) ([]string, error)
	run(ctx context.Context, path string) (string, error) // of a script: what it prints
	close() error
}

// chooseView finds out what this machine can do, and says it.
func chooseView(d *demo) (title string, open func(aname string) (view, error), err error) {
	plain := func(a string) (view, error) { return d.plainView(a) }
	if d.plain {
		return "Looked at with the 9P client that is built in, as asked for", plain, nil
	}
	o, err := d.mountOptions("all")
	if err != nil {
		return "", nil, err
	}
	noKernel := mount.TryKernel(d.env, d.dir, o)
	if noKernel == nil {
		return "Mounted by the kernel's own 9P client, one mount a context", func(a string) (view, error) {
			return d.mountedView(a, true)
		}, nil
	}
	noFUSE := mount.CanFUSE()
	if noFUSE == nil {
		// The check is cheap and can be wrong, as in a container; the mount tells.
		if v, err := d.mountedView("all", false); err != nil {
			noFUSE = err
		} else if err := v.close(); err != nil {
			return "", nil, err
		}
	}
	if noFUSE == nil {
		return fmt.Sprintf("Mounted with FUSE (%v), one mount a context", noKernel), func(a string) (view, error) {
			return d.mountedView(a, false)
		}, nil
	}
	return fmt.Sprintf("Looked at with the 9P client that is built in, since nothing can be mounted here\n   (%v; %v)", noKernel, noFUSE), plain, nil
}

// A mountedView is a mounted tree.
type mountedView struct {
	aname, point string
	unmount      func() error
}

func (d *demo) mountedView(aname string, kernel bool) (view, error) {
	v := &mountedView{aname: aname, point: d.path(strings.ReplaceAll(aname, ":", "-"))}
	if err := os.MkdirAll(v.point, 0o755); err != nil {
		return nil, err
	}
	o, err := d.mountOptions(aname)
	if err != nil {
		return nil, err
	}
	if kernel {
		v.unmount = func() error { return mount.Unmount(v.point, true) }
		return v, mount.MountKernel(d.env, v.point, o)
	}
	m, err := mount.MountFUSE(d.env, v.point, o)
	if err != nil {
		return nil, err
	}
	v.unmount = func() error {
		if m.Unmount() == nil {
			return nil
		}
		return mount.Unmount(v.point, true) // somebody looks around in it
	}
	return v, nil
}

func (d *demo) mountOptions(aname string) (mount.Options, error) {
	addr, err := d.env.Addr()
	return mount.Options{Server: addr, Context: aname, UID: uint32(os.Getuid())}, err
}

func (v *mountedView) context() string { return v.aname }
func (v *mountedView) where() string   { return v.point }
func (v *mountedView) close() error    { return v.unmount() }

func (v *mountedView) read(_ context.Context, path string) (string, error) {
	b, err := os.ReadFile(filepath.Join(v.point, path))
	return string(b), err
}

func (v *mountedView) run(ctx context.Context, path string) (string, error) {
	// The shell starts it, not this process: while a Go program executes a file
	// it may not be able to serve it.
	out, err := exec.CommandContext(ctx, "sh", "-c", `exec "$0"`, filepath.Join(v.point, path)).Output()
	return string(out), err
}

func (v *mountedView) list(_ context.Context, path string) (names []string, err error) {
	entries, err := os.ReadDir(filepath.Join(v.point, path))
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names, err
}

// A plainView is a tree that is not mounted.
type plainView struct {
	aname string
	root  *client.Fid
}

func (d *demo) plainView(aname string) (view, error) {
	root, err := d.env.Attach(aname)
	if err != nil {
		return nil, err
	}
	return &plainView{aname, root}, nil
}

func (v *plainView) context() string { return v.aname }
func (v *plainView) where() string   { return "packagefs -c " + v.aname + " ls /" }
func (v *plainView) close() error    { return v.root.Conn().Close() }

func (v *plainView) read(ctx context.Context, path string) (string, error) {
	var b strings.Builder
	err := ask.Cat(ctx, &b, v.root, path)
	return b.String(), err
}

func (v *plainView) run(ctx context.Context, path string) (string, error) {
	script, err := v.read(ctx, path)
	if err != nil {
		return "", err
	}
	sh := exec.CommandContext(ctx, "sh")
	sh.Stdin = strings.NewReader(script)
	out, err := sh.Output()
	return string(out), err
}

func (v *plainView) list(ctx context.Context, path string) (names []string, err error) {
	f, err := ask.Find(ctx, v.root, path, true)
	if err != nil {
		return nil, err
	}
	defer f.Clunk()
	entries, err := ask.ListDir(ctx, f)
	for _, e := range entries {
		names = append(names, e.Name)
	}
	return names, err
}
