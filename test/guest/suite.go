package guest

import (
	"testing"

	"github.com/packagefs/packagefs/test/harness"
)

// Groups are the guest's tests. Each group has a guest of its own; those that take
// longest come first.
var Groups = []harness.Group{
	{Name: "tcp", Tests: harness.Tests{"TreesTCP": testTreesTCP}},
	{Name: "unix", Tests: harness.Tests{"TreesUnix": testTreesUnix}},
	{Name: "changes", Tests: harness.Tests{
		"Users":   testUsers,
		"Live":    testLive,
		"Restart": testRestart,
	}},
	{Name: "use", Tests: harness.Tests{
		"Programs":     testPrograms,
		"Calls":        testCalls,
		"Overlay":      testOverlay,
		"Kill":         testKill,
		"AttachErrors": testAttachErrors,
		"MountCommand": testMountCommand,
		"MountOwn":     testMountOwn,
		"MountRefused": testMountRefused,
		"Run":          testRun,
		"Union":        testUnion,
	}},
	{Name: "commands", Tests: harness.Tests{
		"Commands": testCommands,
		"Contexts": testContexts,
	}},
	{Name: "work", Tests: harness.Tests{
		"Dbench": testDbench,
		"Random": testRandom,
		"Build":  testBuild,
	}},
	{Name: "pythons", Tests: harness.Tests{
		"Pythons":     testPythons,
		"SharedMount": testSharedMount,
	}},
	{Name: "posix", Tests: harness.Tests{"Posix": testPosix}},
}

// Chosen are tests for a kernel that is newer than the one on which Groups run each
// time: of mounts as packagefs makes them, with what changes below them. The machine
// is slow, so that they need few packages.
var Chosen = harness.Group{Name: "chosen", Tests: harness.Tests{
	"AttachErrors": testAttachErrors,
	"Live":         testLive,
	"MountOwn":     testMountOwn,
	"MountRefused": testMountRefused,
}}

// Groups that other tests than those of the kernel's client run.
var (
	// Control shows that the guest is right, without packagefs.
	Control = harness.Group{Name: "control", Tests: harness.Tests{"Control": testControl}}

	// Hangs and Dies let the tests see what becomes of a guest that does not end
	// as it should.
	Hangs = harness.Group{Name: "hangs", Tests: harness.Tests{"Hangs": testHangs}}
	Dies  = harness.Group{Name: "dies", Tests: harness.Tests{"Dies": testDies}}

	// WriteSpeed is a benchmark. It leaves a table for the README beside the
	// guest's status.
	WriteSpeed = harness.Group{Name: "speed", Tests: harness.Tests{"WriteSpeed": testWriteSpeed}}
)

// Run runs the groups. One boot of a guest chooses one of them.
func Run(t *testing.T) {
	for _, group := range append(Groups, Chosen, Control, Hangs, Dies, WriteSpeed) {
		t.Run(group.Name, group.Tests.Run)
	}
}
