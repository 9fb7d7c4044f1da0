// Package signature makes and checks the signatures of package files: those of
// minisign, detached, in a file beside the package file that has its name with
// ".minisig" behind it.
//
// A package file is signed by its digest, so that its size does not matter. Old
// signatures of whole files are refused.
//
// Keys are the public keys of one directory, and Check tells whose key made a
// signature. Nothing here decides what happens to a package file that has none.
package signature
