// Package version orders the versions of packages: 1.0~rc1 before 1.0 before 1.0-1.
//
// Each distribution has rules of its own for this. A Scheme names them, and its
// methods apply them: Compare orders two versions, and Satisfies tells whether one
// meets a comparison, an Op, with another.
//
// Versions are strings and stay so. Nothing here fails, keeps state or has locks:
// what breaks the syntax of a scheme has its place in the order as well. Versions of
// different schemes are never compared; it is up to the caller not to ask.
package version
