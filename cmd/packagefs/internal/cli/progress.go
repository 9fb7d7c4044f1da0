package cli

import (
	"fmt"
	"io"
	"os"
	"time"
)

// A ProgressLine is the last line of a terminal, which says how far something is.
// It is nothing where there is no terminal.
type ProgressLine struct {
	w     io.Writer // nil: no terminal
	shown time.Time
}

// NewProgressLine makes one on w.
func NewProgressLine(w io.Writer) *ProgressLine {
	if !IsTerminal(w) {
		w = nil
	}
	return &ProgressLine{w: w}
}

// Show writes the line anew, a few times a second at most.
func (p *ProgressLine) Show(format string, args ...any) {
	if now := time.Now(); p.w != nil && now.Sub(p.shown) > 200*time.Millisecond {
		p.shown = now
		fmt.Fprintf(p.w, "\r\x1b[K"+format, args...)
	}
}

// Clear takes the line away.
func (p *ProgressLine) Clear() {
	if p.w != nil && !p.shown.IsZero() {
		fmt.Fprint(p.w, "\r\x1b[K")
	}
}

// IsTerminal tells whether a stream is one that a person sits at.
func IsTerminal(stream any) bool {
	f, ok := stream.(*os.File)
	if !ok {
		return false
	}
	fi, err := f.Stat()
	return err == nil && fi.Mode()&os.ModeCharDevice != 0 && f.Name() != os.DevNull
}
