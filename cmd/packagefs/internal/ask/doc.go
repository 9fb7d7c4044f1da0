// Package ask has the commands that are no more than clients: they look into the tree
// of a context without a mount, ask about packages and contexts, and have the server
// install, remove, verify and change them. All of it goes over 9P, so they work over
// the network as they do on one machine; but install copies package files into a
// directory of the server's machine, and verify reads signatures here.
package ask
