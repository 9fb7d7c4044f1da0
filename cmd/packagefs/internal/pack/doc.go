// Package pack has the commands that make package files, and sign them: build,
// convert, sign and keygen. They need no server.
//
// A package file is written beside its place under another name, read back as a
// server would, and moved there when it is on the disk, its signature first.
package pack
