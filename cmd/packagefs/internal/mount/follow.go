package mount

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/hugelgupf/p9/p9"
	"golang.org/x/sys/unix"
)

// The kernel's overlay keeps names for as long as it likes, also those of a
// directory below it that has changed: what came stays missing, and what was
// replaced cannot be opened. To set its options anew, to what they are, makes it
// look at all names again that are not in use, without a gap.

const (
	followEvery = time.Second

	// namesExpire is when the kernel has forgotten what it knew of names in the tree
	// itself before a change.
	namesExpire = shortTTL + shortTTL/5
)

// ErrLost is the error of a server that does not answer for longer than requests
// wait for it.
var ErrLost = errors.New("the server does not answer")

// Followed is what Follow tells of a tree.
type Followed struct {
	Alive   func() bool // asked every second; false ends Follow
	Refresh func()      // called after each change of what the tree shows
	MayLose bool        // Follow fails with ErrLost, in place of waiting for the server
}

// Follow follows a tree until ctx ends.
func Follow(ctx context.Context, o Options, f Followed) error {
	l, err := newConnection(ctx, connector(o, 1))
	if err != nil {
		return fmt.Errorf("%w: %w", ErrLost, err)
	}
	defer l.shut()
	last, err := l.top(ctx)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrLost, err)
	}
	tick := time.NewTicker(followEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
		if !f.Alive() {
			return nil
		}
		now, err := l.top(ctx)
		switch {
		case err != nil && f.MayLose && ctx.Err() == nil:
			return ErrLost
		case err != nil, now == last:
			continue
		}
		last = now
		time.Sleep(namesExpire)
		f.Refresh()
	}
}

// top tells one state of what a tree shows from another: by its stamp, or where the
// server gives none by the qid of its top, which changes with the packages in it.
func (l *connection) top(ctx context.Context) (state topState, err error) {
	err = l.do(ctx, func(s *attachment) error {
		state.qid, _, state.stamp, err = s.root.Stamped(ctx)
		return err
	})
	if state.stamp != 0 {
		state.qid = p9.QID{}
	}
	return state, err
}

type topState struct {
	qid   p9.QID
	stamp uint64
}

// RefreshOverlay makes an overlay look at names again.
func RefreshOverlay(point string) error {
	fs, err := unix.Fspick(unix.AT_FDCWD, point, unix.FSPICK_CLOEXEC|unix.FSPICK_SYMLINK_NOFOLLOW)
	if err != nil {
		return fmt.Errorf("overlay %s: %w", point, err)
	}
	err = unix.FsconfigReconfigure(fs)
	if err = errors.Join(err, unix.Close(fs)); err != nil {
		return fmt.Errorf("overlay %s: %w", point, err)
	}
	return nil
}
