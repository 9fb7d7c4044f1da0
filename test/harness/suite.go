package harness

import (
	"maps"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// Tests are the tests of a suite by their names. They stand in ordinary files,
// which every tool sees; what runs them is one file with the build tag e2e.
type Tests map[string]func(*testing.T)

// Run runs each test as a subtest of t, one after another in the order of names.
func (tests Tests) Run(t *testing.T) {
	for _, name := range slices.Sorted(maps.Keys(tests)) {
		t.Run(name, tests[name])
	}
}

// RunParallel runs them side by side, and beside those of other suites: much of what
// they do is to wait.
func (tests Tests) RunParallel(t *testing.T) {
	t.Parallel()
	for _, name := range slices.Sorted(maps.Keys(tests)) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			tests[name](t)
		})
	}
}

// A Group is tests that one guest runs.
type Group struct {
	Name  string
	Tests Tests
}

// guestTest is the guest's test whose subtests are the groups.
const guestTest = "TestGuest"

// Path is the name of a test of the group as the guest reports it.
func (g Group) Path(test string) string { return guestTest + "/" + g.Name + "/" + test }

// pattern is for -test.run.
func (g Group) pattern() string {
	var names []string
	for name := range g.Tests {
		names = append(names, regexp.QuoteMeta(name))
	}
	return "^" + guestTest + "$/^" + g.Name + "$/^(" + strings.Join(names, "|") + ")$"
}
