package mount

import (
	"os"
	"slices"
	"strings"

	"golang.org/x/sys/unix"
)

// A Line is a line of the mount table.
type Line struct {
	Point   string
	Root    string // what of the file system is mounted there
	Type    string // of file system
	Source  string
	Options string // of the file system
}

// HasOption tells whether the mount has an option.
func (l *Line) HasOption(name string) bool {
	return strings.Contains(","+l.Options+",", ","+name+",")
}

// Table reads the mount table of this process, the uppermost of a point last.
func Table() ([]Line, error) { return TableOf("/proc/self/mountinfo") }

// TableOf reads a mount table from a file as /proc/PID/mountinfo.
func TableOf(file string) ([]Line, error) {
	table, err := readTable(file)
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

// readTable reads a file of the kernel's in few calls: it is part of each entry
// into a context.
func readTable(name string) ([]byte, error) {
	fd, err := unix.Open(name, unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, &os.PathError{Op: "open", Path: name, Err: err}
	}
	defer unix.Close(fd)
	table := make([]byte, 0, 64<<10)
	for {
		n, err := unix.Read(fd, table[len(table):cap(table)])
		switch {
		case err == unix.EINTR:
		case err != nil:
			return nil, &os.PathError{Op: "read", Path: name, Err: err}
		case n == 0:
			return table, nil
		}
		table = slices.Grow(table[:len(table)+max(n, 0)], 4096)
	}
}

// unescape undoes the octal escapes of the mount table.
func unescape(s string) string {
	if !strings.Contains(s, `\`) {
		return s
	}
	return strings.NewReplacer(`\040`, " ", `\011`, "\t", `\012`, "\n", `\043`, "#", `\134`, `\`).Replace(s)
}

// Under tells whether a clean path is dir or below it.
func Under(path, dir string) bool {
	return path == dir || dir == "/" || strings.HasPrefix(path, dir) && path[len(dir)] == '/'
}

// Below gives the mounts below a directory, without those below another of them.
func Below(all []Line, dir string) (points []string) {
	for _, m := range all {
		inOther := func(p string) bool { return Under(m.Point, p) }
		if m.Point != dir && Under(m.Point, dir) && !slices.ContainsFunc(points, inOther) {
			points = append(points, m.Point)
		}
	}
	return points
}
