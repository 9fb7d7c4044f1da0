// Package client speaks 9P2000.L to a server over one connection.
//
// Dial opens the connection and agrees on a message size, Conn.Attach names a
// context and gives the root of its tree, and a Fid is a file of that tree.
// All methods may be called from many goroutines at once; their requests are
// in flight together, and the server may answer them in any order.
//
// A call whose context ends is taken back with Tflush and fails with EINTR.
// When the connection breaks, or the server answers something that is not
// 9P2000.L, every call fails with an error that is ErrLost, and the Conn is of
// no further use: dial again. An error that the server answered is a
// syscall.Errno.
//
// The package exists beside the client of github.com/hugelgupf/p9 because that
// one has no extended attributes, does not heed the message size that the
// server answers, cannot take a request back, and offers only a dialect of its
// own in Tversion.
package client
