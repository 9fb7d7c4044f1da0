// Package enter makes this process a program that finds a context's tree at the
// usual paths: in a mount namespace of its own, with the tree stacked on the root.
//
// # Stacking
//
// Each top directory of the tree that the root has, too, and that is not the
// machine's own (home, tmp, var, proc, …), becomes an overlay mount of the tree's
// over the root's, to be read only. Below /usr/libexec/packagefs the root as it is
// without a context, and the server's directory of contexts, are mounted once more:
// from these another context is entered. So contexts that start each other never
// stack deeper than one overlay on the root; the kernel would allow two.
//
// # Where the tree is from
//
// From the server's directory of contexts: the one at hand in a context, one that
// somebody has mounted, a mount of the kernel's 9P client that ends with the
// namespace, or the clone of a FUSE mount that a keeper has (keeper.go). A keeper is
// one process in the background for each user and server. It makes a second entry
// quick, for what the kernel knows of the tree is common to all clones, and it
// ends by itself. Mounts are in private namespaces only, so nothing is left behind
// whichever process is killed.
//
// # Becoming the program
//
// A user namespace can be entered only by a process with one thread, which a Go
// program is not, and nothing shall stand between the program and who waits for it.
// So all is prepared first, as a list of system calls; then the process becomes a
// small executable in memory that makes these calls (program.go), the last of which
// is execve. If one fails this program is run once more, in the same process, to
// say why (failed.go).
//
// For root there is no user namespace. Everybody else has one with one user, their
// own, and no capabilities in it once the program runs. A program in a context that
// enters another one does so in a user namespace below that; the kernel allows 32.
package enter
