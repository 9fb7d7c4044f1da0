package harness

import (
	"sync"
	"testing"
)

// A Shared is something that the first test that needs it makes, for all. It ends
// the test that cannot make it, and those that come later.
type Shared[T any] struct {
	Make func(testing.TB) T

	once  sync.Once
	made  bool
	value T
}

// Get returns what was made.
func (s *Shared[T]) Get(t testing.TB) T {
	t.Helper()
	s.once.Do(func() {
		s.value = s.Make(t)
		s.made = true
	})
	if !s.made {
		t.Fatalf("no %T: an earlier test could not make it", s.value)
	}
	return s.value
}
