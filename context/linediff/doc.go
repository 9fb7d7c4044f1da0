// Package linediff compares texts line by line: Unified for people to read, and
// Merge to bring two people's changes together.
//
// What is changed is found by Myers' algorithm as long as that is little, and is
// smallest then. The library gives up where more than a hundred lines were
// inserted and deleted; there the lines that are once in both texts, in the order
// that most of them have, cut the texts into parts that are compared on their own.
// So the time is nearly linear, whatever the texts are, and of two texts that have
// little in common nobody waits for the best comparison: that takes quadratic time.
package linediff
