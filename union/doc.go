// Package union merges the files of packages into one tree and serves it as
// p9.Files.
//
// A Tree is made from an ordered list of packages. It is lazy: a merged
// directory is computed from the packages that have it when somebody first
// looks, and kept. A package that comes first in the order wins where two have
// a file at one path; directories merge; a directory and a non-directory at one
// path do not, and the first in order wins whole. Symlinks are never followed.
// Owner and mode of a directory that several packages have, and of the standard ones,
// no package decides alone: see dir.decide. What an attach name adds to a context
// gives no rights in the layer of the context.
//
// A Stack puts mutable layers over a Tree. A layer (Mutable) is a directory in
// overlayfs's own format that holds what clients changed: copies of mutable files,
// new files, and marks for what is deleted. The first layer of a stack may take
// changes; the others are looked at.
//
// Extras add to a tree what no package has. Generators put files in front of those
// of the packages, when somebody first looks at the tree; they see what a tree has
// by File, Files, Follow and Vacant. Content that costs much waits until somebody
// looks at the file or lists its directory, and may then turn out to be nothing: the
// name is as if it were not there. Launchers say which packages' programs are served
// as launchers, scripts of one line with qids of their own: this is decided when a
// name is looked at, and kept for the tree and not in its directories, so that trees
// which differ in nothing else share them all. A tree with launchers does not show the programs
// that their packages have for themselves only.
//
// # Lifecycle
//
// A Tree never changes. When the packages of a view change, NewTree makes the
// next one from the old, and shares with it every directory to which the same
// packages contribute in the same order. Attach serves whatever Tree its Stacker
// names at the moment: a directory handle that finds a newer Tree resolves its
// path again there, and a file handle keeps the file that it opened.
//
// A layer knows in memory what its directories hold that were looked at, changes
// both together, and compares them with the disk when a second has passed. A
// handle in a context with a layer stands for a node, a name that follows renames
// and knows when it is gone. Files are copied up in the layer's work directory and
// moved to their place in one step, so that a server that dies leaves no half of
// anything where clients look.
//
// # Stamps
//
// The top of an attach tells a stamp, a hash of which tree is shown, which layers are
// over it, and how many changes these have seen: clients may keep what they know of
// names and directories for as long as it stays the same. What a layer has looked at
// is compared with the disk before, if a second has passed.
//
// # Inode numbers
//
// qid.path is a hash: of the path for a directory, of the package and its inode
// for everything else, so that hard links share one and a restart changes none.
// qid.version comes from the content and is never 0: that of a directory
// changes when a package that contributes to it comes, goes or changes, but not
// when programs in it become launchers or cease to be. A mutable
// file has a number of its own in each layer, which its copy keeps; a file that
// began in a layer has one made of its inode and birth time. The version of a file
// in a layer is 0: it changes. The data version is that of the qid, but 0 of all that
// clients of the context can change without another qid: also of a package's mutable
// file that was not copied up so far, and of a directory that only layers have.
//
// # Locks
//
// Of a stack, Mutable.mu from the first layer to the last, for writing in the
// first to change it, else for reading; then dirFile.mu, Mutable.loading,
// Mutable.nodes, dirFDs.mu; usage.mu, openSize.mu and copying.mu are taken last. dir.mu guards
// the merging of one directory and may be taken below those of layers; a parent's
// may be held while a child's is taken, never the reverse. Content is copied and
// read with none of them held.
//
// # What it refuses to do
//
// It never writes to a package: where there is no layer each attempt fails with
// EROFS, and on what is immutable with EPERM. It makes no devices, and follows no
// symlink in a layer: directories are opened below the layer's own descriptor, and
// all else by single names in them.
package union
