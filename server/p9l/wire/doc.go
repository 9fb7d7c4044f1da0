// Package wire is what 9P2000.L looks like on a connection: the numbers of its
// messages, a Decoder of their bodies that never reads past their end, functions
// that append fields, and messages as text, for logs and tests.
//
// A message is size[4] type[1] tag[2] and a body; numbers are little-endian, and
// size counts the whole message. The package knows how fields are coded, and not
// what they mean: server, client and load generator decode each message where they
// handle it, so that nothing is allocated for it.
package wire
