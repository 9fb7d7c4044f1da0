package version

// An Op relates a version to the version that a Term names.
type Op string

const (
	OpAny          Op = ""   // any version
	OpEarlier      Op = "<<" // strictly earlier
	OpEarlierEqual Op = "<="
	OpEqual        Op = "="
	OpLaterEqual   Op = ">="
	OpLater        Op = ">>" // strictly later
	OpPrefix       Op = "~"  // Alpine's fuzzy match: the version begins with these components
)
