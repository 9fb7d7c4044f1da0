// Package files keeps context files: small TOML files in one directory that say which
// packages a user or a group sees. It reads and checks them, follows their changes,
// edits them in place, and keeps what they said before. What they mean together is
// for package context to say.
//
// # Parts
//
// Parse reads one file, whose base name says whose it is: system.toml, user:NAME.toml
// or group:NAME.toml. A Store follows a directory of them and publishes what they say
// as one immutable Snapshot. A file that is broken is told of, and its last good
// meaning stays in force.
//
// # Changing files
//
// Store.Edit changes files in place: the text is changed where a key or value
// stands, checked to say exactly what was wanted, written beside, and renamed in.
// Comments, order and blank lines stay. What somebody does by hand meanwhile is not
// overwritten: right before the rename the file is read again, and if it is another
// one by then it is edited anew; one that is open for writing is waited for.
//
// Each state that a file had is kept as a Revision, changes by hand too, in the
// directory .history beside the files: so many a context, and so many bytes. A
// change that cannot be kept is not made. The package writes nothing else.
//
// # Lifecycle and locks
//
// Open starts goroutines that Close ends and waits for: they follow the directory,
// and keep in the history what changed before. The last Snapshot stays readable.
//
// A Store's lock for files is held while context files are read or changed and
// subscribers are told; the lock of the subscribers is taken after it, and so is a
// lock on the history's directory between servers that share it.
package files
