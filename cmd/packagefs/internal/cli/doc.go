// Package cli is what every command of packagefs has: the flags that mean the same
// everywhere, the connection to the server and what is asked of it, errors with their
// exit status, and how answers are printed, in columns or as JSON.
//
// A command gets an Env and returns an error, which Fail prints. It asks by Env.Query
// and gives commands by Env.Command, in the words of package api; files of a tree are
// read over the connection that Env.Attach makes. It holds nothing of a server.
package cli
