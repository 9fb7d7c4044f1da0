// Package context decides who sees which packages. An attach names a context (a
// user, a group, a package, or everything); this package turns that name, the
// context files and the installed packages into a view: an ordered list of
// packages, each with the reason why it is there.
//
// # Parts
//
// Package attachname reads attach names, package files context files: a files.Store
// follows their directory and publishes what they mean as one immutable Snapshot. A
// Directory knows the users and groups of the system. Rules put together what the
// files of a context say, and package solver finds closures that keep to them.
// Contexts puts all of these together: Resolve makes views, Explain tells why, List
// tells which contexts there are, Check finds the packages whose contexts do not
// resolve.
//
// # How a closure is found
//
// A closure is a set of packages in which each has what it needs and no two are in
// conflict; package solver finds it. The rules of a context are what it must keep
// to. Contexts.Assumed are packages of the root file system: they meet needs, and no
// view has them.
//
// # What rules apply where
//
// A user's context is made of the layers system, the user's groups by name with
// the primary group last, and the user's own file. A group's context is made of
// system and the group's file. In both, toplevel and allow lists add up over the
// layers, a deny in any layer always wins, and for prefer, pins and single
// values the layer nearest to the user wins.
//
// A context shows one version of a name: the one that the nearest toplevel entry
// with a version asks for, else a version that the nearest pin admits, else the
// newest. Where a name is there for several architectures the machine's own
// comes first, and where it is there in several formats the one that most
// installed packages have. A pin that no installed version matches shows none.
//
// An allow list bounds what a context shows, and a deny what exists for it:
// closures never go through a denied package, and go through one that is merely
// not allowed only where nothing else will do, without showing it.
//
// The packages that an attach name adds behind plus signs are toplevel, and
// their closures are shown even in a context that hides dependencies, since they
// are there to build against. A toplevel package whose closure does not resolve
// is shown itself and listed in View.Missing, so that one broken package never
// locks a user out.
//
// package:NAME is the closure of that package and nothing else. The deny, pins
// and prefer of system apply to it; the allow list does not bound its
// dependencies, for a program must run with what it needs. all shows every
// version of every package, with the prefer of system.
//
// What a user's own rules deny is in no context that this user attaches to, whoever
// it is for, and closures do not go through it; nor does a group's context, or a
// public one, show that user what the user's allow list has not.
//
// A view that hides dependencies has Closures, which tell what each of its packages
// needs by itself: the packages of package:NAME=VERSION, worked out when first asked
// for and kept until the packages or the meaning of system change.
//
// # Who may attach
//
// A trusted caller may attach to everything that is not denied. A user may
// attach to the context of that user, of the user's groups, of packages that the
// user's own context allows, and to all if nothing restricts that user. Everyone
// may attach to contexts whose files say public = true; in system.toml it means
// all of them.
//
// # What errors tell
//
// Resolve fails with an *attachname.Error. Its class (ErrUnknown, ErrNotInstalled, …)
// and its text may be shown to the caller; its Reason is for the log and for
// administrators, since it may tell of packages that do not exist for the
// caller. Whether a name is allowed is decided before whether it is installed, so
// that the class does not tell either.
//
// # Lifecycle and locks
//
// Contexts has nothing to be closed; the Store that it is given is its caller's.
// Views and everything they hold are immutable. Contexts keeps what it worked out
// until the installed packages or the files change; its one lock is never held while
// something is worked out or a Directory is asked. A Check holds one of its own, so
// that a second caller waits for the first.
//
// The package writes nothing, and starts no network lookups but those of the system's
// own user database.
package context
