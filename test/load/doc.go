// Package load asks a 9P2000.L server for the same small things again and
// again, and counts how many it answers in a second.
//
// A Conn is one connection. Run keeps a number of operations in flight on it;
// each operation is a fixed sequence of messages, such as walk, getattr, clunk,
// of which one is on its way at a time. Requests leave together when no reply
// is waiting to be read, so that the generator needs little of the processor
// that it shares with the server.
//
// Every reply is checked for its type and for what it must hold, so that a
// server cannot be fast by answering wrong.
package load
