// Package test drives the built packagefs program from outside, as its users
// do: real package files go in, and what comes out of the wire, of a FUSE
// mount and of the Linux kernel's own 9P client is compared with what the
// tools of the package formats make of the same files.
//
// The script test/run installs what the tests need and runs them all; the
// tests stand behind the build tag e2e, so that a plain "go test ./..." needs
// nothing but Go. A test that lacks a tool, a package file or a kernel fails
// and says what is missing; none is skipped.
//
// A Manifest says what a tree holds. The oracle makes one with dpkg-deb from
// the package files of a view; the walkers make one from a directory, a tar
// stream, and a 9P connection; Diff compares two.
//
// Kernel tests run in User Mode Linux. The same package, built with the tag
// guest, is a static program that is the guest's first process: it makes the
// machine ready, runs the guest's tests, and halts. The outer test boots it,
// waits, and reports each of its tests as a subtest of its own. A planned test
// that did not report is a failure, and so is one that no group of tests names.
//
// Real work on mutable layers is the same for FUSE and for the kernel's client
// (work.go): dbench, random operations against a model (package fsx; FSX_SEED in
// the environment repeats a run), and the build of GNU hello.
//
// The benchmarks compare with diod and dpkg-deb and print the README's tables:
// test/run bench. The load that they put on a server comes from package load.
package test
