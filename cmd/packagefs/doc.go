// Command packagefs installs packages by having their files in a directory,
// and serves the combined tree of the packages over 9P2000.L. Who looks
// decides what is there: every attach names a context, and the context decides
// which packages make up the tree.
//
// The command serve runs the server; all others are its clients and reach it
// only through 9P, so they work over the network as they do on one machine.
// Each command has a file of its own, with a struct for its flags and a Run
// that calls one function and prints.
//
// The exit status is 0, 1 if the command failed, and 2 if it was called in a
// wrong way. Answers go to standard output, in columns or, with --json, as one
// array of objects; errors go to standard error.
package main
