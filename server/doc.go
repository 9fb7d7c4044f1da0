// Package server decides which tree of files who gets, and serves them over 9P.
//
// An FS is a whole server: the store of packages, the context files, the listening
// sockets, and the engine that speaks the protocol (package p9l). It is the
// engine's Attacher, so each attach comes here:
//
//	who      identify: peer, uname and n_uname make a caller
//	what     context.ParseAttachName: the attach name makes a context, or the
//	         directory of contexts, or the control directory
//	view     context.Contexts.Resolve: which packages that context has
//	tree     treeFor: the view's packages merged; contexts with equal views share it
//	stack    stackFor: the mutable layers above the tree
//
// An attach is bound to its context and not to a view: after each change of
// packages or context files it is resolved again, by whoever uses it first.
//
// Attach names, the control directory and the directory of contexts are described
// in package context, ctl.go and contextsdir.go. What files may fail with has its
// number in errors.go.
//
// # Trees
//
// An FS makes a view into a tree of union. Beside the packages of the view each
// tree has files that the server adds, by union.Generators: this program, as the
// interpreter of launchers (made.go), and what follows from which packages are
// there together (package generate). Where dependencies are hidden, programs
// whose package needs more than the view shows are launchers (launchers.go).
//
// # Locks
//
// binding.mu, held while a context is resolved, is locked before FS.mu, which guards
// the table of trees, and FS.layersMu, which guards that of layers; those two are
// never held together. No lock of this package is held while a file is called.
package server
