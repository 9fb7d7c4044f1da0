// Package mount puts the tree of a context on a directory of this machine:
// with the kernel's own 9P client where there is one, and else with FUSE.
//
// The FUSE side is a bridge. It answers the kernel's requests by asking the
// server over one 9P connection, with many requests in flight, and lets the
// kernel keep what cannot change. How long something is kept follows from its
// qid: a file whose qid has a version other than 0 is immutable, so that path
// and version together name its content and attributes, and the kernel keeps
// its pages, attributes and link target for as long as it likes. Directories,
// names, and names that do not exist are looked at again after a quarter of a second,
// since packages come and go while the tree is mounted.
//
// Inode numbers are the server's (qid.path). The kernel's inodes follow the
// qid for immutable files, so hard links are one inode with one set of pages,
// and follow the path for directories and mutable files, because two contexts
// under one mount may have different directories, or different copies of a
// mutable file, with one qid.path.
//
// Fids at the server: one for each open file, a bounded number for directories,
// and a few for files that were just looked up; every other one lives for one
// request. A path whose fid was given up is walked again. An immutable file is
// opened at the server in the background, and its first read waits for that.
//
// When the connection breaks, it is made again and the tree attached again.
// Requests wait for that for a few seconds and then fail. Open files that are
// immutable are opened again by their path and go on if the qid is still the
// same; all others fail with ESTALE.
//
// The bridge is for reading. An operation that changes something does not go
// through link.do, which may run it twice.
//
// Locks: file.mu and dirHandle.mu are held while the server is asked; all
// others are taken last, one at a time, and not held while waiting.
package mount
