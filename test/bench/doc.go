// Package bench compares packagefs with diod, dpkg-deb and bubblewrap, and prints the
// README's tables: test/run bench. It has benchmarks only, so that go test does not
// run them unless it is asked to; they need root and what test/run installs.
//
// Each compares with another program in one run, in turns, and gives medians, for
// machines differ and change their speed. The load that they put on a server comes
// from package load. What writes through the kernel's client runs in a guest
// (guest.WriteSpeed).
package bench
