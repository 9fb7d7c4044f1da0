// Package pkgmeta has the words for what a package says of itself: its name and
// version, what it needs and provides, which files it has, and which services.
//
// A Meta is all that metadata, whatever format it comes from, in the terms of Debian
// policy. A Ref names one version of a package, and an Entry is one of its files.
// ParseControl and FromControl read Debian's control fields, which stand in package
// files, in Packages files and in dpkg's database alike.
//
// All of it is plain data without locks, and is what other packages pass around; it
// stands in indexes as JSON, so that the name of a field of Meta must stay. It reads no
// files, and whether metadata makes sense is judged by who reads it (package format).
package pkgmeta
