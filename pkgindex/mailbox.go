package pkgindex

import (
	"context"
	"io/fs"

	"github.com/packagefs/packagefs/pkgindex/dirwatch"
)

// A message is something for the owner of the inventory to do.
type message func(*inventory)

// post hands m to the owner of the inventory, and does not wait for what comes of it.
// It fails with that of ctx, or with fs.ErrClosed once Run has ended.
func (s *Store) post(ctx context.Context, m message) error {
	select {
	case s.mailbox <- m:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	case <-s.done:
		return fs.ErrClosed
	}
}

// change has the owner of the inventory run do, and returns its error when the
// generation that it made is published. Once do was handed over, ctx ends nothing.
func (s *Store) change(ctx context.Context, do func(*inventory) error) error {
	done := make(chan error, 1)
	err := s.post(ctx, func(inv *inventory) {
		err := do(inv)
		inv.changed = append(inv.changed, func() { done <- err })
	})
	if err != nil {
		return err
	}
	select {
	case err := <-done:
		return err
	case <-s.done:
	}
	select {
	case err := <-done:
		return err
	default:
		return fs.ErrClosed
	}
}

// Settle waits until every package file that was complete when it was called is
// live or set aside.
func (s *Store) Settle(ctx context.Context) error {
	events := []dirwatch.Event{{Dir: s.config.Overrides, Op: dirwatch.Rescan}}
	for _, dir := range s.config.Packages {
		events = append(events, dirwatch.Event{Dir: dir, Op: dirwatch.Rescan})
	}
	if s.config.Trust != "" {
		events = append(events, dirwatch.Event{Dir: s.config.Trust, Op: dirwatch.Rescan})
	}
	settled := make(chan struct{})
	err := s.post(ctx, func(inv *inventory) {
		inv.handle(events)
		inv.waiting = append(inv.waiting, settled)
	})
	if err != nil {
		return err
	}
	select {
	case <-settled:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	case <-s.done:
		return fs.ErrClosed
	}
}

// run owns the inventory until ctx ends: it takes messages, hands out work, and
// publishes what has changed.
func (inv *inventory) run(ctx context.Context) {
	s := inv.store
	for {
		var jobs chan job
		var next job
		if len(inv.queue) > 0 {
			jobs, next = s.jobs, inv.queue[0]
		}
		var checks chan *imported
		var unread *imported
		if len(inv.unread) > 0 {
			checks, unread = s.checks, inv.unread[0]
		}
		select {
		case <-ctx.Done():
			return
		case jobs <- next:
			inv.queue = inv.queue[1:]
			continue
		case checks <- unread:
			inv.unread = inv.unread[1:]
			continue
		case m := <-s.mailbox:
			m(inv)
		}
		for more := true; more; { // what has come in meanwhile is one generation
			select {
			case m := <-s.mailbox:
				m(inv)
			default:
				more = false
			}
		}
		inv.publish()
	}
}
