package pkgindex

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/packagefs/packagefs/pkgindex/dirwatch"
	"github.com/packagefs/packagefs/pkgindex/signature"
)

// ignored names are no package files: hidden files, and what download tools and
// signatures leave beside them. Where somebody's signatures are trusted,
// signature files are looked at before.
func ignored(name string) bool {
	if strings.HasPrefix(name, ".") || strings.HasSuffix(name, "~") {
		return true
	}
	switch filepath.Ext(name) {
	case ".part", ".partial", ".tmp", ".crdownload", ".asc", ".sig", ".minisig":
		return true
	}
	return false
}

// handle takes what happened in the directories. What came is looked at before
// what went, so that a rename finds its index.
func (inv *inventory) handle(events []dirwatch.Event) {
	var gone []dirwatch.Event
	keys := false
	for _, e := range events {
		switch {
		case e.Op == dirwatch.Lost:
			inv.store.config.Log.Error().Str("directory", e.Dir).Msg("directory is gone; its packages stay as they are until it is back")
			inv.store.wg.Go(func() { inv.store.awaitDir(e.Dir) })
		case e.Op == dirwatch.Rescan:
			if err := inv.scan(e.Dir); err != nil {
				inv.store.config.Log.Error().Err(err).Msg("directory is not read")
			}
		case e.Op == dirwatch.Gone:
			gone = append(gone, e)
		case e.Dir == inv.store.config.Trust:
			keys = keys || e.Op != dirwatch.Begun
		default:
			inv.look(e.Dir, e.Name, e.Op == dirwatch.Begun)
		}
	}
	for _, e := range gone {
		if e.Dir == inv.store.config.Trust {
			keys = true
			continue
		}
		inv.look(e.Dir, e.Name, false)
	}
	if keys {
		if err := inv.readKeys(); err != nil {
			inv.store.config.Log.Error().Err(err).Msg("trusted keys stay as they were")
		}
	}
}

// awaitDir waits for a directory that went away.
func (s *Store) awaitDir(dir string) {
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for {
		select {
		case <-s.done:
			return
		case <-tick.C:
		}
		if s.watch.Add(dir) == nil {
			s.post(context.Background(), func(inv *inventory) {
				inv.handle([]dirwatch.Event{{Dir: dir, Op: dirwatch.Rescan}})
			})
			return
		}
	}
}

// scan looks at everything in dir, and at everything that is known to have been
// there.
func (inv *inventory) scan(dir string) error {
	if dir == inv.store.config.Trust {
		return inv.readKeys()
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	names := make(map[string]bool, len(entries))
	for _, e := range entries {
		names[e.Name()] = true
		inv.look(dir, e.Name(), false)
	}
	for path := range inv.files {
		if filepath.Dir(path) == filepath.Clean(dir) && !names[filepath.Base(path)] {
			inv.look(dir, filepath.Base(path), false)
		}
	}
	if dir == inv.store.config.Overrides {
		for ref := range inv.overrides {
			if !names[ref+overrideSuffix] {
				inv.lookOverride(ref + overrideSuffix)
			}
		}
	}
	return nil
}

// look brings the table up to date with one name. begun says that its writer
// has not closed it yet.
func (inv *inventory) look(dir, name string, begun bool) {
	if dir == inv.store.config.Overrides && !slices.Contains(inv.store.config.Packages, dir) {
		if !begun {
			inv.lookOverride(name)
		}
		return
	}
	if base, ok := strings.CutSuffix(name, signature.Suffix); ok && inv.store.config.Trust != "" && !begun {
		name = base // what it is the signature of
	}
	if ignored(name) {
		return
	}
	path := filepath.Join(dir, name)
	info, err := os.Lstat(path)
	if errors.Is(err, fs.ErrNotExist) {
		inv.drop(path)
		return
	}
	if err != nil || info.IsDir() {
		if err != nil {
			inv.set(&file{path: path, dir: slices.Index(inv.store.config.Packages, dir), reason: err.Error()})
		}
		return
	}
	f := &file{path: path, dir: slices.Index(inv.store.config.Packages, dir), id: fileID(info), change: changeOf(info), signed: inv.signedNow(path)}
	have := inv.files[path]
	switch {
	case info.Mode()&fs.ModeSymlink != 0:
		f.reason = errSymlink.Error()
	case !info.Mode().IsRegular():
		f.reason = "not a regular file"
	case have != nil && have.id == f.id && have.change == f.change && have.signed == f.signed && (have.imported != nil || have.queued || have.faulty):
		return
	case begun:
		f.reason = "it is still being written; it is read when its writer closes it"
	case inv.store.unsigned(f):
		f.reason, f.faulty = errUnsigned.Error(), true
	default:
		inv.find(f)
	}
	if have != nil && have.id == f.id && have.imported != nil && have.reason == "" && f.queued {
		// It stays until it is known whether it is the same, and what the signature is worth.
		inv.recheck(have, f.signed, f.change)
		inv.queue = append(inv.queue, job{path: path, id: f.id, change: f.change, signed: f.signed, indexed: true})
		return
	}
	inv.set(f)
	if f.queued {
		inv.queue = append(inv.queue, job{path: path, id: f.id, change: f.change, signed: f.signed, indexed: inv.store.hasIndex(path, f.id)})
	}
}

// find takes what an earlier import left for f, or says that it must be read. If f
// was renamed while it was served, both: it is served until it was read.
func (inv *inventory) find(f *file) {
	imp, err := inv.store.openImported(f.path, f.id)
	if errors.Is(err, errDamaged) {
		f.reason, f.faulty = err.Error(), true
		return
	}
	if err != nil {
		if errors.Is(err, errIndex) {
			inv.store.config.Log.Warn().Err(err).Str("file", filepath.Base(f.path)).Msg("index is made again")
		}
		f.queued = true
		return
	}
	f.queued = imp.head.change != f.change || f.signed.by != "" && imp.head.digest == (signature.Digest{})
	if f.queued && !inv.uses(f.id) {
		return
	}
	if f.signed.by != "" {
		f.signer, err = inv.store.checkDigest(f.path, imp.head.digest)
		if err != nil && !f.queued {
			f.reason, f.faulty = err.Error(), !errors.Is(err, errChanged)
		}
		if err != nil {
			return
		}
	}
	f.imported = imp
	inv.mayCheck(imp)
}

// lookOverride reads one override file again, and touches the packages it is
// for. A file with an error keeps its last good meaning.
func (inv *inventory) lookOverride(name string) {
	ref, ok := strings.CutSuffix(name, overrideSuffix)
	if !ok || ignored(name) {
		return
	}
	o, err := readOverride(filepath.Join(inv.store.config.Overrides, name), inv.store.config.Aliases)
	if errors.Is(err, dirwatch.ErrWriting) {
		return // it is read when its writer closes it
	}
	delete(inv.faults, name)
	inv.noise = true
	switch {
	case errors.Is(err, fs.ErrNotExist):
		delete(inv.overrides, ref)
	case err != nil:
		inv.faults[name] = err.Error()
		inv.store.config.Log.Warn().Err(err).Str("file", name).Msg("override file keeps its last good meaning")
		return
	default:
		inv.overrides[ref] = o
	}
	for id := range inv.byPackage {
		if id.Name == ref || id.Ref.String() == ref {
			inv.touched[id] = true
		}
	}
}
