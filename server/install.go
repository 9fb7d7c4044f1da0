package server

import (
	stdcontext "context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"

	"github.com/packagefs/packagefs/pkgindex"
	"github.com/packagefs/packagefs/pkgindex/pkgmeta"
	"github.com/packagefs/packagefs/pkgindex/staging"
	"github.com/packagefs/packagefs/server/api"
)

// Package files are installed together by the command install, which names a
// directory that somebody has put them into; see pkgindex.Store.Install. It only
// begins that: OpInstall tells how it goes.

// keptInstalls is how many installations are remembered, at least for those who
// have begun them to ask.
const keptInstalls = 256

// installs are the installations that were begun. The zero value is ready.
type installs struct {
	running sync.WaitGroup

	mu    sync.Mutex // guards what follows
	state map[string]*api.InstallStatus
	order []string // of those that have ended
	ctx   stdcontext.Context
}

// open lets installations begin, until ctx ends.
func (i *installs) open(ctx stdcontext.Context) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.ctx = ctx
}

// begin runs one installation, unless the server ends.
func (i *installs) begin(name string, run func(ctx stdcontext.Context, progress func(done, total int)) ([]pkgmeta.Ref, error)) error {
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.ctx == nil || i.ctx.Err() != nil {
		return fmt.Errorf("the server ends, or has not begun: %w", syscall.EAGAIN)
	}
	if s := i.state[name]; s != nil && s.State == api.InstallRunning {
		return fmt.Errorf("it is being installed already: %w", syscall.EBUSY)
	}
	if i.state == nil {
		i.state = make(map[string]*api.InstallStatus)
	}
	status := &api.InstallStatus{State: api.InstallRunning}
	i.state[name] = status
	ctx := i.ctx
	i.running.Go(func() {
		refs, err := run(ctx, func(done, total int) {
			i.mu.Lock()
			defer i.mu.Unlock()
			status.Done, status.Total = done, total
		})
		i.mu.Lock()
		defer i.mu.Unlock()
		status.State = api.InstallDone
		for _, ref := range refs {
			status.Packages = append(status.Packages, ref.String())
		}
		if err != nil {
			status.State, status.Reason = api.InstallFailed, err.Error()
		}
		i.forget(name)
	})
	return nil
}

// forget notes that an installation has ended, and drops the oldest one. i.mu is
// held.
func (i *installs) forget(name string) {
	i.order = append(slices.DeleteFunc(i.order, func(o string) bool { return o == name }), name)
	if len(i.order) > keptInstalls {
		delete(i.state, i.order[0])
		i.order = i.order[1:]
	}
}

// status returns how far one is.
func (i *installs) status(name string) (api.InstallStatus, bool) {
	i.mu.Lock()
	defer i.mu.Unlock()
	s := i.state[name]
	if s == nil {
		return api.InstallStatus{}, false
	}
	status := *s
	status.Packages = slices.Clone(s.Packages)
	return status, true
}

// install begins the installation of a directory.
func (v *invocation) install() error {
	name := v.args[0]
	if !strings.HasPrefix(name, staging.Prefix) || strings.ContainsAny(name, "/\x00") {
		return refuse("%.100q is not the name of a directory in a package directory that begins with %s", name, staging.Prefix)
	}
	err := v.control.installs.begin(name, func(ctx stdcontext.Context, progress func(done, total int)) ([]pkgmeta.Ref, error) {
		refs, err := v.control.packages.Install(ctx, name, progress)
		if err != nil {
			v.control.config.Log.Warn().Err(err).Str("directory", name).Msg("package files are not installed")
		}
		return refs, err
	})
	if err != nil {
		return err
	}
	v.printf("%s: is being installed\n", name)
	return nil
}

func (ctl *control) queryInstall(q *inquiry) (any, error) {
	if err := ctl.forAdmins(q); err != nil {
		return nil, err
	}
	status, ok := ctl.installs.status(q.Path)
	if !ok {
		return nil, fmt.Errorf("%q: nothing of that name was installed since the server was started: %w", q.Path, syscall.ENOENT)
	}
	return status, nil
}

// packageDirs lists the package directories.
func (ctl *control) packageDirs() []api.PackageDir {
	var dirs []api.PackageDir
	for _, dir := range ctl.config.Packages {
		d := api.PackageDir{Path: dir}
		if abs, err := filepath.Abs(dir); err == nil {
			d.Path = abs
		}
		if info, err := os.Stat(dir); err == nil {
			if st, ok := info.Sys().(*syscall.Stat_t); ok {
				d.Dev, d.Inode = uint64(st.Dev), st.Ino
			}
		}
		dirs = append(dirs, d)
	}
	return dirs
}

// queryRemoval tells whose contexts would not resolve any more without the
// packages that are named.
func (ctl *control) queryRemoval(q *inquiry) (any, error) {
	if err := ctl.forAdmins(q); err != nil {
		return nil, err
	}
	all := caller{Trusted: true, User: q.as.User}
	gone := make(map[*pkgindex.Package]bool)
	for _, selector := range q.Packages {
		ps, err := selected(q.set, selector)
		if err != nil {
			return nil, err
		}
		for _, p := range ps {
			gone[p] = true
		}
	}
	if len(gone) == 0 {
		return nil, fmt.Errorf("no package is named: %w", syscall.EINVAL)
	}
	rest := slices.DeleteFunc(slices.Clone(q.set.Packages), func(p *pkgindex.Package) bool { return gone[p] })
	before, err := ctl.contexts.Check(q.ctx, q.set, all, nil)
	if err != nil {
		return nil, err
	}
	after, err := ctl.contexts.Check(q.ctx, pkgindex.NewSet(0, rest, nil), all, nil)
	if err != nil {
		return nil, err
	}
	resolved := make(map[*pkgindex.Package]bool)
	for _, v := range before {
		resolved[v.Package] = v.OK
	}
	removal := api.Removal{Packages: []string{}, Breaks: []api.CheckRow{}}
	for _, p := range q.set.Packages {
		if gone[p] {
			removal.Packages = append(removal.Packages, p.Ref.String())
		}
	}
	for _, v := range after {
		if !v.OK && resolved[v.Package] {
			removal.Breaks = append(removal.Breaks, checkRow(&v))
		}
	}
	return removal, nil
}

// remove removes package files, all or none.
func (v *invocation) remove() error {
	var chosen []*pkgindex.Package
	var paths []string
	for _, selector := range v.args {
		ps, err := selected(v.control.packages.Set(), selector)
		if err != nil {
			return err
		}
		for _, p := range ps {
			if !slices.Contains(paths, p.Path()) {
				chosen, paths = append(chosen, p), append(paths, p.Path())
			}
		}
	}
	if err := v.control.packages.Remove(stdcontext.Background(), paths); err != nil {
		return err
	}
	for _, p := range chosen {
		v.printf("removed %s (%s)\n", p.Ref, oneLine(p.File))
		v.result.Removed = append(v.result.Removed, packageFile(p))
	}
	if err := v.settle(); err != nil && !errors.Is(err, os.ErrClosed) {
		return err
	}
	for _, c := range chosen {
		for _, p := range v.control.packages.Set().Named(c.Name) {
			if p.Version == c.Version && p.Architecture == c.Architecture {
				v.printf("note: %s is there from another package file: %s\n", p.Ref, oneLine(p.Path()))
				v.result.Remaining = append(v.result.Remaining, packageFile(p))
			}
		}
	}
	return nil
}

func packageFile(p *pkgindex.Package) api.PackageFile {
	return api.PackageFile{Package: p.Ref.String(), File: p.Path()}
}
