package server

import (
	"bytes"
	stdcontext "context"
	"fmt"
	"strings"
	"sync"
	"syscall"

	"github.com/hugelgupf/p9/p9"
)

const (
	// maxCommand is how long a command may be, in bytes: that of context put
	// has a whole context file in it, and half of its characters escaped.
	maxCommand = 2 << 20

	// maxResults is how much of results, in bytes, is kept for a client that
	// does not read them.
	maxResults = 1 << 20
)

// A commandFile takes commands, one a line; see ctlcmd.go for what they are. Any
// number of lines may come in one write, and one line in any number of writes.
// The last line's end may be missing if a read follows. A line that begins with
// # is a comment.
//
// Reads give the results in words. They begin at offset 0, or where the last
// write left the position of the client's file if the first read is there, so
// that they are found both by clients that name offsets and by programs that
// write and then read. They stay until the next write after a read.
//
// A command that fails fails the write with its errno, and the reason is the
// last line of the results, behind "error: ". The commands before it are done;
// what the write has behind it is dropped, and the next write begins a new line.
type commandFile struct {
	ctlFile

	mu      sync.Mutex // guards what follows, and is held while a command runs
	line    []byte     // begun
	results []byte
	end     int64 // offset behind the last write, or of it if it failed
	base    int64 // offset of the results; −1 before the first read after a write
}

func newCommandFile(m ctlMeta) p9.File {
	return &commandFile{ctlFile: ctlFile{ctlMeta: m, clone: newCommandFile}, base: -1}
}

func (f *commandFile) SetAttr(valid p9.SetAttrMask, _ p9.SetAttr) error { return truncate(valid) }

func (f *commandFile) Open(p9.OpenFlags) (p9.QID, uint32, error) { return f.qid, 0, nil }

func (f *commandFile) WriteAt(p []byte, off int64) (int, error) {
	return f.WriteLong(stdcontext.Background(), p, off)
}

// WriteLong implements p9l.LongWriter.
func (f *commandFile) WriteLong(ctx stdcontext.Context, p []byte, off int64) (int, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.base >= 0 {
		f.results, f.base = nil, -1
	}
	f.end = off // where the client's position stays if this fails
	for rest := p; len(rest) > 0; {
		line, after, whole := bytes.Cut(rest, []byte{'\n'})
		if len(f.line)+len(line) > maxCommand {
			f.line = nil
			return 0, f.failed(fmt.Errorf("a command is longer than %d bytes: %w", maxCommand, syscall.EMSGSIZE))
		}
		f.line = append(f.line, line...)
		if rest = after; !whole {
			break
		}
		if err := f.run(ctx); err != nil {
			return 0, err
		}
	}
	f.end = off + int64(len(p))
	return len(p), nil
}

// run runs the line that was gathered, and adds to the results.
func (f *commandFile) run(ctx stdcontext.Context) error {
	line := string(f.line)
	f.line = nil
	text, err := f.control.commandLine(ctx, f.as, line)
	f.add(text)
	if err != nil {
		return f.failed(err)
	}
	return nil
}

// failed adds an error to the results.
func (f *commandFile) failed(err error) error {
	f.add("error: " + whyFailed(err) + "\n")
	return err
}

// whyFailed is the error of a command in words, on one line. Administrators are told
// the whole reason.
func whyFailed(err error) string {
	reason := err.Error()
	if why := reasonOf(err); why != "" {
		reason += ": " + why
	}
	return strings.Join(strings.Split(strings.TrimSpace(reason), "\n"), "; ")
}

func (f *commandFile) add(text string) {
	if len(f.results) > maxResults {
		f.results = []byte("(results that were not read are left out)\n")
	}
	f.results = append(f.results, text...)
}

func (f *commandFile) ReadAt(p []byte, off int64) (int, error) {
	return f.ReadLong(stdcontext.Background(), p, off)
}

// ReadLong implements p9l.LongReader.
func (f *commandFile) ReadLong(ctx stdcontext.Context, p []byte, off int64) (int, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(f.line) > 0 {
		_ = f.run(ctx) // the results have the error
	}
	switch {
	case off < 0:
		return 0, syscall.EINVAL
	case f.base < 0 && off == f.end:
		f.base = off
	case off < f.base || f.base < 0:
		f.base = 0
	}
	return readText(f.results, p, off-f.base)
}

// Close drops a line that has no end: the client may have died in the middle of
// it.
func (f *commandFile) Close() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(f.line) > 0 {
		f.control.config.Log.Warn().Str("by", f.as.by).Str("line", shorten(string(f.line))).
			Msg("control command without the end of its line is dropped")
		f.line = nil
	}
	return nil
}
