// Package fsx does random operations on a file and compares it with a model in
// memory after each. The same seed does the same operations.
//
// A Run reads, writes, appends, truncates, extends, punches holes, maps, syncs,
// renames, closes and opens again. Given the same directory through another
// mount, half of the calls go there, and what one of the two changed is looked at
// in the other. It works on a local directory first, which shows that the checker
// is right, and then on every kind of mount.
package fsx
