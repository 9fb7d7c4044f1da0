// Package staging has the names of the directories in which package files are put
// together, to be installed in one step. It is what those who put them there and the
// store agree on.
//
// Such a directory is made in a package directory, where nobody looks for packages in
// it. Who makes it holds a lock on it (flock) until the store has answered; without,
// the store takes it for what somebody has left.
package staging

const (
	// Prefix is what the name of such a directory begins with.
	Prefix = ".install-"

	// DecidedPrefix stands in the place of Prefix once it is decided that all of the
	// files are installed: they are moved out, by the store or by the next one.
	DecidedPrefix = ".installed-"
)
