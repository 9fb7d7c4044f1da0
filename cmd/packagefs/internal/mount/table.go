package mount

import (
	"os"
	"strings"
)

// A Line is a line of the mount table.
type Line struct {
	Point   string
	Root    string // what of the file system is mounted there
	Type    string // of file system
	Source  string
	Options string // of the file system
}

// Table reads the mount table of this process, the uppermost of a point last.
func Table() ([]Line, error) {
	table, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		return nil, err
	}
	var all []Line
	for line := range strings.Lines(string(table)) {
		head, tail, _ := strings.Cut(line, " - ")
		h, t := strings.Fields(head), strings.Fields(tail)
		if len(h) >= 5 && len(t) >= 3 {
			all = append(all, Line{Point: unescape(h[4]), Root: unescape(h[3]), Type: t[0], Source: unescape(t[1]), Options: t[2]})
		}
	}
	return all, nil
}

// unescape undoes the octal escapes of the mount table.
func unescape(s string) string {
	if !strings.Contains(s, `\`) {
		return s
	}
	return strings.NewReplacer(`\040`, " ", `\011`, "\t", `\012`, "\n", `\043`, "#", `\134`, `\`).Replace(s)
}
