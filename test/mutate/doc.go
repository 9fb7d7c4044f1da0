// Mutate finds checks, limits and give-backs of the server that no test would miss.
//
//	go run ./test/mutate            all of them: an hour or more on two cores
//	go run ./test/mutate rename.go  those in files of that name
//
// It takes checks away, one at a time: a condition that leads to a return never
// holds, one part of an and or an or does not count, a limit moves by one, a
// statement that counts, frees or gives back is left out. The tests that come by the
// place are run, and should fail. Survivors are listed; those whose sentence is in
// survivors.go are no fault.
//
// All mutants are compiled at once: the files are changed so that the variable MUTANT
// of the environment says which is alive. They are given to the compiler as an
// overlay, so nothing is changed in the source.
package main
