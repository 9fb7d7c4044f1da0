// Package relation reads and writes what packages say of one another: that one needs
// "libc6 (>= 2.36)", or "mta | exim4".
//
// A Term names a package or something that packages provide, mostly with a range of
// versions. A Clause is several Terms of which one is enough. There is a function to
// read them for each way to write them: Debian's, Alpine's, pacman's, and that of
// native packages, which can write the names of all the others. What rpm writes is
// read by package format, for half of it is numbers in rpm's header.
//
// Values are plain data without locks. What cannot be kept exactly is refused with an
// error that quotes it; whether anything meets a relation is not decided here.
package relation
