// Package union merges the files of packages into one tree and serves it as
// p9.Files.
//
// A Tree is made from an ordered list of packages. It is lazy: a merged
// directory is computed from the packages that have it when somebody first
// looks, and kept. A package that comes first in the order wins where two have
// a file at one path; directories merge; a directory and a non-directory at one
// path do not, and the first in order wins whole. Symlinks are never followed.
//
// # Lifecycle
//
// A Tree never changes. When the packages of a view change, NewTree makes the
// next one from the old, and shares with it every directory to which the same
// packages contribute in the same order. Attach serves whatever Tree its Source
// names at the moment: a directory handle that finds a newer Tree resolves its
// path again there, and a file handle keeps the file that it opened.
//
// # Inode numbers
//
// qid.path is a hash: of the path for a directory, of the package and its inode
// for everything else, so that hard links share one and a restart changes none.
// qid.version comes from the content and is never 0: that of a directory
// changes when a package that contributes to it comes, goes or changes.
//
// # Locks
//
// dir.mu guards the merging of one directory; a parent's may be held while a
// child's is taken, never the reverse. Everything else is immutable or atomic.
//
// # What it refuses to do
//
// It never writes: each attempt fails with EROFS.
package union
