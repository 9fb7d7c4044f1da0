package pkgindex

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"golang.org/x/sys/unix"

	"github.com/packagefs/packagefs/pkgindex/pkgmeta"
	"github.com/packagefs/packagefs/pkgindex/signature"
	"github.com/packagefs/packagefs/pkgindex/staging"
)

// Several package files are installed, or removed, in one step: all or none,
// whenever the server ends, and with one generation.
//
// To install, somebody puts them into a directory of their own in the package
// directory, where nobody looks for packages, and holds a lock on it meanwhile.
// Install indexes them there. Then the directory gets another name, which is the
// one step that decides, and the files are moved out of it. To remove, the files
// are moved into such a directory, and its renaming decides. Open ends what was
// decided and undoes what was not.
const (
	removingPrefix = ".remove-"  // not decided: its files are to be moved back
	removedPrefix  = ".removed-" // decided: to be deleted
)

// A staged file is a package file that is to be installed.
type staged struct {
	result
	name string
}

// Install installs the package files in the directory of that base name, which
// begins with staging.Prefix, in one of the package directories: all of them or,
// with an error that says why, none. Signature files stand beside theirs. The
// directory is gone afterwards. progress is told how many files are indexed, by
// one goroutine at a time. It returns the packages that are live.
func (s *Store) Install(ctx context.Context, name string, progress func(done, total int)) ([]pkgmeta.Ref, error) {
	dir, err := s.stagingDir(name)
	if err != nil {
		return nil, err
	}
	files, err := s.index(ctx, filepath.Join(dir, name), progress)
	var refs []pkgmeta.Ref
	decided := false
	if err == nil {
		err = s.change(ctx, func(inv *inventory) (err error) {
			decided, err = inv.commitInstall(dir, name, files)
			return err
		})
	}
	if decided && err != nil {
		return nil, fmt.Errorf("the packages are installed, but not all could be moved to their place, which the next start will try again: %w", err)
	}
	if err != nil {
		undo := s.change(context.WithoutCancel(ctx), func(inv *inventory) error { inv.abandon(files); return nil })
		return nil, errors.Join(err, undo, os.RemoveAll(filepath.Join(dir, name)))
	}
	for _, f := range files {
		refs = append(refs, f.meta.Ref)
	}
	return refs, nil
}

// stagingDir returns the package directory that has a staging directory of that
// name.
func (s *Store) stagingDir(name string) (string, error) {
	if !strings.HasPrefix(name, staging.Prefix) || strings.ContainsAny(name, "/\x00") {
		return "", fmt.Errorf("%q is not the name of a directory that begins with %s", name, staging.Prefix)
	}
	for _, dir := range s.config.Packages {
		if info, err := os.Lstat(filepath.Join(dir, name)); err == nil && info.IsDir() {
			return dir, nil
		}
	}
	return "", fmt.Errorf("directory %s: %w in the package directories", name, fs.ErrNotExist)
}

// index indexes the package files in a staging directory.
func (s *Store) index(ctx context.Context, staging string, progress func(done, total int)) ([]*staged, error) {
	entries, err := os.ReadDir(staging)
	if err != nil {
		return nil, err
	}
	var files []*staged
	for _, e := range entries {
		info, err := e.Info()
		switch {
		case err != nil:
			return nil, err
		case !info.Mode().IsRegular():
			return nil, fmt.Errorf("%s: not a regular file", e.Name())
		case strings.HasSuffix(e.Name(), signature.Suffix):
			continue
		case ignored(e.Name()):
			return nil, fmt.Errorf("%s: files of such names are no package files", e.Name())
		}
		path := filepath.Join(staging, e.Name())
		files = append(files, &staged{name: e.Name(), result: result{job: job{path: path, id: fileID(info), change: changeOf(info)}}})
	}
	if len(files) == 0 {
		return nil, errors.New("there is no package file")
	}
	if err := s.change(ctx, func(inv *inventory) error { inv.reserve(files); return nil }); err != nil {
		return nil, err
	}
	errs := make([]error, len(files))
	var mu sync.Mutex // guards done
	var workers sync.WaitGroup
	next := make(chan int)
	done := 0
	for range min(s.config.Workers, len(files)) {
		workers.Go(func() {
			for i := range next {
				f := files[i]
				if f.signed.by == "" && s.config.RequireSignatures {
					f.err = errUnsigned
				} else {
					s.read(&f.result)
				}
				if f.err != nil {
					errs[i] = fmt.Errorf("%s: %w", f.name, f.err)
				}
				mu.Lock()
				done++
				if progress != nil {
					progress(done, len(files))
				}
				mu.Unlock()
			}
		})
	}
	for i := range files {
		if ctx.Err() != nil {
			break
		}
		next <- i
	}
	close(next)
	workers.Wait()
	return files, errors.Join(append(errs, ctx.Err())...)
}

// reserve keeps what is made of files from being taken for what nobody needs.
func (inv *inventory) reserve(files []*staged) {
	for _, f := range files {
		f.signed = inv.signedNow(f.path)
		inv.ids[f.id]++
	}
}

// abandon undoes reserve, and takes what was made away.
func (inv *inventory) abandon(files []*staged) {
	for _, f := range files {
		inv.disown(f.id)
		inv.dead = append(inv.dead, inv.store.newImported(f.path, f.id, f.meta, f.head))
	}
}

// disown counts one user of an index less.
func (inv *inventory) disown(id string) {
	if inv.ids[id]--; inv.ids[id] <= 0 {
		delete(inv.ids, id)
	}
}

// commitInstall decides that files are installed, and moves them into dir.
func (inv *inventory) commitInstall(dir, name string, files []*staged) (decided bool, err error) {
	if err := inv.checkInstall(dir, files); err != nil {
		return false, err
	}
	committed := staging.DecidedPrefix + strings.TrimPrefix(name, staging.Prefix)
	if err := os.Rename(filepath.Join(dir, name), filepath.Join(dir, committed)); err != nil {
		return false, err
	}
	if err := syncDir(dir); err != nil {
		// It may or may not survive a crash; without one it is decided.
		inv.store.config.Log.Warn().Err(err).Msg("package directory cannot be synced")
	}
	byName := make(map[string]*staged)
	for _, f := range files {
		byName[f.name] = f
	}
	names, err := moveOut(dir, committed, func(from, to string) error {
		if f := byName[filepath.Base(from)]; f != nil {
			return inv.store.move(f, from, to)
		}
		return os.Rename(from, to)
	})
	for _, name := range names {
		inv.look(dir, name, false)
	}
	for _, f := range files {
		inv.disown(f.id)
	}
	return true, err
}

// checkInstall says why files cannot all be served.
func (inv *inventory) checkInstall(dir string, files []*staged) error {
	var errs []error
	seen := make(map[identity]string)
	for _, f := range files {
		refuse := func(format string, args ...any) {
			errs = append(errs, fmt.Errorf("%s: "+format, append([]any{f.name}, args...)...))
		}
		id := identity{f.meta.Ref, f.meta.Architecture, f.meta.Format}
		info, err := os.Lstat(f.path)
		switch now := inv.signedNow(f.path); {
		case err != nil:
			refuse("%w", err)
		case fileID(info) != f.id || changeOf(info) != f.head.change || now != f.signed:
			refuse("%w", errors.New("the file, its signature or the trusted keys changed meanwhile; try again"))
		case seen[id] != "":
			refuse("%s (%s) is in %s as well", id.Ref, id.architecture, seen[id])
		case len(inv.byPackage[id]) > 0:
			refuse("%s (%s) is installed already, from %s; remove that first", id.Ref, id.architecture, inv.byPackage[id][0].path)
		}
		if _, err := os.Lstat(filepath.Join(dir, f.name)); err == nil {
			refuse("there is a file of that name in the package directory already; remove that first, or install this one under another name")
		}
		seen[id] = f.name
	}
	return errors.Join(errs...)
}

// moveOut moves the files of a directory in dir into dir, signatures first, and
// returns the names of those that are there now. rename moves one.
func moveOut(dir, from string, rename func(from, to string) error) (names []string, err error) {
	entries, err := os.ReadDir(filepath.Join(dir, from))
	if err != nil {
		return nil, err
	}
	slices.SortFunc(entries, func(a, b fs.DirEntry) int {
		rank := func(e fs.DirEntry) int {
			if filepath.Ext(e.Name()) == signature.Suffix {
				return 0
			}
			return 1
		}
		return cmp.Or(rank(a)-rank(b), strings.Compare(a.Name(), b.Name()))
	})
	for _, e := range entries {
		if err := rename(filepath.Join(dir, from, e.Name()), filepath.Join(dir, e.Name())); err != nil {
			return names, err
		}
		names = append(names, e.Name())
	}
	return names, errors.Join(syncDir(dir), os.Remove(filepath.Join(dir, from)))
}

func syncDir(dir string) error {
	f, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer f.Close()
	return f.Sync()
}

// Remove removes package files, with their signatures, all of one package
// directory or none, and returns when their packages are gone.
func (s *Store) Remove(ctx context.Context, paths []string) error {
	byDir := make(map[string][]string)
	for _, path := range paths {
		byDir[filepath.Dir(path)] = append(byDir[filepath.Dir(path)], filepath.Base(path))
	}
	var rubbish []string
	err := s.change(ctx, func(inv *inventory) error {
		for _, dir := range s.config.Packages {
			names := byDir[filepath.Clean(dir)]
			if len(names) == 0 {
				continue
			}
			gone, err := inv.removeFrom(dir, names)
			if err != nil {
				return err
			}
			rubbish = append(rubbish, gone)
		}
		return nil
	})
	for _, gone := range rubbish {
		err = errors.Join(err, os.RemoveAll(gone))
	}
	return err
}

// removeFrom moves files of dir away and returns the directory where they are.
func (inv *inventory) removeFrom(dir string, names []string) (gone string, err error) {
	removing, err := os.MkdirTemp(dir, removingPrefix)
	if err != nil {
		return "", err
	}
	var moved []string
	for _, name := range names {
		for _, n := range [...]string{name, name + signature.Suffix} {
			if err = os.Rename(filepath.Join(dir, n), filepath.Join(removing, n)); err == nil {
				moved = append(moved, n)
			} else if !errors.Is(err, fs.ErrNotExist) {
				return "", errors.Join(err, moveBack(dir, filepath.Base(removing)))
			}
		}
	}
	gone = filepath.Join(dir, removedPrefix+strings.TrimPrefix(filepath.Base(removing), removingPrefix))
	if err := errors.Join(syncDir(removing), syncDir(dir), os.Rename(removing, gone), syncDir(dir)); err != nil {
		return "", errors.Join(err, moveBack(dir, filepath.Base(removing)))
	}
	for _, n := range moved {
		inv.look(dir, n, false)
	}
	return gone, nil
}

// moveBack undoes a removal that was not decided. What has got a new file in its
// place meanwhile is gone.
func moveBack(dir, removing string) error {
	from := filepath.Join(dir, removing)
	entries, err := os.ReadDir(from)
	if err != nil {
		return err
	}
	for _, e := range entries {
		err := unix.Renameat2(unix.AT_FDCWD, filepath.Join(from, e.Name()), unix.AT_FDCWD, filepath.Join(dir, e.Name()), unix.RENAME_NOREPLACE)
		if err != nil && err != unix.EEXIST {
			return &os.PathError{Op: "rename", Path: filepath.Join(from, e.Name()), Err: err}
		}
	}
	return os.RemoveAll(from)
}

// A leftover is a directory in a package directory that somebody left when they
// ended too early.
type leftover struct {
	dir, name string
	end       func() error // does what is to be done about it
}

// leftovers finds them in all package directories.
func (s *Store) leftovers() (all []leftover, err error) {
	for _, dir := range s.config.Packages {
		entries, err := os.ReadDir(dir)
		if err != nil {
			return nil, err
		}
		for _, e := range entries {
			name := e.Name()
			path := filepath.Join(dir, name)
			var end func() error
			switch {
			case !e.IsDir():
				continue
			case strings.HasPrefix(name, staging.DecidedPrefix):
				end = func() error { _, err := moveOut(dir, name, os.Rename); return err }
			case strings.HasPrefix(name, removingPrefix):
				end = func() error { return moveBack(dir, name) }
			case strings.HasPrefix(name, removedPrefix), strings.HasPrefix(name, staging.Prefix) && !locked(path):
				end = func() error { return os.RemoveAll(path) }
			default:
				continue
			}
			all = append(all, leftover{dir, name, end})
		}
	}
	return all, nil
}

// locked says whether somebody holds a lock on the directory at path.
func locked(path string) bool {
	f, err := os.Open(path)
	if err != nil {
		return !errors.Is(err, fs.ErrNotExist)
	}
	defer f.Close()
	return unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB) != nil
}

// endLeftovers ends or undoes what an earlier server was at.
func (s *Store) endLeftovers() error {
	all, err := s.leftovers()
	if err != nil {
		return err
	}
	for _, l := range all {
		if err := l.end(); err != nil {
			s.config.Log.Error().Err(err).Str("directory", filepath.Join(l.dir, l.name)).Msg("what was begun here cannot be ended")
		}
	}
	return nil
}
