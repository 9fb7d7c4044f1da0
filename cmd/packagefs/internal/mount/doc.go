// Package mount puts the tree of a context on a directory of this machine:
// with the kernel's own 9P client where there is one, and else with FUSE.
//
// The FUSE side is a bridge. It answers the kernel's requests by asking the
// server over one 9P connection, with many requests in flight, and lets the
// kernel keep what cannot change. How long something is kept follows from its
// qid: a file whose qid has a version other than 0 is immutable, so that path
// and version together name its content and attributes, and the kernel keeps
// its pages, attributes and link target for as long as it likes. The kernel asks for
// names of packages' files and for directories again after a quarter of a second,
// since packages come and go while the tree is mounted.
//
// What clients may change the kernel asks for each time, its name and its attributes:
// files with a version or a data version of 0, and on a mount that can be written to
// directories with such, and names that do not exist. So the next look at it through
// one mount shows what was done through another, and a program that hears of that by
// other ways is not told what was before. Directories of packages are not asked for
// each time, on which all paths depend.
//
// The bridge caches what the server said of names and directories, with the stamp of
// the tree: a number that the server gives with the attributes of a tree's top, and
// that is another one after each change of what the tree shows. One question about
// the stamp then renews all for a quarter of a second, so that nothing is told that is
// older. An entry of the directory of contexts is asked for always, because who may
// attach can change; it brings the stamp of its tree along. What a directory lists is
// asked for always where the mount can be written to. A change through the mount makes
// the server be asked for everything until it is over for a quarter of a second.
// Servers that give no stamps are asked for everything.
//
// Inode numbers are the server's (qid.path). The kernel's inodes follow the
// qid for immutable files, so hard links are one inode with one set of pages,
// and follow the path for directories and files that change, because two contexts
// under one mount may have different directories, or different copies of a
// mutable file, with one qid.path. Names that this mount links are one inode. An
// inode whose file is copied up changes from the one sort to the other.
//
// Files that change are read and written past the kernel's cache, and nothing is
// kept to be written later: two mounts agree at once, and what is appended goes to
// the true end. A mount that root made attaches once more for each user who
// changes something, so that the server knows whose it is.
//
// Fids at the server: one for each open file, a bounded number for directories and
// for files that were just looked up; every other one lives for one request. A path
// whose fid was given up is walked again. An immutable file is opened at the server
// in the background, and its first read waits for that; when it is closed it stays
// open there to be opened again, for a minute at most and until the tree changes.
//
// When the connection breaks, it is made again and the tree attached again.
// Requests wait for that for a few seconds and then fail. Open files that are
// immutable or open for writing are opened again by their path and go on if the
// qid is still the same; all others fail with ESTALE. Locks are not set again. An
// fsync fails once if the server went away between it and a write.
//
// An operation that changes names does not go through connection.do, which may run it
// twice: it fails with EIO if its answer is lost. Writes at an offset and
// attributes are set again.
//
// Locks: file.life, file.mu and dirHandle.mu are held while the server is asked;
// all others are taken last, one at a time, and not held while waiting.
//
// A Union stacks directories of the tree on those of the machine with the kernel's
// overlay, which knows nothing of changes below it: as long as the overlays are
// there the tree is looked at every second, and the overlays are told to look at
// names again. When the server does not answer they are taken away until it does.
package mount
