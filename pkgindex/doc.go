// Package pkgindex knows which packages are installed and what is in them.
//
// Installing a package is dropping its package file into a package directory.
// A Store watches such directories, reads each package file once, and keeps
// what it found in two files of its own: a package index (metadata, directories
// and attributes) and a payload (the contents of all regular files, one after
// another). Everything else in the system reads these two and never the package
// file again. Both can be deleted and are made again. Of a native package, whose
// contents package pfs reads in place, the payload is a table that tells where
// they are in the package file.
//
// # Floors
//
// This package is the uppermost of three floors, and imports those below:
//
//	pkgindex                            the store: index, payload, install, trust, …
//	pkgindex/format                     readers of package files, one for each format
//	pkgindex/pkgmeta, relation, version what a package says of itself
//
// Beside them stand helpers that know nothing of packages' meaning: pkgpath (paths),
// pfs (the native format's file), signature, dirwatch, staging (names that those who
// install and the store agree on) and tomlfile. Below format, mkpkg writes package
// files for tests and for the demonstration.
//
// # Lifecycle
//
// Open reads the heads of the indexes that exist, so its cost follows the
// number of packages and not what they contain. Run indexes what is missing,
// follows the directories with inotify, and publishes a new Set for each
// change. A Set and all that hangs off it is immutable: readers take it from
// Store.Set and keep it as long as they like. The rest of an index is read when
// a package's files are first looked at.
//
// A package file is all there or not there: index and payload are written
// beside, synced and renamed in, the index last. A package file that cannot be
// read, or does not agree with its own checksums, is set aside with its reason
// and shows in Set.Rejected. The contents of a large native package are verified
// when it is live already, and again whenever they are read: what is not as its
// table of contents says is never handed out.
//
// A package of NewSynthetic stands in no package file and in no Set: it is what a server
// adds to trees by itself. Its files may have a content, a Lazy, that is made when
// somebody asks for it.
//
// What shared libraries say of themselves is not in an index: it is read when asked
// for (Layer.SharedObject), and kept as long as the package is there.
//
// Install and Remove take several package files in and out in one step; see
// staging.Prefix. Where Config.Trust names keys, a package file's signature is
// checked before it is read.
//
// # Goroutines and locks
//
// What a Store knows of the package files is its inventory, which belongs to one
// goroutine: that of Open, then that of Run. It reads no package file. Workers read
// them, one goroutine verifies the contents of native packages, one waits for inotify;
// these, and whoever calls a method of the Store, send the owner messages. Run waits for
// all of them.
//
// A package's lock guards the loading of its index. Lazy.mu is held while a content is
// made: whoever makes it may look at trees, so that it comes before the locks of those.
// The locks of payloads and of what shared libraries say are innermost.
//
// # What it refuses to do
//
// It runs no maintainer scripts, writes nothing into a package directory but to
// Install and Remove, and serves no device nodes or sockets out of packages.
package pkgindex
