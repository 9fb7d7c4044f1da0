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

// A check is what came of verifying a native package's contents.
type check struct {
	src *imported
	err error
}

// mayCheck queues a package whose contents were not verified yet.
func (s *Store) mayCheck(src *imported) {
	if src.meta.Format == pkgmeta.Pfs && s.stateOf(src) == contentsUnread {
		s.unread = append(s.unread, src)
	}
}

// verify reads the contents of native packages that are live already, one after
// another, and lets readers go first.
func (s *Store) verify(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case src := <-s.checks:
			err := src.check(ctx)
			if ctx.Err() == nil {
				s.send(ctx, request{checked: &check{src, err}})
			}
		}
	}
}

// check reads the whole package file, a quarter of the time.
func (s *imported) check(ctx context.Context) error {
	f, size, err := s.openPackage()
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

// judge sets a package aside whose contents are not what they should be.
func (s *Store) judge(c *check) {
	f := s.files[c.src.path]
	if f == nil || f.source != c.src {
		return
	}
	var damage *pfs.DamageError
	state := contentsGood
	if errors.As(c.err, &damage) {
		state = contentsDamaged
	} else if c.err == nil && c.src.damage.Load() != nil { // found by a reader, behind the check
		state = contentsRotten
	} else if c.err != nil { // it cannot be read: no fault of its contents
		s.config.Log.Warn().Err(c.err).Str("file", filepath.Base(f.path)).Msg("package file is not verified")
		return
	}
	if err := s.setState(c.src, state); err != nil {
		s.config.Log.Warn().Err(err).Str("file", filepath.Base(f.path)).Msg("package file is verified again at the next start")
	}
	if state != contentsDamaged {
		return
	}
	s.config.Log.Error().Err(c.err).Str("file", filepath.Base(f.path)).Msg("package file is set aside")
	s.set(&file{path: f.path, dir: f.dir, id: f.id, judged: true, reason: fmt.Sprintf("%v: %v", c.err, errDamaged)})
}
