// Command packagefs installs packages by having their files in a directory,
// and serves the combined tree of the packages over 9P2000.L. Who looks
// decides what is there: every attach names a context, and the context decides
// which packages make up the tree.
//
// Each command has a file of its own, with a struct for its flags and a Run that
// calls one function and prints. They lie in packages by what they need:
//
//	cli    what all of them have: flags, connection, errors, output
//	ask    clients: they look, ask and command, through 9P alone
//	local  mount, run, shell, enter, login, doctor: what this machine finds at its paths
//	pack   build, convert, sign, keygen: package files are made
//	check  contexts are resolved, at the server or here
//	serve  the server
//	demo   a server with its clients
//
// Behind local are mount (9P to FUSE and the kernel), enter (into a context) and login.
// Nothing but check, serve and demo has to do with the store, the solver or unions.
//
// The exit status is 0, 1 if the command failed, and 2 if it was called in a
// wrong way. Answers go to standard output, in columns or, with --json, as one
// array of objects; errors go to standard error.
package main
