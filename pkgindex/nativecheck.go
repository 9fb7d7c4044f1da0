package pkgindex

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"time"

	"github.com/packagefs/packagefs/pkgindex/pfs"
	"github.com/packagefs/packagefs/pkgindex/pkgmeta"
)

// mayCheck queues a package whose contents were not verified yet.
func (inv *inventory) mayCheck(imp *imported) {
	if imp.meta.Format == pkgmeta.Pfs && inv.store.stateOf(imp) == contentsUnread {
		inv.unread = append(inv.unread, imp)
	}
}

// verify reads the contents of native packages that are live already, one after
// another, and lets readers go first.
func (s *Store) verify(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case imp := <-s.checks:
			err := imp.check(ctx)
			if ctx.Err() == nil {
				s.post(ctx, func(inv *inventory) { inv.applyCheck(imp, err) })
			}
		}
	}
}

// check reads the whole package file, a quarter of the time.
func (imp *imported) check(ctx context.Context) error {
	f, size, err := imp.openPackage()
	if err != nil {
		return err
	}
	defer f.Close()
	began := time.Now()
	return pfs.Check(f, size, func() error {
		pause := min(3*time.Since(began), 50*time.Millisecond)
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(pause):
		}
		began = time.Now()
		return nil
	})
}

// applyCheck sets a package aside whose contents are not what they should be.
func (inv *inventory) applyCheck(imp *imported, err error) {
	f := inv.files[imp.path]
	if f == nil || f.imported != imp {
		return
	}
	var damage *pfs.DamageError
	state := contentsGood
	if errors.As(err, &damage) {
		state = contentsDamaged
	} else if err == nil && imp.damage.Load() != nil { // found by a reader, behind the check
		state = contentsRotten
	} else if err != nil { // it cannot be read: no fault of its contents
		inv.store.config.Log.Warn().Err(err).Str("file", filepath.Base(f.path)).Msg("package file is not verified")
		return
	}
	if err := inv.store.setState(imp, state); err != nil {
		inv.store.config.Log.Warn().Err(err).Str("file", filepath.Base(f.path)).Msg("package file is verified again at the next start")
	}
	if state != contentsDamaged {
		return
	}
	inv.store.config.Log.Error().Err(err).Str("file", filepath.Base(f.path)).Msg("package file is set aside")
	inv.set(&file{path: f.path, dir: f.dir, id: f.id, change: f.change, faulty: true, reason: fmt.Sprintf("%v: %v", err, errDamaged)})
}
