package api

import (
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// ForAdmins is why nobody else may give commands.
const ForAdmins = "this is for administrators: root, who runs the server, and whom it was started with --admin for"

// A CommandResult is what came of a command; of one that failed, what came of it
// before.
type CommandResult struct {
	// Text is for people, in lines: what reads of the file ctl give.
	Text string `json:"text,omitempty"`

	// What follows is for programs. Commands that are not named here have nothing to
	// tell them but that they succeeded.
	Edits     []EditResult      `json:"edits,omitempty"`     // config keep, take, reset and merge: one for each path
	Revisions []Revision        `json:"revisions,omitempty"` // context history, newest first
	Events    []json.RawMessage `json:"events,omitempty"`    // events: an Event each, oldest first
	Garbage   []GarbageRow      `json:"garbage,omitempty"`   // gc: what was removed
	Removed   []PackageFile     `json:"removed,omitempty"`   // remove
	Remaining []PackageFile     `json:"remaining,omitempty"` // remove: the same packages, from other files
}

// An EditResult is what became of an edited file.
type EditResult struct {
	Path      string `json:"path"`
	Conflicts int    `json:"conflicts,omitempty"` // of config merge: places that are marked to be edited
}

// A PackageFile is a package and the file that it is in.
type PackageFile struct {
	Package string `json:"package"` // name=version
	File    string `json:"file"`    // its path, on the server's machine
}

// A command for the control file is one line of words with blanks between them. A
// word, or a part of one, that has blanks or other special characters stands in
// double quotes, in which it is written as a string of the Go language is: \" for
// a quote, \\ for a backslash, \n for the end of a line. Outside quotes a backslash
// is itself.

// SplitCommand splits a line into its words. An empty line has none, and so has one
// that begins with #, which is a comment. The end of the line may be there or not;
// one within the line is an error, and so is a quote that does not end.
func SplitCommand(line string) ([]string, error) {
	if strings.HasPrefix(strings.TrimSpace(line), "#") {
		return nil, nil
	}
	line = strings.TrimSuffix(strings.TrimSuffix(line, "\n"), "\r")
	var words []string
	var word strings.Builder
	begun := false // there is a word, which may be empty so far
	end := func() {
		if begun {
			words = append(words, word.String())
		}
		word.Reset()
		begun = false
	}
	for len(line) > 0 {
		switch c := line[0]; c {
		case ' ', '\t':
			end()
			line = line[1:]
		case '\n', '\r':
			return nil, fmt.Errorf(`a command is one line; write the end of a line within a word as "\n", in quotes`)
		case '"':
			quoted, err := strconv.QuotedPrefix(line)
			if err != nil {
				return nil, fmt.Errorf(`%.40q: in double quotes stands a string of the Go language: close the quotes, and write a quote as \" and a backslash as \\`, line)
			}
			text, err := strconv.Unquote(quoted)
			if err != nil {
				return nil, fmt.Errorf("%.40q is not a string in double quotes: %w", quoted, err)
			}
			word.WriteString(text)
			begun = true
			line = line[len(quoted):]
		default:
			plain := line
			if i := strings.IndexAny(line, " \t\r\n\""); i >= 0 {
				plain = line[:i]
			}
			word.WriteString(plain)
			begun = true
			line = line[len(plain):]
		}
	}
	end()
	return words, nil
}

// JoinCommand makes the line, without its end, that SplitCommand splits into args.
func JoinCommand(args ...string) string {
	words := make([]string, len(args))
	for i, arg := range args {
		words[i] = arg
		if arg == "" || !utf8.ValidString(arg) || strings.ContainsFunc(arg, needsQuotes) {
			words[i] = strconv.Quote(arg)
		}
	}
	return strings.Join(words, " ")
}

func needsQuotes(r rune) bool {
	return r == '"' || r == ' ' || r == '#' || !unicode.IsPrint(r)
}
