// Package direct makes the calls of the POSIX cases over 9P, without a kernel: what
// the cases then meet is the server's alone, which nobody has checked before.
//
// It does what a plain client must, and nothing that the server can be asked to do.
// It finds the directory that a path ends in, name by name, and follows symlinks; it
// keeps descriptors with their offsets; it has a umask. It makes no check, and keeps
// nothing in mind that the server has said.
package direct
