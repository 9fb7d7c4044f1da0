// Package attachname reads and writes attach names: what somebody who attaches asks
// for. An attach name says a user's or a group's context, a package, everything, or a
// directory of the server itself, and behind plus signs packages that are added:
// user:alice+gdb, package:gcc=12, all, ctl. It is the aname of 9P.
//
// A Name is a value, and its canonical text goes unchanged through mount options and
// is the name of a context file. Which plus signs separate and which are part of a
// package's name only who knows the installed packages can tell; see Name.
//
// The package has no state and no locks, and knows neither users nor files. Its Error
// is that of everyone who refuses an attach name, for whatever reason.
package attachname
