// Package e2e drives the built packagefs program from outside, as its users do:
// real package files go in, and what comes out of the wire, of a FUSE mount and of
// the Linux kernel's own 9P client is compared with what the tools of the package
// formats make of the same files.
//
// The tests are listed in suite.go, in the parts that test/run runs: Quiet and
// EndToEnd, FUSE, Kernel. All but Quiet run side by side, in one process that builds
// the program and indexes package files once (harness.Stock), so that a test has its
// own directories, server, names and ports. They are ordinary functions in ordinary files, so that an editor, go
// build and go vet see them as they see all code. Only what hands them to go test
// stands behind the build tag e2e, in main_test.go: a plain "go test ./..." needs
// nothing but Go, and these need root, FUSE, and what test/run installs. Run one with
//
//	go test -tags e2e -run TestFUSE/Random ./test/e2e
//
// A test that lacks a tool, a package file or a kernel fails and says what is
// missing; none is skipped. One that is not in the lists is dead code, which
// staticcheck finds.
//
// The kernel's client runs in guests. Kernel boots one for each of guest.Groups,
// waits, and reports each of its tests as a subtest of its own; a test of the group
// that did not report is a failure. It does so in User Mode Linux, and guest.Chosen on
// a newer kernel; Kernels does so on several newer kernels, which takes long.
package e2e
