// Package mkpkg writes small, valid package files of each format that packagefs
// reads: for the demonstration, for tests, and for benchmarks.
//
// A Spec describes the package, and Deb, Apk, Arch and Rpm write it. Equal Specs
// make equal bytes. Directories above a file are added where the Spec does not
// list them. Relations are in the syntax of the format that is written.
//
// The package files have checksums as the distributions' tools make them
// (md5sums, .MTREE, APK checksums, rpm's digests) and no signatures. What a format cannot
// hold, such as a broken archive, is made with the Raw hook.
package mkpkg
