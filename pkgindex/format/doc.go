// Package format reads package files: .deb, .apk, pacman's .pkg.tar, .rpm and the
// native .pfs.
//
// Read finds out by what a file begins with which format it has, and hands its
// metadata and then each of its files to a Sink. There is one reader for each format.
// They share the decompression, the walk over tar headers, which refuses whatever
// could reach out of a package's own tree, and Limits, which bound what a file from
// anywhere may cost.
//
// ReadTable reads of a native package no more than its metadata and the table by
// which its contents are read in place. A Conversion makes a native package of
// another. ReadPackagesFile and RootDatabase read what distributions and their
// package managers list of packages.
//
// # Lifecycle
//
// A call reads from an io.ReaderAt in one pass, with bounded memory, and keeps nothing
// but decompressors, which are used again. A package's own checksums are verified on
// the way, and what a Sink was given counts only if the call returns nil. Any number of
// calls may run at the same time; a Sink is used by one at a time.
//
// There are no locks.
//
// # What it refuses to do
//
// It unpacks nothing to disk, runs no maintainer scripts, checks no OpenPGP signatures,
// and knows nothing of what is installed: package pkgindex is its caller. No input
// makes it panic: panics of decompressors are turned into errors.
//
// # Parsers of its own
//
// Most archives are read by libraries. Three are read here: ar (ar.go), cpio
// (cpio.go) and rpm's headers (rpmheader.go). Each says why where it stands.
package format
