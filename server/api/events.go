package api

import "time"

// The values of Event.Event.
const (
	EventPackageLive     = "package-live"     // Package, Architecture, File; also for one that was made anew
	EventPackageGone     = "package-gone"     // Package, Architecture, File
	EventPackageRejected = "package-rejected" // File, Reason
	EventPackageDamaged  = "package-damaged"  // Package, Architecture, File, Reason: what was read of the package file is not what its author made
	EventContextChanged  = "context-changed"  // Context, File
	EventContextBroken   = "context-broken"   // Context, File, Reason
	EventContextGone     = "context-gone"     // Context, File: the file was removed
	EventGeneration      = "generation"       // Generation; what an attached tree shows may be another now
	EventAttachRefused   = "attach-refused"   // Context, By, Reason, Missed
	EventCommand         = "command"          // Command, By: something was changed by the control file
	EventConfig          = "config"           // Context, File, Package, Reason: a package brings another file under an edited copy, or none
	EventGenerateFailed  = "generate-failed"  // File, Reason: a generated file is not there; File is the name of what makes it
	EventMissed          = "missed"           // Missed: the reader was too slow for that many events
)

// An Event is one line of the events file, as JSON.
type Event struct {
	Number       uint64    `json:"number,omitempty"` // one more with each event since the server started
	Time         time.Time `json:"time,omitzero"`
	Event        string    `json:"event"`
	Package      string    `json:"package,omitempty"` // name=version
	Architecture string    `json:"architecture,omitempty"`
	File         string    `json:"file,omitempty"`    // base name of a package file or context file
	Context      string    `json:"context,omitempty"` // an attach name, or system
	Reason       string    `json:"reason,omitempty"`
	Generation   uint64    `json:"generation,omitempty"`
	By           string    `json:"by,omitempty"` // who did it
	Command      string    `json:"command,omitempty"`
	Missed       uint64    `json:"missed,omitempty"` // events like this that were left out before it
}
