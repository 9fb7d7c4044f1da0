// Package generate makes the files of a tree that maintainer scripts and triggers
// would have made: what follows from which packages are there together.
//
// Each kind of file has a function that looks at a tree and says what it adds to
// it. It looks at what packages have, and gives way to them: where a package has
// something at a path nothing is generated. What costs more than a few lookups is
// left to a content that is made when somebody looks at the file.
//
// # Lifecycle
//
// A Set belongs to a server. Its For returns the generators of one view's trees,
// which union calls once for each tree. What they return is kept for as long as a
// tree has it, and is one package wherever the content is the same, so that trees
// share the directories that it is in, and a new generation shares them with the
// last.
//
// # What goes wrong
//
// Packages are not trusted. Whatever is in them, a function reads a bounded number
// of files of a bounded size; one that fails, or panics, leaves its file away, is
// told of once, and harms nothing else.
//
// # Locks
//
// Set.mu guards what is kept, and is never held while a tree is looked at.
package generate
