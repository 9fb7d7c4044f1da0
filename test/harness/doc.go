// Package harness is what the tests of the program share: a Server that runs it, the
// package files that go in, and what must come out.
//
// Package files come from three places. A Selection is real ones, fetched from the
// machine's Debian mirror once and kept in test/.cache; MakeDeb has dpkg-deb make
// others; RawDeb makes those that dpkg-deb would refuse to make. A Stock is package
// files that were indexed once, for many servers.
//
// A Manifest says what a tree holds. The Oracle makes one with dpkg-deb from the
// package files of a view; WalkDir, ReadTar and WalkWire make one from a directory, a
// tar stream and a 9P connection; Diff compares two.
//
// The checks of a mounted tree are the same for FUSE and for the kernel's client
// (mounted.go, live.go, pythons.go), and so is real work on mutable layers (work.go):
// dbench, random operations against a model (package fsx; FSX_SEED in the environment
// repeats a run), and the build of GNU hello.
//
// A Guest is a virtual machine that runs a Group of package guest's tests: in User Mode
// Linux, or with a Kernel of another Debian suite in QEMU, which FetchKernel fetches as
// package files are fetched. Both have this machine's files as their root.
//
// Nothing here skips a test: what is missing is a failure that names it.
package harness
