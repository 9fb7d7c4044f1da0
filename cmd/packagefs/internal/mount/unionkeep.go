package mount

import (
	"context"
	"errors"
	"slices"
	"time"

	"golang.org/x/sys/unix"
)

// stackAgain is how often it is tried to stack once more.
const stackAgain = 2 * time.Second

// keep makes the overlays look again when packages have come or gone, until they
// are taken away. While the server does not answer the machine has its own
// directories back: it must not depend on a server to start one.
func (u *Union) keep(ctx context.Context, s *stacking) {
	for errors.Is(s.follow(ctx), ErrLost) {
		_ = s.detach() // what is not there any more is taken away
		if s = u.restack(ctx); s == nil {
			return
		}
	}
	if s.served != nil {
		<-s.served
	}
}

// restack stacks once more as soon as the server is back; nil if ctx ends first.
func (u *Union) restack(ctx context.Context) *stacking {
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(stackAgain):
		}
		if s, err := u.stack(ctx); err == nil {
			return s
		}
	}
}

// follow refreshes the overlays until they are taken away or ctx ends; it fails with
// ErrLost if the server does not answer.
func (s *stacking) follow(ctx context.Context) error {
	return Follow(ctx, s.Options, Followed{
		Alive: func() bool { return len(s.mountedDirs()) > 0 },
		Refresh: func() {
			for _, dir := range s.mountedDirs() {
				_ = RefreshOverlay(dir) // it has just been taken away
			}
		},
		MayLose: true,
	})
}

// mountedDirs are the directories that are still stacked on.
func (s *stacking) mountedDirs() (dirs []string) {
	table, err := Table()
	for i := range s.over {
		dir := s.over[i].dir
		ours := func(l Line) bool { return l.Point == dir && l.Source == UnionSource+s.source() }
		if err != nil || slices.ContainsFunc(table, ours) {
			dirs = append(dirs, dir)
		}
	}
	return dirs
}

// detach takes the overlays away, the last first.
func (s *stacking) detach() (err error) {
	for _, dir := range slices.Backward(s.mountedDirs()) {
		err = errors.Join(err, unix.Unmount(dir, unix.MNT_DETACH|unix.UMOUNT_NOFOLLOW))
	}
	return err
}
