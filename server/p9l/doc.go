// Package p9l is an engine that serves files over 9P2000.L, the dialect of the Linux
// kernel's 9p client. It knows nothing of what the files are: an Attacher makes the
// root of a tree for each attach, and the engine drives the p9.File that it returns.
//
// What is on the wire is in package wire, and client is the other end; neither needs
// the engine.
//
// A Server accepts connections on unix and TCP sockets, or takes any net.Conn. It
// differs from p9.Server in that an attach gets the peer, uname, n_uname and aname,
// that it keeps nothing for names that were walked, and that files which implement
// PartWalker, NowReader and Ready are served without a change of goroutine.
//
// Every message that the Linux client sends is served. Advisory locks are the
// engine's own (see lock.go), and Tremove needs a Remover. The engine adds "." and
// ".." to directories. It never opens a fifo, a socket or a device, follows no
// symlink, and hands ".." to PartWalkers only: a file that walks name by name cannot
// be made to leave its tree. What files may rely on, and what they have to keep, is
// written at the methods of File.
//
// Tgetattr has a bit of its own for stamps, which tell clients in one message
// whether all that they know of a tree still holds (see Stamper). Other clients do
// not set it.
//
// # Connections
//
// One goroutine, the reader, runs a connection. It handles each message in its
// input buffer; replies gather in an output buffer, which is written when no
// complete message is left or a chunk is full. A handler that would block
// returns errLater before it has any effect, and the request is handled again,
// in a worker. Workers are goroutines that live as long as there are requests
// in the queue, at most Limits.Running at once. Reads of a ContextReader wait
// for events in goroutines of their own. A LongReader or LongWriter is told when
// nobody waits for the reply any more. A reply is written by whoever made
// it, as far as the socket takes it at once; what it does not take is written
// by a goroutine that ends when all is written. Therefore the reader goes on
// whatever the peer and the files do, and a Tflush is always answered. It
// stops for one reason only: too many replies are unread. Before it reads on it
// lets the workers run, for a peer that waits for them sends nothing before.
//
// A request that a worker has is in the tags of its session. Its reply is put
// into the output and its tag freed in one step under conn.mu, and an Rflush
// comes behind that, in the same buffer. A request that changes nothing is
// not waited for by a Tflush: its tag is free at once and its reply left out.
//
// A session is what lies between two Tversions. It ends with the next one or
// with the connection: all fids are clunked, requests in the queue dropped,
// reads that wait cancelled, and what still runs is not answered.
//
// A fid is counted: the session's table holds one reference, each request that
// uses it another. The last one closes the file.
//
// What is not 9P2000.L ends the connection, without a reply: sizes that cannot
// be, bodies that do not decode, replies sent as requests, tags in use. What is
// 9P2000.L and not known is answered with EOPNOTSUPP. A panic in a file ends the
// request in EIO, or where the reader called the file its connection; the
// others go on. One in Close ends nothing.
//
// # Locks
//
// In this order: conn.mu, lockTable.mu. Server.mu is never held together with
// either. No lock is held while a file is called or a socket written to.
package p9l
