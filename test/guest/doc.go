// Package guest is the tests that run inside of a machine with the Linux kernel's
// own 9P client, as that machine's first process.
//
// The package's tests, built static with the tag e2e, are the guest's init: they make
// the machine ready, run one of Groups, write their status for the machine outside,
// and halt. Package harness boots the guest, and package e2e says what it must find
// there: the program, package files, and what their trees must be (harness.GuestData).
//
// As in e2e the tests are ordinary functions that Groups lists, and only main_test.go
// has the tag.
package guest
