// Package posix is a list of cases that a POSIX file system passes, each on a
// directory of its own. It runs on a local directory first, so that the cases
// are right, and then on every kind of mount. It needs root, for it acts as
// several users, and a file system with extended attributes of users.
//
// A case is a function that fails its T. What a kind of mount cannot do has a
// reason in Cannot; the case runs there all the same, and passing is a failure:
// the list tells what is so.
package posix
