// Package solver finds out which packages must be there so that some have what they
// need. That is a closure: a set of packages in which every need is met, no two are
// in conflict, and no two are versions of one name (unless they are Multi-Arch: same
// and of one version). A closure is found wherever there is one, and where there is
// none, the answer says why in words.
//
// # What is preferred
//
// Of all closures the solver takes what is needed anyway; where only versions of one
// name are the choice, the newest, and it decides about those first; then the order
// of a clause's alternatives; then, of packages that provide one virtual package, the
// one that brings the fewest others. What nothing needs in the end is left out. The
// answer depends on nothing but the packages of a Pool and the Question.
//
// # How it searches
//
// The question is one of Boolean satisfiability, and the search is conflict-driven
// clause learning. A variable is a package, and a literal says that it is there or
// that it is not. A need is a clause: the package that has it is not there, or one of
// the alternatives is. Two packages that cannot be together are a clause of two
// negated literals, which is not written down but looked up in the graph. Clauses and
// variables are made when something first asks for them, so that a package which
// nothing needs costs nothing.
//
// The solver decides one literal at a time, and propagates: a clause all of whose
// literals are false but one makes that one true. Two literals of each clause are
// watched for that. Where all are false there is a conflict. It is analysed back to
// the first literal of the last decision from which alone it follows (the first unique
// implication point); what was found is learned as a clause, and the search jumps
// back, over decisions that had no part in it, to the level where that clause
// propagates. So nothing is tried twice, whatever was decided in between.
//
// Decisions go by preference. After 2,000 conflicts any answer will do: then they go
// by activity, which is how often a variable had part in conflicts lately, with
// restarts, and half of the learned clauses is forgotten now and then. After 500,000
// conflicts the search gives up and says so; the whole of Debian does not bring it to
// a hundredth of the first.
//
// Learning alone is hopeless at pigeonholes: more packages that want a place than
// there are places. So at restarts needs are matched with groups of which one package
// can be there, and where a need is left over the conflict is seen by counting.
//
// # How it explains
//
// The reason of a failure is told from a core: a smallest set of needs that cannot all
// be met, of packages as near to the root as can be, and none of them superfluous. It
// is taken from the proof, by the clauses that each learned one was derived from.
//
// # What it asks
//
// The solver knows no context and no file. What it must keep to it asks of Rules, by
// the name and version of a package.
//
// # Lifecycle and locks
//
// A Pool is made once for a list of packages and is for any number of goroutines; it
// has nothing to be closed. Its one lock guards the graphs, one for each base
// architecture, and is held only while an empty one is made. The nodes of a graph are
// worked out by the first who asks, or by two at once, who find the same. What one
// search needs beside them it borrows from the Pool, and gives back when it ends.
package solver
