// Package server decides which tree of files who gets, and serves them over 9P.
//
// An FS is a whole server, and takes each attach to where it belongs. What it opens
// and closes is used by
//
//	attachments  who a caller is, and what an attach to a context shows
//	trees        the trees of views, shared by all that show the same
//	layers       the mutable layers above them
//	turns        which time a context shows what it shows, for stamps
//	changes      generations and events of packages and context files
//	control      the control directory: queries, commands, events, metrics
//	editWatch    the goroutine that compares edited files with packages
//
// and by the engine that speaks the protocol, package p9l, whose Attacher the FS is.
// An attach goes this way:
//
//	who      attachments.identify: peer, uname and n_uname make a caller
//	what     attachname.Parse: the attach name is that of a context, of the
//	         directory of contexts, or of the control directory
//	view     context.Contexts.Resolve: which packages that context has
//	tree     trees.of: the view's packages merged
//	stack    layers.stack: the mutable layers above the tree
//
// An attach is bound to its context and not to a view: after each change of
// packages or context files it is resolved again, by whoever uses it first.
//
// The control directory is described in ctl.go, the directory of contexts in
// contextsdir.go. What files may fail with has its number in errors.go.
//
// # Trees
//
// An FS makes a view into a tree of union. Beside the packages of the view each
// tree has files that the server adds, by union.Generators: this program, as the
// interpreter of launchers (ownprogram.go), and what follows from which packages are
// there together (package generate). Where dependencies are hidden, programs
// whose package needs more than the view shows are launchers (launchers.go).
//
// # Locks
//
// Those of files of the control directory are held while a query or a command runs,
// so they are locked before all others. binding.mu, held while a context is resolved,
// comes before trees.mu, layers.mu and turns.mu, no two of which are held together.
// No lock of this package is held while a file of a tree is called.
package server
