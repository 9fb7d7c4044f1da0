// Package api is what programs and the server say to each other beside the trees:
// questions with rows as answers, commands, and events. It has no more than types,
// so that who asks needs nothing of what the server is made of.
//
// All of it travels through files of the control directory, which an attach of ctl
// shows and which is mounted like any other tree.
//
// # Queries
//
// The file query answers one question each time that it is opened: the client
// writes one Query as a JSON object, in one write or in several, and reads one
// Answer as a JSON object until the end of the file. The question is answered by
// the first read; a write after that begins the next one.
//
// Everybody may ask. What the caller may not see is missing from every answer as it
// is from the tree, and some operations are for administrators.
//
// # Commands
//
// A query of OpCommand changes something, or tells administrators what the other
// operations do not. It is run by the first read, and what has begun is not given up
// when the asker goes away. Its result says in words what came of it, and in fields
// what a program may want to know; of a command that failed it says what came of it
// before.
//
// The same commands are taken by the file ctl, one a line as SplitCommand reads it,
// for people and shells: it gives the words only. The command help tells what there
// is.
//
// # Rows
//
// A result is one object or an array of them, as Query.Op says. Packages are named
// NAME=VERSION, contexts by their attach names, and paths are absolute in the tree.
// Sizes are in bytes, times in seconds since 1970 or as RFC 3339 has them. Words for
// people stand in fields of their own, such as Reason, and nothing else is told by
// them: what a program may want to know is a field.
//
// # Events
//
// The file events, which administrators see, has one Event a line, as JSON, and is
// read like a pipe: what happens after it was opened, as it happens. The server
// keeps the last thousand.
//
// # Errors
//
// A question that is too long fails the write, with EMSGSIZE. Write and read fail with
// ENOMEM where the user has too many questions and answers open that are not closed;
// of one user a question is worked on at a time. All other errors are in the Answer: in words, with the Linux error number that they go with. EINVAL is a
// question that makes no sense, EACCES one that the caller may not ask, ENOENT and
// ENOPKG are about what is not there. The number decides, never the words.
//
// # What stays
//
// Fields and operations are added, and keep their names and meanings. Clients
// ignore fields that they do not know. The server refuses a query with a field that
// it does not know, since the answer would be to another question.
package api
